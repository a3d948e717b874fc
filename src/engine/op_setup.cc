#include "engine/op_setup.h"

#include <unistd.h>

#include <algorithm>

namespace oriel::engine {
namespace {

// Of one value. Larger ones are a mistake or an attack (at 299x299x64 this is a batch of
// 3000), and what is larger than the machine's memory cannot be computed on it.
uint64_t MaxValueBytes() {
  constexpr uint64_t kMost = uint64_t{1} << 36;
  static const uint64_t physical = [] {
    const long pages = ::sysconf(_SC_PHYS_PAGES), size = ::sysconf(_SC_PAGESIZE);
    return pages > 0 && size > 0 ? static_cast<uint64_t>(pages) * size : kMost;
  }();
  return std::min(kMost, physical);
}

}  // namespace

std::string OpSetup::where() const {
  return fmt::format("node '{}' ({})", node_.name(), node_.op());
}

absl::Status OpSetup::WantInputs(int count) const { return WantInputs(count, count); }

absl::Status OpSetup::WantInputs(int least, int most) const {
  if (num_inputs() >= least && num_inputs() <= most) return absl::OkStatus();
  if (least == most) return Invalid("has {} inputs, want {}", num_inputs(), least);
  return Invalid("has {} inputs, want {} to {}", num_inputs(), least, most);
}

absl::Status OpSetup::WantRank(int input, int rank, std::string_view what) const {
  if (shape(input).rank() == rank) return absl::OkStatus();
  return Invalid("{} has shape {}, want {} dimensions", what, shape(input).ToString(),
                 rank);
}

absl::Status OpSetup::WantFloat(int input) const {
  if (dtype(input) == DType::kFloat32) return absl::OkStatus();
  return Unsupported("input {} is {}, the engine computes this in float32", input,
                     DTypeName(dtype(input)));
}

absl::Status OpSetup::WantSameType(int a, int b) const {
  if (dtype(a) == dtype(b)) return absl::OkStatus();
  return Invalid("inputs {} and {} differ in type: {} and {}", a, b, DTypeName(dtype(a)),
                 DTypeName(dtype(b)));
}

absl::StatusOr<std::vector<int64_t>> OpSetup::Integers(int input,
                                                       std::string_view what) const {
  const Value& value = ir_.values[inputs_[input]];
  if (value.dtype != DType::kInt32 && value.dtype != DType::kInt64) {
    return Invalid("{} is {}, want int32 or int64", what, DTypeName(value.dtype));
  }
  if (value.constant == nullptr) {
    return Invalid(
        "{} ('{}') depends on the data that is fed, want a value known "
        "from the graph and the input shapes",
        what, value.name);
  }
  const Tensor& tensor = value.constant->tensor();
  constexpr int64_t kMaxCount = 1 << 16;
  if (tensor.elements() > kMaxCount) {
    return Invalid("{} has shape {}, want at most {} numbers", what,
                   value.shape.ToString(), kMaxCount);
  }
  if (value.dtype == DType::kInt64) {
    const auto data = tensor.data<int64_t>();
    return std::vector<int64_t>(data.begin(), data.end());
  }
  const auto data = tensor.data<int32_t>();
  return std::vector<int64_t>(data.begin(), data.end());
}

absl::StatusOr<int64_t> OpSetup::Integer(int input, std::string_view what) const {
  ASSIGN_OR_RETURN(const std::vector<int64_t> values, Integers(input, what));
  if (values.size() != 1) {
    return Invalid("{} has shape {}, want one number", what, shape(input).ToString());
  }
  return values[0];
}

absl::Status OpSetup::WantChannelsLast() const {
  ASSIGN_OR_RETURN(const std::string format,
                   graph::GetStringOr(node_, "data_format", "NHWC"));
  if (format == "NHWC") return absl::OkStatus();
  return Unsupported("data_format '{}' is not supported, want NHWC", format);
}

absl::Status OpSetup::AddOutput(DType dtype, Shape shape) {
  if (!IsPlainType(dtype)) {
    return Unsupported("type {} is not supported", DTypeName(dtype));
  }
  if (shape.rank() > kMaxRank) {
    return Unsupported("the result has {} dimensions, the engine has at most {}",
                       shape.rank(), kMaxRank);
  }
  const auto elements =
      CheckedElements(shape, ElementSize(dtype), "the result", MaxValueBytes());
  if (!elements.ok()) return Annotate(elements.status(), where());
  outputs_.push_back({.dtype = dtype, .shape = std::move(shape)});
  return absl::OkStatus();
}

absl::Status OpSetup::ForwardInput(int input, Shape shape) {
  if (shape.rank() > kMaxRank) {
    return Unsupported("the result has {} dimensions, the engine has at most {}",
                       shape.rank(), kMaxRank);
  }
  outputs_.push_back(
      {.dtype = dtype(input), .shape = std::move(shape), .forwarded = input});
  return absl::OkStatus();
}

void OpSetup::AddConstant(Tensor value) {
  const DType dtype = value.dtype();
  const Shape shape = value.shape();
  outputs_.push_back({.dtype = dtype, .shape = shape, .constant = std::move(value)});
}

void OpSetup::AddConstant(DType dtype, Shape shape, std::function<Tensor()> make) {
  outputs_.push_back(
      {.dtype = dtype, .shape = std::move(shape), .make = std::move(make)});
}

void OpSetup::KeepInputs(std::vector<int> kept) { kept_ = std::move(kept); }

bool IsPlainType(DType dtype) {
  switch (dtype) {
    case DType::kFloat32:
    case DType::kFloat64:
    case DType::kInt8:
    case DType::kInt16:
    case DType::kInt32:
    case DType::kInt64:
    case DType::kUInt8:
    case DType::kUInt16:
    case DType::kBool:
      return true;
    default:
      return false;
  }
}

}  // namespace oriel::engine
