#include "engine/kernels/pool.h"

#include <fmt/format.h>

#include <string>

#include "engine/kernels/scratch.h"

namespace oriel::engine::kernels {
namespace {

template <typename T, typename Function>
class PoolOfTable : public PoolOf<T> {
 public:
  PoolOfTable(const ConvShape& shape, int threads, Function function, std::string name)
      : shape_(shape), function_(function), threads_(threads), name_(std::move(name)) {
    Scratch scratch(nullptr);
    scratch.Take<const T*>(shape.kernel_h * shape.kernel_w);
    thread_bytes_ = scratch.bytes();
  }

  const char* name() const override { return name_.c_str(); }
  size_t scratch_bytes() const override { return thread_bytes_ * threads_; }

  void Run(const T* src, T* dst, std::byte* scratch, int thread) const override {
    auto* cells = reinterpret_cast<const T**>(scratch + thread * thread_bytes_);
    const Range lines = Share(shape_.batch * shape_.dst_h, thread, threads_);
    for (int64_t line = lines.begin; line < lines.end; ++line) {
      const int64_t image = line / shape_.dst_h, row = line % shape_.dst_h;
      const T* base = src + image * shape_.src_h * shape_.src_w * shape_.src_pitch;
      for (int64_t x = 0; x < shape_.dst_w; ++x) {
        int pixels = 0;
        for (int64_t ky = 0; ky < shape_.kernel_h; ++ky) {
          const int64_t iy = row * shape_.stride_h - shape_.pad_top + ky;
          if (iy < 0 || iy >= shape_.src_h) continue;
          for (int64_t kx = 0; kx < shape_.kernel_w; ++kx) {
            const int64_t ix = x * shape_.stride_w - shape_.pad_left + kx;
            if (ix < 0 || ix >= shape_.src_w) continue;
            cells[pixels++] = base + (iy * shape_.src_w + ix) * shape_.src_pitch;
          }
        }
        function_({.src = cells,
                   .pixels = pixels,
                   .dst = dst + (line * shape_.dst_w + x) * shape_.dst_pitch,
                   .channels = static_cast<int>(shape_.src_c)});
      }
    }
  }

 private:
  ConvShape shape_;
  Function function_;
  int threads_;
  size_t thread_bytes_ = 0;
  std::string name_;
};

}  // namespace

std::unique_ptr<Pool> MakePool(const ConvShape& shape, bool mean, int threads,
                               const KernelTable& table) {
  return std::make_unique<PoolOfTable<float, PoolFn>>(
      shape, threads, mean ? table.mean_pool : table.max_pool,
      fmt::format("{} pool {}", mean ? "mean" : "max", table.name));
}

std::unique_ptr<BytePool> MakeBytePool(const ConvShape& shape, int threads,
                                       const Int8Table& table) {
  return std::make_unique<PoolOfTable<uint8_t, decltype(table.max_pool)>>(
      shape, threads, table.max_pool, fmt::format("int8 max pool {}", table.name));
}

}  // namespace oriel::engine::kernels
