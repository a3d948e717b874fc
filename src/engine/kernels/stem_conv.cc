// The taps of a row are one run of memory, and there is little to multiply for each
// pixel. Lines are copied, padded, so that the pixels of a whole line of the result lie
// at even distances.

#include "engine/kernels/stem_conv.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "engine/kernels/scratch.h"
#include "engine/kernels/strips.h"

namespace oriel::engine::kernels {
namespace {

class StemConv : public Conv {
 public:
  StemConv(const ConvShape& shape, int threads, const KernelTable& table)
      : shape_(shape),
        threads_(threads),
        pieces_(PiecesOfLines(shape.batch * shape.dst_h, threads)),
        ring_((shape.kernel_h - 1) * shape.dilation_h + 1),
        width_((shape.dst_w - 1) * shape.stride_w + shape.kernel_w),
        product_(shape.kernel_h * shape.kernel_w * shape.src_c,
                 static_cast<int>(shape.kernel_h), shape.dst_c, shape.dst_w, 1, table),
        name_(fmt::format("stem {}", table.name)),
        form_("strips" + product_.panels().Form()) {
    thread_bytes_ = Carve(nullptr).bytes;
  }

  const char* name() const override { return name_.c_str(); }
  const char* weights_form() const override { return form_.c_str(); }
  size_t packed_floats() const override {
    return static_cast<size_t>(product_.packed_floats());
  }

  void Pack(std::span<const float> weights, std::span<const float> bias,
            std::span<float> packed) const override {
    product_.Pack(weights, bias, packed.data());
  }

  size_t scratch_bytes() const override { return thread_bytes_ * threads_; }

  int64_t pieces(int thread) const override { return pieces_.count(thread); }

  void Run(const ConvArgs& args, int thread) const override {
    const Work work = Carve(args.scratch + thread * thread_bytes_);
    // What the columns of padding and the line outside hold stays zero.
    std::fill_n(work.ring, (ring_ + 1) * line_floats(), 0.0f);
    ForGridPieces(args.queue, thread, pieces_,
                  [&](const GridPieces::Piece& piece, const void*) {
                    RunLines(args, work, piece.positions);
                  });
  }

 private:
  struct Work {
    float* ring;  // [line % ring_][width_][src_c], and a line of zeros
    const float** rows;
    size_t bytes;
  };

  void RunLines(const ConvArgs& args, const Work& work, Range lines) const {
    int64_t image = -1, copied = 0;  // lines of the image are in the ring up to here
    for (int64_t line = lines.begin; line < lines.end; ++line) {
      if (line / shape_.dst_h != image) {
        image = line / shape_.dst_h;
        copied = 0;
      }
      const int64_t top = line % shape_.dst_h * shape_.stride_h - shape_.pad_top;
      const int64_t end = std::min(top + ring_, shape_.src_h);
      for (int64_t y = std::max({copied, top, int64_t{0}}); y < end; ++y) {
        CopyLine(args, image, y, work);
      }
      copied = std::max(copied, end);
      RunLine(args, line, top, work);
    }
  }

  int64_t line_floats() const { return width_ * shape_.src_c; }

  Work Carve(std::byte* memory) const {
    Scratch scratch(memory);
    Work work;
    work.ring = scratch.Take<float>((ring_ + 1) * line_floats());
    work.rows = scratch.Take<const float*>(shape_.kernel_h);
    work.bytes = scratch.bytes();
    return work;
  }

  void CopyLine(const ConvArgs& args, int64_t image, int64_t y, const Work& work) const {
    // Strides may leave the image's last columns unread.
    const int64_t columns = std::min(shape_.src_w, width_ - shape_.pad_left);
    if (columns <= 0) return;
    std::memcpy(work.ring + y % ring_ * line_floats() + shape_.pad_left * shape_.src_c,
                args.src + (image * shape_.src_h + y) * shape_.src_w * shape_.src_c,
                static_cast<size_t>(columns * shape_.src_c) * sizeof(float));
  }

  void RunLine(const ConvArgs& args, int64_t line, int64_t top, const Work& work) const {
    for (int64_t ky = 0; ky < shape_.kernel_h; ++ky) {
      const int64_t y = top + ky * shape_.dilation_h;
      const bool there = y >= 0 && y < shape_.src_h;
      work.rows[ky] = work.ring + (there ? y % ring_ : ring_) * line_floats();
    }
    const int64_t to = line * shape_.dst_w;
    const bool residual = args.residual != nullptr;
    for (int64_t p = 0; p < product_.count(); ++p) {
      product_.Run(
          args.weights, p, /*whole=*/false, /*origin=*/0,
          {.src = work.rows,
           .pixel_stride = shape_.stride_w * shape_.src_c,
           .pixels = static_cast<int>(shape_.dst_w),
           .dst = args.dst + to * shape_.dst_pitch,
           .dst_stride = shape_.dst_pitch,
           .residual = residual ? args.residual + to * shape_.residual_pitch : nullptr,
           .residual_stride = shape_.residual_pitch,
           .low = args.low,
           .high = args.high});
    }
  }

  ConvShape shape_;
  int threads_;
  GridPieces pieces_;
  int64_t ring_;   // lines
  int64_t width_;  // columns that a line of results reads, with padding
  StripProduct product_;
  size_t thread_bytes_ = 0;
  std::string name_, form_;
};

}  // namespace

bool IsStem(const ConvShape& shape) {
  constexpr int64_t kFewChannels = 4;
  return shape.src_c <= kFewChannels && shape.src_pitch == shape.src_c &&
         shape.kernel_w > 1 && shape.dilation_w == 1;
}

std::unique_ptr<Conv> MakeStemConv(const ConvShape& shape, int threads,
                                   const KernelTable& table) {
  return std::make_unique<StemConv>(shape, threads, table);
}

}  // namespace oriel::engine::kernels
