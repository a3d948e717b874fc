// Networks as GraphDefs: what a TensorFlow user would export, restore a checkpoint
// into, and run; and the maps that bring other frameworks' checkpoints to the
// variables of these graphs.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "tensor/variable_source.h"
#include "tensorflow/graph.pb.h"

namespace oriel::nets {

// One line of the table of networks.
struct NetworkInfo {
  std::string_view name;           // "inception_resnet_v2"
  std::string_view title;          // for people: "Inception-ResNet-v2"
  int image_size = 0;              // height and width of the default input
  int num_classes = 0;             // of the published weights
  std::string_view preprocessing;  // preset: "inception", "efficientnet_lite"
};

// "inception_resnet_v2", "efficientnet_lite0", "efficientnet_lite1",
// "efficientnet_lite2".
std::span<const NetworkInfo> Networks();

// nullptr for an unknown name.
const NetworkInfo* FindNetwork(std::string_view name);

struct NetworkOptions {
  int num_classes = 0;  // 0: the network's default
  int image_size = 0;   // 0: the network's default
  int batch_size = -1;  // -1: unknown
  // Nodes that save the variables to a checkpoint and restore them from one, as
  // tf.train.Saver adds them: save/Const is the file, save/restore_all restores.
  bool saver = true;

  // inception_resnet_v2 alone; elsewhere they must keep these values.
  bool create_aux_logits = true;
  int output_stride = 16;           // 8 or 16, as slim counts it; 8 keeps 17x17 at 35x35
  bool align_feature_maps = false;  // SAME padding all through
  // "": the whole classifier. Else the graph ends there: "Mixed_6a", "PreAuxLogits",
  // ... "Conv2d_7b_1x1"; there are no logits then, and features is that node.
  std::string final_endpoint;
};

// Names are of nodes; empty where the graph has no such node.
struct Network {
  tensorflow::GraphDef graph;
  std::string input;                      // Placeholder, [batch,height,width,3] f32
  std::string logits;                     // [batch,num_classes]
  std::string predictions;                // softmax of the logits
  std::optional<std::string> aux_logits;  // early exit
  std::optional<std::string> aux_predictions;
  std::string features;  // the map before the global pool, [batch,h,w,channels]
  int height = 0;
  int width = 0;
  int num_classes = 0;
  int class_offset = 0;  // 1: index 0 is "background"
  std::string preprocessing;
  // slim's end points, and EfficientNet's blocks, by name, in order: node names.
  std::vector<std::pair<std::string, std::string>> end_points;
};

// kInvalidArgument: unknown network, options that the network does not have or
// that leave a map without pixels.
absl::StatusOr<Network> BuildNetwork(std::string_view name,
                                     const NetworkOptions& options = {});

// A checkpoint under the names and in the layouts of the network's variables
// (HWIO kernels, [in,out] matrices). TensorFlow's own names pass through, for
// EfficientNet-Lite with its averaged weights (".../ExponentialMovingAverage")
// where the checkpoint has them. The other namings of layer_names.h are translated on
// reading, as name_maps.h says:
// - inception_resnet_v2: Keras's and Keras 3's, timm's and Cadene's pretrained-models';
// - efficientnet_lite*: efficientnet_lite_pytorch's and timm's.
// kNotFound names the tensor that the checkpoint lacks; variables of the auxiliary
// head, which only TensorFlow's checkpoints have, are left out.
absl::StatusOr<std::shared_ptr<const VariableSource>> AdaptCheckpoint(
    std::string_view network, std::shared_ptr<const VariableSource> checkpoint);

// The number of classes that an adapted checkpoint was trained for, from the shape
// of its last layer. kNotFound when it has none.
absl::StatusOr<int> CheckpointClasses(std::string_view network,
                                      const VariableSource& checkpoint);

}  // namespace oriel::nets
