// Depthwise convolution of bytes: four taps at a time. The image is read where it lies,
// as depthwise_conv.cc does; taps outside point to zero points.

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "engine/kernels/int8_conv.h"
#include "engine/kernels/scratch.h"

namespace oriel::engine::kernels {
namespace {

constexpr int64_t kFour = 4;

class DepthwiseInt8Conv : public Int8Conv {
 public:
  DepthwiseInt8Conv(const Int8Shape& shape, int threads, const Int8Table& table)
      : shape_(shape),
        table_(table),
        threads_(threads),
        pieces_(PiecesOfLines(shape.conv.batch * shape.conv.dst_h, threads)),
        taps_(shape.conv.kernel_h * shape.conv.kernel_w),
        fours_((taps_ + kFour - 1) / kFour),
        name_(fmt::format("int8 depthwise {}", table.name)),
        form_(fmt::format("int8 depthwise{} {} {}", table.lanes, shape.input.scale,
                          shape.input.zero_point)) {
    const ConvShape& s = shape_.conv;
    const int64_t group = kFour * table.lanes;
    channels_ = RoundUp(s.src_c, group);
    inside_ = PixelsInside(s);
    // What the pixels of one call read stays in the nearest cache.
    constexpr int64_t kNearestCache = 16 << 10;
    call_pixels_ = std::clamp<int64_t>(
        kNearestCache / (s.kernel_h * s.stride_w * s.src_pitch), 4, 64);
    // Where a tap is outside for all pixels of a call.
    padding_.assign((call_pixels_ - 1) * s.stride_w * s.src_pitch + channels_,
                    static_cast<uint8_t>(shape.input.zero_point));
    Scratch scratch(nullptr);
    scratch.Take<const uint8_t*>(fours_ * kFour);
    thread_bytes_ = scratch.bytes();
  }

  const char* name() const override { return name_.c_str(); }
  const char* weights_form() const override { return form_.c_str(); }
  size_t packed_bytes() const override {
    return channels_ * (3 * sizeof(float) + fours_ * kFour);
  }

  void Pack(std::span<const int8_t> weights, std::span<const float> scales,
            std::span<const float> bias, std::span<std::byte> packed) const override {
    std::fill_n(packed.begin(), packed_bytes(), std::byte{0});
    auto* const start = reinterpret_cast<int32_t*>(packed.data());
    auto* const scale = reinterpret_cast<float*>(start + channels_);
    auto* const to = reinterpret_cast<int8_t*>(scale + 2 * channels_);
    const int64_t group = kFour * table_.lanes;
    for (int64_t i = 0; i < channels_; ++i) {
      // Int8DepthwiseArgs has the order.
      const int64_t vector = i % group / table_.lanes, lane = i % table_.lanes;
      const int64_t channel =
          i / group * group + 16 * (lane / kFour) + kFour * vector + lane % kFour;
      if (channel >= shape_.conv.src_c) continue;
      scale[i] = shape_.input.scale * scales[channel];
      if (!bias.empty()) scale[channels_ + i] = bias[channel];
      int8_t* const first = to + i / group * group * fours_ * kFour + i % group * kFour;
      for (int64_t tap = 0; tap < taps_; ++tap) {
        const int8_t weight = weights[tap * shape_.conv.src_c + channel];
        first[tap / kFour * group * kFour + tap % kFour] = weight;
        start[i] -= shape_.input.zero_point * weight;
      }
    }
  }

  size_t scratch_bytes() const override { return thread_bytes_ * threads_; }

  int64_t pieces(int thread) const override { return pieces_.count(thread); }

  void Run(const Int8ConvArgs& args, int thread) const override {
    const ConvShape& s = shape_.conv;
    Scratch scratch(args.scratch + thread * thread_bytes_);
    auto** const src = scratch.Take<const uint8_t*>(fours_ * kFour);
    const auto* const start = reinterpret_cast<const int32_t*>(args.weights);
    const auto* const scale = reinterpret_cast<const float*>(start + channels_);
    Int8DepthwiseArgs call{
        .src = src,
        .fours = static_cast<int>(fours_),
        .pixel_stride = s.stride_w * s.src_pitch,
        .weights = reinterpret_cast<const int8_t*>(scale + 2 * channels_),
        .start = start,
        .scale = scale,
        .bias = scale + channels_,
        .output = OutputOf(shape_, args),
        .channels = static_cast<int>(s.src_c)};
    using Piece = GridPieces::Piece;
    ForGridPieces(args.queue, thread, pieces_, [&](const Piece& piece, const void*) {
      const Range lines = piece.positions;
      for (int64_t line = lines.begin; line < lines.end; ++line) {
        RunLine(args, line, src, call);
      }
    });
  }

 private:
  void RunLine(const Int8ConvArgs& args, int64_t line, const uint8_t** src,
               Int8DepthwiseArgs& call) const {
    const ConvShape& s = shape_.conv;
    const auto run = [&](Range pixels) {
      PointToTaps(args, line, pixels.begin, src);
      call.pixel = line * s.dst_w + pixels.begin;
      call.pixels = static_cast<int>(pixels.end - pixels.begin);
      table_.depthwise(call);
    };
    for (int64_t x = 0; x < inside_.begin; ++x) run({x, x + 1});
    const int64_t count = inside_.end - inside_.begin;
    const int64_t calls = (count + call_pixels_ - 1) / call_pixels_;
    for (int64_t i = 0; i < calls; ++i) {
      const Range share = Share(count, i, calls);
      run({inside_.begin + share.begin, inside_.begin + share.end});
    }
    for (int64_t x = inside_.end; x < s.dst_w; ++x) run({x, x + 1});
  }

  // The taps of pixel x of a line; what is behind the last one has no weights.
  void PointToTaps(const Int8ConvArgs& args, int64_t line, int64_t x,
                   const uint8_t** src) const {
    const ConvShape& s = shape_.conv;
    const int64_t top = line % s.dst_h * s.stride_h - s.pad_top;
    const int64_t left = x * s.stride_w - s.pad_left;
    const uint8_t* image = args.src + line / s.dst_h * s.src_h * s.src_w * s.src_pitch;
    for (int64_t ky = 0; ky < s.kernel_h; ++ky) {
      for (int64_t kx = 0; kx < s.kernel_w; ++kx) {
        const int64_t sy = top + ky * s.dilation_h, sx = left + kx * s.dilation_w;
        const bool there = sy >= 0 && sy < s.src_h && sx >= 0 && sx < s.src_w;
        *src++ = there ? image + (sy * s.src_w + sx) * s.src_pitch : padding_.data();
      }
    }
    std::fill_n(src, fours_ * kFour - taps_, padding_.data());
  }

  Int8Shape shape_;
  const Int8Table& table_;
  int threads_;
  GridPieces pieces_;
  int64_t taps_, fours_;
  int64_t channels_;     // of whole groups
  Range inside_;         // pixels of a line all of whose taps are inside the image
  int64_t call_pixels_;  // pixels of a call
  std::vector<uint8_t> padding_;
  size_t thread_bytes_ = 0;
  std::string name_, form_;
};

}  // namespace

std::unique_ptr<Int8Conv> MakeInt8DepthwiseConv(const Int8Shape& shape, int threads,
                                                const Int8Table& table) {
  return std::make_unique<DepthwiseInt8Conv>(shape, threads, table);
}

}  // namespace oriel::engine::kernels
