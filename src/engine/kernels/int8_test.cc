// The loops of int8 against sums of integers and the float32 formula of
// quantize/quantization.h, which has to be met to the bit.
//
// Quick.* is the part that an emulated CPU gets through in a minute.

#include <gtest/gtest.h>

#include "engine/kernels/int8_conv.h"
#include "engine/kernels/testing/conv_testing.h"

namespace oriel::engine::kernels {
namespace {

struct Case {
  ConvShape shape;
  bool depthwise = false;
  bool residual = false;
  float low = -INFINITY, high = INFINITY;
  int zero_point = 0;
  int max = 127;
  bool extreme = false;  // nothing but the ends of the ranges
  // Of the result.
  bool floats = true, bytes = true;
  ActivationQuantization to = {
      .scale = 0.05f, .inverse_scale = 20, .zero_point = 3, .max = 255};
};

// Numbers for a case, and what has to come of them.
struct Data {
  std::vector<uint8_t> src;
  std::vector<int8_t> weights;
  std::vector<float> scales, bias, residual;

  explicit Data(const Case& c) {
    const ConvShape& s = c.shape;
    std::mt19937 random(42);
    const auto bytes = [&](auto& to, int64_t size, int low, int high) {
      std::uniform_int_distribution<int> uniform(low, high);
      for (int64_t i = 0; i < size; ++i) {
        const int v = uniform(random);
        to.push_back(static_cast<typename std::decay_t<decltype(to)>::value_type>(
            !c.extreme             ? v
            : v > (low + high) / 2 ? high
                                   : low));
      }
    };
    const auto floats = [&](std::vector<float>& to, int64_t size, float low, float high) {
      std::uniform_real_distribution<float> uniform(low, high);
      for (int64_t i = 0; i < size; ++i) to.push_back(uniform(random));
    };
    const int64_t per_output = c.depthwise ? 1 : s.src_c;
    bytes(src, s.batch * s.src_h * s.src_w * s.src_pitch + kInt8Slack, 0, c.max);
    bytes(weights, s.kernel_h * s.kernel_w * per_output * s.dst_c, -127, 127);
    floats(scales, s.dst_c, 0.001f, 0.02f);
    floats(bias, s.dst_c, -1, 1);
    floats(residual, s.batch * s.dst_h * s.dst_w * s.residual_pitch, -5, 5);
  }
};

ActivationQuantization InputOf(const Case& c) {
  return {.scale = 0.013f, .inverse_scale = 1, .zero_point = c.zero_point, .max = c.max};
}

float Expected(const Case& c, const Data& data, int64_t pixel, int64_t out) {
  const ConvShape& s = c.shape;
  const int64_t n = pixel / (s.dst_h * s.dst_w), y = pixel / s.dst_w % s.dst_h,
                x = pixel % s.dst_w;
  const int64_t per_output = c.depthwise ? 1 : s.src_c;
  int32_t sum = 0;
  for (int64_t ky = 0; ky < s.kernel_h; ++ky) {
    for (int64_t kx = 0; kx < s.kernel_w; ++kx) {
      const int64_t iy = y * s.stride_h - s.pad_top + ky * s.dilation_h;
      const int64_t ix = x * s.stride_w - s.pad_left + kx * s.dilation_w;
      if (iy < 0 || iy >= s.src_h || ix < 0 || ix >= s.src_w) continue;
      const uint8_t* from = &data.src[((n * s.src_h + iy) * s.src_w + ix) * s.src_pitch];
      const int64_t tap = ky * s.kernel_w + kx;
      for (int64_t i = 0; i < per_output; ++i) {
        sum += (from[c.depthwise ? out : i] - c.zero_point) *
               data.weights[(tap * per_output + i) * s.dst_c + out];
      }
    }
  }
  float real = static_cast<float>(sum) * (InputOf(c).scale * data.scales[out]);
  real += data.bias[out];
  if (c.residual) real += data.residual[pixel * s.residual_pitch + out];
  return std::min(std::max(real, c.low), c.high);
}

std::unique_ptr<Int8Conv> Make(const Case& c, int threads, const Int8Table& table) {
  Int8Shape shape{.conv = c.shape, .input = InputOf(c), .floats = c.floats};
  if (c.bytes) shape.bytes = c.to;
  shape.bytes_pitch = c.shape.dst_pitch;
  return c.depthwise ? MakeInt8DepthwiseConv(shape, threads, table)
                     : MakeInt8Conv(shape, threads, table);
}

class Int8ConvTest : public testing::Test {
 protected:
  void SetUp() override {
    table_ = FindInt8Table();
    if (table_ == nullptr) GTEST_SKIP() << "no kernels for " << IsaName(MaxIsa());
  }

  // Every result to the bit, and nothing else written, for each number of threads.
  void Check(const Case& c, std::initializer_list<int> threads) {
    const ConvShape& s = c.shape;
    const Data data(c);
    std::vector<float> want;
    for (int64_t i = 0; i < s.batch * s.dst_h * s.dst_w * s.dst_c; ++i) {
      want.push_back(Expected(c, data, i / s.dst_c, i % s.dst_c));
    }
    for (const int n : threads) {
      SCOPED_TRACE(fmt::format("{}, zero point {}, max {}, {} threads", Describe(s),
                               c.zero_point, c.max, n));
      Check(c, data, want, n);
    }
  }

  void Check(const Case& c, const Data& data, const std::vector<float>& want,
             int threads) {
    const ConvShape& s = c.shape;
    const auto conv = Make(c, threads, *table_);
    std::vector<std::byte> packed(conv->packed_bytes(), std::byte{0x5a});
    conv->Pack(data.weights, data.scales, data.bias, packed);
    const int64_t pixels = s.batch * s.dst_h * s.dst_w;
    constexpr uint8_t kUntouchedByte = 77;
    for (const bool stolen : {false, true}) {
      std::vector<float> floats(pixels * s.dst_pitch, kUntouched);
      std::vector<uint8_t> bytes(pixels * s.dst_pitch, kUntouchedByte);
      RunAll(*conv,
             Int8ConvArgs{.src = data.src.data(),
                          .weights = packed.data(),
                          .residual = c.residual ? data.residual.data() : nullptr,
                          .floats = floats.data(),
                          .bytes = bytes.data(),
                          .low = c.low,
                          .high = c.high},
             threads, stolen);
      for (int64_t p = 0; p < pixels; ++p) {
        for (int64_t o = 0; o < s.dst_pitch; ++o) {
          const int64_t at = p * s.dst_pitch + o;
          const bool inside = o < s.dst_c;
          const float value = inside ? want[p * s.dst_c + o] : 0;
          ASSERT_EQ(floats[at], inside && c.floats ? value : kUntouched)
              << conv->name() << ": pixel " << p << ", channel " << o;
          ASSERT_EQ(bytes[at], inside && c.bytes ? Quantize(value, c.to) : kUntouchedByte)
              << conv->name() << ": pixel " << p << ", channel " << o << ": " << value;
        }
      }
    }
  }

  // With residual, clamp and slices of wider images.
  static Case Dressed(Case c) {
    c.residual = true;
    c.low = 0;
    c.high = 6;
    c.shape = Slices(c.shape);
    return c;
  }

  const Int8Table* table_ = nullptr;
};

class Quick : public Int8ConvTest {};

TEST_F(Quick, EachKind) {
  for (const int zero_point : {0, 31}) {
    for (Case c :
         {Case{.shape = DenseShape(1, 6, 7, 13, 37, 3, 3, 1, true)},
          Case{.shape = DenseShape(1, 5, 5, 32, 70, 1, 1, 1, true)},
          Case{.shape = DenseShape(1, 7, 6, 21, 21, 3, 3, 2, true), .depthwise = true}}) {
      c.max = table_->max_activation;
      c.zero_point = zero_point;
      Check(c, {1});
      c.extreme = true;
      Check(Dressed(c), {2});
    }
  }
}

TEST_F(Int8ConvTest, DirectIsTheSum) {
  for (const ConvShape& shape : DirectShapes()) {
    for (const int zero_point : {0, 5}) {
      const Case c{.shape = shape,
                   .zero_point = zero_point,
                   .max = zero_point != 0 ? table_->max_activation : 127};
      Check(c, {1, 2, 3, 4});
      Check(Dressed(c), {2});
    }
  }
}

TEST_F(Int8ConvTest, DepthwiseIsTheSum) {
  for (const int64_t stride : {1, 2}) {
    for (const int64_t kernel : {3, 5}) {
      for (const int64_t channels : {1, 8, 13, 40, 200}) {
        for (const int zero_point : {0, 90}) {
          const Case c{.shape = DenseShape(2, 14, 15, channels, channels, kernel, kernel,
                                           stride, true),
                       .depthwise = true,
                       .zero_point = zero_point,
                       .max = table_->max_activation};
          Check(c, {1, 3});
          Check(Dressed(c), {2});
        }
      }
    }
  }
}

TEST_F(Int8ConvTest, NothingSaturatesOnTheWay) {
  for (const int zero_point : {0, table_->max_activation}) {
    Case c{.shape = DenseShape(1, 8, 8, 64, 48, 3, 3, 1, true),
           .zero_point = zero_point,
           .max = table_->max_activation,
           .extreme = true};
    c.to.inverse_scale = 1e-3f;
    Check(c, {2});
    c.depthwise = true;
    c.shape.dst_c = c.shape.dst_pitch = c.shape.residual_pitch = 64;
    Check(c, {2});
  }
}

TEST_F(Int8ConvTest, OneResultOrTheOther) {
  for (const bool depthwise : {false, true}) {
    Case c{.shape = DenseShape(1, 8, 9, 24, 24, 3, 3, 1, true), .depthwise = depthwise};
    c.floats = false;
    Check(c, {1});
    Check(Dressed(c), {2});
    c.floats = true;
    c.bytes = false;
    Check(c, {1});
    Check(Dressed(c), {2});
  }
}

TEST_F(Int8ConvTest, ResultsSaturateAtBothEnds) {
  Case c{.shape = DenseShape(1, 8, 8, 16, 24, 1, 1, 1, true)};
  for (const int zero_point : {0, 127}) {
    c.to = {.scale = 1e-3f, .inverse_scale = 1e3f, .zero_point = zero_point, .max = 127};
    Check(c, {1});
  }
}

TEST_F(Int8ConvTest, ResultsMayReplaceTheResidual) {
  Case c{.shape = DenseShape(1, 6, 6, 8, 24, 1, 1, 1, true), .residual = true};
  const Data data(c);
  const auto conv = Make(c, 1, *table_);
  std::vector<std::byte> packed(conv->packed_bytes());
  conv->Pack(data.weights, data.scales, data.bias, packed);
  std::vector<float> floats = data.residual;
  std::vector<uint8_t> bytes(floats.size());
  RunAll(*conv,
         Int8ConvArgs{.src = data.src.data(),
                      .weights = packed.data(),
                      .residual = floats.data(),
                      .floats = floats.data(),
                      .bytes = bytes.data()},
         1);
  for (int64_t i = 0; i < 36 * 24; ++i) {
    ASSERT_EQ(floats[i], Expected(c, data, i / 24, i % 24));
  }
}

TEST_F(Quick, QuantizesAsTheFormula) {
  std::mt19937 random(7);
  std::uniform_real_distribution<float> uniform(-300, 300);
  for (const int count : {1, 7, 8, 15, 16, 31, 100}) {
    for (const int zero_point : {0, 100}) {
      const ActivationQuantization to = {.scale = 0.5f,
                                         .inverse_scale = 2,
                                         .zero_point = zero_point,
                                         .max = table_->max_activation};
      std::vector<float> src(count);
      // Every second one lies half way between two steps.
      for (float& v : src) v = uniform(random);
      for (int i = 0; i < count; i += 2) src[i] = std::floor(src[i]) + 0.25f;
      const float odd[] = {NAN, INFINITY, -INFINITY, 1e30f, -0.0f};
      for (int i = 0; i < 5 && 3 * i < count; ++i) src[3 * i] = odd[i];
      std::vector<uint8_t> dst(count + 1, 99);
      table_->quantize(src.data(), count, RequantizeTo(to), dst.data());
      for (int i = 0; i < count; ++i) ASSERT_EQ(dst[i], Quantize(src[i], to)) << src[i];
      EXPECT_EQ(dst[count], 99);
    }
  }
}

TEST_F(Quick, MaximumOfBytes) {
  std::mt19937 random(7);
  for (const int channels : {1, 31, 32, 64, 100}) {
    std::vector<std::vector<uint8_t>> pixels(5, std::vector<uint8_t>(channels));
    std::vector<const uint8_t*> src;
    for (auto& pixel : pixels) {
      for (uint8_t& v : pixel) v = static_cast<uint8_t>(random());
      src.push_back(pixel.data());
    }
    std::vector<uint8_t> dst(channels + 1, 99);
    table_->max_pool(
        {.src = src.data(), .pixels = 5, .dst = dst.data(), .channels = channels});
    for (int c = 0; c < channels; ++c) {
      uint8_t most = 0;
      for (const auto& pixel : pixels) most = std::max(most, pixel[c]);
      ASSERT_EQ(dst[c], most);
    }
    EXPECT_EQ(dst[channels], 99);
  }
}

}  // namespace
}  // namespace oriel::engine::kernels
