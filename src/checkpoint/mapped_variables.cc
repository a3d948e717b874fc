// A checkpoint under the names, and in the layouts, of a name map.

#include <algorithm>
#include <set>
#include <span>

#include "checkpoint/name_map.h"

namespace oriel::checkpoint {
namespace {

bool IsFloat(DType dtype) {
  return dtype == DType::kFloat32 || dtype == DType::kFloat64 ||
         dtype == DType::kFloat16 || dtype == DType::kBFloat16;
}

// A tensor as [outer, size, inner] around one of its dimensions.
struct Around {
  Around(const Shape& shape, int axis) : size(shape.dim(axis)) {
    for (int d = 0; d < axis; ++d) outer *= shape.dim(d);
    for (int d = axis + 1; d < shape.rank(); ++d) inner *= shape.dim(d);
  }
  int64_t outer = 1;
  int64_t size;
  int64_t inner = 1;
};

template <typename T>
void PermuteAs(const Tensor& src, std::span<const int64_t> steps, Tensor& dst) {
  const int rank = dst.shape().rank();
  const T* const in = reinterpret_cast<const T*>(src.bytes().data());
  T* out = reinterpret_cast<T*>(dst.mutable_bytes().data());
  std::vector<int64_t> at(rank, 0);
  int64_t offset = 0;
  for (int64_t i = dst.elements(); i > 0; --i) {
    *out++ = in[offset];
    for (int d = rank - 1; d >= 0; --d) {
      offset += steps[d];
      if (++at[d] < dst.shape().dim(d)) break;
      offset -= steps[d] * dst.shape().dim(d);
      at[d] = 0;
    }
  }
}

Shape PermutedShape(const Shape& src, const std::vector<int>& axes) {
  Shape shape = src;
  for (size_t d = 0; d < axes.size(); ++d) {
    shape.set_dim(static_cast<int>(d), src.dim(axes[d]));
  }
  return shape;
}

// `src` is no string tensor.
Tensor Permute(const Tensor& src, const std::vector<int>& axes) {
  const int rank = src.shape().rank();
  std::vector<int64_t> src_steps(rank, 1), steps(rank);
  for (int d = rank - 2; d >= 0; --d) {
    src_steps[d] = src_steps[d + 1] * src.shape().dim(d + 1);
  }
  for (int d = 0; d < rank; ++d) steps[d] = src_steps[axes[d]];
  Tensor dst(src.dtype(), PermutedShape(src.shape(), axes));
  struct Element16 {
    uint64_t parts[2];
  };
  switch (ElementSize(src.dtype())) {
    case 1:
      PermuteAs<uint8_t>(src, steps, dst);
      break;
    case 2:
      PermuteAs<uint16_t>(src, steps, dst);
      break;
    case 4:
      PermuteAs<uint32_t>(src, steps, dst);
      break;
    case 8:
      PermuteAs<uint64_t>(src, steps, dst);
      break;
    case 16:
      PermuteAs<Element16>(src, steps, dst);
      break;
  }
  return dst;
}

// Elements [start, start + shape.dim(axis)) of a dimension.
Tensor Sliced(const Tensor& src, int axis, int64_t start, const Shape& shape) {
  Tensor dst(src.dtype(), shape);
  const Around from(src.shape(), axis), to(shape, axis);
  const size_t element = ElementSize(src.dtype());
  const size_t row = to.size * to.inner * element;
  for (int64_t i = 0; i < from.outer; ++i) {
    const size_t begin = (i * from.size + start) * from.inner * element;
    std::copy_n(src.bytes().data() + begin, row, dst.mutable_bytes().data() + i * row);
  }
  return dst;
}

Tensor Padded(const Tensor& src, const MapPad& pad, const Shape& shape) {
  Tensor dst(DType::kFloat32, shape);
  const Around from(src.shape(), pad.axis), to(shape, pad.axis);
  const auto in = src.data<float>();
  const auto out = dst.mutable_data<float>();
  std::fill(out.begin(), out.end(), pad.value);
  for (int64_t i = 0; i < from.outer; ++i) {
    std::copy_n(in.begin() + i * from.size * from.inner, from.size * from.inner,
                out.begin() + (i * to.size + pad.before) * to.inner);
  }
  return dst;
}

void Multiply(std::span<const float> by, int axis, Tensor& values) {
  const Around around(values.shape(), axis);
  float* value = values.mutable_data<float>().data();
  for (int64_t o = 0; o < around.outer; ++o) {
    for (int64_t i = 0; i < around.size; ++i) {
      for (int64_t k = 0; k < around.inner; ++k) *value++ *= by[i];
    }
  }
}

Tensor Filled(const VariableInfo& info, double value) {
  Tensor tensor(info.dtype, info.shape);
  if (info.dtype == DType::kInt64) {
    for (int64_t& v : tensor.mutable_data<int64_t>()) v = static_cast<int64_t>(value);
  } else {
    for (float& v : tensor.mutable_data<float>()) v = static_cast<float>(value);
  }
  return tensor;
}

class MappedVariables final : public VariableSource {
 public:
  MappedVariables(std::shared_ptr<const VariableSource> base, MapOptions options)
      : base_(std::move(base)), options_(std::move(options)) {}

  absl::Status Build(const NameMap& map) {
    std::vector<const MapEntry*> sorted;
    for (const MapEntry& entry : map.variables) sorted.push_back(&entry);
    std::sort(sorted.begin(), sorted.end(),
              [](const MapEntry* a, const MapEntry* b) { return a->to < b->to; });
    for (const MapEntry* entry : sorted) {
      auto info = InfoOf(*entry);
      if (absl::IsNotFound(info.status()) && options_.allow_missing) continue;
      if (!info.ok()) return info.status();
      infos_.push_back(*std::move(info));
      entries_.push_back(*entry);
    }
    return options_.drop_unmapped ? absl::OkStatus() : CheckAllUsed(map);
  }

  const std::vector<VariableInfo>& variables() const override { return infos_; }
  std::string_view format() const override { return base_->format(); }

  absl::StatusOr<Tensor> Read(std::string_view name) const override {
    const VariableInfo* const info = Find(name);
    if (info == nullptr) return NotFound("there is no variable '{}'", name);
    const MapEntry& entry = entries_[info - infos_.data()];
    if (entry.fill) return Filled(*info, entry.fill->value);
    ASSIGN_OR_RETURN(Tensor value, base_->Read(entry.from));
    if (info->dtype != value.dtype()) {
      ASSIGN_OR_RETURN(value, ToFloat32(value));
    }
    if (!entry.axes.empty()) value = Permute(value, entry.axes);
    if (entry.slice) {
      Shape shape = value.shape();
      shape.set_dim(entry.slice->axis, SliceSize(shape, *entry.slice));
      value = Sliced(value, entry.slice->axis, entry.slice->start, shape);
    }
    if (entry.scale) {
      ASSIGN_OR_RETURN(Tensor by, base_->Read(entry.scale->by));
      ASSIGN_OR_RETURN(by, ToFloat32(by));
      value = value.Clone();
      Multiply(by.data<float>(), entry.scale->axis, value);
    }
    if (entry.pad) value = Padded(value, *entry.pad, info->shape);
    return value;
  }

 private:
  absl::StatusOr<const VariableInfo*> Source(const std::string& name,
                                             const MapEntry& entry) const {
    const VariableInfo* const info = base_->Find(name);
    if (info == nullptr) {
      return NotFound("the checkpoint ({}) has no tensor '{}', which '{}' is made of",
                      base_->format(), name, entry.to);
    }
    return info;
  }

  // Elements that a slice leaves of a dimension; negative when it does not fit.
  static int64_t SliceSize(const Shape& shape, const MapSlice& slice) {
    const int64_t size = shape.dim(slice.axis);
    const int64_t stop = slice.stop > 0 ? slice.stop : size + slice.stop;
    return stop > size ? -1 : stop - slice.start;
  }

  // What the entry gives, with all that its steps want checked.
  absl::StatusOr<VariableInfo> InfoOf(const MapEntry& entry) const {
    VariableInfo result{entry.to, DType::kFloat32, {}};
    if (entry.fill) {
      result.dtype = entry.fill->dtype;
      result.shape = entry.fill->shape;
      if (entry.fill->shape_of.empty()) return result;
      ASSIGN_OR_RETURN(const VariableInfo* like, Source(entry.fill->shape_of, entry));
      result.shape = like->shape;
      return result;
    }
    ASSIGN_OR_RETURN(const VariableInfo* source, Source(entry.from, entry));
    result.dtype = source->dtype;
    result.shape = source->shape;
    const bool computes = entry.scale || entry.pad;
    if (computes || (options_.to_float32 && IsFloat(source->dtype))) {
      result.dtype = DType::kFloat32;
    }
    const int rank = result.shape.rank();
    const auto wrong = [&](std::string_view why) {
      return InvalidArgument(
          "tensor '{}' of the checkpoint has shape {}, {} to make '{}'", entry.from,
          source->shape.ToString(), why, entry.to);
    };
    if ((computes && !IsFloat(source->dtype)) ||
        ((!entry.axes.empty() || entry.slice) && source->dtype == DType::kString)) {
      return InvalidArgument(
          "tensor '{}' of the checkpoint is {}, which '{}' cannot be "
          "made of",
          entry.from, DTypeName(source->dtype), entry.to);
    }
    if (!entry.axes.empty()) {
      if (rank != static_cast<int>(entry.axes.size())) {
        return wrong(fmt::format("want {} dimensions", entry.axes.size()));
      }
      result.shape = PermutedShape(source->shape, entry.axes);
    }
    if (entry.slice) {
      if (entry.slice->axis >= rank || SliceSize(result.shape, *entry.slice) < 0) {
        return wrong("too little to slice");
      }
      result.shape.set_dim(entry.slice->axis, SliceSize(result.shape, *entry.slice));
    }
    if (entry.scale) {
      ASSIGN_OR_RETURN(const VariableInfo* by, Source(entry.scale->by, entry));
      if (entry.scale->axis >= rank ||
          by->shape != Shape{result.shape.dim(entry.scale->axis)} ||
          !IsFloat(by->dtype)) {
        return InvalidArgument(
            "tensor '{}' of the checkpoint has shape {}, '{}' has {}: "
            "channels differ",
            entry.scale->by, by->shape.ToString(), entry.from, source->shape.ToString());
      }
    }
    if (entry.pad) {
      if (entry.pad->axis >= rank) return wrong("too few dimensions to pad");
      result.shape.set_dim(entry.pad->axis, result.shape.dim(entry.pad->axis) +
                                                entry.pad->before + entry.pad->after);
      RETURN_IF_ERROR(CheckedElements(result.shape, ElementSize(result.dtype),
                                      fmt::format("'{}'", entry.to))
                          .status());
    }
    return result;
  }

  absl::Status CheckAllUsed(const NameMap& map) const {
    std::set<std::string_view> used;
    for (const MapEntry& entry : map.variables) {
      used.insert(entry.from);
      if (entry.scale) used.insert(entry.scale->by);
    }
    const auto dropped = [](std::string_view name, const std::vector<std::string>& drop) {
      return std::any_of(drop.begin(), drop.end(), [&](const std::string& pattern) {
        return MatchesPattern(name, pattern);
      });
    };
    constexpr int kShown = 5;
    std::string names;
    int left = 0;
    for (const VariableInfo& info : base_->variables()) {
      if (used.contains(info.name) || dropped(info.name, map.drop) ||
          dropped(info.name, options_.drop)) {
        continue;
      }
      if (++left <= kShown)
        names += fmt::format("{}'{}'", left == 1 ? "" : ", ", info.name);
    }
    if (left == 0) return absl::OkStatus();
    if (left > kShown) names += fmt::format(" and {} more", left - kShown);
    return InvalidArgument(
        "the map neither uses nor drops {} of the checkpoint's {} "
        "variables: {}",
        left, base_->variables().size(), names);
  }

  std::shared_ptr<const VariableSource> base_;
  const MapOptions options_;
  std::vector<VariableInfo> infos_;
  std::vector<MapEntry> entries_;  // of infos_, one each
};

}  // namespace

absl::StatusOr<std::shared_ptr<const VariableSource>> MapVariables(
    std::shared_ptr<const VariableSource> base, const NameMap& map,
    const MapOptions& options) {
  auto mapped = std::make_shared<MappedVariables>(std::move(base), options);
  RETURN_IF_ERROR(mapped->Build(map));
  return mapped;
}

}  // namespace oriel::checkpoint
