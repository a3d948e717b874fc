#include "checkpoint/tensorflow_records.h"

#include <limits>

#include "base/crc32c.h"

namespace oriel::checkpoint {
namespace {

template <typename T, typename Field>
void AddAll(Bytes bytes, Field* field) {
  field->Reserve(static_cast<int>(bytes.size() / sizeof(T)));
  for (size_t i = 0; i + sizeof(T) <= bytes.size(); i += sizeof(T)) {
    field->Add(LoadLittleEndian<T>(bytes.data() + i));
  }
}

uint32_t ExtendBy(uint32_t crc, uint64_t length) {
  const size_t width = length <= std::numeric_limits<uint32_t>::max() ? 4 : 8;
  return ExtendCrc32c(crc, {reinterpret_cast<const uint8_t*>(&length), width});
}

}  // namespace

void SliceToProto(const Slice& slice, tensorflow::TensorSliceProto* proto) {
  for (size_t i = 0; i < slice.start.size(); ++i) {
    auto* extent = proto->add_extent();
    if (slice.length[i] < 0) continue;
    extent->set_start(slice.start[i]);
    extent->set_length(slice.length[i]);
  }
}

absl::Status FillValues(const Tensor& tensor, tensorflow::TensorProto* proto) {
  if (tensor.dtype() == DType::kString) {
    for (const std::string& s : tensor.strings()) proto->add_string_val(s);
    return absl::OkStatus();
  }
  const Bytes bytes = tensor.bytes();
  switch (tensor.dtype()) {
    case DType::kFloat32:
      AddAll<float>(bytes, proto->mutable_float_val());
      break;
    case DType::kFloat64:
      AddAll<double>(bytes, proto->mutable_double_val());
      break;
    case DType::kInt32:
      AddAll<int32_t>(bytes, proto->mutable_int_val());
      break;
    case DType::kUInt8:
      AddAll<uint8_t>(bytes, proto->mutable_int_val());
      break;
    case DType::kInt16:
      AddAll<int16_t>(bytes, proto->mutable_int_val());
      break;
    case DType::kInt8:
      AddAll<int8_t>(bytes, proto->mutable_int_val());
      break;
    case DType::kUInt16:
      AddAll<uint16_t>(bytes, proto->mutable_int_val());
      break;
    case DType::kInt64:
      AddAll<int64_t>(bytes, proto->mutable_int64_val());
      break;
    case DType::kBool:
      AddAll<bool>(bytes, proto->mutable_bool_val());
      break;
    case DType::kFloat16:
      AddAll<uint16_t>(bytes, proto->mutable_half_val());
      break;
    case DType::kComplex64:
      AddAll<float>(bytes, proto->mutable_scomplex_val());
      break;
    case DType::kComplex128:
      AddAll<double>(bytes, proto->mutable_dcomplex_val());
      break;
    default:
      return InvalidArgument("V1 checkpoints hold no {}", DTypeName(tensor.dtype()));
  }
  return absl::OkStatus();
}

StoredTensor ToStored(const Tensor& tensor) {
  if (tensor.dtype() != DType::kString) {
    return {tensor.bytes(), Crc32c(tensor.bytes()), {}};
  }
  StoredTensor stored;
  uint32_t crc = 0;
  for (const std::string& s : tensor.strings()) {
    size_t size = s.size();
    crc = ExtendBy(crc, size);
    for (; size >= 128; size >>= 7) stored.text += static_cast<char>(size | 128);
    stored.text += static_cast<char>(size);
  }
  const uint32_t masked = MaskCrc32c(crc);
  const std::string_view check(reinterpret_cast<const char*>(&masked), sizeof(masked));
  stored.text += check;
  crc = ExtendCrc32c(crc, AsBytes(check));
  for (const std::string& s : tensor.strings()) {
    stored.text += s;
    crc = ExtendCrc32c(crc, AsBytes(s));
  }
  stored.crc = crc;
  stored.bytes = AsBytes(stored.text);
  return stored;
}

}  // namespace oriel::checkpoint
