// Kernels that go through images pixel by pixel.
#pragma once

#include "engine/kernels/range.h"
#include "engine/onednn/lowering.h"
#include "engine/onednn/own_kernels.h"

namespace oriel::engine::onednn {

// Pixels from one image to another, shared between threads.
class PixelsKernel : public Kernel {
 public:
  PixelsKernel(const ImageView& src, const ImageView& dst, int64_t pixels,
               int64_t channels)
      : src_(src), dst_(dst), pixels_(pixels), channels_(channels) {
    if (src.pitch == channels && dst.pitch == channels) {  // one line
      pixels_ = 1;
      channels_ = pixels * channels;
    }
  }

 protected:
  // Calls work(src, dst, elements) for each line of a thread's share.
  template <typename Src, typename Dst, typename Work>
  void ForLines(const KernelArgs& args, const Work& work) const {
    const auto* const src = At<const Src>(args.inputs[0], src_.offset);
    auto* const dst = At<Dst>(args.outputs[0], dst_.offset);
    const int threads = args.threads->size();
    args.threads->Run([&](int thread) {
      const kernels::Range pixels =
          pixels_ == 1 ? kernels::Range{0, 1} : kernels::Share(pixels_, thread, threads);
      const kernels::Range channels = pixels_ == 1
                                          ? kernels::Share(channels_, thread, threads)
                                          : kernels::Range{0, channels_};
      for (int64_t i = pixels.begin; i < pixels.end; ++i) {
        work(src + i * src_.pitch + channels.begin, dst + i * dst_.pitch + channels.begin,
             channels.end - channels.begin);
      }
    });
  }

 private:
  ImageView src_, dst_;
  int64_t pixels_, channels_;
};

}  // namespace oriel::engine::onednn
