#include "engine/ops/reduce.h"

#include <algorithm>
#include <limits>
#include <type_traits>

#include "engine/ref/index.h"
#include "engine/ref/kernels.h"

namespace oriel::engine::ref {
namespace {

template <typename T>
T Start(ReduceKind kind) {
  using Limits = std::numeric_limits<T>;
  constexpr bool kFloat = std::is_floating_point_v<T>;
  switch (kind) {
    case ReduceKind::kMean:
    case ReduceKind::kSum:
      return 0;
    case ReduceKind::kProd:
    case ReduceKind::kAll:
      return 1;
    case ReduceKind::kAny:
      return 0;
    case ReduceKind::kMax:
      return kFloat ? -Limits::infinity() : Limits::lowest();
    case ReduceKind::kMin:
      return kFloat ? Limits::infinity() : Limits::max();
  }
  return 0;
}

template <typename T>
T Step(ReduceKind kind, T total, T value) {
  switch (kind) {
    case ReduceKind::kMean:
    case ReduceKind::kSum:
      return total + value;
    case ReduceKind::kProd:
      return total * value;
    case ReduceKind::kMax:  // of what has a NaN it is that
      return total < value || value != value ? value : total;
    case ReduceKind::kMin:
      return value < total || value != value ? value : total;
    case ReduceKind::kAll:
      return value < total ? value : total;
    case ReduceKind::kAny:
      return total < value ? value : total;
  }
  return total;
}

// Total: what sums are kept in (double; unsigned integers, which wrap around).
template <typename T, typename Total>
void ReduceOf(const ReduceAttrs& attrs, const ConstArray& in, const Array& out) {
  const Strides strides = RowMajorStrides(in.shape);
  const int64_t count = attrs.reduced.elements();
  const int64_t elements = out.elements();
  Index at(attrs.kept);
  for (int64_t i = 0; i < elements; ++i, at.Next()) {
    const T* src = in.as<T>() + at.Offset(strides);
    Total total = Start<Total>(attrs.kind);
    Index inner(attrs.reduced);
    for (int64_t j = 0; j < count; ++j, inner.Next()) {
      total =
          Step<Total>(attrs.kind, total, static_cast<Total>(src[inner.Offset(strides)]));
    }
    if constexpr (std::is_floating_point_v<T>) {
      if (attrs.kind == ReduceKind::kMean) total /= static_cast<Total>(count);
    }
    out.as<T>()[i] = static_cast<T>(total);
  }
}

template <typename T>
void ReduceIntegers(const ReduceAttrs& attrs, const ConstArray& in, const Array& out) {
  const bool ordered = attrs.kind == ReduceKind::kMax || attrs.kind == ReduceKind::kMin;
  if (ordered) return ReduceOf<T, T>(attrs, in, out);
  ReduceOf<T, std::make_unsigned_t<T>>(attrs, in, out);
}

}  // namespace

void Reduce(const Op& op, Inputs in, Outputs out) {
  const auto& attrs = op.attrs_as<ReduceAttrs>();
  if (out[0].dtype == DType::kFloat32)
    return ReduceOf<float, double>(attrs, in[0], out[0]);
  if (out[0].dtype == DType::kBool) return ReduceOf<bool, uint32_t>(attrs, in[0], out[0]);
  if (out[0].dtype == DType::kInt32) return ReduceIntegers<int32_t>(attrs, in[0], out[0]);
  ReduceIntegers<int64_t>(attrs, in[0], out[0]);
}

}  // namespace oriel::engine::ref
