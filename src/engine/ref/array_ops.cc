#include "engine/ops/array_ops.h"

#include <algorithm>
#include <cstring>

#include "engine/ref/index.h"
#include "engine/ref/kernels.h"

namespace oriel::engine::ref {
namespace {

// The arrays' elements outside `axis`, and the bytes of one step along it.
struct Axis {
  int64_t outer;
  size_t inner_bytes;
};

Axis Around(const Shape& shape, int axis, DType dtype) {
  Axis around{1, ElementSize(dtype)};
  for (int i = 0; i < axis; ++i) around.outer *= shape.dim(i);
  for (int i = axis + 1; i < shape.rank(); ++i) around.inner_bytes *= shape.dim(i);
  return around;
}

// dst[i] = source(i) for each index i of `shape`, elements of any type.
template <typename Source>
void Gather(const Array& out, const Shape& shape, Source source) {
  const size_t size = ElementSize(out.dtype);
  const int64_t elements = shape.elements();
  auto* dst = out.as<uint8_t>();
  Index index(shape);
  for (int64_t i = 0; i < elements; ++i, index.Next(), dst += size) {
    std::memcpy(dst, source(index), size);
  }
}

const uint8_t* Element(const ConstArray& in, int64_t offset) {
  return in.as<uint8_t>() + offset * static_cast<int64_t>(ElementSize(in.dtype));
}

}  // namespace

void Concat(const Op& op, Inputs in, Outputs out) {
  const auto& attrs = op.attrs_as<ConcatAttrs>();
  const Axis around = Around(out[0].shape, attrs.axis, out[0].dtype);
  auto* dst = out[0].as<uint8_t>();
  for (int64_t o = 0; o < around.outer; ++o) {
    for (const ConstArray& part : in) {
      const int64_t count = attrs.pack ? 1 : part.shape.dim(attrs.axis);
      const size_t bytes = count * around.inner_bytes;
      if (bytes == 0) continue;
      std::memcpy(dst, part.as<uint8_t>() + o * bytes, bytes);
      dst += bytes;
    }
  }
}

void Split(const Op& op, Inputs in, Outputs out) {
  const auto& attrs = op.attrs_as<SplitAttrs>();
  const Axis around = Around(in[0].shape, attrs.axis, in[0].dtype);
  const auto* src = in[0].as<uint8_t>();
  for (int64_t o = 0; o < around.outer; ++o) {
    for (const Array& part : out) {
      const int64_t count = attrs.unpack ? 1 : part.shape.dim(attrs.axis);
      const size_t bytes = count * around.inner_bytes;
      if (bytes == 0) continue;
      std::memcpy(part.as<uint8_t>() + o * bytes, src, bytes);
      src += bytes;
    }
  }
}

namespace {

// The place of the source along an axis of size `size` that place `at` of the result
// takes; -1: the padding value.
int64_t PadSource(const PadAttrs& attrs, int axis, int64_t size, int64_t at) {
  at -= attrs.before[axis];
  if (at >= 0 && at < size) return at;
  if (attrs.mode == PadMode::kConstant) return -1;
  const int64_t edge = attrs.mode == PadMode::kReflect ? 0 : 1;
  return at < 0 ? -at - edge : 2 * size - 2 - at + edge;
}

void FillBytes(uint8_t* dst, const uint8_t* value, size_t size, int64_t count) {
  for (int64_t i = 0; i < count; ++i, dst += size) std::memcpy(dst, value, size);
}

}  // namespace

void Pad(const Op& op, Inputs in, Outputs out) {
  const auto& attrs = op.attrs_as<PadAttrs>();
  const Shape& src = in[0].shape;
  const Shape& dst_shape = out[0].shape;
  const Strides strides = RowMajorStrides(src);
  static constexpr uint8_t kZero[8] = {};
  const uint8_t* const value = in.size() > 1 ? in[1].as<uint8_t>() : kZero;
  const size_t size = ElementSize(out[0].dtype);
  // Axes after `axis` are as they were: they are copied in one piece.
  int axis = src.rank() - 1;
  while (axis >= 0 && src.dim(axis) == dst_shape.dim(axis)) --axis;
  int64_t piece = 1;
  for (int i = axis + 1; i < src.rank(); ++i) piece *= src.dim(i);
  if (piece == 0) return;
  auto* dst = out[0].as<uint8_t>();
  std::array<int64_t, kMaxRank> at{};
  for (int64_t left = out[0].elements(); left > 0; left -= piece, dst += piece * size) {
    int64_t offset = 0;
    for (int i = 0; i <= axis && offset >= 0; ++i) {
      const int64_t from = PadSource(attrs, i, src.dim(i), at[i]);
      offset = from < 0 ? -1 : offset + from * strides[i];
    }
    if (offset < 0) {
      FillBytes(dst, value, size, piece);
    } else {
      std::memcpy(dst, Element(in[0], offset), piece * size);
    }
    for (int i = axis; i >= 0 && ++at[i] == dst_shape.dim(i); --i) at[i] = 0;
  }
}

namespace {

// `src`, of shape `from`, with its axes permuted to shape `to`.
void Permute(const ConstArray& src, const Shape& from, const std::vector<int>& perm,
             const Shape& to, const Array& dst) {
  const Strides strides = RowMajorStrides(from);
  Gather(dst, to, [&](const Index& index) {
    int64_t offset = 0;
    for (size_t i = 0; i < perm.size(); ++i) {
      offset += index[static_cast<int>(i)] * strides[perm[i]];
    }
    return Element(src, offset);
  });
}

}  // namespace

void Transpose(const Op& op, Inputs in, Outputs out) {
  Permute(in[0], in[0].shape, op.attrs_as<TransposeAttrs>().perm, out[0].shape, out[0]);
}

void Rearrange(const Op& op, Inputs in, Outputs out) {
  const auto& attrs = op.attrs_as<RearrangeAttrs>();
  Permute(in[0], attrs.from, attrs.perm, attrs.to, out[0]);
}

void SpaceToBatch(const Op& op, Inputs in, Outputs out) {
  const auto& attrs = op.attrs_as<BlocksAttrs>();
  const Shape& src = in[0].shape;
  const Strides strides = RowMajorStrides(src);
  const int blocks = static_cast<int>(attrs.block.size());
  static constexpr uint8_t kZero[8] = {};
  Gather(out[0], out[0].shape, [&](const Index& index) {
    int64_t offset = index[0] % src.dim(0) * strides[0];
    int64_t within = index[0] / src.dim(0);  // place in the block, last axis fastest
    for (int i = blocks; i >= 1; --i) {
      const int64_t block = attrs.block[i - 1];
      const int64_t at = index[i] * block + within % block - attrs.crop[i - 1];
      within /= block;
      if (at < 0 || at >= src.dim(i)) return kZero + 0;
      offset += at * strides[i];
    }
    for (int i = blocks + 1; i < src.rank(); ++i) offset += index[i] * strides[i];
    return Element(in[0], offset);
  });
}

void BatchToSpace(const Op& op, Inputs in, Outputs out) {
  const auto& attrs = op.attrs_as<BlocksAttrs>();
  const Shape& src = in[0].shape;
  const Strides strides = RowMajorStrides(src);
  const int blocks = static_cast<int>(attrs.block.size());
  const int64_t batch = out[0].shape.dim(0);
  Gather(out[0], out[0].shape, [&](const Index& index) {
    int64_t offset = 0, within = 0;
    for (int i = 1; i <= blocks; ++i) {
      const int64_t block = attrs.block[i - 1];
      const int64_t at = index[i] + attrs.crop[i - 1];
      within = within * block + at % block;
      offset += at / block * strides[i];
    }
    offset += (within * batch + index[0]) * strides[0];
    for (int i = blocks + 1; i < src.rank(); ++i) offset += index[i] * strides[i];
    return Element(in[0], offset);
  });
}

void Tile(const Op&, Inputs in, Outputs out) {
  const Shape& src = in[0].shape;
  const Strides strides = RowMajorStrides(src);
  Gather(out[0], out[0].shape, [&](const Index& index) {
    int64_t offset = 0;
    for (int i = 0; i < src.rank(); ++i) offset += index[i] % src.dim(i) * strides[i];
    return Element(in[0], offset);
  });
}

void BroadcastTo(const Op&, Inputs in, Outputs out) {
  const Strides strides = BroadcastStrides(in[0].shape, out[0].shape);
  Gather(out[0], out[0].shape,
         [&](const Index& index) { return Element(in[0], index.Offset(strides)); });
}

void GatherAxis(const Op& op, Inputs in, Outputs out) {
  const auto& attrs = op.attrs_as<GatherAttrs>();
  const Axis around = Around(in[0].shape, attrs.axis, in[0].dtype);
  const int64_t size = in[0].shape.dim(attrs.axis);
  auto* dst = out[0].as<uint8_t>();
  if (around.inner_bytes == 0) return;
  for (int64_t o = 0; o < around.outer; ++o) {
    for (const int64_t index : attrs.indices) {
      std::memcpy(dst, in[0].as<uint8_t>() + (o * size + index) * around.inner_bytes,
                  around.inner_bytes);
      dst += around.inner_bytes;
    }
  }
}

void Slice(const Op& op, Inputs in, Outputs out) {
  const auto& attrs = op.attrs_as<SliceAttrs>();
  const Shape& size = attrs.size;
  const Strides strides = RowMajorStrides(in[0].shape);
  // What lies in one piece in both is copied so: all axes after `axis` are whole.
  int axis = size.rank() - 1;
  while (axis >= 0 && attrs.step[axis] == 1 && size.dim(axis) == in[0].shape.dim(axis)) {
    --axis;
  }
  if (axis >= 0 && attrs.step[axis] == 1) --axis;
  int64_t piece = 1;
  for (int i = axis + 1; i < size.rank(); ++i) piece *= size.dim(i);
  if (piece == 0) return;
  const size_t bytes = piece * ElementSize(in[0].dtype);
  int64_t first = 0;
  for (int i = 0; i < size.rank(); ++i) first += attrs.begin[i] * strides[i];
  auto* dst = out[0].as<uint8_t>();
  std::array<int64_t, kMaxRank> at{};
  for (int64_t left = out[0].elements(); left > 0; left -= piece, dst += bytes) {
    int64_t offset = first;
    for (int i = 0; i <= axis; ++i) offset += at[i] * attrs.step[i] * strides[i];
    std::memcpy(dst, Element(in[0], offset), bytes);
    for (int i = axis; i >= 0 && ++at[i] == size.dim(i); --i) at[i] = 0;
  }
}

void Fill(const Op&, Inputs in, Outputs out) {
  Gather(out[0], out[0].shape, [&](const Index&) { return in[0].as<uint8_t>(); });
}

void FillLike(const Op& op, Inputs, Outputs out) {
  const int number = op.attrs_as<FillAttrs>().number;
  const int64_t elements = out[0].elements();
  switch (out[0].dtype) {
    case DType::kFloat32:
      std::fill_n(out[0].as<float>(), elements, static_cast<float>(number));
      break;
    case DType::kFloat64:
      std::fill_n(out[0].as<double>(), elements, number);
      break;
    default: {  // integers, bool: little-endian
      const int64_t value = number;
      FillBytes(out[0].as<uint8_t>(), reinterpret_cast<const uint8_t*>(&value),
                ElementSize(out[0].dtype), elements);
    }
  }
}

}  // namespace oriel::engine::ref
