// Depthwise convolution: each channel by a filter of its own. A thread takes some lines
// of the result, and reads the image where it lies.

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "engine/kernels/conv.h"
#include "engine/kernels/depthwise_line.h"

namespace oriel::engine::kernels {
namespace {

class DepthwiseConv : public Conv {
 public:
  DepthwiseConv(const ConvShape& shape, int threads, const KernelTable& table)
      : shape_(shape),
        line_(shape, table),
        threads_(threads),
        pieces_(PiecesOfLines(shape.batch * shape.dst_h, threads)),
        taps_(shape.kernel_h * shape.kernel_w),
        name_(fmt::format("depthwise {}", table.name)) {
    Scratch scratch(nullptr);
    line_.Carve(scratch);
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

  int64_t pieces(int thread) const override { return pieces_.count(thread); }

  void Run(const ConvArgs& args, int thread) const override {
    Scratch scratch(args.scratch + thread * thread_bytes_);
    const DepthwiseLine::Work work = line_.Carve(scratch);
    ForGridPieces(args.queue, thread, pieces_,
                  [&](const GridPieces::Piece& piece, const void*) {
                    RunLines(args, work, piece.positions);
                  });
  }

 private:
  void RunLines(const ConvArgs& args, const DepthwiseLine::Work& work,
                Range lines) const {
    for (int64_t line = lines.begin; line < lines.end; ++line) {
      const int64_t image = line / shape_.dst_h, row = line % shape_.dst_h;
      for (int64_t ky = 0; ky < shape_.kernel_h; ++ky) {
        const int64_t y = row * shape_.stride_h - shape_.pad_top + ky * shape_.dilation_h;
        const bool there = y >= 0 && y < shape_.src_h;
        work.lines[ky] = there ? args.src + (image * shape_.src_h + y) * shape_.src_w *
                                                shape_.src_pitch
                               : nullptr;
      }
      const int64_t to = line * shape_.dst_w;
      line_.Run({.work = &work,
                 .src_pitch = shape_.src_pitch,
                 .weights = args.weights + shape_.src_c,
                 .weights_pitch = shape_.src_c,
                 .bias = args.weights,
                 .dst = args.dst + to * shape_.dst_pitch,
                 .dst_pitch = shape_.dst_pitch,
                 .residual = args.residual == nullptr
                                 ? nullptr
                                 : args.residual + to * shape_.residual_pitch,
                 .residual_pitch = shape_.residual_pitch,
                 .channels = static_cast<int>(shape_.src_c),
                 .low = args.low,
                 .high = args.high});
    }
  }

  ConvShape shape_;
  DepthwiseLine line_;
  int threads_;
  GridPieces pieces_;
  int64_t taps_;
  size_t thread_bytes_ = 0;
  std::string name_;
};

}  // namespace

std::unique_ptr<Conv> MakeDepthwiseConv(const ConvShape& shape, int threads,
                                        const KernelTable& table) {
  return std::make_unique<DepthwiseConv>(shape, threads, table);
}

}  // namespace oriel::engine::kernels
