#include "engine/ops/reduce.h"

#include "engine/ops/setups.h"

namespace oriel::engine {

absl::Status SetupReduceBy(OpSetup& setup, ReduceKind kind) {
  RETURN_IF_ERROR(setup.WantInputs(2));
  const DType dtype = setup.dtype(0);
  const bool logical = kind == ReduceKind::kAll || kind == ReduceKind::kAny;
  const bool integer = dtype == DType::kInt32 || dtype == DType::kInt64;
  if (logical && dtype != DType::kBool) {
    return setup.Invalid("the input is {}, want bool", DTypeName(dtype));
  }
  if (!logical && (!integer || kind == ReduceKind::kMean)) {
    RETURN_IF_ERROR(setup.WantFloat(0));
  }
  ASSIGN_OR_RETURN(const std::vector<int64_t> axes, setup.Integers(1, "the axes"));
  ASSIGN_OR_RETURN(const bool keep, graph::GetBoolOr(setup.node(), "keep_dims", false));
  const Shape& src = setup.shape(0);
  ReduceAttrs attrs;
  attrs.kind = kind;
  std::vector<bool> reduced(src.rank(), false);
  for (const int64_t axis : axes) {
    if (axis < -src.rank() || axis >= src.rank()) {
      return setup.Invalid("axis {} of shape {} does not exist", axis, src.ToString());
    }
    reduced[axis < 0 ? axis + src.rank() : axis] = true;
  }
  attrs.kept = attrs.reduced = src;
  std::vector<int64_t> dims;
  for (int i = 0; i < src.rank(); ++i) {
    (reduced[i] ? attrs.kept : attrs.reduced).set_dim(i, 1);
    if (!reduced[i]) {
      dims.push_back(src.dim(i));
    } else if (keep) {
      dims.push_back(1);
    }
  }
  setup.SetAttrs(std::move(attrs));
  setup.KeepInputs({0});
  return setup.AddOutput(dtype, Shape(std::move(dims)));
}

}  // namespace oriel::engine
