#include "tensor/compare.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace oriel {
namespace {

template <typename T>
double NumberAt(const uint8_t* bytes, int64_t i) {
  T value;
  std::memcpy(&value, bytes + i * sizeof(T), sizeof(T));
  return static_cast<double>(value);
}

template <float (*ToFloat)(uint16_t)>
double HalfAt(const uint8_t* bytes, int64_t i) {
  uint16_t bits;
  std::memcpy(&bits, bytes + i * sizeof bits, sizeof bits);
  return ToFloat(bits);
}

using ReadNumber = double (*)(const uint8_t* bytes, int64_t i);

ReadNumber ReaderOf(DType dtype) {
  switch (dtype) {
    case DType::kFloat32:
    case DType::kComplex64:
      return NumberAt<float>;
    case DType::kFloat64:
    case DType::kComplex128:
      return NumberAt<double>;
    case DType::kInt8:
      return NumberAt<int8_t>;
    case DType::kInt16:
      return NumberAt<int16_t>;
    case DType::kInt32:
      return NumberAt<int32_t>;
    case DType::kInt64:
      return NumberAt<int64_t>;
    case DType::kUInt8:
    case DType::kBool:
      return NumberAt<uint8_t>;
    case DType::kUInt16:
      return NumberAt<uint16_t>;
    case DType::kUInt32:
      return NumberAt<uint32_t>;
    case DType::kUInt64:
      return NumberAt<uint64_t>;
    case DType::kFloat16:
      return HalfAt<HalfToFloat>;
    case DType::kBFloat16:
      return HalfAt<BFloat16ToFloat>;
    case DType::kString:
      break;
  }
  return nullptr;
}

double Distance(double a, double b) {
  if (a == b || (std::isnan(a) && std::isnan(b))) return 0;
  if (!std::isfinite(a) || !std::isfinite(b)) {
    return std::numeric_limits<double>::infinity();
  }
  return std::abs(a - b);
}

void CompareNumbers(const Tensor& a, const Tensor& b, const Tolerance& tolerance,
                    TensorDifference& result) {
  const ReadNumber read = ReaderOf(a.dtype());
  const bool is_complex =
      a.dtype() == DType::kComplex64 || a.dtype() == DType::kComplex128;
  const int64_t parts = is_complex ? 2 : 1;
  const int64_t count = a.elements() * parts;
  const uint8_t* const a_bytes = a.bytes().data();
  const uint8_t* const b_bytes = b.bytes().data();
  for (int64_t i = 0; i < count; ++i) {
    const double value = std::abs(read(a_bytes, i));
    if (std::isfinite(value)) result.scale = std::max(result.scale, value);
  }
  const double limit = tolerance.absolute + tolerance.relative * result.scale;
  double squares = 0;
  int64_t finite = 0;
  for (int64_t i = 0; i < count; ++i) {
    const double x = read(a_bytes, i), y = read(b_bytes, i);
    const double distance = Distance(x, y);
    if (std::isfinite(distance)) {
      squares += distance * distance;
      ++finite;
    }
    if (distance > limit) ++result.outside;
    if (distance <= result.largest) continue;
    result.largest = distance;
    result.position = i / parts;
    result.a = x;
    result.b = y;
  }
  if (finite > 0) result.rms = std::sqrt(squares / static_cast<double>(finite));
}

void CompareStrings(const Tensor& a, const Tensor& b, TensorDifference& result) {
  for (size_t i = 0; i < a.strings().size(); ++i) {
    if (a.strings()[i] == b.strings()[i]) continue;
    if (result.outside++ == 0) result.position = static_cast<int64_t>(i);
    result.largest = 1;
  }
}

}  // namespace

TensorDifference CompareTensors(const Tensor& a, const Tensor& b,
                                const Tolerance& tolerance) {
  TensorDifference result;
  if (a.dtype() != b.dtype() || a.shape() != b.shape()) {
    result.mismatch =
        fmt::format("{}{} and {}{}", DTypeName(a.dtype()), a.shape().ToString(),
                    DTypeName(b.dtype()), b.shape().ToString());
    return result;
  }
  result.shape = a.shape();
  if (a.dtype() == DType::kString) {
    CompareStrings(a, b, result);
  } else {
    CompareNumbers(a, b, tolerance, result);
  }
  return result;
}

}  // namespace oriel
