#include "engine/ops/elementwise.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <type_traits>

#include "engine/ref/index.h"
#include "engine/ref/kernels.h"

namespace oriel::engine::ref {
namespace {

float HardSigmoid(float x) { return std::clamp(x + 3.0f, 0.0f, 6.0f) * (1.0f / 6.0f); }
float Sigmoid(float x) { return 1 / (1 + std::exp(-x)); }

float Apply(UnaryFunction function, float x) {
  constexpr float kSeluScale = 1.0507009873554804934f;
  constexpr float kSeluAlpha = 1.7580993408473768599f;  // scale and alpha in one
  switch (function.kind) {
    case UnaryKind::kAbs:
      return std::abs(x);
    case UnaryKind::kCeil:
      return std::ceil(x);
    case UnaryKind::kElu:
      return x < 0 ? std::expm1(x) : x;
    case UnaryKind::kErf:
      return std::erf(x);
    case UnaryKind::kErfc:
      return std::erfc(x);
    case UnaryKind::kExp:
      return std::exp(x);
    case UnaryKind::kExpm1:
      return std::expm1(x);
    case UnaryKind::kFloor:
      return std::floor(x);
    case UnaryKind::kHardSigmoid:
      return HardSigmoid(x);
    case UnaryKind::kHardSwish:
      return x * HardSigmoid(x);
    case UnaryKind::kLeakyRelu:
      return x < 0 ? x * function.alpha : x;
    case UnaryKind::kLog:
      return std::log(x);
    case UnaryKind::kLog1p:
      return std::log1p(x);
    case UnaryKind::kNeg:
      return -x;
    case UnaryKind::kReciprocal:
      return 1 / x;
    case UnaryKind::kRelu:
      return x < 0 ? 0 : x;
    case UnaryKind::kRelu6:
      return x < 0 ? 0 : x > 6 ? 6 : x;
    case UnaryKind::kRound:
      return std::nearbyint(x);
    case UnaryKind::kRsqrt:
      return 1 / std::sqrt(x);
    case UnaryKind::kSelu:
      return x < 0 ? kSeluAlpha * std::expm1(x) : kSeluScale * x;
    case UnaryKind::kSigmoid:
      return Sigmoid(x);
    case UnaryKind::kSign:
      return x > 0 ? 1.0f : x < 0 ? -1.0f : x;  // of NaN: NaN
    case UnaryKind::kSoftplus:
      return std::max(x, 0.0f) + std::log1p(std::exp(-std::abs(x)));
    case UnaryKind::kSoftsign:
      return x / (1 + std::abs(x));
    case UnaryKind::kSqrt:
      return std::sqrt(x);
    case UnaryKind::kSquare:
      return x * x;
    case UnaryKind::kSwish:
      return x * Sigmoid(x);
    case UnaryKind::kTanh:
      return std::tanh(x);
  }
  return x;
}

// The type in which integers wrap around, as TensorFlow's do in practice. Products of
// short ones must not become int's.
template <typename T>
using Number = std::conditional_t<std::is_floating_point_v<T>, T,
                                  std::conditional_t<sizeof(T) == 8, uint64_t, uint32_t>>;

template <typename T>
T Divide(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    return a / b;
  } else {
    if (b == 0) return 0;
    if constexpr (std::is_signed_v<T>) {
      // The least number has no opposite.
      if (b == T{-1}) return static_cast<T>(Number<T>{0} - static_cast<Number<T>>(a));
    }
    return static_cast<T>(a / b);
  }
}

template <typename T>
T FloorDivide(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    return std::floor(a / b);
  } else {
    const T quotient = Divide(a, b);
    const bool opposite = (a < 0) != (b < 0);
    return b != 0 && opposite && static_cast<T>(quotient * b) != a
               ? static_cast<T>(quotient - 1)
               : quotient;
  }
}

// Has the sign of the divisor.
template <typename T>
T FloorModulo(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    const T rest = std::fmod(a, b);
    return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
  } else {
    if (b == 0) return 0;
    if constexpr (std::is_signed_v<T>) {
      if (b == T{-1}) return 0;
    }
    const T rest = static_cast<T>(a % b);
    return rest != 0 && (rest < 0) != (b < 0) ? static_cast<T>(rest + b) : rest;
  }
}

// dst[i] = function(a[i], b[i]), both broadcast to the shape of `out`. Neighbouring axes
// along which both move in one step are walked as one.
template <typename T, typename Result, typename Function>
void ForPairs(Inputs in, const Array& out, Function function) {
  const Strides a_strides = BroadcastStrides(in[0].shape, out.shape);
  const Strides b_strides = BroadcastStrides(in[1].shape, out.shape);
  int axis = out.shape.rank() - 1;
  int64_t count = 1, a_step = 0, b_step = 0;
  if (axis >= 0) {
    count = out.shape.dim(axis);
    a_step = a_strides[axis];
    b_step = b_strides[axis];
    for (; axis > 0; --axis) {
      const bool one_walk =
          a_strides[axis - 1] == a_step * count && b_strides[axis - 1] == b_step * count;
      if (!one_walk) break;
      count *= out.shape.dim(axis - 1);
    }
  }
  const int64_t elements = out.elements();
  auto* dst = out.as<Result>();
  std::array<int64_t, kMaxRank> at{};
  for (int64_t done = 0; done < elements; done += count, dst += count) {
    int64_t a_offset = 0, b_offset = 0;
    for (int i = 0; i < axis; ++i) {
      a_offset += at[i] * a_strides[i];
      b_offset += at[i] * b_strides[i];
    }
    const T* const a = in[0].as<T>() + a_offset;
    const T* const b = in[1].as<T>() + b_offset;
    if (a_step == 1 && b_step == 1) {
      for (int64_t i = 0; i < count; ++i) dst[i] = function(a[i], b[i]);
    } else if (a_step == 1 && b_step == 0) {
      const T right = *b;
      for (int64_t i = 0; i < count; ++i) dst[i] = function(a[i], right);
    } else {
      for (int64_t i = 0; i < count; ++i) dst[i] = function(a[i * a_step], b[i * b_step]);
    }
    for (int i = axis - 1; i >= 0; --i) {
      if (++at[i] < out.shape.dim(i)) break;
      at[i] = 0;
    }
  }
}

template <typename T>
void Compare(BinaryKind kind, Inputs in, const Array& out) {
  const auto compare = [&](auto function) { ForPairs<T, bool>(in, out, function); };
  switch (kind) {
    case BinaryKind::kEqual:
      return compare(std::equal_to<T>());
    case BinaryKind::kNotEqual:
      return compare(std::not_equal_to<T>());
    case BinaryKind::kLess:
      return compare(std::less<T>());
    case BinaryKind::kLessEqual:
      return compare(std::less_equal<T>());
    case BinaryKind::kGreater:
      return compare(std::greater<T>());
    case BinaryKind::kGreaterEqual:
      return compare(std::greater_equal<T>());
    case BinaryKind::kLogicalAnd:
      return compare([](T a, T b) { return a && b; });
    case BinaryKind::kLogicalOr:
      return compare([](T a, T b) { return a || b; });
    default:
      std::abort();  // IsComparison
  }
}

template <typename T>
void Compute(BinaryKind kind, Inputs in, const Array& out) {
  using N = Number<T>;
  const auto compute = [&](auto function) { ForPairs<T, T>(in, out, function); };
  const auto wrapped = [&](auto function) {
    compute([function](T a, T b) {
      return static_cast<T>(function(static_cast<N>(a), static_cast<N>(b)));
    });
  };
  switch (kind) {
    case BinaryKind::kAdd:
      return wrapped(std::plus<N>());
    case BinaryKind::kSub:
      return wrapped(std::minus<N>());
    case BinaryKind::kMul:
      return wrapped(std::multiplies<N>());
    case BinaryKind::kDiv:
      return compute(Divide<T>);
    case BinaryKind::kFloorDiv:
      return compute(FloorDivide<T>);
    case BinaryKind::kFloorMod:
      return compute(FloorModulo<T>);
    case BinaryKind::kMax:
      return compute([](T a, T b) { return a < b ? b : a; });
    case BinaryKind::kMin:
      return compute([](T a, T b) { return b < a ? b : a; });
    case BinaryKind::kPow:
      if constexpr (std::is_floating_point_v<T>) {
        return compute([](T a, T b) { return std::pow(a, b); });
      }
      std::abort();  // checked at setup
    case BinaryKind::kSquaredDifference:
      return wrapped([](N a, N b) { return (a - b) * (a - b); });
    default:
      std::abort();  // not IsComparison
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
  const From* const src = in.as<From>();
  To* const dst = out.as<To>();
  for (int64_t i = 0; i < elements; ++i) dst[i] = ConvertNumber<To>(src[i]);
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
  WithType(in[0].dtype, [&]<typename T>(T*) {
    if (IsComparison(kind)) {
      Compare<T>(kind, in, out[0]);
    } else if constexpr (!std::is_same_v<T, bool>) {
      Compute<T>(kind, in, out[0]);
    }
  });
}

void AddN(const Op&, Inputs in, Outputs out) {
  const int64_t elements = out[0].elements();
  float* const dst = out[0].as<float>();
  for (int64_t i = 0; i < elements; ++i) {
    float sum = in[0].as<float>()[i];
    for (size_t k = 1; k < in.size(); ++k) sum += in[k].as<float>()[i];
    dst[i] = sum;
  }
}

void ClipByValue(const Op&, Inputs in, Outputs out) {
  const int64_t elements = out[0].elements();
  const int64_t low_step = in[1].elements() == 1 ? 0 : 1;
  const int64_t high_step = in[2].elements() == 1 ? 0 : 1;
  for (int64_t i = 0; i < elements; ++i) {
    const float low = in[1].as<float>()[i * low_step];
    const float high = in[2].as<float>()[i * high_step];
    out[0].as<float>()[i] = std::max(std::min(in[0].as<float>()[i], high), low);
  }
}

void LogicalNot(const Op&, Inputs in, Outputs out) {
  const int64_t elements = out[0].elements();
  for (int64_t i = 0; i < elements; ++i) out[0].as<bool>()[i] = !in[0].as<bool>()[i];
}

void Select(const Op&, Inputs in, Outputs out) {
  const size_t size = ElementSize(out[0].dtype);
  Strides strides[3];
  for (int k = 0; k < 3; ++k) strides[k] = BroadcastStrides(in[k].shape, out[0].shape);
  const int64_t elements = out[0].elements();
  Index index(out[0].shape);
  for (int64_t i = 0; i < elements; ++i, index.Next()) {
    const int k = in[0].as<bool>()[index.Offset(strides[0])] ? 1 : 2;
    std::memcpy(out[0].as<uint8_t>() + i * size,
                in[k].as<uint8_t>() + index.Offset(strides[k]) * size, size);
  }
}

void Cast(const Op&, Inputs in, Outputs out) {
  WithType(in[0].dtype, [&]<typename From>(From*) {
    WithType(out[0].dtype,
             [&]<typename To>(To*) { CastElements<From, To>(in[0], out[0]); });
  });
}

}  // namespace oriel::engine::ref
