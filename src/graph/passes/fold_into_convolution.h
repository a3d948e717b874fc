// y = convolution(x) * scale + offset, by channel, as one convolution with bias:
// what folding passes share.
#pragma once

#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "graph/graph_index.h"
#include "graph/optimize.h"
#include "graph/passes/constant_value.h"
#include "graph/passes/new_names.h"

namespace oriel::graph {

// A convolution that may be changed: float32, constant weights, and its result is
// read by one consumer alone.
struct Convolution {
  int node = GraphIndex::kNone;       // Conv2D or DepthwiseConv2dNative
  int bias_node = GraphIndex::kNone;  // BiasAdd, Add or AddV2 after it
  int weights = GraphIndex::kNone;    // the Const
  int64_t channels = 0;               // of the output
  std::vector<double> bias;           // [channels], zeros without bias_node
  std::string data_format;            // "NHWC", "NCHW"
};

// The weights of `convolution` (a Const of float32), read to be changed: their bytes are
// taken off `left`. kResourceExhausted when it has not as many.
absl::StatusOr<Tensor> ReadWeights(const GraphIndex& index, int convolution, int weights,
                                   uint64_t& left);

// Collects folds over one graph and then makes them all at once.
class ConvolutionFolder {
 public:
  // Borrows all four. `bytes_left`: for constants that are made.
  ConvolutionFolder(tensorflow::GraphDef& graph, const GraphIndex& index,
                    const OptimizeOptions& options, uint64_t& bytes_left);

  // The convolution that makes `source`, with a constant bias in between if there
  // is one. nullopt when there is none that may be changed. kInvalidArgument for
  // weights that are not of rank 4, or a bias that does not fit them.
  absl::StatusOr<std::optional<Convolution>> Find(GraphIndex::Source source) const;

  // `root`'s value is convolution * scale + offset (the convolution's bias counts as
  // part of the convolution); scale and offset have one value or one for each
  // channel. After Apply `root` is a BiasAdd of the convolution, whose weights are new
  // unless every scale is 1; without bias and offset it is the convolution itself.
  // False, and nothing changes, when a scale is not finite. kResourceExhausted when
  // the new constants take more than options.max_constant_bytes.
  absl::StatusOr<bool> Fold(int root, const Convolution& convolution,
                            const ChannelValues& scale, const ChannelValues& offset);

  // Whether one data input of one node reads output 0 of `node`, no other output or
  // control input does, and it is no output of the graph: it may then be changed.
  bool HasOneUse(int node) const;

  // Makes the folds. The index is of no use afterwards. Returns how many.
  int Apply();

 private:
  struct Change {
    int root;
    int convolution;
    std::string convolution_name;
    std::string data_format;
    // Names are empty where nothing is new.
    std::string weights_name;
    std::string offset_name;
    Tensor weights;
    Tensor offset;
  };

  absl::Status ScaleWeights(const Convolution& convolution, const ChannelValues& scale,
                            Change& change);
  tensorflow::NodeDef MakeRoot(const tensorflow::NodeDef& old, const Change& change,
                               const tensorflow::NodeDef& convolution) const;

  tensorflow::GraphDef& graph_;
  const GraphIndex& index_;
  uint64_t& bytes_left_;
  std::unordered_set<std::string> outputs_;
  NewNames names_;
  std::vector<Change> changes_;
};

// Looks at one node, and calls Fold where it and its inputs fit.
using NodeFolder = absl::Status (*)(const GraphIndex& index, int node,
                                    ConvolutionFolder& folder);

// A whole pass: `fold_node` for each node, Apply, then what the outputs no longer
// need is dropped; again, until nothing is left to fold (64 times at most). Returns the
// number of folds.
absl::StatusOr<int> FoldConvolutions(tensorflow::GraphDef& graph,
                                     const OptimizeOptions& options,
                                     NodeFolder fold_node);

}  // namespace oriel::graph
