// Every convolution against plain loops in double precision.

#include "engine/kernels/conv.h"

#include <gmock/gmock.h>

#include <cmath>
#include <functional>
#include <random>
#include <vector>

#include "engine/kernels/isa.h"

namespace oriel::engine::kernels {
namespace {

std::vector<float> Random(int64_t size, std::mt19937& random) {
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> values(size);
  for (float& v : values) v = uniform(random);
  return values;
}

struct Case {
  ConvShape shape;
  bool depthwise = false;
  bool residual = false;
  float low = -INFINITY, high = INFINITY;
};

ConvShape Shape(int64_t batch, int64_t h, int64_t w, int64_t c, int64_t out, int64_t kh,
                int64_t kw, int64_t stride, bool same) {
  ConvShape s{.batch = batch,
              .src_h = h,
              .src_w = w,
              .src_c = c,
              .dst_c = out,
              .kernel_h = kh,
              .kernel_w = kw,
              .stride_h = stride,
              .stride_w = stride};
  s.dst_h = same ? (h + stride - 1) / stride : (h - kh) / stride + 1;
  s.dst_w = same ? (w + stride - 1) / stride : (w - kw) / stride + 1;
  s.pad_top = same ? std::max<int64_t>((s.dst_h - 1) * stride + kh - h, 0) / 2 : 0;
  s.pad_left = same ? std::max<int64_t>((s.dst_w - 1) * stride + kw - w, 0) / 2 : 0;
  s.src_pitch = c;
  s.dst_pitch = s.residual_pitch = out;
  return s;
}

// The largest difference from the sums in double precision, in units of their standard
// deviation. Also checks that nothing but the image's channels is written.
double Error(const Case& c, const Conv& conv, int threads) {
  const ConvShape& s = c.shape;
  std::mt19937 random(42);
  const int64_t per_output = c.depthwise ? 1 : s.src_c;
  const auto src = Random(s.batch * s.src_h * s.src_w * s.src_pitch, random);
  const auto weights = Random(s.kernel_h * s.kernel_w * per_output * s.dst_c, random);
  const auto bias = Random(s.dst_c, random);
  const int64_t pixels = s.batch * s.dst_h * s.dst_w;
  const auto residual = Random(pixels * s.residual_pitch, random);
  constexpr float kUntouched = 12345;
  std::vector<float> dst(pixels * s.dst_pitch, kUntouched);
  std::vector<float> packed(conv.packed_floats(), NAN);
  conv.Pack(weights, bias, packed);
  std::vector<std::byte> scratch(conv.scratch_bytes() + 64);
  auto* aligned = scratch.data() + 64 - reinterpret_cast<uintptr_t>(scratch.data()) % 64;
  for (int thread = threads - 1; thread >= 0; --thread) {
    conv.Run({.src = src.data(),
              .weights = packed.data(),
              .residual = c.residual ? residual.data() : nullptr,
              .dst = dst.data(),
              .scratch = aligned,
              .low = c.low,
              .high = c.high},
             thread);
  }
  double worst = 0, squares = 0;
  for (int64_t p = 0; p < pixels; ++p) {
    const int64_t n = p / (s.dst_h * s.dst_w), y = p / s.dst_w % s.dst_h, x = p % s.dst_w;
    for (int64_t o = 0; o < s.dst_c; ++o) {
      double sum = bias[o] + (c.residual ? residual[p * s.residual_pitch + o] : 0.0);
      for (int64_t ky = 0; ky < s.kernel_h; ++ky) {
        for (int64_t kx = 0; kx < s.kernel_w; ++kx) {
          const int64_t iy = y * s.stride_h - s.pad_top + ky * s.dilation_h;
          const int64_t ix = x * s.stride_w - s.pad_left + kx * s.dilation_w;
          if (iy < 0 || iy >= s.src_h || ix < 0 || ix >= s.src_w) continue;
          const float* pixel = &src[((n * s.src_h + iy) * s.src_w + ix) * s.src_pitch];
          const int64_t tap = ky * s.kernel_w + kx;
          for (int64_t i = 0; i < per_output; ++i) {
            sum += double{pixel[c.depthwise ? o : i]} *
                   weights[(tap * per_output + i) * s.dst_c + o];
          }
        }
      }
      squares += sum * sum;
      sum = std::clamp<double>(sum, c.low, c.high);
      worst = std::max(worst, std::abs(sum - dst[p * s.dst_pitch + o]));
      if (std::isnan(dst[p * s.dst_pitch + o])) worst = INFINITY;
    }
    for (int64_t o = s.dst_c; o < s.dst_pitch; ++o) {
      EXPECT_EQ(dst[p * s.dst_pitch + o], kUntouched) << "pixel " << p;
    }
  }
  return worst / std::sqrt(squares / static_cast<double>(pixels * s.dst_c));
}

class ConvTest : public testing::Test {
 protected:
  void SetUp() override {
    table_ = FindKernelTable();
    if (table_ == nullptr) GTEST_SKIP() << "no kernels for " << IsaName(MaxIsa());
  }
  const KernelTable* table_ = nullptr;
};

std::string Describe(const ConvShape& s) {
  return fmt::format("{}x{}x{}x{}/{} -> {}x{}x{}/{} by {}x{} stride {}", s.batch, s.src_h,
                     s.src_w, s.src_c, s.src_pitch, s.dst_h, s.dst_w, s.dst_c,
                     s.dst_pitch, s.kernel_h, s.kernel_w, s.stride_h);
}

TEST_F(ConvTest, DirectIsTheSum) {
  std::vector<Case> cases;
  for (const bool same : {true, false}) {
    for (const int64_t out : {1, 7, 8, 24, 33, 40, 96, 130}) {
      cases.push_back({.shape = Shape(2, 9, 11, 5, out, 3, 3, 1, same)});
    }
    cases.push_back({.shape = Shape(1, 30, 31, 3, 32, 3, 3, 2, same)});
    cases.push_back({.shape = Shape(1, 17, 17, 24, 40, 1, 7, 1, same)});
    cases.push_back({.shape = Shape(1, 17, 17, 24, 40, 7, 1, 1, same)});
    cases.push_back({.shape = Shape(1, 35, 35, 48, 64, 5, 5, 1, same)});
  }
  cases.push_back({.shape = Shape(1, 1, 3, 70, 19, 1, 1, 1, true)});
  cases.push_back({.shape = Shape(3, 8, 8, 448, 208, 1, 1, 1, true)});
  Case dilated{.shape = Shape(1, 20, 20, 8, 16, 3, 3, 1, true)};
  dilated.shape.dilation_h = 2;
  dilated.shape.dilation_w = 3;
  dilated.shape.pad_top = 2;
  dilated.shape.pad_left = 3;
  cases.push_back(dilated);
  for (Case c : cases) {
    for (const int threads : {1, 2, 3, 4}) {
      SCOPED_TRACE(fmt::format("{}, {} threads", Describe(c.shape), threads));
      const auto tilings = DirectTilings(c.shape, threads, *table_);
      for (size_t i = 0; i < tilings.size(); i += 3) {
        EXPECT_LT(Error(c, *MakeDirectConv(c.shape, tilings[i], *table_), threads), 1e-5)
            << tilings[i].ToString();
      }
    }
    c.residual = true;
    c.low = 0;
    c.high = 1.5;
    c.shape.src_pitch += 3;  // slices of wider images
    c.shape.dst_pitch += 5;
    c.shape.residual_pitch += 2;
    SCOPED_TRACE(Describe(c.shape));
    EXPECT_LT(Error(c, *MakeDirectConv(c.shape, 2, *table_), 2), 1e-5);
  }
}

TEST_F(ConvTest, WinogradIsTheSumWithinItsBound) {
  const struct {
    WinogradKind kind;
    int64_t kh, kw;
    double bound;
  } kinds[] = {{WinogradKind::kF4x4_3x3, 3, 3, 5e-5}, {WinogradKind::kF4_3, 1, 3, 1e-5},
               {WinogradKind::kF4_3, 3, 1, 1e-5},     {WinogradKind::kF4_7, 1, 7, 1e-4},
               {WinogradKind::kF6_7, 1, 7, 1e-4},     {WinogradKind::kF6_7, 7, 1, 1e-4}};
  for (const auto& [kind, kh, kw, bound] : kinds) {
    for (const bool same : {true, false}) {
      for (const auto& [size, in, out] :
           {std::tuple(17, 16, 24), std::tuple(8, 13, 7), std::tuple(23, 40, 96)}) {
        Case c{.shape = Shape(2, size, size + 1, in, out, kh, kw, 1, same)};
        ASSERT_TRUE(IsWinograd(c.shape, kind));
        for (const int threads : {1, 2, 4}) {
          // Some of each number of rows, panels and blocks.
          const auto tilings = WinogradTilings(c.shape, kind, threads, *table_);
          for (size_t i = 0; i < tilings.size(); i += 11) {
            SCOPED_TRACE(fmt::format("{}, {} threads", Describe(c.shape), threads));
            const auto conv = MakeWinogradConv(c.shape, kind, tilings[i], *table_);
            EXPECT_LT(Error(c, *conv, threads), bound)
                << conv->name() << " " << tilings[i].ToString();
          }
        }
        c.residual = true;
        c.low = -0.5;
        c.high = 3;
        c.shape.src_pitch += 3;
        c.shape.dst_pitch += 5;
        c.shape.residual_pitch += 2;
        const auto conv = MakeWinogradConv(
            c.shape, kind, WinogradTilings(c.shape, kind, 2, *table_).front(), *table_);
        EXPECT_LT(Error(c, *conv, 2), bound) << Describe(c.shape);
      }
    }
  }
  EXPECT_FALSE(IsWinograd(Shape(1, 9, 9, 8, 8, 3, 3, 2, true), WinogradKind::kF4x4_3x3));
  EXPECT_FALSE(IsWinograd(Shape(1, 9, 9, 8, 8, 3, 3, 1, true), WinogradKind::kF4_3));
  EXPECT_FALSE(IsWinograd(Shape(1, 9, 9, 8, 8, 1, 1, 1, true), WinogradKind::kF4_3));
}

TEST_F(ConvTest, DepthwiseIsTheSum) {
  std::vector<ConvShape> shapes;
  for (const int64_t stride : {1, 2, 3}) {
    for (const int64_t kernel : {1, 3, 5, 7}) {
      for (const int64_t channels : {1, 8, 13, 40, 131}) {
        for (const bool same : {true, false}) {
          shapes.push_back(
              Shape(2, 14, 15, channels, channels, kernel, kernel, stride, same));
        }
      }
    }
    for (const int64_t size : {1, 2, 3, 4}) {  // not all taps meet the image
      shapes.push_back(Shape(1, size, size, 24, 24, 5, 5, stride, true));
    }
    shapes.push_back(Shape(1, 9, 4, 20, 20, 3, 7, stride, true));
  }
  ConvShape dilated = Shape(2, 12, 13, 20, 20, 3, 3, 1, true);
  dilated.dilation_h = dilated.pad_top = 2;
  dilated.dilation_w = dilated.pad_left = 3;
  shapes.push_back(dilated);
  dilated.dilation_w = dilated.pad_left = 20;  // only the middle column is inside
  shapes.push_back(dilated);
  for (const ConvShape& shape : shapes) {
    Case c{.shape = shape, .depthwise = true};
    for (const int threads : {1, 2, 3, 4}) {
      SCOPED_TRACE(fmt::format("{}, {} threads", Describe(c.shape), threads));
      EXPECT_LT(Error(c, *MakeDepthwiseConv(c.shape, threads, *table_), threads), 1e-5);
    }
    c.residual = true;
    c.low = 0;
    c.high = 1;
    c.shape.src_pitch += 3;
    c.shape.dst_pitch += 5;
    c.shape.residual_pitch += 2;
    EXPECT_LT(Error(c, *MakeDepthwiseConv(c.shape, 2, *table_), 2), 1e-5)
        << Describe(c.shape);
  }
}

TEST_F(ConvTest, NaNGoesThrough) {
  const ConvShape shape = Shape(1, 8, 8, 8, 8, 3, 3, 1, true);
  const std::vector<float> src(8 * 8 * 8, NAN), weights(9 * 8 * 8, 1.0f);
  constexpr auto kSquare = WinogradKind::kF4x4_3x3;
  const Tiling tiling = WinogradTilings(shape, kSquare, 1, *table_).front();
  for (const auto& conv : {MakeDirectConv(shape, 1, *table_),
                           MakeWinogradConv(shape, kSquare, tiling, *table_),
                           MakeDepthwiseConv(shape, 1, *table_)}) {
    std::vector<float> packed(conv->packed_floats()), dst(8 * 8 * 8, 0.0f);
    conv->Pack(
        std::span(weights).first(conv->packed_floats() > 9 * 8 * 8 ? 9 * 8 * 8 : 9 * 8),
        {}, packed);
    std::vector<std::byte> scratch(conv->scratch_bytes() + 64);
    conv->Run({.src = src.data(),
               .weights = packed.data(),
               .dst = dst.data(),
               .scratch =
                   scratch.data() + 64 - reinterpret_cast<uintptr_t>(scratch.data()) % 64,
               .low = 0,
               .high = 6},
              0);
    EXPECT_TRUE(std::isnan(dst[100])) << conv->name();
  }
}

}  // namespace
}  // namespace oriel::engine::kernels
