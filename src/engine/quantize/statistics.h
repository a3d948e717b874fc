// What sample inputs tell of a graph's values: ranges to quantize them by, and what
// quantization does to the mean of each output channel.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "engine/plan.h"
#include "engine/quantize/calibration.h"
#include "engine/quantize/quantization.h"
#include "tensorflow/graph.pb.h"

namespace oriel::engine {

// An operation that QuantizeOps can quantize, in the graph as Compile fuses it.
struct QuantizableOp {
  std::string name;
  std::string input;   // the value that it reads
  bool first = false;  // no other one lies between the graph's inputs and it
  bool last = false;   // no other one reads what comes of it
  // With PlanOptions::calibration: of the input, where it is quantized.
  std::optional<ActivationQuantization> quantization;
};

// In running order. Errors as Plan::Compile has them. The precision of the options does
// not matter; activation_bits 0 means 8.
absl::StatusOr<std::vector<QuantizableOp>> ListQuantizable(
    const tensorflow::GraphDef& graph, const PlanOptions& options);

// How the numbers of one value are spread, in two passes over the samples. Numbers that
// are not finite are counted and else left out.
class ValueStatistics {
 public:
  static constexpr int kBins = 2048;

  // The first pass: least and largest number.
  void AddRange(std::span<const float> values);
  // The second, once all went through the first.
  void AddHistogram(std::span<const float> values);

  int64_t not_finite() const { return not_finite_; }
  // Least to largest; 0 to 0 before any.
  ValueRange MinMax() const;
  // All but the parts above `percentile` and, where there are negative numbers, as much
  // below: 50 < percentile <= 100. By interpolation within a bin.
  ValueRange Percentile(double percentile) const;
  // The one whose quantization to `activation_bits` gives the least mean square error:
  // out of 80 that shrink both ends alike, to a fifth of them (histogram search as in
  // Banner et al., "Post-training 4-bit quantization of convolution networks", 2019,
  // section 3, by counting instead of by a model of the distribution).
  ValueRange LeastSquares(int activation_bits) const;

 private:
  double BinWidth() const;

  bool empty_ = true;
  float low_ = 0, high_ = 0;
  int64_t not_finite_ = 0;
  int64_t zeros_ = 0;  // of those in bins_
  std::vector<int64_t> bins_;
};

// Means over the samples by channel (the last dimension) of a value as it is and as it
// is quantized.
class ChannelMeans {
 public:
  void Add(std::span<const float> values, int64_t channels,
           const ActivationQuantization& quantization);
  std::vector<double> Exact() const { return Mean(exact_); }
  std::vector<double> Quantized() const { return Mean(quantized_); }

 private:
  std::vector<double> Mean(const std::vector<double>& sums) const;

  int64_t count_ = 0;  // of numbers in each channel
  std::vector<double> exact_, quantized_;
};

// By operation, what quantization takes from the mean of each output channel's sums:
//   E[w * x] - E[wq * q(x)],
// from the means of the inputs, by name of the value; a tap that reads padding at some
// places counts by the part of places where it does not. (Nagel et al., "Data-Free
// Quantization Through Weight Equalization and Bias Correction", ICCV 2019, section
// 4.2, with means that were measured, and those of the quantized input, so that
// clipping and rounding to zero are corrected too; Nagel et al., arXiv:2106.08295.)
// Operations that the calibration keeps wider, and inputs without means, have none.
absl::StatusOr<std::map<std::string, std::vector<float>>> BiasCorrections(
    const tensorflow::GraphDef& graph, const PlanOptions& options,
    const std::map<std::string, ChannelMeans>& means);

}  // namespace oriel::engine
