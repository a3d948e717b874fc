#include "engine/ops/elementwise.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "engine/ref/index.h"
#include "engine/ref/kernels.h"

namespace oriel::engine::ref {
namespace {

float Apply(UnaryFunction function, float x) {
  switch (function.kind) {
    case UnaryKind::kElu:
      return x < 0 ? std::expm1(x) : x;
    case UnaryKind::kExp:
      return std::exp(x);
    case UnaryKind::kLeakyRelu:
      return x < 0 ? x * function.alpha : x;
    case UnaryKind::kNeg:
      return -x;
    case UnaryKind::kRelu:
      return x < 0 ? 0 : x;
    case UnaryKind::kRelu6:
      return x < 0 ? 0 : x > 6 ? 6 : x;
    case UnaryKind::kRsqrt:
      return 1 / std::sqrt(x);
    case UnaryKind::kSigmoid:
      return 1 / (1 + std::exp(-x));
    case UnaryKind::kSqrt:
      return std::sqrt(x);
    case UnaryKind::kSquare:
      return x * x;
    case UnaryKind::kTanh:
      return std::tanh(x);
  }
  return x;
}

// Integers wrap around, as TensorFlow's do in practice.
template <typename T>
T Apply(BinaryKind kind, T a, T b) {
  using Number = typename std::conditional_t<std::is_integral_v<T>, std::make_unsigned<T>,
                                             std::type_identity<T>>::type;
  const auto x = static_cast<Number>(a);
  const auto y = static_cast<Number>(b);
  switch (kind) {
    case BinaryKind::kAdd:
      return static_cast<T>(x + y);
    case BinaryKind::kSub:
      return static_cast<T>(x - y);
    case BinaryKind::kMul:
      return static_cast<T>(x * y);
    case BinaryKind::kDiv:
      if constexpr (std::is_floating_point_v<T>) return a / b;
      return 0;
    case BinaryKind::kMax:
      return a < b ? b : a;
    case BinaryKind::kMin:
      return b < a ? b : a;
  }
  return 0;
}

template <typename T>
void BinaryOf(BinaryKind kind, Inputs in, const Array& out) {
  const Strides a = BroadcastStrides(in[0].shape, out.shape);
  const Strides b = BroadcastStrides(in[1].shape, out.shape);
  Index index(out.shape);
  const int64_t elements = out.elements();
  for (int64_t i = 0; i < elements; ++i, index.Next()) {
    out.as<T>()[i] =
        Apply(kind, in[0].as<T>()[index.Offset(a)], in[1].as<T>()[index.Offset(b)]);
  }
}

// As x86 converts: what does not fit an integer becomes its least value.
template <typename To, typename From>
To ConvertNumber(From value) {
  if constexpr (std::is_same_v<To, bool>) {
    return value != From{};
  } else if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
    constexpr auto kLeast = std::numeric_limits<int64_t>::min();
    const bool fits = value >= -0x1p63 && value < 0x1p63;
    const int64_t wide = fits ? static_cast<int64_t>(value) : kLeast;
    if constexpr (sizeof(To) == 4) {
      if (wide < std::numeric_limits<To>::min() ||
          wide > std::numeric_limits<To>::max()) {
        return std::numeric_limits<To>::min();
      }
    }
    return static_cast<To>(wide);
  } else {
    return static_cast<To>(value);
  }
}

template <typename From, typename To>
void CastElements(const ConstArray& in, const Array& out) {
  const int64_t elements = out.elements();
  for (int64_t i = 0; i < elements; ++i) {
    out.as<To>()[i] = ConvertNumber<To>(in.as<From>()[i]);
  }
}

// Calls f with a null pointer of the C++ type.
template <typename F>
void WithType(DType dtype, F f) {
  switch (dtype) {
    case DType::kFloat32:
      return f(static_cast<float*>(nullptr));
    case DType::kFloat64:
      return f(static_cast<double*>(nullptr));
    case DType::kInt8:
      return f(static_cast<int8_t*>(nullptr));
    case DType::kInt16:
      return f(static_cast<int16_t*>(nullptr));
    case DType::kInt32:
      return f(static_cast<int32_t*>(nullptr));
    case DType::kInt64:
      return f(static_cast<int64_t*>(nullptr));
    case DType::kUInt8:
      return f(static_cast<uint8_t*>(nullptr));
    case DType::kUInt16:
      return f(static_cast<uint16_t*>(nullptr));
    case DType::kBool:
      return f(static_cast<bool*>(nullptr));
    default:
      std::abort();  // IsPlainType is checked at setup
  }
}

}  // namespace

float Evaluate(UnaryFunction function, float x) { return Apply(function, x); }

void Unary(const Op& op, Inputs in, Outputs out) {
  const UnaryFunction function = op.attrs_as<UnaryAttrs>().function;
  const int64_t elements = in[0].elements();
  for (int64_t i = 0; i < elements; ++i) {
    out[0].as<float>()[i] = Apply(function, in[0].as<float>()[i]);
  }
}

void Binary(const Op& op, Inputs in, Outputs out) {
  const BinaryKind kind = op.attrs_as<BinaryAttrs>().kind;
  if (out[0].dtype == DType::kFloat32) return BinaryOf<float>(kind, in, out[0]);
  if (out[0].dtype == DType::kInt32) return BinaryOf<int32_t>(kind, in, out[0]);
  BinaryOf<int64_t>(kind, in, out[0]);
}

void Cast(const Op&, Inputs in, Outputs out) {
  WithType(in[0].dtype, [&]<typename From>(From*) {
    WithType(out[0].dtype,
             [&]<typename To>(To*) { CastElements<From, To>(in[0], out[0]); });
  });
}

}  // namespace oriel::engine::ref
