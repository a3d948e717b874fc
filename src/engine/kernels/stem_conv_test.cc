#include "engine/kernels/stem_conv.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "engine/kernels/isa.h"
#include "engine/kernels/testing/double_conv.h"

namespace oriel::engine::kernels {
namespace {

class StemConvTest : public testing::Test {
 protected:
  void SetUp() override {
    table_ = FindKernelTable();
    if (table_ == nullptr) GTEST_SKIP() << "no kernels for " << IsaName(MaxIsa());
  }

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
      AlignedBytes scratch(conv->scratch_bytes());
      constexpr float kUntouched = 12345;
      std::vector<float> dst(pixels * s.dst_pitch, kUntouched);
      for (int thread = 0; thread < threads; ++thread) {
        conv->Run({.src = src.data(),
                   .weights = packed.data(),
                   .residual = residual ? add.data() : nullptr,
                   .dst = dst.data(),
                   .scratch = scratch.get(),
                   .low = low,
                   .high = high},
                  thread);
      }
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

  const KernelTable* table_ = nullptr;
};

TEST_F(StemConvTest, IsTheSum) {
  for (const int64_t channels : {1, 3, 4}) {
    for (const int64_t kernel : {2, 3, 7}) {
      for (const int64_t stride : {1, 2, 3}) {
        for (const bool same : {true, false}) {
          for (const int64_t out : {1, 13, 32, 50}) {
            for (const int64_t size : {1, 7, 20}) {
              if (!same && size < kernel) continue;
              const int64_t dst =
                  same ? (size + stride - 1) / stride : (size - kernel) / stride + 1;
              const int64_t pad =
                  same ? std::max<int64_t>((dst - 1) * stride + kernel - size, 0) / 2 : 0;
              ConvShape s{.batch = 2,
                          .src_h = size,
                          .src_w = size,
                          .src_c = channels,
                          .dst_h = dst,
                          .dst_w = dst,
                          .dst_c = out,
                          .kernel_h = kernel,
                          .kernel_w = kernel,
                          .stride_h = stride,
                          .stride_w = stride,
                          .pad_top = pad,
                          .pad_left = pad,
                          .src_pitch = channels,
                          .dst_pitch = out,
                          .residual_pitch = out};
              SCOPED_TRACE(fmt::format("{}x{} of {} channels, {} out, {}x{} stride {}{}",
                                       size, size, channels, out, kernel, kernel, stride,
                                       same ? "" : " valid"));
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
  const ConvShape s{.src_h = 12,
                    .src_w = 9,
                    .src_c = 3,
                    .dst_h = 12,
                    .dst_w = 9,
                    .dst_c = 20,
                    .kernel_h = 3,
                    .kernel_w = 3,
                    .dilation_h = 2,
                    .pad_top = 2,
                    .pad_left = 1,
                    .src_pitch = 3,
                    .dst_pitch = 20};
  ASSERT_TRUE(IsStem(s));
  Check(s, false, -INFINITY, INFINITY);
}

TEST_F(StemConvTest, LeavesTheRestAlone) {
  ConvShape s{.src_h = 8,
              .src_w = 8,
              .src_c = 3,
              .dst_h = 8,
              .dst_w = 8,
              .dst_c = 8,
              .kernel_h = 3,
              .kernel_w = 3,
              .pad_top = 1,
              .pad_left = 1,
              .src_pitch = 3,
              .dst_pitch = 8};
  EXPECT_TRUE(IsStem(s));
  s.src_pitch = 4;  // a slice: its rows are not one run
  EXPECT_FALSE(IsStem(s));
  s.src_c = s.src_pitch = 16;
  EXPECT_FALSE(IsStem(s));
}

}  // namespace
}  // namespace oriel::engine::kernels
