// Depthwise convolution of bytes. Lines of the image become floats that hold whole
// numbers in a ring of lines in the cache; a multiply-add of floats does as much as
// AVX2's products of bytes once their taps are brought together, and is as exact.

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "engine/kernels/int8_conv.h"
#include "engine/kernels/scratch.h"

namespace oriel::engine::kernels {
namespace {

class DepthwiseInt8Conv : public Int8Conv {
 public:
  DepthwiseInt8Conv(const Int8Shape& shape, int threads, const Int8Table& table)
      : shape_(shape),
        table_(table),
        threads_(threads),
        taps_(shape.conv.kernel_h * shape.conv.kernel_w),
        name_(fmt::format("int8 depthwise {}", table.name)),
        form_(fmt::format("int8 depthwise {}", shape.input.scale)) {
    const ConvShape& s = shape_.conv;
    ring_ = (s.kernel_h - 1) * s.dilation_h + 1;
    width_ = (s.dst_w - 1) * s.stride_w + (s.kernel_w - 1) * s.dilation_w + 1;
    // The ring stays in the cache.
    constexpr int64_t kUnit = 64;
    const auto channel_bytes = static_cast<int64_t>(sizeof(float)) * ring_ * width_;
    const int64_t fit = SecondLevelCache() / 3 / channel_bytes / kUnit * kUnit;
    block_ = std::min(std::max(fit, kUnit), s.src_c);
    thread_bytes_ = Carve(nullptr).bytes;
  }

  const char* name() const override { return name_.c_str(); }
  const char* weights_form() const override { return form_.c_str(); }
  size_t packed_bytes() const override {
    return (2 + taps_) * shape_.conv.src_c * sizeof(float);
  }

  void Pack(std::span<const int8_t> weights, std::span<const float> scales,
            std::span<const float> bias, std::span<std::byte> packed) const override {
    const int64_t channels = shape_.conv.src_c;
    auto* const scale = reinterpret_cast<float*>(packed.data());
    for (int64_t c = 0; c < channels; ++c) scale[c] = shape_.input.scale * scales[c];
    std::fill_n(scale + channels, channels, 0.0f);
    std::copy(bias.begin(), bias.end(), scale + channels);
    std::copy(weights.begin(), weights.end(), scale + 2 * channels);
  }

  size_t scratch_bytes() const override { return thread_bytes_ * threads_; }

  void Run(const Int8ConvArgs& args, int thread) const override {
    const ConvShape& s = shape_.conv;
    const Work work = Carve(args.scratch + thread * thread_bytes_);
    const Range lines = Share(s.batch * s.dst_h, thread, threads_);
    for (int64_t channel = 0; channel < s.src_c; channel += block_) {
      const Range channels{channel, std::min(channel + block_, s.src_c)};
      // What the columns of padding hold stays zero: only the image is copied over.
      std::fill_n(work.ring, ring_ * width_ * block_, 0.0f);
      int64_t image = -1, copied = 0;  // lines of the image are in the ring up to here
      for (int64_t line = lines.begin; line < lines.end; ++line) {
        const int64_t row = line % s.dst_h;
        const int64_t top = row * s.stride_h - s.pad_top;
        if (line / s.dst_h != image) {
          image = line / s.dst_h;
          copied = 0;
        }
        const int64_t end = std::min(top + ring_, s.src_h);
        for (int64_t y = std::max({copied, top, int64_t{0}}); y < end; ++y) {
          CenterLine(args, image, y, channels, work);
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
    work.rows = scratch.Take<const float*>(shape_.conv.kernel_h);
    work.first_taps = scratch.Take<int32_t>(shape_.conv.kernel_h);
    work.bytes = scratch.bytes();
    return work;
  }

  float* RingLine(const Work& work, int64_t y, int64_t channels) const {
    return work.ring + y % ring_ * width_ * channels;
  }

  void CenterLine(const Int8ConvArgs& args, int64_t image, int64_t y, Range channels,
                  const Work& work) const {
    const ConvShape& s = shape_.conv;
    const int64_t count = channels.end - channels.begin;
    const uint8_t* line =
        args.src + (image * s.src_h + y) * s.src_w * s.src_pitch + channels.begin;
    // Strides may leave the image's last columns unread.
    const int64_t pixels = std::min(s.src_w, width_ - s.pad_left);
    if (pixels <= 0) return;
    table_.center_line(line, s.src_pitch, pixels, static_cast<int>(count),
                       static_cast<float>(shape_.input.zero_point),
                       RingLine(work, y, count) + s.pad_left * count);
  }

  void RunLine(const Int8ConvArgs& args, int64_t line, int64_t top, Range channels,
               const Work& work) const {
    const ConvShape& s = shape_.conv;
    const int64_t count = channels.end - channels.begin;
    const auto* const scale = reinterpret_cast<const float*>(args.weights);
    Int8DepthwiseArgs line_args{.rows = work.rows,
                                .first_taps = work.first_taps,
                                .columns = static_cast<int>(s.kernel_w),
                                .column_stride = s.dilation_w * count,
                                .pixel_stride = s.stride_w * count,
                                .weights = scale + 2 * s.src_c + channels.begin,
                                .weights_pitch = s.src_c,
                                .scale = scale + channels.begin,
                                .bias = scale + s.src_c + channels.begin,
                                .output = OutputOf(shape_, args),
                                .channel = channels.begin,
                                .channels = static_cast<int>(count)};
    for (int64_t ky = 0; ky < s.kernel_h; ++ky) {
      const int64_t y = top + ky * s.dilation_h;
      if (y < 0 || y >= s.src_h) continue;
      work.rows[line_args.num_rows] = RingLine(work, y, count);
      work.first_taps[line_args.num_rows++] = static_cast<int32_t>(ky * s.kernel_w);
    }
    const int64_t pieces = (s.dst_w + kDepthwisePixels - 1) / kDepthwisePixels;
    for (int64_t piece = 0, x = 0; piece < pieces; ++piece) {
      const Range columns = Share(s.dst_w, piece, pieces);
      for (int i = 0; i < line_args.num_rows; ++i) {
        work.rows[i] += (columns.begin - x) * line_args.pixel_stride;
      }
      x = columns.begin;
      line_args.pixel = line * s.dst_w + x;
      table_.depthwise[columns.end - columns.begin](line_args);
    }
  }

  Int8Shape shape_;
  const Int8Table& table_;
  int threads_;
  int64_t taps_;
  int64_t ring_;       // lines
  int64_t width_;      // columns that a line of results reads, with padding
  int64_t block_ = 0;  // channels
  size_t thread_bytes_ = 0;
  std::string name_, form_;
};

}  // namespace

std::unique_ptr<Int8Conv> MakeInt8DepthwiseConv(const Int8Shape& shape, int threads,
                                                const Int8Table& table) {
  return std::make_unique<DepthwiseInt8Conv>(shape, threads, table);
}

}  // namespace oriel::engine::kernels
