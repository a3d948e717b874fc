#include "engine/ops/elementwise.h"

#include <algorithm>

#include "engine/ops/setups.h"

namespace oriel::engine {
namespace {

// The shape that both broadcast to, as NumPy does.
absl::StatusOr<Shape> Broadcast(const OpSetup& setup, const Shape& a, const Shape& b) {
  std::vector<int64_t> dims(std::max(a.rank(), b.rank()), 1);
  for (int i = 1; i <= static_cast<int>(dims.size()); ++i) {
    const int64_t da = i <= a.rank() ? a.dim(-i) : 1;
    const int64_t db = i <= b.rank() ? b.dim(-i) : 1;
    if (da != db && da != 1 && db != 1) {
      return setup.Invalid("shapes {} and {} do not broadcast", a.ToString(),
                           b.ToString());
    }
    dims[dims.size() - i] = da == 1 ? db : da;
  }
  return Shape(std::move(dims));
}

bool Computes(BinaryKind kind, DType dtype) {
  switch (kind) {
    case BinaryKind::kLogicalAnd:
    case BinaryKind::kLogicalOr:
      return dtype == DType::kBool;
    case BinaryKind::kEqual:
    case BinaryKind::kNotEqual:
      if (dtype == DType::kBool) return true;
      break;
    case BinaryKind::kPow:
      return dtype == DType::kFloat32 || dtype == DType::kFloat64;
    default:
      break;
  }
  return IsPlainType(dtype) && dtype != DType::kBool;
}

}  // namespace

absl::Status SetupUnaryFunction(OpSetup& setup, UnaryFunction function) {
  RETURN_IF_ERROR(setup.WantInputs(1));
  RETURN_IF_ERROR(setup.WantFloat(0));
  UnaryAttrs attrs;
  attrs.function = function;
  setup.SetAttrs(attrs);
  return setup.AddOutput(DType::kFloat32, setup.shape(0));
}

absl::Status SetupBinaryFunction(OpSetup& setup, BinaryKind kind) {
  RETURN_IF_ERROR(setup.WantInputs(2));
  RETURN_IF_ERROR(setup.WantSameType(0, 1));
  const DType dtype = setup.dtype(0);
  if (!Computes(kind, dtype)) {
    return setup.Unsupported("the engine does not compute this of {}", DTypeName(dtype));
  }
  ASSIGN_OR_RETURN(Shape shape, Broadcast(setup, setup.shape(0), setup.shape(1)));
  BinaryAttrs attrs;
  attrs.kind = kind;
  setup.SetAttrs(attrs);
  return setup.AddOutput(IsComparison(kind) ? DType::kBool : dtype, std::move(shape));
}

absl::Status SetupBiasAdd(OpSetup& setup) {
  RETURN_IF_ERROR(setup.WantInputs(2));
  RETURN_IF_ERROR(setup.WantChannelsLast());
  RETURN_IF_ERROR(setup.WantRank(1, 1, "the bias"));
  if (setup.shape(0).rank() < 2 || setup.shape(0).dim(-1) != setup.shape(1).dim(0)) {
    return setup.Invalid("a bias of {} values does not fit {}", setup.shape(1).dim(0),
                         setup.shape(0).ToString());
  }
  return SetupBinaryFunction(setup, BinaryKind::kAdd);
}

absl::Status SetupAddN(OpSetup& setup) {
  RETURN_IF_ERROR(setup.WantInputs(1, INT32_MAX));
  if (setup.num_inputs() == 1) return setup.ForwardInput(0);
  RETURN_IF_ERROR(setup.WantFloat(0));
  for (int i = 1; i < setup.num_inputs(); ++i) {
    RETURN_IF_ERROR(setup.WantSameType(0, i));
    if (setup.shape(i) != setup.shape(0)) {
      return setup.Invalid("inputs 0 and {} have shapes {} and {}, want the same", i,
                           setup.shape(0).ToString(), setup.shape(i).ToString());
    }
  }
  return setup.AddOutput(DType::kFloat32, setup.shape(0));
}

absl::Status SetupLeakyRelu(OpSetup& setup) {
  ASSIGN_OR_RETURN(const float alpha, graph::GetFloatOr(setup.node(), "alpha", 0.2f));
  return SetupUnaryFunction(setup, {UnaryKind::kLeakyRelu, alpha});
}

absl::Status SetupLogicalNot(OpSetup& setup) {
  RETURN_IF_ERROR(setup.WantInputs(1));
  if (setup.dtype(0) != DType::kBool) {
    return setup.Invalid("the input is {}, want bool", DTypeName(setup.dtype(0)));
  }
  return setup.AddOutput(DType::kBool, setup.shape(0));
}

// Select: the condition has the shape of the others, or is a scalar, or a vector that
// picks along their first dimension. SelectV2: all three broadcast.
absl::Status SetupSelect(OpSetup& setup) {
  RETURN_IF_ERROR(setup.WantInputs(3));
  if (setup.dtype(0) != DType::kBool) {
    return setup.Invalid("the condition is {}, want bool", DTypeName(setup.dtype(0)));
  }
  RETURN_IF_ERROR(setup.WantSameType(1, 2));
  ASSIGN_OR_RETURN(Shape shape, Broadcast(setup, setup.shape(1), setup.shape(2)));
  if (setup.node().op() == "SelectV2") {
    ASSIGN_OR_RETURN(shape, Broadcast(setup, setup.shape(0), shape));
  } else if (setup.shape(1) != setup.shape(2)) {
    return setup.Invalid("inputs 1 and 2 have shapes {} and {}, want the same",
                         setup.shape(1).ToString(), setup.shape(2).ToString());
  } else if (setup.shape(0).rank() > 0 && setup.shape(0) != shape) {
    return setup.Unsupported("a condition of shape {} for values of {} is not supported",
                             setup.shape(0).ToString(), shape.ToString());
  }
  return setup.AddOutput(setup.dtype(1), std::move(shape));
}

absl::Status SetupClipByValue(OpSetup& setup) {
  RETURN_IF_ERROR(setup.WantInputs(3));
  RETURN_IF_ERROR(setup.WantFloat(0));
  for (const int bound : {1, 2}) {
    RETURN_IF_ERROR(setup.WantSameType(0, bound));
    if (setup.shape(bound).elements() != 1 && setup.shape(bound) != setup.shape(0)) {
      return setup.Invalid("bounds of shape {} do not fit {}",
                           setup.shape(bound).ToString(), setup.shape(0).ToString());
    }
  }
  return setup.AddOutput(DType::kFloat32, setup.shape(0));
}

absl::Status SetupCast(OpSetup& setup) {
  RETURN_IF_ERROR(setup.WantInputs(1));
  ASSIGN_OR_RETURN(const DType to, graph::GetType(setup.node(), "DstT"));
  if (to == setup.dtype(0)) return setup.ForwardInput(0);
  if (!IsPlainType(setup.dtype(0))) {
    return setup.Unsupported("cast from {} is not supported", DTypeName(setup.dtype(0)));
  }
  return setup.AddOutput(to, setup.shape(0));
}

}  // namespace oriel::engine
