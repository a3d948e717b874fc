#include "tensor/tensor_proto.h"

#include <algorithm>

namespace oriel {
namespace {

using tensorflow::TensorProto;

// Copies `values` into `tensor`, the last one repeated up to the end.
template <typename T, typename Field>
void CopyValues(const Field& values, Tensor& tensor) {
  const std::span<T> to = tensor.mutable_data<T>();
  const size_t given = std::min<size_t>(values.size(), to.size());
  std::transform(values.begin(), values.begin() + given, to.begin(),
                 [](auto v) { return static_cast<T>(v); });
  if (given > 0) std::fill(to.begin() + given, to.end(), to[given - 1]);
}

// How many elements the typed list of `dtype` holds.
int64_t TypedCount(const TensorProto& proto, DType dtype) {
  switch (dtype) {
    case DType::kFloat32:
      return proto.float_val_size();
    case DType::kFloat64:
      return proto.double_val_size();
    case DType::kInt32:
    case DType::kUInt8:
    case DType::kInt16:
    case DType::kInt8:
    case DType::kUInt16:
      return proto.int_val_size();
    case DType::kString:
      return proto.string_val_size();
    case DType::kComplex64:
      return proto.scomplex_val_size() / 2;
    case DType::kInt64:
      return proto.int64_val_size();
    case DType::kBool:
      return proto.bool_val_size();
    case DType::kBFloat16:
    case DType::kFloat16:
      return proto.half_val_size();
    case DType::kComplex128:
      return proto.dcomplex_val_size() / 2;
    case DType::kUInt32:
      return proto.uint32_val_size();
    case DType::kUInt64:
      return proto.uint64_val_size();
  }
  return 0;
}

void CopyTyped(const TensorProto& proto, Tensor& tensor) {
  switch (tensor.dtype()) {
    case DType::kFloat32:
      CopyValues<float>(proto.float_val(), tensor);
      break;
    case DType::kFloat64:
      CopyValues<double>(proto.double_val(), tensor);
      break;
    case DType::kInt32:
      CopyValues<int32_t>(proto.int_val(), tensor);
      break;
    case DType::kUInt8:
      CopyValues<uint8_t>(proto.int_val(), tensor);
      break;
    case DType::kInt16:
      CopyValues<int16_t>(proto.int_val(), tensor);
      break;
    case DType::kInt8:
      CopyValues<int8_t>(proto.int_val(), tensor);
      break;
    case DType::kUInt16:
      CopyValues<uint16_t>(proto.int_val(), tensor);
      break;
    case DType::kInt64:
      CopyValues<int64_t>(proto.int64_val(), tensor);
      break;
    case DType::kBool:
      CopyValues<bool>(proto.bool_val(), tensor);
      break;
    case DType::kBFloat16:
    case DType::kFloat16:
      CopyValues<uint16_t>(proto.half_val(), tensor);
      break;
    case DType::kUInt32:
      CopyValues<uint32_t>(proto.uint32_val(), tensor);
      break;
    case DType::kUInt64:
      CopyValues<uint64_t>(proto.uint64_val(), tensor);
      break;
    case DType::kString: {
      auto& to = tensor.mutable_strings();
      const size_t given = std::min<size_t>(proto.string_val_size(), to.size());
      std::copy_n(proto.string_val().begin(), given, to.begin());
      if (given > 0) std::fill(to.begin() + given, to.end(), to[given - 1]);
      break;
    }
    case DType::kComplex64:
    case DType::kComplex128: {
      const bool narrow = tensor.dtype() == DType::kComplex64;
      const size_t size = narrow ? 8 : 16;
      const auto to = tensor.mutable_bytes();
      const auto* from =
          narrow ? reinterpret_cast<const uint8_t*>(proto.scomplex_val().data())
                 : reinterpret_cast<const uint8_t*>(proto.dcomplex_val().data());
      const size_t count = to.size() / size;
      const size_t given = std::min<size_t>(TypedCount(proto, tensor.dtype()), count);
      for (size_t i = 0; i < count && given > 0; ++i) {
        std::memcpy(to.data() + i * size, from + std::min(i, given - 1) * size, size);
      }
      break;
    }
  }
}

}  // namespace

absl::StatusOr<Shape> ShapeFromProto(const tensorflow::TensorShapeProto& proto) {
  if (proto.unknown_rank()) return InvalidArgument("shape of unknown rank");
  std::vector<int64_t> dims;
  for (const auto& dim : proto.dim()) {
    if (dim.size() < -1) return InvalidArgument("shape with a size of {}", dim.size());
    dims.push_back(dim.size());
  }
  return Shape(std::move(dims));
}

void ShapeToProto(const Shape& shape, tensorflow::TensorShapeProto* proto) {
  proto->Clear();
  for (const int64_t d : shape.dims()) proto->add_dim()->set_size(d);
}

absl::StatusOr<Tensor> TensorFromProto(const TensorProto& proto, std::string_view what,
                                       uint64_t max_bytes) {
  const std::optional<DType> dtype = FromTensorFlow(proto.dtype());
  if (!dtype) {
    return InvalidArgument("{}: tensors of type {} are not supported", what,
                           tensorflow::DataType_Name(proto.dtype()));
  }
  auto shape = ShapeFromProto(proto.tensor_shape());
  if (!shape.ok()) return Annotate(shape.status(), what);
  const size_t size =
      *dtype == DType::kString ? sizeof(std::string) : ElementSize(*dtype);
  ASSIGN_OR_RETURN(const int64_t elements,
                   CheckedElements(*shape, size, what, max_bytes));

  if (!proto.tensor_content().empty() && *dtype != DType::kString) {
    const uint64_t want = static_cast<uint64_t>(elements) * size;
    if (proto.tensor_content().size() != want) {
      return InvalidArgument("{}: {} {} wants {} bytes, tensor_content has {}", what,
                             DTypeName(*dtype), shape->ToString(), want,
                             proto.tensor_content().size());
    }
    Tensor tensor(*dtype, *std::move(shape));
    std::memcpy(tensor.mutable_bytes().data(), proto.tensor_content().data(), want);
    return tensor;
  }
  if (const int64_t given = TypedCount(proto, *dtype); given > elements) {
    return InvalidArgument("{}: {} {} wants {} values, has {}", what, DTypeName(*dtype),
                           shape->ToString(), elements, given);
  }
  // No value at all is TensorFlow's way to write zeros.
  Tensor tensor(*dtype, *std::move(shape));
  CopyTyped(proto, tensor);
  return tensor;
}

absl::StatusOr<Tensor> TensorFromValues(const TensorProto& proto, DType dtype,
                                        const Shape& shape, std::string_view what) {
  const size_t size = dtype == DType::kString ? sizeof(std::string) : ElementSize(dtype);
  ASSIGN_OR_RETURN(const int64_t elements, CheckedElements(shape, size, what));
  if (!proto.tensor_content().empty() && dtype != DType::kString) {
    const uint64_t want = static_cast<uint64_t>(elements) * size;
    if (proto.tensor_content().size() != want) {
      return DataLoss("{}: {} {} wants {} bytes, has {}", what, DTypeName(dtype),
                      shape.ToString(), want, proto.tensor_content().size());
    }
    Tensor tensor(dtype, shape);
    std::memcpy(tensor.mutable_bytes().data(), proto.tensor_content().data(), want);
    return tensor;
  }
  if (const int64_t given = TypedCount(proto, dtype); given != elements) {
    return DataLoss("{}: {} {} wants {} values, has {}", what, DTypeName(dtype),
                    shape.ToString(), elements, given);
  }
  Tensor tensor(dtype, shape);
  CopyTyped(proto, tensor);
  return tensor;
}

namespace {

template <typename T, typename Add>
void AddEach(const Tensor& tensor, const Add& add) {
  const Bytes bytes = tensor.bytes();
  for (size_t at = 0; at < bytes.size(); at += sizeof(T)) {
    add(LoadLittleEndian<T>(bytes.data() + at));
  }
}

// Types whose arrays TensorFlow writes as they lie in memory.
bool HasContent(DType dtype) {
  switch (dtype) {
    case DType::kBool:
    case DType::kUInt16:
    case DType::kComplex64:
    case DType::kComplex128:
    case DType::kString:
      return false;
    default:
      return true;
  }
}

void AddValues(const Tensor& tensor, TensorProto* proto) {
  switch (tensor.dtype()) {
    case DType::kFloat32:
      return AddEach<float>(tensor, [&](float v) { proto->add_float_val(v); });
    case DType::kFloat64:
      return AddEach<double>(tensor, [&](double v) { proto->add_double_val(v); });
    case DType::kInt32:
      return AddEach<int32_t>(tensor, [&](int32_t v) { proto->add_int_val(v); });
    case DType::kUInt8:
      return AddEach<uint8_t>(tensor, [&](uint8_t v) { proto->add_int_val(v); });
    case DType::kInt16:
      return AddEach<int16_t>(tensor, [&](int16_t v) { proto->add_int_val(v); });
    case DType::kInt8:
      return AddEach<int8_t>(tensor, [&](int8_t v) { proto->add_int_val(v); });
    case DType::kUInt16:
      return AddEach<uint16_t>(tensor, [&](uint16_t v) { proto->add_int_val(v); });
    case DType::kInt64:
      return AddEach<int64_t>(tensor, [&](int64_t v) { proto->add_int64_val(v); });
    case DType::kBool:
      return AddEach<uint8_t>(tensor, [&](uint8_t v) { proto->add_bool_val(v != 0); });
    case DType::kBFloat16:
    case DType::kFloat16:
      return AddEach<uint16_t>(tensor, [&](uint16_t v) { proto->add_half_val(v); });
    case DType::kUInt32:
      return AddEach<uint32_t>(tensor, [&](uint32_t v) { proto->add_uint32_val(v); });
    case DType::kUInt64:
      return AddEach<uint64_t>(tensor, [&](uint64_t v) { proto->add_uint64_val(v); });
    case DType::kComplex64:  // real part, imaginary part
      return AddEach<float>(tensor, [&](float v) { proto->add_scomplex_val(v); });
    case DType::kComplex128:
      return AddEach<double>(tensor, [&](double v) { proto->add_dcomplex_val(v); });
    case DType::kString:
      for (const std::string& s : tensor.strings()) proto->add_string_val(s);
  }
}

}  // namespace

void TensorToProto(const Tensor& tensor, TensorProto* proto) {
  proto->Clear();
  proto->set_dtype(ToTensorFlow(tensor.dtype()));
  ShapeToProto(tensor.shape(), proto->mutable_tensor_shape());
  if (tensor.elements() > 1 && HasContent(tensor.dtype())) {
    proto->set_tensor_content(tensor.bytes().data(), tensor.bytes().size());
  } else {
    AddValues(tensor, proto);
  }
}

}  // namespace oriel
