#include "engine/kernels/stem_conv.h"

#include "engine/kernels/testing/conv_testing.h"

namespace oriel::engine::kernels {
namespace {

class StemConvTest : public KernelTest {
 protected:
  void Check(const ConvShape& s, bool residual, float low, float high) {
    std::mt19937 random(5);
    const auto src = RandomFloats(s.batch * s.src_h * s.src_w * s.src_pitch, random);
    const auto weights =
        RandomFloats(s.kernel_h * s.kernel_w * s.src_c * s.dst_c, random);
    const auto bias = RandomFloats(s.dst_c, random);
    const int64_t pixels = s.batch * s.dst_h * s.dst_w;
    std::vector<float> add;
    if (residual) add = RandomFloats(pixels * s.residual_pitch, random);
    const auto want =
        DoubleConv<float>(s, /*depthwise=*/false, src, weights, bias, add, low, high);
    for (const int threads : {1, 2, 3, 4}) {
      SCOPED_TRACE(fmt::format("{} threads", threads));
      const auto conv = MakeStemConv(s, threads, *table_);
      std::vector<float> packed(conv->packed_floats(), NAN);
      conv->Pack(weights, bias, packed);
      std::vector<float> dst(pixels * s.dst_pitch, kUntouched);
      RunAll(*conv,
             ConvArgs{.src = src.data(),
                      .weights = packed.data(),
                      .residual = residual ? add.data() : nullptr,
                      .dst = dst.data(),
                      .low = low,
                      .high = high},
             threads);
      for (int64_t p = 0; p < pixels; ++p) {
        for (int64_t o = 0; o < s.dst_pitch; ++o) {
          const float got = dst[p * s.dst_pitch + o];
          if (o < s.dst_c) {
            ASSERT_NEAR(got, want[p * s.dst_c + o], 2e-5) << p << "," << o;
          } else {
            ASSERT_EQ(got, kUntouched) << p << "," << o;
          }
        }
      }
    }
  }
};

class QuickStem : public StemConvTest {};

// Every number of pixels of a strip, of every panel, full and not.
TEST_F(QuickStem, EachStrip) {
  for (int vectors = 1; vectors <= kMaxPanelVectors; ++vectors) {
    for (const int missing : {0, 3}) {
      const int64_t out = int64_t{vectors} * table_->lanes - missing;
      for (int64_t width = 1; width <= 17; ++width) {
        const ConvShape s = DenseShape(1, 2, width, 3, out, 2, 3, 1 + width % 2, true);
        SCOPED_TRACE(Describe(s));
        Check(s, width % 3 == 0, 0, 2);
      }
    }
  }
}

TEST_F(StemConvTest, IsTheSum) {
  for (const int64_t channels : {1, 3, 4}) {
    for (const int64_t kernel : {2, 3, 7}) {
      for (const int64_t stride : {1, 2, 3}) {
        for (const bool same : {true, false}) {
          for (const int64_t out : {1, 13, 32, 50}) {
            for (const int64_t size : {1, 7, 20}) {
              if (!same && size < kernel) continue;
              ConvShape s =
                  DenseShape(2, size, size, channels, out, kernel, kernel, stride, same);
              SCOPED_TRACE(Describe(s));
              ASSERT_TRUE(IsStem(s));
              Check(s, false, -INFINITY, INFINITY);
              s.dst_pitch += 5;
              s.residual_pitch += 2;
              Check(s, true, 0, 2);
              if (HasFatalFailure()) return;
            }
          }
        }
      }
    }
  }
}

TEST_F(StemConvTest, DilatedLines) {
  const ConvShape s = DenseShape(1, 12, 9, 3, 20, 3, 3, 1, true, 2, 1);
  ASSERT_TRUE(IsStem(s));
  Check(s, false, -INFINITY, INFINITY);
}

TEST_F(StemConvTest, LeavesTheRestAlone) {
  ConvShape s = DenseShape(1, 8, 8, 3, 8, 3, 3, 1, true);
  EXPECT_TRUE(IsStem(s));
  s.src_pitch = 4;  // a slice: its rows are not one run
  EXPECT_FALSE(IsStem(s));
  s.src_c = s.src_pitch = 16;
  EXPECT_FALSE(IsStem(s));
}

}  // namespace
}  // namespace oriel::engine::kernels
