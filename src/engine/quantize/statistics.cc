#include "engine/quantize/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/fuse.h"
#include "engine/import.h"
#include "engine/ops.h"
#include "engine/ops/conv.h"
#include "engine/ops/matmul.h"
#include "engine/quantize/quantize.h"

namespace oriel::engine {
namespace {

absl::StatusOr<Ir> ImportFused(const tensorflow::GraphDef& graph,
                               const PlanOptions& options) {
  ASSIGN_OR_RETURN(Ir ir, ImportGraph(graph, options));
  FuseOps(ir);
  return ir;
}

int ActivationBits(const PlanOptions& options) {
  return options.activation_bits != 0 ? options.activation_bits : 8;
}

// By value: whether a quantizable operation lies before it, or after.
std::vector<bool> ReachedForward(const Ir& ir) {
  std::vector<bool> reached(ir.values.size(), false);
  for (const Op& op : ir.ops) {
    bool any = IsQuantizable(ir, op);
    for (const ValueId input : op.inputs) any = any || reached[input];
    for (const ValueId output : op.outputs) reached[output] = any;
  }
  return reached;
}

std::vector<bool> ReachedBackward(const Ir& ir) {
  std::vector<bool> reached(ir.values.size(), false);
  for (auto op = ir.ops.rbegin(); op != ir.ops.rend(); ++op) {
    bool any = IsQuantizable(ir, *op);
    for (const ValueId output : op->outputs) any = any || reached[output];
    if (!any) continue;
    for (const ValueId input : op->inputs) reached[input] = true;
  }
  return reached;
}

// The part of a window's places at which its cell number `cell` lies in the image.
double Coverage(const WindowAxis& axis, int64_t cell) {
  int64_t inside = 0;
  for (int64_t i = 0; i < axis.dst; ++i) {
    const int64_t at = i * axis.stride - axis.pad_before + cell * axis.dilation;
    inside += at >= 0 && at < axis.src;
  }
  return static_cast<double>(inside) / static_cast<double>(axis.dst);
}

struct Means {
  std::vector<double> exact, quantized;  // by input channel
};

struct Weights {
  Tensor exact;
  QuantizedWeights quantized;

  // What element i adds to the correction of its output channel.
  double Difference(int64_t i, int64_t out, const Means& means, int64_t in) const {
    const double rounded = static_cast<double>(quantized.values.data<int8_t>()[i]) *
                           quantized.scales.data<float>()[out];
    return exact.data<float>()[i] * means.exact[in] - rounded * means.quantized[in];
  }
};

std::vector<float> CorrectConv(const ConvAttrs& attrs, const Weights& weights,
                               const Means& means) {
  const Shape& filter = weights.exact.shape();
  const int64_t out = attrs.depthwise ? filter.dim(2) * filter.dim(3) : filter.dim(3);
  const int64_t group_in = attrs.depthwise ? 1 : filter.dim(2);
  const int64_t group_out = out / attrs.groups;
  std::vector<double> sums(out, 0.0);
  int64_t i = 0;
  for (int64_t kh = 0; kh < filter.dim(0); ++kh) {
    for (int64_t kw = 0; kw < filter.dim(1); ++kw) {
      const double part = Coverage(attrs.window.h, kh) * Coverage(attrs.window.w, kw);
      for (int64_t c = 0; c < group_in; ++c) {
        for (int64_t o = 0; o < out; ++o, ++i) {
          sums[o] += part * weights.Difference(i, o, means, o / group_out * group_in + c);
        }
      }
    }
  }
  return {sums.begin(), sums.end()};
}

std::vector<float> CorrectMatMul(const MatMulAttrs& attrs, const Weights& weights,
                                 const Means& means) {
  std::vector<double> sums(attrs.n, 0.0);
  for (int64_t k = 0; k < attrs.k; ++k) {
    for (int64_t n = 0; n < attrs.n; ++n) {
      const int64_t i = attrs.transpose_b ? n * attrs.k + k : k * attrs.n + n;
      sums[n] += weights.Difference(i, n, means, k);
    }
  }
  return {sums.begin(), sums.end()};
}

}  // namespace

absl::StatusOr<std::vector<QuantizableOp>> ListQuantizable(
    const tensorflow::GraphDef& graph, const PlanOptions& options) {
  ASSIGN_OR_RETURN(Ir ir, ImportFused(graph, options));
  const std::vector<bool> before = ReachedForward(ir), after = ReachedBackward(ir);
  std::vector<QuantizableOp> list;
  std::vector<size_t> indices;
  for (size_t i = 0; i < ir.ops.size(); ++i) {
    const Op& op = ir.ops[i];
    if (!IsQuantizable(ir, op)) continue;
    indices.push_back(i);
    list.push_back({.name = op.name,
                    .input = ir.values[op.inputs[0]].name,
                    .first = !before[op.inputs[0]],
                    .last = !after[op.outputs[0]]});
  }
  if (options.calibration == nullptr) return list;
  RETURN_IF_ERROR(QuantizeOps(ir, *options.calibration, ActivationBits(options)));
  for (size_t i = 0; i < list.size(); ++i) {
    const auto& quantization = ir.ops[indices[i]].quantization;
    if (quantization != nullptr) list[i].quantization = quantization->input;
  }
  return list;
}

void ValueStatistics::AddRange(std::span<const float> values) {
  float low = std::numeric_limits<float>::infinity(), high = -low;
  int64_t finite = 0;
  for (const float v : values) {
    const bool good = std::abs(v) <= std::numeric_limits<float>::max();
    finite += good;
    low = good && v < low ? v : low;
    high = good && v > high ? v : high;
  }
  not_finite_ += static_cast<int64_t>(values.size()) - finite;
  if (finite == 0) return;
  low_ = empty_ ? low : std::min(low_, low);
  high_ = empty_ ? high : std::max(high_, high);
  empty_ = false;
}

ValueRange ValueStatistics::MinMax() const { return {low_, high_}; }

double ValueStatistics::BinWidth() const {
  return (static_cast<double>(high_) - low_) / kBins;
}

void ValueStatistics::AddHistogram(std::span<const float> values) {
  bins_.resize(kBins);
  if (!(BinWidth() > 0)) return;
  const double inverse = 1 / BinWidth();
  for (const float v : values) {
    if (!(v >= low_ && v <= high_)) continue;
    const auto bin = static_cast<int>((static_cast<double>(v) - low_) * inverse);
    ++bins_[std::min(bin, kBins - 1)];
    zeros_ += v == 0;
  }
}

ValueRange ValueStatistics::Percentile(double percentile) const {
  int64_t total = 0;
  for (const int64_t count : bins_) total += count;
  if (total == 0) return MinMax();
  const double outside = (1 - percentile / 100) * static_cast<double>(total);
  // The place where `outside` of the numbers lie beyond, from one end.
  const auto cut = [&](bool from_top) {
    double left = outside;
    for (int i = 0; i < kBins; ++i) {
      const auto count = static_cast<double>(bins_[from_top ? kBins - 1 - i : i]);
      if (count > left) return (i + left / count) * BinWidth();
      left -= count;
    }
    return kBins * BinWidth();
  };
  ValueRange range = MinMax();
  range.high = static_cast<float>(high_ - cut(true));
  if (low_ < 0) range.low = static_cast<float>(low_ + cut(false));
  if (range.low > range.high) std::swap(range.low, range.high);
  return range;
}

ValueRange ValueStatistics::LeastSquares(int activation_bits) const {
  ValueRange best = MinMax();
  if (bins_.empty() || !(BinWidth() > 0)) return best;
  // Zero is exact in every range.
  std::vector<int64_t> counts = bins_;
  if (zeros_ > 0) {
    const auto bin = static_cast<int>(-static_cast<double>(low_) * (1 / BinWidth()));
    counts[std::clamp(bin, 0, kBins - 1)] -= zeros_;
  }
  double least = std::numeric_limits<double>::infinity();
  for (int step = 100; step > 20; --step) {
    const ValueRange range = {low_ * static_cast<float>(step) / 100,
                              high_ * static_cast<float>(step) / 100};
    const ActivationQuantization quantization =
        ChooseQuantization(range, activation_bits);
    double error = 0;
    for (int i = 0; i < kBins; ++i) {
      if (counts[i] == 0) continue;
      const double x = low_ + (i + 0.5) * BinWidth();
      const double rounded =
          quantization.scale *
          static_cast<double>(QuantizeCentered(static_cast<float>(x), quantization));
      const double inside = quantization.scale * quantization.scale / 12;
      const double clipped = (x - rounded) * (x - rounded);
      // Within the range the place in a step is as good as random, and bins may be
      // wider than steps.
      const bool is_clipped =
          x > quantization.scale * (quantization.max - quantization.zero_point) ||
          x < -quantization.scale * quantization.zero_point;
      error += static_cast<double>(counts[i]) * (is_clipped ? clipped : inside);
    }
    if (error < least) {
      least = error;
      best = range;
    }
  }
  return best;
}

void ChannelMeans::Add(std::span<const float> values, int64_t channels,
                       const ActivationQuantization& quantization) {
  exact_.resize(channels);
  quantized_.resize(channels);
  for (size_t at = 0; at + channels <= values.size(); at += channels) {
    for (int64_t c = 0; c < channels; ++c) {
      const float x = values[at + c];
      exact_[c] += x;
      quantized_[c] += quantization.scale * QuantizeCentered(x, quantization);
    }
    ++count_;
  }
}

std::vector<double> ChannelMeans::Mean(const std::vector<double>& sums) const {
  std::vector<double> means = sums;
  for (double& mean : means) mean /= static_cast<double>(std::max<int64_t>(count_, 1));
  return means;
}

absl::StatusOr<std::map<std::string, std::vector<float>>> BiasCorrections(
    const tensorflow::GraphDef& graph, const PlanOptions& options,
    const std::map<std::string, ChannelMeans>& means) {
  if (options.calibration == nullptr) {
    return InvalidArgument("bias corrections need a calibration");
  }
  ASSIGN_OR_RETURN(const Ir ir, ImportFused(graph, options));
  std::map<std::string, std::vector<float>> corrections;
  for (const Op& op : ir.ops) {
    if (!IsQuantizable(ir, op) || options.calibration->wider.contains(op.name)) continue;
    const auto found = means.find(ir.values[op.inputs[0]].name);
    if (found == means.end()) continue;
    const auto* matmul = dynamic_cast<const MatMulAttrs*>(op.attrs.get());
    const bool by_row = matmul != nullptr && matmul->transpose_b;
    const int64_t channels = ir.values[op.outputs[0]].shape.dim(-1);
    Weights weights;
    weights.exact = ir.values[op.inputs[1]].constant->MakeTensor();
    weights.quantized = QuantizeWeights(weights.exact, channels, by_row);
    const Means input = {found->second.Exact(), found->second.Quantized()};
    if (static_cast<int64_t>(input.exact.size()) !=
        ir.values[op.inputs[0]].shape.dim(-1)) {
      return InvalidArgument("node '{}': means of {} channels, the input has {}", op.name,
                             input.exact.size(), ir.values[op.inputs[0]].shape.dim(-1));
    }
    corrections[op.name] = matmul != nullptr
                               ? CorrectMatMul(*matmul, weights, input)
                               : CorrectConv(op.attrs_as<ConvAttrs>(), weights, input);
  }
  return corrections;
}

}  // namespace oriel::engine
