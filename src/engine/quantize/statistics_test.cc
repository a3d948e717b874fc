#include "engine/quantize/statistics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "base/testing.h"
#include "engine/quantize/quantize.h"
#include "engine/testing/graph_builder.h"
#include "engine/testing/run_graph.h"

namespace oriel::engine {
namespace {

using testing::GraphBuilder;

ValueStatistics Collect(const std::vector<float>& values) {
  ValueStatistics statistics;
  const auto first = std::span(values).first(values.size() / 2);
  const auto rest = std::span(values).subspan(values.size() / 2);
  statistics.AddRange(first);
  statistics.AddRange(rest);
  statistics.AddHistogram(first);
  statistics.AddHistogram(rest);
  return statistics;
}

// 0, 1/n, ... (n-1)/n, scaled and shifted.
std::vector<float> Uniform(int n, float scale, float shift) {
  std::vector<float> values;
  for (int i = 0; i < n; ++i) {
    values.push_back(static_cast<float>(i) / static_cast<float>(n) * scale + shift);
  }
  return values;
}

TEST(ValueStatistics, LeastAndLargest) {
  EXPECT_EQ(ValueStatistics().MinMax(), (ValueRange{0, 0}));
  const auto statistics = Collect({3, -2, NAN, 7, INFINITY, 1});
  EXPECT_EQ(statistics.MinMax(), (ValueRange{-2, 7}));
  EXPECT_EQ(statistics.not_finite(), 2);
}

TEST(ValueStatistics, PercentilesOfAUniformDistribution) {
  const auto positive = Collect(Uniform(100'000, 10, 0));
  EXPECT_EQ(positive.Percentile(99).low, 0);
  EXPECT_NEAR(positive.Percentile(99).high, 9.9f, 0.01f);
  EXPECT_NEAR(positive.Percentile(100).high, 10, 0.01f);
  const auto signs = Collect(Uniform(100'000, 10, -4));
  EXPECT_NEAR(signs.Percentile(99.9).low, -3.99f, 0.005f);
  EXPECT_NEAR(signs.Percentile(99.9).high, 5.99f, 0.005f);
  const auto constant = Collect({2, 2, 2});
  EXPECT_EQ(constant.Percentile(99), (ValueRange{2, 2}));
}

TEST(ValueStatistics, LeastSquaresClipsOutliersAlone) {
  // Without outliers every clipped number costs more than finer steps give.
  std::vector<float> values = Uniform(100'000, 1, 0);
  EXPECT_NEAR(Collect(values).LeastSquares(8).high, 1, 0.011f);
  values.push_back(4);
  const float high = Collect(values).LeastSquares(8).high;
  EXPECT_GE(high, 1);
  EXPECT_LT(high, 4);
  // Zeros cost nothing wherever the range ends, so they do not draw it in.
  values.assign(1'000'000, 0);
  for (const float v : Uniform(1000, 1, 0)) values.push_back(v);
  EXPECT_NEAR(Collect(values).LeastSquares(8).high, 1, 0.03f);
}

// Signed images whose channels have different means.
Tensor RandomImage(unsigned seed, const Shape& shape) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  Tensor image(DType::kFloat32, shape);
  const auto data = image.mutable_data<float>();
  const int64_t channels = shape.dim(-1);
  for (size_t i = 0; i < data.size(); ++i) {
    data[i] = normal(random) + 0.3f * static_cast<float>(i % channels);
  }
  return image;
}

struct Sums {
  std::vector<double> by_channel;
  void Add(const Tensor& tensor) {
    by_channel.resize(tensor.shape().dim(-1));
    const auto data = tensor.data<float>();
    for (size_t i = 0; i < data.size(); ++i) {
      by_channel[i % by_channel.size()] += data[i] / static_cast<double>(data.size());
    }
  }
};

// With the corrections the means of the outputs are those of float32, as long as no
// padding is read: that is what they are for.
void ExpectMeansKept(GraphBuilder& b, const Shape& input) {
  auto calibration = std::make_shared<Calibration>();
  calibration->ranges["x"] = {-1, 1.5f};  // clips much
  PlanOptions options;
  options.outputs = {"y"};
  options.inputs = {{"x", input}};
  options.calibration = calibration;
  ASSERT_OK_AND_ASSIGN(const auto ops, ListQuantizable(b.graph(), options));
  ASSERT_EQ(ops.size(), 1);
  EXPECT_EQ(ops[0].input, "x");
  EXPECT_TRUE(ops[0].first);
  EXPECT_TRUE(ops[0].last);
  ASSERT_TRUE(ops[0].quantization);
  std::map<std::string, ChannelMeans> means;
  for (unsigned seed = 0; seed < 4; ++seed) {
    means["x"].Add(RandomImage(seed, input).data<float>(), input.dim(-1),
                   *ops[0].quantization);
  }
  auto corrected = std::make_shared<Calibration>(*calibration);
  ASSERT_OK_AND_ASSIGN(corrected->bias_corrections,
                       BiasCorrections(b.graph(), options, means));
  ASSERT_EQ(corrected->bias_corrections.size(), 1);
  Sums exact, plain, kept;
  for (unsigned seed = 0; seed < 4; ++seed) {
    for (auto [sums, precision, with] : {std::tuple(&exact, Precision::kF32, calibration),
                                         {&plain, Precision::kInt8, calibration},
                                         {&kept, Precision::kInt8, corrected}}) {
      PlanOptions run;
      run.backend = Backend::kReference;
      run.precision = precision;
      run.calibration = with;
      run.activation_bits = 8;  // as ListQuantizable takes them
      run.outputs = {"y"};
      ASSERT_OK_AND_ASSIGN(
          const auto results,
          testing::RunGraph(b.graph(), {{"x", RandomImage(seed, input)}}, run));
      sums->Add(results[0]);
    }
  }
  double before = 0;
  for (size_t c = 0; c < exact.by_channel.size(); ++c) {
    before += std::abs(plain.by_channel[c] - exact.by_channel[c]);
    EXPECT_NEAR(kept.by_channel[c], exact.by_channel[c], 2e-4) << c;
  }
  EXPECT_GT(before, 0.01);
}

TEST(BiasCorrections, KeepMeansOfAPointwiseConvolution) {
  GraphBuilder b;
  b.Placeholder("x", Shape{1, 6, 6, 8});
  b.Const("w", RandomImage(9, Shape{1, 1, 8, 5}));
  b.Conv("y", "x", "w", "SAME");
  ExpectMeansKept(b, Shape{1, 6, 6, 8});
}

TEST(BiasCorrections, KeepMeansOfADepthwiseConvolution) {
  GraphBuilder b;
  b.Placeholder("x", Shape{1, 6, 6, 4});
  b.Const("w", RandomImage(9, Shape{1, 1, 4, 2}));
  b.Conv("y", "x", "w", "VALID", 1, 1, 1, 1, "DepthwiseConv2dNative");
  ExpectMeansKept(b, Shape{1, 6, 6, 4});
}

TEST(BiasCorrections, KeepMeansOfAGroupedConvolution) {
  GraphBuilder b;
  b.Placeholder("x", Shape{1, 6, 6, 8});
  b.Const("w", RandomImage(9, Shape{1, 1, 4, 6}));
  b.Conv("y", "x", "w", "VALID");
  ExpectMeansKept(b, Shape{1, 6, 6, 8});
}

TEST(BiasCorrections, KeepMeansOfMatrixProducts) {
  for (const bool transposed : {false, true}) {
    GraphBuilder b;
    b.Placeholder("x", Shape{7, 8});
    b.Const("w", RandomImage(9, transposed ? Shape{5, 8} : Shape{8, 5}));
    graph::SetBool(b.Add("y", "MatMul", {"x", "w"}), "transpose_b", transposed);
    ExpectMeansKept(b, Shape{7, 8});
  }
}

TEST(BiasCorrections, CountPaddingByPlaces) {
  // All ones on 3x3 images: the corner taps of a SAME window lie inside at 4 of 9
  // places, the edges' at 6, the middle at 9: 4 * 4 + 4 * 6 + 9 = 49 of 81.
  GraphBuilder b;
  b.Placeholder("x", Shape{1, 3, 3, 1});
  const std::vector<float> ones(9, 1.0f);
  b.Const("w", Tensor::Of<float>(Shape{3, 3, 1, 1}, ones));
  b.Conv("y", "x", "w", "SAME");
  PlanOptions options;
  options.outputs = {"y"};
  auto calibration = std::make_shared<Calibration>();
  calibration->ranges["x"] = {0, 0.5f};  // 1 becomes 0.5
  options.calibration = calibration;
  std::map<std::string, ChannelMeans> means;
  means["x"].Add(ones, 1, ChooseQuantization({0, 0.5f}, 8));
  ASSERT_OK_AND_ASSIGN(const auto corrections,
                       BiasCorrections(b.graph(), options, means));
  ASSERT_EQ(corrections.at("y").size(), 1);
  EXPECT_NEAR(corrections.at("y")[0], 0.5 * 49 / 9, 1e-5);
}

TEST(ChoosePrecision, WantsCalibrationKernelsAndAgreement) {
  const auto choose = [](const Calibration* calibration, double guard, int bits) {
    return ChoosePrecision(calibration, guard, {.int8_activation_bits = bits});
  };
  Calibration calibration;
  EXPECT_EQ(choose(nullptr, 0.99, 8).precision, Precision::kF32);
  EXPECT_EQ(choose(&calibration, 0.99, 8).precision, Precision::kF32);
  calibration.agreements = {{{200, 0.995, 0.05}, 8}, {{200, 0.98, 0.1}, 7}};
  calibration.bf16 = {200, 1, 0.01};  // which the machine does not have
  const PrecisionChoice good = choose(&calibration, 0.99, 8);
  EXPECT_EQ(good.precision, Precision::kInt8);
  EXPECT_EQ(good.reason,
            "int8: int8 agrees with f32 on 99.5 % of 200 images (guard 99.0 %)");
  EXPECT_EQ(choose(&calibration, 0.99, 7).precision, Precision::kF32);
  EXPECT_EQ(choose(&calibration, 0.98, 7).precision, Precision::kInt8);
  EXPECT_EQ(choose(&calibration, 0.99, 0).precision, Precision::kF32);
  // Few images vouch for nothing.
  calibration.agreements = {{{29, 1, 0.01}, 8}};
  const PrecisionChoice few = choose(&calibration, 0.99, 8);
  EXPECT_EQ(few.precision, Precision::kF32);
  EXPECT_EQ(few.reason, "f32: int8 was measured on 29 images, want 30 or more");
  calibration.agreements = {{{30, 1, 0.01}, 8}};
  EXPECT_EQ(choose(&calibration, 0.99, 8).precision, Precision::kInt8);
}

TEST(ChoosePrecision, TakesBf16WhereInt8WillNotDoOrTilesAreFaster) {
  const FastPrecisions both = {.int8_activation_bits = 8, .bf16 = true};
  const FastPrecisions tiles = {
      .int8_activation_bits = 8, .bf16 = true, .bf16_tiles = true};
  const FastPrecisions bf16_only = {.bf16 = true};
  Calibration calibration;
  calibration.agreements = {{{200, 0.995, 0.05}, 8}};
  EXPECT_EQ(ChoosePrecision(&calibration, 0.99, both).precision, Precision::kInt8);
  EXPECT_EQ(ChoosePrecision(&calibration, 0.99, tiles).precision, Precision::kInt8);
  EXPECT_EQ(ChoosePrecision(&calibration, 0.99, bf16_only).reason,
            "f32: no fast int8 kernels on this machine; bf16 was not measured");
  calibration.bf16 = {100, 0.99, 0.01};
  EXPECT_EQ(ChoosePrecision(&calibration, 0.99, both).precision, Precision::kInt8);
  EXPECT_EQ(ChoosePrecision(&calibration, 0.99, tiles).precision, Precision::kBf16);
  EXPECT_EQ(ChoosePrecision(&calibration, 0.99, bf16_only).precision, Precision::kBf16);
  EXPECT_EQ(ChoosePrecision(&calibration, 0.999, tiles).precision, Precision::kF32);
  calibration.agreements[0].top1 = 0.97;
  const PrecisionChoice instead = ChoosePrecision(&calibration, 0.99, both);
  EXPECT_EQ(instead.precision, Precision::kBf16);
  EXPECT_EQ(instead.reason,
            "bf16: bf16 agrees with f32 on 99.0 % of 100 images (guard 99.0 %); int8 "
            "agrees with f32 on 97.0 % of 200 images (guard 99.0 %)");
  EXPECT_EQ(ChoosePrecision(&calibration, 0.995, both).precision, Precision::kF32);
}

}  // namespace
}  // namespace oriel::engine
