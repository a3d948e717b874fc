// Graphs that read images themselves: whose shapes follow from the data that is fed.
//
// The well-known demos exported such: a string goes in, DecodeJpeg makes an image of
// whatever size, which is cropped, resized, normalized, and then comes the network. What
// depends on the string is cut in two. The front, up to the first operation that makes a
// network (a convolution, a pool, a matrix product ...), is computed node by node by the
// reference kernels, to the bit as TensorFlow does it. The rest is a Plan for the shapes
// that came of it; plans are kept, since most graphs make images of one size.
//
// One image (or one string) at a time: loops and map_fn over a batch of strings are not
// supported.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "engine/plan.h"

namespace oriel::engine {

// The placeholders that are strings, by name.
std::vector<std::string> StringInputs(const tensorflow::GraphDef& graph);

// The shape of one string for a string placeholder: what it declares, with 1 for sizes
// that are not known, or a scalar. kInvalidArgument for one of more strings.
absl::StatusOr<Shape> StringInputShape(const tensorflow::GraphDef& graph,
                                       const std::string& input);

// Not thread-safe: one for each worker.
class DynamicPlan {
 public:
  // Borrows `graph`. Of the options `inputs` names what Run will feed; shapes are those
  // of Run. No node of the front makes more than `max_bytes`, and no plan needs more for
  // activations and outputs. Errors are Plan::Compile's, as far as they show without an
  // image.
  static absl::StatusOr<std::unique_ptr<DynamicPlan>> Create(
      const tensorflow::GraphDef& graph, const PlanOptions& options,
      uint64_t max_bytes = uint64_t{8} << 30);
  virtual ~DynamicPlan() = default;

  // The outputs, in the order of the options. `inputs` are in the order of the options'
  // inputs; strings are DType::kString. Bytes that are no image: kInvalidArgument that
  // names the node. The errors of Plan::Compile where the front made shapes that are new.
  virtual absl::StatusOr<std::vector<Tensor>> Run(const std::vector<Tensor>& inputs) = 0;

  // How many plans Run has compiled so far.
  virtual int compiled() const = 0;
  // The last one that was used; null: none, the front made all outputs.
  virtual const Plan* plan() const = 0;
};

}  // namespace oriel::engine
