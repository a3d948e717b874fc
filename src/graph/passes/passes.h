// The passes of OptimizeForInference that are more than a call: one file each.
// Each returns the number of changes; see Pass in graph/optimize.h.
#pragma once

#include "graph/optimize.h"

namespace oriel::graph {

// Bool placeholders that options.placeholder_to_const names, and keras_learning_phase,
// become constants.
absl::StatusOr<int> ConvertPlaceholders(tensorflow::GraphDef& graph,
                                        const OptimizeOptions& options);

// Each of options.input_names becomes a Placeholder of options.placeholder_types
// and loses its inputs; it keeps the attributes shape and _output_shapes.
absl::StatusOr<int> RewritePlaceholders(tensorflow::GraphDef& graph,
                                        const OptimizeOptions& options);

// Calls of functions become the functions' nodes (graph/inline_functions.h). Where one
// cannot (a function with an operation whose outputs are not known by name), all stay,
// and options.warn hears why.
absl::StatusOr<int> InlineCalls(tensorflow::GraphDef& graph,
                                const OptimizeOptions& options);

// Switch with a constant predicate (constants through Identity, LogicalNot, LogicalAnd,
// LogicalOr): those who read the side that runs read what Switch reads, and a Merge of
// which only one input can ever come becomes an Identity of it. The other side is left
// for nobody. Not those of loops, with control inputs, and not a Merge whose second
// output (which input came) is read. If and StatelessIf with such a predicate become what
// that side's function computes, as by InlineCalls; branches in it are folded, too.
absl::StatusOr<int> FoldBranches(tensorflow::GraphDef& graph,
                                 const OptimizeOptions& options);

// Control inputs from nodes that, with all that they need, only compute (IsPure) leave:
// waiting for them changes nothing. A NoOp that waits for one node is left out of the
// chain. Those from parts of control flow, variables and checks stay.
absl::StatusOr<int> RemoveControlInputs(tensorflow::GraphDef& graph,
                                        const OptimizeOptions& options);

// Identity, IdentityN, StopGradient, PreventGradient, CheckNumerics and Cast to the same
// type leave; their consumers read what they read. One stays when it is an output, has a
// control input, is a control input or in a colocation of another node, or reads a
// variable (its value is then that of the moment). TensorFlow's tool loses the consumers'
// input with CheckNumerics.
absl::StatusOr<int> RemoveTrainingNodes(tensorflow::GraphDef& graph,
                                        const OptimizeOptions& options);

// Nodes whose data inputs are all constant become Const by options.evaluate, unless the
// result is larger than what it is made of by more than 64 KiB, or they have control
// inputs. The first leaves the arithmetic that EvaluateChannels understands to the
// folding of scales, the second takes what that left.
absl::StatusOr<int> FoldConstants(tensorflow::GraphDef& graph,
                                  const OptimizeOptions& options);
absl::StatusOr<int> FoldRemainingConstants(tensorflow::GraphDef& graph,
                                           const OptimizeOptions& options);

// Dropout as TensorFlow 1 and 2 spell it (x scaled by 1 / keep, times or selected by a
// comparison of RandomUniform with constants) becomes an Identity of x: what it gives on
// average, and what inference means by it.
absl::StatusOr<int> RemoveDropout(tensorflow::GraphDef& graph,
                                  const OptimizeOptions& options);

// y = x * scale + offset by channel, scale and offset constant, becomes part of the
// Conv2D or DepthwiseConv2dNative that makes x (a constant bias may stand between),
// when nothing else reads that x. Batch norm is taken as FusedBatchNorm (also V2,
// V3), BatchNormWithGlobalNormalization, and as Add, Sub and Mul over constants
// and Rsqrt. The convolution reads a new Const "<convolution>_weights"; the batch
// norm's node becomes BiasAdd with a new Const "<convolution>_bn_offset".
absl::StatusOr<int> FoldBatchNorm(tensorflow::GraphDef& graph,
                                  const OptimizeOptions& options);

// Mul and RealDiv by a constant number or constants by channel after a convolution, with
// or without bias, and Add and Sub of constants after one with bias, become part of it,
// when nothing else reads what is between: the "net + scale * up" of Inception-ResNet.
// The node becomes BiasAdd, or without bias the convolution itself.
absl::StatusOr<int> FoldMulAdd(tensorflow::GraphDef& graph,
                               const OptimizeOptions& options);

// Mul and RealDiv by constants before a convolution, that nothing else reads, become part
// of its weights.
absl::StatusOr<int> FoldInputScale(tensorflow::GraphDef& graph,
                                   const OptimizeOptions& options);

// ResizeBilinear, MirrorPad, Conv2D, or two of them with the convolution, become
// FusedResizeAndPadConv2D or FusedPadConv2D under the convolution's name. Only where
// these can say it (float32, NHWC, no dilation, padding SAME or VALID, no
// half_pixel_centers, constant paddings of lines and columns), where nothing else reads
// what is between, and for one image: TensorFlow's kernels get the others of a batch
// wrong. Not with options.toco_compatible.
absl::StatusOr<int> FuseResizeAndConv(tensorflow::GraphDef& graph,
                                      const OptimizeOptions& options);

}  // namespace oriel::graph
