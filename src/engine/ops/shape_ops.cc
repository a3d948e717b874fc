// Operations that compute nothing: constants, other names, other shapes, shapes
// as values.

#include <algorithm>

#include "engine/ops/array_ops.h"
#include "engine/ops/setups.h"
#include "tensor/tensor_proto.h"

namespace oriel::engine {
namespace {

// `values` as a tensor of the type that attribute `attr` gives (int32 by default).
absl::StatusOr<Tensor> IntegerTensor(const OpSetup& setup, const char* attr,
                                     std::span<const int64_t> values) {
  DType dtype = DType::kInt32;
  if (setup.node().attr().contains(attr)) {
    ASSIGN_OR_RETURN(dtype, graph::GetType(setup.node(), attr));
  }
  const Shape shape{static_cast<int64_t>(values.size())};
  if (dtype == DType::kInt64) return Tensor::Of(shape, values);
  if (dtype != DType::kInt32) {
    return setup.Invalid("attribute '{}' is {}, want int32 or int64", attr,
                         DTypeName(dtype));
  }
  Tensor tensor(DType::kInt32, shape);
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i] > INT32_MAX || values[i] < INT32_MIN) {
      return setup.Invalid("size {} does not fit into int32", values[i]);
    }
    tensor.mutable_data<int32_t>()[i] = static_cast<int32_t>(values[i]);
  }
  return tensor;
}

// One value that stands for many may be as large as this; what is written out may
// be of any size.
constexpr uint64_t kMaxSplatBytes = uint64_t{256} << 20;

// A value of `size` bytes of which the GraphDef has dtype and shape alone.
absl::Status SetupOutsideConst(OpSetup& setup, uint64_t size) {
  const auto& attrs = setup.node().attr();
  const auto value = attrs.find("value");
  if (value == attrs.end() || !value->second.has_tensor()) {
    return setup.Invalid("has no value");
  }
  const auto& proto = value->second.tensor();
  const auto dtype = FromTensorFlow(proto.dtype());
  if (!dtype || !IsPlainType(*dtype)) {
    return setup.Unsupported("type {} is not supported",
                             tensorflow::DataType_Name(proto.dtype()));
  }
  auto shape = ShapeFromProto(proto.tensor_shape());
  if (!shape.ok()) return Annotate(shape.status(), setup.where());
  if (shape->rank() > kMaxRank) {
    return setup.Unsupported("has {} dimensions, the engine has at most {}",
                             shape->rank(), kMaxRank);
  }
  ASSIGN_OR_RETURN(const int64_t elements,
                   CheckedElements(*shape, ElementSize(*dtype), setup.where(), size));
  if (static_cast<uint64_t>(elements) * ElementSize(*dtype) != size) {
    return setup.Invalid("{} {} wants {} bytes, the value has {}", DTypeName(*dtype),
                         shape->ToString(),
                         static_cast<uint64_t>(elements) * ElementSize(*dtype), size);
  }
  setup.AddConstant(*dtype, *shape,
                    [constants = setup.constants(), name = setup.node().name(),
                     dtype = *dtype, shape = *shape] {
                      Tensor tensor(dtype, shape);
                      constants->Read(name, tensor.mutable_bytes());
                      return tensor;
                    });
  return absl::OkStatus();
}

}  // namespace

absl::Status SetupConst(OpSetup& setup) {
  if (setup.constants() != nullptr) {
    const auto size = setup.constants()->SizeOf(setup.node().name());
    if (size) return SetupOutsideConst(setup, *size);
  }
  const auto& attrs = setup.node().attr();
  const auto value = attrs.find("value");
  if (value != attrs.end() && value->second.has_tensor()) {
    const auto& proto = value->second.tensor();
    const auto dtype = FromTensorFlow(proto.dtype());
    if (dtype && IsPlainType(*dtype) && !proto.tensor_shape().unknown_rank()) {
      std::vector<int64_t> dims;
      for (const auto& dim : proto.tensor_shape().dim()) dims.push_back(dim.size());
      const Shape shape(std::move(dims));
      const size_t size = ElementSize(*dtype);
      const auto elements =
          CheckedElements(shape, size, setup.where(),
                          std::max<uint64_t>(kMaxSplatBytes, proto.ByteSizeLong()));
      if (!elements.ok()) return elements.status();
      // Weights are large: they are read where they lie in the GraphDef.
      const std::string& content = proto.tensor_content();
      const bool aligned = reinterpret_cast<uintptr_t>(content.data()) % size == 0;
      if (!content.empty() && aligned && *elements * size == content.size() &&
          shape.rank() <= kMaxRank) {
        setup.AddConstant(Tensor::View(*dtype, shape, AsBytes(content), nullptr));
        return absl::OkStatus();
      }
    }
  }
  ASSIGN_OR_RETURN(Tensor tensor, graph::ConstValue(setup.node()));
  if (!IsPlainType(tensor.dtype())) {
    return setup.Unsupported("type {} is not supported", DTypeName(tensor.dtype()));
  }
  if (tensor.shape().rank() > kMaxRank) {
    return setup.Unsupported("has {} dimensions, the engine has at most {}",
                             tensor.shape().rank(), kMaxRank);
  }
  setup.AddConstant(std::move(tensor));
  return absl::OkStatus();
}

absl::Status SetupIdentity(OpSetup& setup) {
  RETURN_IF_ERROR(setup.WantInputs(1));
  return setup.ForwardInput(0);
}

absl::Status SetupReshape(OpSetup& setup) {
  RETURN_IF_ERROR(setup.WantInputs(2));
  ASSIGN_OR_RETURN(std::vector<int64_t> dims, setup.Integers(1, "the new shape"));
  const int64_t elements = setup.shape(0).elements();
  int64_t known = 1;
  int unknown = -1;
  for (size_t i = 0; i < dims.size(); ++i) {
    if (dims[i] == -1 && unknown < 0) {
      unknown = static_cast<int>(i);
    } else if (dims[i] < 0 || __builtin_mul_overflow(known, dims[i], &known)) {
      return setup.Invalid("cannot reshape to {}", Shape(dims).ToString());
    }
  }
  if (unknown >= 0 && known > 0) dims[unknown] = elements / known;
  if (unknown >= 0 ? known == 0 || dims[unknown] * known != elements
                   : known != elements) {
    return setup.Invalid("cannot reshape {} to {}", setup.shape(0).ToString(),
                         Shape(dims).ToString());
  }
  return setup.ForwardInput(0, Shape(std::move(dims)));
}

absl::Status SetupSqueeze(OpSetup& setup) {
  RETURN_IF_ERROR(setup.WantInputs(1));
  ASSIGN_OR_RETURN(const std::vector<int64_t> axes,
                   graph::GetIntsOr(setup.node(), "squeeze_dims", {}));
  const Shape& src = setup.shape(0);
  std::vector<bool> drop(src.rank(), false);
  for (const int64_t axis : axes) {
    if (axis < -src.rank() || axis >= src.rank()) {
      return setup.Invalid("axis {} of shape {} does not exist", axis, src.ToString());
    }
    const int64_t i = axis < 0 ? axis + src.rank() : axis;
    if (src.dim(static_cast<int>(i)) != 1) {
      return setup.Invalid("axis {} of shape {} is not of size 1", axis, src.ToString());
    }
    drop[i] = true;
  }
  std::vector<int64_t> dims;
  for (int i = 0; i < src.rank(); ++i) {
    if (axes.empty() ? src.dim(i) != 1 : !drop[i]) dims.push_back(src.dim(i));
  }
  return setup.ForwardInput(0, Shape(std::move(dims)));
}

absl::Status SetupExpandDims(OpSetup& setup) {
  RETURN_IF_ERROR(setup.WantInputs(2));
  ASSIGN_OR_RETURN(const int64_t axis, setup.Integer(1, "the axis"));
  std::vector<int64_t> dims = setup.shape(0).dims();
  const int64_t rank = setup.shape(0).rank();
  if (axis < -rank - 1 || axis > rank) {
    return setup.Invalid("axis {} does not fit shape {}", axis,
                         setup.shape(0).ToString());
  }
  dims.insert(dims.begin() + (axis < 0 ? axis + rank + 1 : axis), 1);
  return setup.ForwardInput(0, Shape(std::move(dims)));
}

absl::Status SetupShape(OpSetup& setup) {
  RETURN_IF_ERROR(setup.WantInputs(1));
  ASSIGN_OR_RETURN(Tensor value, IntegerTensor(setup, "out_type", setup.shape(0).dims()));
  setup.AddConstant(std::move(value));
  return absl::OkStatus();
}

absl::Status SetupFill(OpSetup& setup) {
  RETURN_IF_ERROR(setup.WantInputs(2));
  RETURN_IF_ERROR(setup.WantRank(1, 0, "the value"));
  ASSIGN_OR_RETURN(std::vector<int64_t> dims, setup.Integers(0, "the shape"));
  setup.KeepInputs({1});
  return setup.AddOutput(setup.dtype(1), Shape(std::move(dims)));
}

absl::Status SetupIdentityN(OpSetup& setup) {
  for (int i = 0; i < setup.num_inputs(); ++i) RETURN_IF_ERROR(setup.ForwardInput(i));
  return absl::OkStatus();
}

absl::Status SetupNoOp(OpSetup& setup) { return setup.WantInputs(0); }

absl::Status SetupShapeN(OpSetup& setup) {
  for (int i = 0; i < setup.num_inputs(); ++i) {
    ASSIGN_OR_RETURN(Tensor value,
                     IntegerTensor(setup, "out_type", setup.shape(i).dims()));
    setup.AddConstant(std::move(value));
  }
  return absl::OkStatus();
}

absl::Status SetupRank(OpSetup& setup) {
  RETURN_IF_ERROR(setup.WantInputs(1));
  const int32_t rank = setup.shape(0).rank();
  setup.AddConstant(Tensor::Of<int32_t>(Shape{}, {&rank, 1}));
  return absl::OkStatus();
}

absl::Status SetupSize(OpSetup& setup) {
  RETURN_IF_ERROR(setup.WantInputs(1));
  const int64_t size = setup.shape(0).elements();
  ASSIGN_OR_RETURN(Tensor value, IntegerTensor(setup, "out_type", {&size, 1}));
  setup.AddConstant(value.Reshaped(Shape{}));
  return absl::OkStatus();
}

namespace {

// The shape of the input, filled with one number.
absl::Status FillLike(OpSetup& setup, int number) {
  RETURN_IF_ERROR(setup.WantInputs(1));
  const DType dtype = setup.dtype(0);
  FillAttrs attrs;
  attrs.number = number;
  setup.SetAttrs(attrs);
  setup.KeepInputs({});
  return setup.AddOutput(dtype, setup.shape(0));
}

}  // namespace

absl::Status SetupZerosLike(OpSetup& setup) { return FillLike(setup, 0); }
absl::Status SetupOnesLike(OpSetup& setup) { return FillLike(setup, 1); }

absl::Status SetupRange(OpSetup& setup) {
  RETURN_IF_ERROR(setup.WantInputs(3));
  ASSIGN_OR_RETURN(const int64_t start, setup.Integer(0, "the start"));
  ASSIGN_OR_RETURN(const int64_t limit, setup.Integer(1, "the limit"));
  ASSIGN_OR_RETURN(const int64_t delta, setup.Integer(2, "the step"));
  constexpr int64_t kMost = INT32_MAX;
  for (const int64_t value : {start, limit, delta}) {
    if (value < -kMost || value > kMost) {
      return setup.Unsupported("{} is out of the range that the engine has", value);
    }
  }
  if (delta == 0) return setup.Invalid("the step is 0");
  const int64_t span = delta > 0 ? limit - start : start - limit;
  const int64_t step = delta > 0 ? delta : -delta;
  const int64_t count = span <= 0 ? 0 : (span - 1) / step + 1;
  constexpr int64_t kMaxCount = 1 << 20;
  if (count > kMaxCount) return setup.Unsupported("makes {} numbers", count);
  std::vector<int64_t> values(count);
  for (int64_t i = 0; i < count; ++i) values[i] = start + i * delta;
  ASSIGN_OR_RETURN(Tensor value, IntegerTensor(setup, "Tidx", values));
  setup.AddConstant(std::move(value));
  return absl::OkStatus();
}

}  // namespace oriel::engine
