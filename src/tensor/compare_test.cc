#include "tensor/compare.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace oriel {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

Tensor Floats(const std::vector<float>& values) {
  return Tensor::Of<float>(Shape{static_cast<int64_t>(values.size())}, values);
}

TEST(CompareTensors, MeasuresTheLargestDifferenceAndItsPlace) {
  const auto d = CompareTensors(Floats({1, -4, 2, 0}), Floats({1, -4.5, 2.25, 0}),
                                {.absolute = 0.25, .relative = 0});
  EXPECT_EQ(d.mismatch, "");
  EXPECT_EQ(d.scale, 4);
  EXPECT_EQ(d.largest, 0.5);
  EXPECT_EQ(d.position, 1);
  EXPECT_EQ(d.a, -4);
  EXPECT_EQ(d.b, -4.5);
  EXPECT_EQ(d.outside, 1);  // 0.25 is within
  EXPECT_DOUBLE_EQ(d.rms, std::sqrt((0.25 + 0.0625) / 4));
  EXPECT_FALSE(d.within_tolerance());
}

TEST(CompareTensors, RelativeToleranceIsOfTheLargestValue) {
  const auto a = Floats({1000, 0.001f}), b = Floats({1000, 0.05f});
  EXPECT_TRUE(CompareTensors(a, b, {.absolute = 0, .relative = 1e-4}).within_tolerance());
  EXPECT_FALSE(
      CompareTensors(a, b, {.absolute = 0, .relative = 1e-5}).within_tolerance());
}

TEST(CompareTensors, NanAndInfinityEqualOnlyThemselves) {
  const auto odd = Floats({kNan, kInfinity, -kInfinity, 1});
  EXPECT_TRUE(CompareTensors(odd, odd, {0, 0}).within_tolerance());
  EXPECT_EQ(CompareTensors(odd, odd, {0, 0}).scale, 1);
  for (const auto& other :
       {Floats({0, kInfinity, -kInfinity, 1}), Floats({kNan, -kInfinity, -kInfinity, 1}),
        Floats({kNan, 3e38f, -kInfinity, 1}), Floats({kNan, kInfinity, kNan, 1})}) {
    const auto d = CompareTensors(odd, other, {.absolute = 1e30, .relative = 1});
    EXPECT_EQ(d.outside, 1);
    EXPECT_TRUE(std::isinf(d.largest));
    EXPECT_EQ(d.rms, 0);
  }
}

TEST(CompareTensors, TypesAndShapesAreNotConverted) {
  const auto floats = Floats({1, 2});
  const auto ints = Tensor::Of<int32_t>(Shape{2}, std::vector<int32_t>{1, 2});
  EXPECT_EQ(CompareTensors(floats, ints, {}).mismatch, "float32[2] and int32[2]");
  EXPECT_EQ(CompareTensors(floats, floats.Reshaped(Shape{1, 2}), {}).mismatch,
            "float32[2] and float32[1,2]");
  EXPECT_FALSE(CompareTensors(floats, ints, {}).within_tolerance());
}

TEST(CompareTensors, ReadsEveryType) {
  const auto bytes_a = Tensor::Of<uint8_t>(Shape{2}, std::vector<uint8_t>{250, 3});
  const auto bytes_b = Tensor::Of<uint8_t>(Shape{2}, std::vector<uint8_t>{1, 3});
  EXPECT_EQ(CompareTensors(bytes_a, bytes_b, {}).largest, 249);
  const std::vector<uint16_t> halves = {0x3c00, 0xc000};  // 1, -2
  const std::vector<uint16_t> others = {0x3c00, 0x4000};  // 1, 2
  const auto view = [](const std::vector<uint16_t>& bits) {
    const auto* data = reinterpret_cast<const uint8_t*>(bits.data());
    return Tensor::View(DType::kFloat16, Shape{2}, Bytes(data, 4), nullptr);
  };
  EXPECT_EQ(CompareTensors(view(halves), view(others), {}).largest, 4);
  Tensor words(DType::kString, Shape{2}), other_words(DType::kString, Shape{2});
  words.mutable_strings() = {"a", "b"};
  other_words.mutable_strings() = {"a", "c"};
  EXPECT_TRUE(CompareTensors(words, words, {}).within_tolerance());
  EXPECT_EQ(CompareTensors(words, other_words, {}).outside, 1);
  EXPECT_EQ(CompareTensors(words, other_words, {}).position, 1);
}

TEST(CompareTensors, EmptyTensorsAreEqual) {
  EXPECT_TRUE(CompareTensors(Floats({}), Floats({}), {0, 0}).within_tolerance());
}

}  // namespace
}  // namespace oriel
