// Depthwise convolution: each channel by a filter of its own.
//
// A thread takes some lines of the result, one block of channels after the other. The
// lines of the image that it reads are copied once each, padded, into a ring of as many
// lines as the filter has rows: small enough for the nearest cache, dense, and without
// borders to look out for.

#include <fmt/format.h>

#include <algorithm>
#include <string>

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
        ring_((shape.kernel_h - 1) * shape.dilation_h + 1),
        width_((shape.dst_w - 1) * shape.stride_w +
               (shape.kernel_w - 1) * shape.dilation_w + 1),
        name_(fmt::format("depthwise {}", table.name)) {
    // The nearest cache, unless that leaves too few channels at a time: reading small
    // pieces of each pixel is slow, too.
    constexpr int64_t kUnit = 32;
    const int64_t channel_bytes = ring_ * width_ * static_cast<int64_t>(sizeof(float));
    int64_t fit = (24 << 10) / channel_bytes / kUnit * kUnit;
    if (fit < 2 * kUnit) fit = SecondLevelCache() / 3 / channel_bytes / kUnit * kUnit;
    block_ = std::min(std::max(fit, kUnit), shape.src_c);
    thread_bytes_ = Carve(nullptr).bytes;
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
    const Work work = Carve(args.scratch + thread * thread_bytes_);
    const Range lines = Share(shape_.batch * shape_.dst_h, thread, threads_);
    for (int64_t channel = 0; channel < shape_.src_c; channel += block_) {
      const Range channels{channel, std::min(channel + block_, shape_.src_c)};
      // What the columns of padding hold stays zero: only the image is copied over.
      std::fill_n(work.ring, ring_ * width_ * block_, 0.0f);
      int64_t image = -1, copied = 0;  // lines of the image are in the ring up to here
      for (int64_t line = lines.begin; line < lines.end; ++line) {
        const int64_t row = line % shape_.dst_h;
        const int64_t top = row * shape_.stride_h - shape_.pad_top;
        if (line / shape_.dst_h != image) {
          image = line / shape_.dst_h;
          copied = 0;
        }
        const int64_t end = std::min(top + ring_, shape_.src_h);
        for (int64_t y = std::max({copied, top, int64_t{0}}); y < end; ++y) {
          CopyLine(args, image, y, channels, work);
        }
        copied = std::max(copied, end);
        RunLine(args, line, top, channels, work);
      }
    }
  }

 private:
  struct Work {
    float* ring;  // [line % ring_][width_][channels of the block]
    const float** rows;
    int32_t* first_taps;
    size_t bytes;
  };

  Work Carve(std::byte* memory) const {
    Scratch scratch(memory);
    Work work;
    work.ring = scratch.Take<float>(ring_ * width_ * block_);
    work.rows = scratch.Take<const float*>(shape_.kernel_h);
    work.first_taps = scratch.Take<int32_t>(shape_.kernel_h);
    work.bytes = scratch.bytes();
    return work;
  }

  float* RingLine(const Work& work, int64_t y, int64_t channels) const {
    return work.ring + y % ring_ * width_ * channels;
  }

  void CopyLine(const ConvArgs& args, int64_t image, int64_t y, Range channels,
                const Work& work) const {
    const int64_t count = channels.end - channels.begin;
    const float* line = args.src +
                        (image * shape_.src_h + y) * shape_.src_w * shape_.src_pitch +
                        channels.begin;
    // Strides may leave the image's last columns unread.
    const int64_t pixels = std::min(shape_.src_w, width_ - shape_.pad_left);
    if (pixels <= 0) return;
    table_.copy_line(line, shape_.src_pitch, pixels, static_cast<int>(count),
                     RingLine(work, y, count) + shape_.pad_left * count);
  }

  void RunLine(const ConvArgs& args, int64_t line, int64_t top, Range channels,
               const Work& work) const {
    const int64_t count = channels.end - channels.begin;
    DepthwiseArgs line_args{.rows = work.rows,
                            .first_taps = work.first_taps,
                            .columns = static_cast<int>(shape_.kernel_w),
                            .column_stride = shape_.dilation_w * count,
                            .pixel_stride = shape_.stride_w * count,
                            .weights = args.weights + shape_.src_c + channels.begin,
                            .weights_pitch = shape_.src_c,
                            .bias = args.weights + channels.begin,
                            .dst_stride = shape_.dst_pitch,
                            .residual_stride = shape_.residual_pitch,
                            .channels = static_cast<int>(count),
                            .low = args.low,
                            .high = args.high};
    for (int64_t ky = 0; ky < shape_.kernel_h; ++ky) {
      const int64_t y = top + ky * shape_.dilation_h;
      if (y < 0 || y >= shape_.src_h) continue;
      work.rows[line_args.num_rows] = RingLine(work, y, count);
      work.first_taps[line_args.num_rows++] = static_cast<int32_t>(ky * shape_.kernel_w);
    }
    const int64_t pieces = (shape_.dst_w + kDepthwisePixels - 1) / kDepthwisePixels;
    for (int64_t piece = 0, x = 0; piece < pieces; ++piece) {
      const Range columns = Share(shape_.dst_w, piece, pieces);
      for (int i = 0; i < line_args.num_rows; ++i) {
        work.rows[i] += (columns.begin - x) * line_args.pixel_stride;
      }
      x = columns.begin;
      const int64_t to = line * shape_.dst_w + x;
      line_args.dst = args.dst + to * shape_.dst_pitch + channels.begin;
      if (args.residual != nullptr) {
        line_args.residual = args.residual + to * shape_.residual_pitch + channels.begin;
      }
      table_.depthwise[columns.end - columns.begin](line_args);
    }
  }

  ConvShape shape_;
  const KernelTable& table_;
  int threads_;
  int64_t taps_;
  int64_t ring_;       // lines
  int64_t width_;      // columns that a line of results reads, with padding
  int64_t block_ = 0;  // channels
  size_t thread_bytes_ = 0;
  std::string name_;
};

}  // namespace

std::unique_ptr<Conv> MakeDepthwiseConv(const ConvShape& shape, int threads,
                                        const KernelTable& table) {
  return std::make_unique<DepthwiseConv>(shape, threads, table);
}

}  // namespace oriel::engine::kernels
