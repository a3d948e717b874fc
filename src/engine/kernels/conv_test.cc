// Every convolution against plain loops in double precision.
//
// Quick*.* is the part that an emulated CPU gets through in a minute or two.

#include "engine/kernels/conv.h"

#include <tuple>

#include "engine/kernels/testing/conv_testing.h"

namespace oriel::engine::kernels {
namespace {

struct Case {
  ConvShape shape;
  bool depthwise = false;
  bool residual = false;
  float low = -INFINITY, high = INFINITY;
};

// With residual, clamp and slices.
Case Dressed(Case c, float low, float high) {
  return {Slices(c.shape), c.depthwise, /*residual=*/true, low, high};
}

double Error(const Case& c, const Conv& conv, int threads) {
  const ConvShape& s = c.shape;
  std::mt19937 random(42);
  const int64_t per_output = c.depthwise ? 1 : s.src_c;
  const auto src = RandomFloats(s.batch * s.src_h * s.src_w * s.src_pitch, random);
  const auto weights =
      RandomFloats(s.kernel_h * s.kernel_w * per_output * s.dst_c, random);
  const auto bias = RandomFloats(s.dst_c, random);
  const int64_t pixels = s.batch * s.dst_h * s.dst_w;
  std::vector<float> residual;
  if (c.residual) residual = RandomFloats(pixels * s.residual_pitch, random);
  std::vector<float> packed(conv.packed_floats(), NAN);
  conv.Pack(weights, bias, packed);
  const auto sums = DoubleConv<float>(s, c.depthwise, src, weights, bias, residual,
                                      -INFINITY, INFINITY);
  double worst = 0;
  for (const bool stolen : {false, true}) {
    std::vector<float> dst(pixels * s.dst_pitch, kUntouched);
    RunAll(conv,
           ConvArgs{.src = src.data(),
                    .weights = packed.data(),
                    .residual = c.residual ? residual.data() : nullptr,
                    .dst = dst.data(),
                    .low = c.low,
                    .high = c.high},
           threads, stolen);
    worst = std::max(worst, Error(s, dst, sums, c.low, c.high));
  }
  return worst;
}

class ConvTest : public KernelTest {};

class QuickConv : public ConvTest {};

// Every number of rows of every panel, full and not.
TEST_F(QuickConv, DirectByEachTile) {
  for (int vectors = 1; vectors <= kMaxPanelVectors; ++vectors) {
    for (const int missing : {0, 3}) {
      const int64_t out = int64_t{vectors} * table_->lanes - missing;
      for (int64_t pixels = 1; pixels <= kMaxTileRows; ++pixels) {
        const Case c{.shape = DenseShape(1, 1, pixels, 5, out, 1, 1, 1, true)};
        const Case dressed = Dressed(c, 0, 1);
        for (const Tiling& tiling : DirectTilings(c.shape, 1, *table_)) {
          SCOPED_TRACE(fmt::format("{}, {}", Describe(c.shape), tiling.ToString()));
          EXPECT_LT(Error(c, *MakeDirectConv(c.shape, tiling, *table_), 1), 1e-5);
          EXPECT_LT(Error(dressed, *MakeDirectConv(dressed.shape, tiling, *table_), 1),
                    1e-5);
        }
      }
    }
  }
}

TEST_F(QuickConv, EachKind) {
  const auto check = [](const Case& c, double bound, auto make) {
    for (const Case& some : {c, Dressed(c, -0.5, 2)}) {
      const std::unique_ptr<Conv> conv = make(some.shape);
      EXPECT_LT(Error(some, *conv, 2), bound)
          << conv->name() << " " << Describe(some.shape);
    }
  };
  for (const bool same : {true, false}) {
    for (const int64_t stride : {1, 2}) {
      check({.shape = DenseShape(1, 7, 9, 6, 39, 3, 3, stride, same)}, 1e-5,
            [&](const ConvShape& shape) { return MakeDirectConv(shape, 2, *table_); });
      for (const int64_t kernel : {1, 3, 5}) {
        check({.shape = DenseShape(1, 13, 14, 37, 37, kernel, kernel, stride, same),
               .depthwise = true},
              1e-5, [&](const ConvShape& shape) {
                return MakeDepthwiseConv(shape, 2, *table_);
              });
      }
    }
    for (const auto& [kind, kh, kw] :
         {std::tuple(WinogradKind::kF4x4_3x3, 3, 3),
          std::tuple(WinogradKind::kF4_3, 3, 1), std::tuple(WinogradKind::kF4_7, 1, 7),
          std::tuple(WinogradKind::kF6_7, 7, 1)}) {
      check({.shape = DenseShape(1, 9, 11, 19, 39, kh, kw, 1, same)}, 1e-4,
            [&, kind = kind](const ConvShape& shape) {
              const Tiling tiling = WinogradTilings(shape, kind, 2, *table_).front();
              return MakeWinogradConv(shape, kind, tiling, *table_);
            });
    }
  }
}

TEST_F(ConvTest, DirectIsTheSum) {
  for (const ConvShape& shape : DirectShapes()) {
    const Case c{.shape = shape};
    for (const int threads : {1, 2, 3, 4}) {
      SCOPED_TRACE(fmt::format("{}, {} threads", Describe(shape), threads));
      const auto tilings = DirectTilings(shape, threads, *table_);
      for (size_t i = 0; i < tilings.size(); i += 3) {
        EXPECT_LT(Error(c, *MakeDirectConv(shape, tilings[i], *table_), threads), 1e-5)
            << tilings[i].ToString();
      }
    }
    const Case dressed = Dressed(c, 0, 1.5);
    SCOPED_TRACE(Describe(dressed.shape));
    EXPECT_LT(Error(dressed, *MakeDirectConv(dressed.shape, 2, *table_), 2), 1e-5);
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
        const Case c{.shape = DenseShape(2, size, size + 1, in, out, kh, kw, 1, same)};
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
        const Case dressed = Dressed(c, -0.5, 3);
        const ConvShape& shape = dressed.shape;
        const auto conv = MakeWinogradConv(
            shape, kind, WinogradTilings(shape, kind, 2, *table_).front(), *table_);
        EXPECT_LT(Error(dressed, *conv, 2), bound) << Describe(shape);
      }
    }
  }
  EXPECT_FALSE(
      IsWinograd(DenseShape(1, 9, 9, 8, 8, 3, 3, 2, true), WinogradKind::kF4x4_3x3));
  EXPECT_FALSE(IsWinograd(DenseShape(1, 9, 9, 8, 8, 3, 3, 1, true), WinogradKind::kF4_3));
  EXPECT_FALSE(IsWinograd(DenseShape(1, 9, 9, 8, 8, 1, 1, 1, true), WinogradKind::kF4_3));
}

TEST_F(ConvTest, DepthwiseIsTheSum) {
  std::vector<ConvShape> shapes;
  for (const int64_t stride : {1, 2, 3}) {
    for (const int64_t kernel : {1, 3, 5, 7}) {
      for (const int64_t channels : {1, 8, 13, 40, 131}) {
        for (const bool same : {true, false}) {
          shapes.push_back(
              DenseShape(2, 14, 15, channels, channels, kernel, kernel, stride, same));
        }
      }
    }
    for (const int64_t size : {1, 2, 3, 4}) {  // not all taps meet the image
      shapes.push_back(DenseShape(1, size, size, 24, 24, 5, 5, stride, true));
    }
    shapes.push_back(DenseShape(1, 9, 4, 20, 20, 3, 7, stride, true));
  }
  shapes.push_back(DenseShape(2, 12, 13, 20, 20, 3, 3, 1, true, 2, 3));
  // Only the middle column is inside.
  shapes.push_back(DenseShape(2, 12, 13, 20, 20, 3, 3, 1, true, 2, 20));
  for (const ConvShape& shape : shapes) {
    const Case c{.shape = shape, .depthwise = true};
    for (const int threads : {1, 2, 3, 4}) {
      SCOPED_TRACE(fmt::format("{}, {} threads", Describe(shape), threads));
      EXPECT_LT(Error(c, *MakeDepthwiseConv(shape, threads, *table_), threads), 1e-5);
    }
    const Case dressed = Dressed(c, 0, 1);
    EXPECT_LT(Error(dressed, *MakeDepthwiseConv(dressed.shape, 2, *table_), 2), 1e-5)
        << Describe(dressed.shape);
  }
}

TEST_F(ConvTest, NaNGoesThrough) {
  const ConvShape shape = DenseShape(1, 8, 8, 8, 8, 3, 3, 1, true);
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
    RunAll(*conv,
           ConvArgs{.src = src.data(),
                    .weights = packed.data(),
                    .dst = dst.data(),
                    .low = 0,
                    .high = 6},
           1);
    EXPECT_TRUE(std::isnan(dst[100])) << conv->name();
  }
}

}  // namespace
}  // namespace oriel::engine::kernels
