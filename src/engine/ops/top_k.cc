#include "engine/ops/top_k.h"

#include "engine/ops/setups.h"

namespace oriel::engine {
namespace {

absl::Status SetupArgMost(OpSetup& setup, bool least) {
  RETURN_IF_ERROR(setup.WantInputs(2));
  RETURN_IF_ERROR(setup.WantFloat(0));
  ASSIGN_OR_RETURN(const int64_t axis, setup.Integer(1, "the axis"));
  const Shape& src = setup.shape(0);
  if (axis < -src.rank() || axis >= src.rank()) {
    return setup.Invalid("axis {} of shape {} does not exist", axis, src.ToString());
  }
  ArgMostAttrs attrs;
  attrs.least = least;
  attrs.axis = static_cast<int>(axis < 0 ? axis + src.rank() : axis);
  std::vector<int64_t> dims = src.dims();
  if (dims[attrs.axis] == 0) return setup.Invalid("axis {} is empty", axis);
  dims.erase(dims.begin() + attrs.axis);
  DType dtype = DType::kInt64;
  if (setup.node().attr().contains("output_type")) {
    ASSIGN_OR_RETURN(dtype, graph::GetType(setup.node(), "output_type"));
  }
  if (dtype != DType::kInt32 && dtype != DType::kInt64) {
    return setup.Unsupported("output_type is {}, want int32 or int64", DTypeName(dtype));
  }
  setup.SetAttrs(attrs);
  setup.KeepInputs({0});
  return setup.AddOutput(dtype, Shape(std::move(dims)));
}

}  // namespace

absl::Status SetupArgMax(OpSetup& setup) { return SetupArgMost(setup, false); }
absl::Status SetupArgMin(OpSetup& setup) { return SetupArgMost(setup, true); }

absl::Status SetupTopK(OpSetup& setup) {
  RETURN_IF_ERROR(setup.WantInputs(2));
  RETURN_IF_ERROR(setup.WantFloat(0));
  TopKAttrs attrs;
  ASSIGN_OR_RETURN(attrs.k, setup.Integer(1, "k"));
  const Shape& src = setup.shape(0);
  if (src.rank() < 1 || attrs.k < 0 || attrs.k > src.dim(-1)) {
    return setup.Invalid("cannot take {} of {}", attrs.k, src.ToString());
  }
  Shape dst = src;
  dst.set_dim(-1, attrs.k);
  setup.SetAttrs(attrs);
  setup.KeepInputs({0});
  RETURN_IF_ERROR(setup.AddOutput(DType::kFloat32, dst));
  return setup.AddOutput(DType::kInt32, dst);
}

}  // namespace oriel::engine
