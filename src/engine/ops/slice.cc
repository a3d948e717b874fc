// Slice, StridedSlice and ReverseV2.

#include <algorithm>

#include "engine/ops/array_ops.h"
#include "engine/ops/setups.h"

namespace oriel::engine {

absl::Status SetupSlice(OpSetup& setup) {
  RETURN_IF_ERROR(setup.WantInputs(3));
  SliceAttrs attrs;
  ASSIGN_OR_RETURN(attrs.begin, setup.Integers(1, "the begin"));
  ASSIGN_OR_RETURN(std::vector<int64_t> sizes, setup.Integers(2, "the size"));
  const Shape& src = setup.shape(0);
  if (attrs.begin.size() != static_cast<size_t>(src.rank()) ||
      sizes.size() != attrs.begin.size()) {
    return setup.Invalid("begin has {} and size {} numbers, the input {} has {} axes",
                         attrs.begin.size(), sizes.size(), src.ToString(), src.rank());
  }
  attrs.step.assign(src.rank(), 1);
  for (int i = 0; i < src.rank(); ++i) {
    int64_t& size = sizes[i];
    const int64_t begin = attrs.begin[i];
    if (begin < 0 || begin > src.dim(i)) {
      return setup.Invalid("begin {} does not fit axis {} of {}", begin, i,
                           src.ToString());
    }
    if (size == -1) size = src.dim(i) - begin;
    if (size < 0 || size > src.dim(i) - begin) {
      return setup.Invalid("{} elements from {} do not fit axis {} of {}", size, begin, i,
                           src.ToString());
    }
  }
  const Shape dst(std::move(sizes));
  attrs.size = dst;
  setup.SetAttrs(std::move(attrs));
  setup.KeepInputs({0});
  return setup.AddOutput(setup.dtype(0), dst);
}

namespace {

struct Masks {
  int64_t begin, end, ellipsis, new_axis, shrink_axis;
};

bool Bit(int64_t mask, int bit) { return bit < 32 && (mask >> bit & 1) != 0; }

// One axis sliced as Python slices, with TensorFlow's masks.
absl::Status SliceAxis(const OpSetup& setup, const Masks& masks, int item, int axis,
                       int64_t begin, int64_t end, int64_t step, SliceAttrs& attrs,
                       std::vector<int64_t>& sizes, std::vector<int64_t>& dims) {
  const int64_t n = setup.shape(0).dim(axis);
  if (step == 0) return setup.Invalid("the step of axis {} is 0", axis);
  if (Bit(masks.shrink_axis, item)) {
    const int64_t at = begin < 0 ? begin + n : begin;
    if (at < 0 || at >= n) {
      return setup.Invalid("index {} is outside axis {} of {}", begin, axis,
                           setup.shape(0).ToString());
    }
    if (step < 0) return setup.Invalid("an index wants a positive step, has {}", step);
    attrs.begin.push_back(at);
    attrs.step.push_back(1);
    sizes.push_back(1);
    return absl::OkStatus();
  }
  // Where an open end stands, and how far an index may reach.
  const int64_t low = step > 0 ? 0 : -1;
  const int64_t high = step > 0 ? n : n - 1;
  const auto place = [&](int64_t index) {
    return std::clamp(index < 0 ? index + n : index, low, high);
  };
  const int64_t first = Bit(masks.begin, item) ? (step > 0 ? low : high) : place(begin);
  const int64_t last = Bit(masks.end, item) ? (step > 0 ? high : low) : place(end);
  const int64_t span = step > 0 ? last - first : first - last;
  // Sizes are far below 2^62, steps need not be: the magnitude is taken unsigned.
  const uint64_t stride =
      step > 0 ? static_cast<uint64_t>(step) : 0 - static_cast<uint64_t>(step);
  const int64_t size =
      span <= 0 ? 0
                : static_cast<int64_t>((static_cast<uint64_t>(span) - 1) / stride) + 1;
  attrs.begin.push_back(size == 0 ? 0 : first);
  attrs.step.push_back(size <= 1 ? 1 : step);
  sizes.push_back(size);
  dims.push_back(size);
  return absl::OkStatus();
}

}  // namespace

absl::Status SetupStridedSlice(OpSetup& setup) {
  RETURN_IF_ERROR(setup.WantInputs(4));
  ASSIGN_OR_RETURN(const std::vector<int64_t> begin, setup.Integers(1, "the begin"));
  ASSIGN_OR_RETURN(const std::vector<int64_t> end, setup.Integers(2, "the end"));
  ASSIGN_OR_RETURN(const std::vector<int64_t> step, setup.Integers(3, "the strides"));
  if (begin.size() != end.size() || begin.size() != step.size() || begin.size() > 32) {
    return setup.Invalid("begin, end and strides have {}, {} and {} numbers",
                         begin.size(), end.size(), step.size());
  }
  Masks masks;
  ASSIGN_OR_RETURN(masks.begin, graph::GetIntOr(setup.node(), "begin_mask", 0));
  ASSIGN_OR_RETURN(masks.end, graph::GetIntOr(setup.node(), "end_mask", 0));
  ASSIGN_OR_RETURN(masks.ellipsis, graph::GetIntOr(setup.node(), "ellipsis_mask", 0));
  ASSIGN_OR_RETURN(masks.new_axis, graph::GetIntOr(setup.node(), "new_axis_mask", 0));
  ASSIGN_OR_RETURN(masks.shrink_axis,
                   graph::GetIntOr(setup.node(), "shrink_axis_mask", 0));
  const Shape& src = setup.shape(0);
  const int items = static_cast<int>(begin.size());
  int consumed = 0;  // axes of the input that items name, ellipsis aside
  for (int i = 0; i < items; ++i) {
    if (!Bit(masks.ellipsis, i) && !Bit(masks.new_axis, i)) ++consumed;
  }
  if (consumed > src.rank()) {
    return setup.Invalid("slices {} axes of {}", consumed, src.ToString());
  }
  SliceAttrs attrs;
  std::vector<int64_t> sizes;  // by axis of the input
  std::vector<int64_t> dims;
  const auto whole_axes = [&](int count) {
    for (; count > 0; --count) {
      const int64_t n = src.dim(static_cast<int>(attrs.begin.size()));
      attrs.begin.push_back(0);
      attrs.step.push_back(1);
      sizes.push_back(n);
      dims.push_back(n);
    }
  };
  bool ellipsis_seen = false;
  for (int i = 0; i < items; ++i) {
    if (Bit(masks.ellipsis, i)) {
      if (ellipsis_seen) return setup.Invalid("has more than one ellipsis");
      ellipsis_seen = true;
      whole_axes(src.rank() - consumed);
    } else if (Bit(masks.new_axis, i)) {
      dims.push_back(1);
    } else {
      RETURN_IF_ERROR(SliceAxis(setup, masks, i, static_cast<int>(attrs.begin.size()),
                                begin[i], end[i], step[i], attrs, sizes, dims));
    }
  }
  whole_axes(src.rank() - static_cast<int>(attrs.begin.size()));
  attrs.size = Shape(std::move(sizes));
  setup.SetAttrs(std::move(attrs));
  setup.KeepInputs({0});
  return setup.AddOutput(setup.dtype(0), Shape(std::move(dims)));
}

absl::Status SetupReverse(OpSetup& setup) {
  RETURN_IF_ERROR(setup.WantInputs(2));
  ASSIGN_OR_RETURN(const std::vector<int64_t> axes, setup.Integers(1, "the axes"));
  const Shape& src = setup.shape(0);
  SliceAttrs attrs;
  attrs.begin.assign(src.rank(), 0);
  attrs.step.assign(src.rank(), 1);
  attrs.size = src;
  for (const int64_t axis : axes) {
    if (axis < -src.rank() || axis >= src.rank()) {
      return setup.Invalid("axis {} of shape {} does not exist", axis, src.ToString());
    }
    const auto i = static_cast<int>(axis < 0 ? axis + src.rank() : axis);
    attrs.begin[i] = std::max<int64_t>(src.dim(i) - 1, 0);
    attrs.step[i] = -1;
  }
  setup.SetAttrs(std::move(attrs));
  setup.KeepInputs({0});
  return setup.AddOutput(setup.dtype(0), src);
}

}  // namespace oriel::engine
