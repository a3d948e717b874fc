// What the lowerings to our own kernels share.
#pragma once

#include <cmath>
#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "engine/ir.h"
#include "engine/kernels/conv.h"
#include "engine/kernels/pool.h"
#include "engine/onednn/lowering.h"
#include "engine/ops/window.h"

namespace oriel::engine::onednn {

template <typename T>
T* At(void* memory, size_t offset) {
  return reinterpret_cast<T*>(static_cast<std::byte*>(memory) + offset);
}

// Runs conv.Run(args, thread) on all threads, by pieces.
template <typename ConvType, typename Args>
void RunOnThreads(const ConvType& conv, Args args, ThreadPool& threads) {
  if (threads.size() > 1) {
    args.queue = &threads.queue();
    for (int thread = 0; thread < threads.size(); ++thread) {
      args.queue->Fill(thread, conv.pieces(thread));
    }
  }
  threads.Run([&](int thread) { conv.Run(args, thread); });
}

// The activations that are a clamp.
std::optional<kernels::Bounds> BoundsOf(const Epilogue& epilogue);

// Whether our own kernels compute this convolution: without groups or depthwise with one
// output channel for each channel, and then an activation that is a clamp.
bool IsOwnConv(const Ir& ir, const Op& op);

// A convolution or pool of `src` that makes `channels` channels.
kernels::ConvShape ShapeOf(const Shape& src_shape, const Window& window, int64_t channels,
                           const ImageView& src, const ImageView& dst);

// The image that the epilogue adds, as `get` finds it.
template <typename GetView>
absl::StatusOr<std::optional<ImageView>> ResidualOf(const Op& op, const GetView& get) {
  if (op.epilogue.residual < 0) return std::nullopt;
  ASSIGN_OR_RETURN(const ImageView view, get(op.inputs[op.epilogue.residual]));
  return view;
}

// [rows,columns] as [columns,rows].
template <typename T>
std::vector<T> Transposed(std::span<const T> data, int64_t rows, int64_t columns) {
  std::vector<T> transposed(data.size());
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j) {
      transposed[j * rows + i] = data[i * columns + j];
    }
  }
  return transposed;
}

// Whether no window is without a cell: explicit padding may leave such.
inline bool EachHasCells(const Window& window) {
  const auto has_cells = [](const WindowAxis& axis) {
    return axis.pad_before < axis.size &&
           (axis.dst - 1) * axis.stride - axis.pad_before < axis.src;
  };
  return has_cells(window.h) && has_cells(window.w);
}

// Of float32 or u8.
template <typename T>
class PoolKernel : public Kernel {
 public:
  PoolKernel(std::unique_ptr<const kernels::PoolOf<T>> pool, const ImageView& src,
             const ImageView& dst)
      : pool_(std::move(pool)), src_(src.offset), dst_(dst.offset) {}

  std::string_view implementation() const override { return pool_->name(); }
  size_t scratch_bytes() const override { return pool_->scratch_bytes(); }

  absl::Status Run(const KernelArgs& args) const override {
    const auto* const src = At<const T>(args.inputs[0], src_);
    auto* const dst = At<T>(args.outputs[0], dst_);
    args.threads->Run([&](int thread) {
      pool_->Run(src, dst, static_cast<std::byte*>(args.scratch), thread);
    });
    return absl::OkStatus();
  }

 private:
  std::unique_ptr<const kernels::PoolOf<T>> pool_;
  size_t src_, dst_;  // offsets
};

}  // namespace oriel::engine::onednn
