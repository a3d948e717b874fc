// What reading and writing safetensors files share.
#pragma once

#include <array>
#include <optional>
#include <string_view>

#include "tensor/dtype.h"

namespace oriel::checkpoint {

inline constexpr size_t kSafetensorsLengthBytes = 8;            // of the header
inline constexpr uint64_t kMaxSafetensorsHeader = 100'000'000;  // the format's own limit
inline constexpr std::string_view kSafetensorsMetadata = "__metadata__";

struct SafetensorsType {
  std::string_view name;
  DType dtype;
};
// In the order in which the safetensors package lays out a file, the last one first:
// sizes rise, so that all elements are aligned.
inline constexpr std::array kSafetensorsTypes = {
    SafetensorsType{"BOOL", DType::kBool},     SafetensorsType{"U8", DType::kUInt8},
    SafetensorsType{"I8", DType::kInt8},       SafetensorsType{"I16", DType::kInt16},
    SafetensorsType{"U16", DType::kUInt16},    SafetensorsType{"F16", DType::kFloat16},
    SafetensorsType{"BF16", DType::kBFloat16}, SafetensorsType{"I32", DType::kInt32},
    SafetensorsType{"U32", DType::kUInt32},    SafetensorsType{"F32", DType::kFloat32},
    SafetensorsType{"C64", DType::kComplex64}, SafetensorsType{"F64", DType::kFloat64},
    SafetensorsType{"I64", DType::kInt64},     SafetensorsType{"U64", DType::kUInt64},
};

inline std::optional<DType> SafetensorsDType(std::string_view name) {
  for (const SafetensorsType& row : kSafetensorsTypes) {
    if (row.name == name) return row.dtype;
  }
  return std::nullopt;
}

// nullptr: the format has no such type.
inline const SafetensorsType* FindSafetensorsType(DType dtype) {
  for (const SafetensorsType& row : kSafetensorsTypes) {
    if (row.dtype == dtype) return &row;
  }
  return nullptr;
}

}  // namespace oriel::checkpoint
