// Depthwise convolution: each channel by a filter of its own.

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "engine/kernels/conv.h"
#include "engine/kernels/scratch.h"

namespace oriel::engine::kernels {
namespace {

class DepthwiseConv : public Conv {
 public:
  DepthwiseConv(const ConvShape& shape, int threads, const KernelTable& table)
      : shape_(shape),
        table_(table),
        threads_(threads),
        taps_(shape.kernel_h * shape.kernel_w),
        zeros_(shape.src_c, 0.0f),
        name_(fmt::format("depthwise {}", table.name)) {
    Scratch scratch(nullptr);
    scratch.Take<const float*>(taps_ * kDepthwisePixels);
    thread_bytes_ = scratch.bytes();
  }

  const char* name() const override { return name_.c_str(); }
  const char* weights_form() const override { return "depthwise"; }
  size_t packed_floats() const override { return (1 + taps_) * shape_.src_c; }

  void Pack(std::span<const float> weights, std::span<const float> bias,
            std::span<float> packed) const override {
    std::fill_n(packed.begin(), shape_.src_c, 0.0f);
    std::copy(bias.begin(), bias.end(), packed.begin());
    std::copy(weights.begin(), weights.end(), packed.begin() + shape_.src_c);
  }

  size_t scratch_bytes() const override { return thread_bytes_ * threads_; }

  void Run(const ConvArgs& args, int thread) const override {
    auto* src = reinterpret_cast<const float**>(args.scratch + thread * thread_bytes_);
    const Range lines = Share(shape_.batch * shape_.dst_h, thread, threads_);
    const int64_t pieces = (shape_.dst_w + kDepthwisePixels - 1) / kDepthwisePixels;
    for (int64_t line = lines.begin; line < lines.end; ++line) {
      for (int64_t piece = 0; piece < pieces; ++piece) {
        RunPixels(args, line, Share(shape_.dst_w, piece, pieces), src);
      }
    }
  }

 private:
  // Pixels next to each other.
  void RunPixels(const ConvArgs& args, int64_t line, Range columns,
                 const float** src) const {
    const int64_t image = line / shape_.dst_h, row = line % shape_.dst_h;
    const int pixels = static_cast<int>(columns.end - columns.begin);
    const float* base = args.src + image * shape_.src_h * shape_.src_w * shape_.src_pitch;
    for (int64_t ky = 0, tap = 0; ky < shape_.kernel_h; ++ky) {
      const int64_t y = row * shape_.stride_h - shape_.pad_top + ky * shape_.dilation_h;
      for (int64_t kx = 0; kx < shape_.kernel_w; ++kx, ++tap) {
        for (int i = 0; i < pixels; ++i) {
          const int64_t x = (columns.begin + i) * shape_.stride_w - shape_.pad_left +
                            kx * shape_.dilation_w;
          const bool there = y >= 0 && y < shape_.src_h && x >= 0 && x < shape_.src_w;
          src[tap * pixels + i] =
              there ? base + (y * shape_.src_w + x) * shape_.src_pitch : zeros_.data();
        }
      }
    }
    float* dst[kDepthwisePixels];
    const float* residual[kDepthwisePixels];
    for (int i = 0; i < pixels; ++i) {
      const int64_t at = line * shape_.dst_w + columns.begin + i;
      dst[i] = args.dst + at * shape_.dst_pitch;
      if (args.residual != nullptr) {
        residual[i] = args.residual + at * shape_.residual_pitch;
      }
    }
    table_.depthwise[pixels]({.src = src,
                              .taps = static_cast<int>(taps_),
                              .weights = args.weights + shape_.src_c,
                              .bias = args.weights,
                              .dst = dst,
                              .residual = args.residual == nullptr ? nullptr : residual,
                              .channels = static_cast<int>(shape_.src_c),
                              .low = args.low,
                              .high = args.high});
  }

  ConvShape shape_;
  const KernelTable& table_;
  int threads_;
  int64_t taps_;
  size_t thread_bytes_ = 0;
  std::vector<float> zeros_;
  std::string name_;
};

}  // namespace

std::unique_ptr<Conv> MakeDepthwiseConv(const ConvShape& shape, int threads,
                                        const KernelTable& table) {
  return std::make_unique<DepthwiseConv>(shape, threads, table);
}

}  // namespace oriel::engine::kernels
