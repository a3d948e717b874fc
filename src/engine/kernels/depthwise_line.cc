#include "engine/kernels/depthwise_line.h"

#include <algorithm>

namespace oriel::engine::kernels {
namespace {

DepthwiseKind KindOf(const ConvShape& shape) {
  if (shape.dilation_w != 1 || shape.stride_w > 2) return DepthwiseKind::kAny;
  const bool one = shape.stride_w == 1;
  if (shape.kernel_w == 3) return one ? DepthwiseKind::k3 : DepthwiseKind::k3Stride2;
  if (shape.kernel_w == 5) return one ? DepthwiseKind::k5 : DepthwiseKind::k5Stride2;
  return DepthwiseKind::kAny;
}

}  // namespace

DepthwiseLine::DepthwiseLine(const ConvShape& shape, const KernelTable& table)
    : shape_(shape), table_(table), kind_(KindOf(shape)), inside_(PixelsInside(shape)) {
  const int64_t extent = (shape.kernel_w - 1) * shape.dilation_w + 1;
  constexpr int64_t kUnit = 16, kNearestCache = 16 << 10;
  const int64_t columns = (kDepthwiseLinePixels - 1) * shape.stride_w + extent;
  const int64_t channel_bytes = shape.kernel_h * columns * sizeof(float);
  block_ = std::max(kNearestCache / channel_bytes / kUnit, int64_t{2}) * kUnit;
}

DepthwiseLine::Work DepthwiseLine::Carve(Scratch& scratch) const {
  Work work;
  work.lines = scratch.Take<const float*>(shape_.kernel_h);
  work.rows = scratch.Take<const float*>(shape_.kernel_h);
  work.first_taps = scratch.Take<int32_t>(shape_.kernel_h);
  return work;
}

void DepthwiseLine::Run(const Args& args) const {
  for (int64_t channel = 0; channel < args.channels; channel += block_) {
    const Range channels{channel, std::min<int64_t>(channel + block_, args.channels)};
    for (int64_t x = 0; x < inside_.begin; ++x) RunPixels(args, {x, x + 1}, channels);
    if (inside_.end > inside_.begin) RunPixels(args, inside_, channels);
    for (int64_t x = inside_.end; x < shape_.dst_w; ++x) {
      RunPixels(args, {x, x + 1}, channels);
    }
  }
}

// Several pixels have all their taps, a single one may lack some.
void DepthwiseLine::RunPixels(const Args& args, Range pixels, Range channels) const {
  const int64_t left = pixels.begin * shape_.stride_w - shape_.pad_left;
  const int64_t d = shape_.dilation_w;
  const int64_t first = left >= 0 ? 0 : (-left + d - 1) / d;  // tap
  const int64_t room = shape_.src_w - left;
  const int64_t end = room <= 0 ? 0 : std::min(shape_.kernel_w, (room + d - 1) / d);
  const Work& work = *args.work;
  DepthwiseArgs call{.rows = work.rows,
                     .first_taps = work.first_taps,
                     .pixels = static_cast<int>(pixels.end - pixels.begin),
                     .columns = static_cast<int>(end - first),
                     .column_stride = d * args.src_pitch,
                     .pixel_stride = shape_.stride_w * args.src_pitch,
                     .weights = args.weights + channels.begin,
                     .weights_pitch = args.weights_pitch,
                     .bias = args.bias + channels.begin,
                     .dst = args.dst + pixels.begin * args.dst_pitch + channels.begin,
                     .dst_stride = args.dst_pitch,
                     .residual_stride = args.residual_pitch,
                     .channels = static_cast<int>(channels.end - channels.begin),
                     .low = args.low,
                     .high = args.high};
  if (args.residual != nullptr) {
    call.residual = args.residual + pixels.begin * args.residual_pitch + channels.begin;
  }
  if (end > first) {
    for (int64_t ky = 0; ky < shape_.kernel_h; ++ky) {
      if (work.lines[ky] == nullptr) continue;
      work.rows[call.num_rows] =
          work.lines[ky] + (left + first * d) * args.src_pitch + channels.begin;
      work.first_taps[call.num_rows++] =
          static_cast<int32_t>(ky * shape_.kernel_w + first);
    }
  }
  const DepthwiseKind kind = end - first == shape_.kernel_w ? kind_ : DepthwiseKind::kAny;
  table_.depthwise[static_cast<int>(kind)](call);
}

}  // namespace oriel::engine::kernels
