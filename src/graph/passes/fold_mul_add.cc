#include "graph/passes/fold_into_convolution.h"
#include "graph/passes/passes.h"

namespace oriel::graph {
namespace {

// y = value * scale + offset
struct Affine {
  GraphIndex::Source value;
  ChannelValues scale{0, {1.0}};
  ChannelValues offset{0, {0.0}};
  bool needs_bias = false;  // it gains nothing where no bias is there to be changed
};

ChannelValues Map(ChannelValues values, double (*function)(double)) {
  for (double& v : values.values) v = function(v);
  return values;
}

double Negate(double v) { return -v; }
double Invert(double v) { return 1 / v; }

// What node `i` is, read as a function of its operand `k`; nullopt when the other one is
// not constant.
std::optional<Affine> Read(const GraphIndex& index, int i, int k) {
  const auto operands = index.data_inputs(i);
  const std::string& op = index.node(i).op();
  const bool add = op == "Add" || op == "AddV2";
  if (operands.size() != 2 ||
      !(add || op == "Sub" || op == "Mul" || (op == "RealDiv" && k == 0))) {
    return std::nullopt;
  }
  const auto other = EvaluateChannels(index, operands[1 - k]);
  if (!other) return std::nullopt;
  Affine affine{.value = operands[k]};
  if (op == "Mul") {
    affine.scale = *other;
  } else if (op == "RealDiv") {
    affine.scale = Map(*other, Invert);
  } else if (op == "Sub" && k == 0) {
    affine.offset = Map(*other, Negate);
  } else {
    affine.offset = *other;
    if (op == "Sub") affine.scale = {0, {-1.0}};
  }
  affine.needs_bias = add || (op == "Sub" && k == 0);
  return affine;
}

absl::Status FoldNode(const GraphIndex& index, int i, ConvolutionFolder& folder) {
  for (int k = 0; k < 2; ++k) {
    const auto affine = Read(index, i, k);
    if (!affine) continue;
    ASSIGN_OR_RETURN(const auto convolution, folder.Find(affine->value));
    if (!convolution ||
        (affine->needs_bias && convolution->bias_node == GraphIndex::kNone)) {
      continue;
    }
    // Values by channel broadcast along the last dimension.
    const auto fits = [&](const ChannelValues& v) {
      return v.values.size() == 1 || (convolution->data_format == "NHWC" &&
                                      v.values.size() == convolution->channels);
    };
    if (!fits(affine->scale) || !fits(affine->offset)) continue;
    return folder.Fold(i, *convolution, affine->scale, affine->offset).status();
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<int> FoldMulAdd(tensorflow::GraphDef& graph,
                               const OptimizeOptions& options) {
  return FoldConvolutions(graph, options, FoldNode);
}

}  // namespace oriel::graph
