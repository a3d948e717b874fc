// What the lowerings to our own kernels share.
#pragma once

#include <cmath>
#include <cstddef>
#include <optional>

#include "engine/ir.h"
#include "engine/kernels/conv.h"
#include "engine/onednn/lowering.h"
#include "engine/ops/window.h"

namespace oriel::engine::onednn {

template <typename T>
T* At(void* memory, size_t offset) {
  return reinterpret_cast<T*>(static_cast<std::byte*>(memory) + offset);
}

struct Clamp {
  float low = -INFINITY, high = INFINITY;
};

// The activations that are a clamp.
std::optional<Clamp> ClampOf(const Epilogue& epilogue);

// A convolution or pool of `src` that makes `channels` channels.
kernels::ConvShape ShapeOf(const Shape& src_shape, const Window& window, int64_t channels,
                           const ImageView& src, const ImageView& dst);

}  // namespace oriel::engine::onednn
