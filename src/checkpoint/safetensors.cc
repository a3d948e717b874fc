#include "checkpoint/safetensors.h"

#include <algorithm>
#include <boost/json.hpp>
#include <map>
#include <optional>

#include "checkpoint/safetensors_types.h"

namespace oriel::checkpoint {
namespace {

namespace json = boost::json;

constexpr size_t kMaxDepth = 8;  // the header needs 3

std::string_view View(const json::string& text) { return {text.data(), text.size()}; }
std::string_view View(json::string_view text) { return {text.data(), text.size()}; }

std::optional<uint64_t> AsNatural(const json::value& value) {
  if (const int64_t* i = value.if_int64(); i != nullptr && *i >= 0) return *i;
  if (const uint64_t* u = value.if_uint64()) return *u;
  return std::nullopt;
}

std::optional<std::vector<int64_t>> AsNaturals(const json::value* value) {
  const json::array* array = value == nullptr ? nullptr : value->if_array();
  if (array == nullptr) return std::nullopt;
  std::vector<int64_t> numbers;
  for (const json::value& item : *array) {
    const std::optional<uint64_t> number = AsNatural(item);
    if (!number || *number > std::numeric_limits<int64_t>::max()) return std::nullopt;
    numbers.push_back(static_cast<int64_t>(*number));
  }
  return numbers;
}

class Safetensors final : public VariableSource {
 public:
  static absl::StatusOr<std::shared_ptr<const VariableSource>> Open(FileBytes file) {
    if (!LooksLikeSafetensors(file.bytes)) {
      return DataLoss("{}: does not begin as a safetensors file does", file.name);
    }
    auto source = std::make_shared<Safetensors>();
    const uint64_t length = LoadLittleEndian<uint64_t>(file.bytes.data());
    const std::string_view header =
        AsStringView(file.bytes.subspan(kSafetensorsLengthBytes, length));
    source->data_ = file.bytes.subspan(kSafetensorsLengthBytes + length);
    source->file_ = std::move(file);
    RETURN_IF_ERROR(source->ParseHeader(header));
    RETURN_IF_ERROR(source->CheckLayout());
    return source;
  }

  const std::vector<VariableInfo>& variables() const override { return variables_; }
  std::string_view format() const override { return "safetensors"; }

  absl::StatusOr<Tensor> Read(std::string_view name) const override {
    const auto it = spans_.find(name);
    if (it == spans_.end()) return NotFound("the checkpoint has no variable '{}'", name);
    const VariableInfo& info = *Find(name);
    return TensorOver(info.dtype, info.shape,
                      data_.subspan(it->second.begin, it->second.end - it->second.begin),
                      file_.owner, fmt::format("{}: '{}'", file_.name, name));
  }

 private:
  struct Range {
    uint64_t begin = 0;
    uint64_t end = 0;
  };

  absl::Status ParseHeader(std::string_view header) {
    json::parse_options options;
    options.max_depth = kMaxDepth;
    json::error_code error;
    json::monotonic_resource memory;
    const json::value root =
        json::parse({header.data(), header.size()}, error, &memory, options);
    if (error || !root.is_object()) {
      return DataLoss("{}: the header is no JSON object: {}", file_.name,
                      error.message());
    }
    for (const auto& [key, value] : root.get_object()) {
      if (View(key) == kSafetensorsMetadata) continue;
      RETURN_IF_ERROR(AddTensor(std::string(View(key)), value));
    }
    // JSON objects keep the order of the text
    std::sort(variables_.begin(), variables_.end(),
              [](const auto& a, const auto& b) { return a.name < b.name; });
    return absl::OkStatus();
  }

  absl::Status AddTensor(const std::string& name, const json::value& value) {
    const std::string what = fmt::format("{}: '{}'", file_.name, name);
    const json::object* entry = value.if_object();
    const json::value* dtype = entry == nullptr ? nullptr : entry->if_contains("dtype");
    if (dtype == nullptr || !dtype->is_string())
      return DataLoss("{}: has no dtype", what);
    const std::optional<DType> type = SafetensorsDType(View(dtype->get_string()));
    if (!type) {
      return Unimplemented("{}: tensors of type {} are not supported", what,
                           View(dtype->get_string()));
    }
    auto dims = AsNaturals(entry->if_contains("shape"));
    if (!dims) return DataLoss("{}: has no shape of natural numbers", what);
    Shape shape(*std::move(dims));
    ASSIGN_OR_RETURN(const int64_t elements,
                     CheckedElements(shape, ElementSize(*type), what));
    const auto offsets = AsNaturals(entry->if_contains("data_offsets"));
    if (!offsets || offsets->size() != 2) {
      return DataLoss("{}: has no pair of data_offsets", what);
    }
    const Range range{static_cast<uint64_t>((*offsets)[0]),
                      static_cast<uint64_t>((*offsets)[1])};
    if (range.begin > range.end || range.end > data_.size()) {
      return DataLoss("{}: lies at bytes {} to {} of {}", what, range.begin, range.end,
                      data_.size());
    }
    const uint64_t want = static_cast<uint64_t>(elements) * ElementSize(*type);
    if (range.end - range.begin != want) {
      return DataLoss("{}: {} {} wants {} bytes, has {}", what, DTypeName(*type),
                      shape.ToString(), want, range.end - range.begin);
    }
    spans_.emplace(name, range);
    variables_.push_back({name, *type, std::move(shape)});
    return absl::OkStatus();
  }

  // The tensors, in the order of their offsets, fill the data without a hole.
  absl::Status CheckLayout() const {
    std::vector<std::pair<Range, std::string_view>> ranges;
    for (const auto& [name, range] : spans_) ranges.emplace_back(range, name);
    std::sort(ranges.begin(), ranges.end(), [](const auto& a, const auto& b) {
      return std::pair(a.first.begin, a.first.end) <
             std::pair(b.first.begin, b.first.end);
    });
    uint64_t end = 0;
    for (const auto& [range, name] : ranges) {
      if (range.begin != end) {
        return DataLoss("{}: '{}' begins at byte {}, the tensor before it ends at {}",
                        file_.name, name, range.begin, end);
      }
      end = range.end;
    }
    if (end != data_.size()) {
      return DataLoss("{}: the tensors end at byte {} of {}", file_.name, end,
                      data_.size());
    }
    return absl::OkStatus();
  }

  FileBytes file_;
  Bytes data_;
  std::map<std::string, Range, std::less<>> spans_;
  std::vector<VariableInfo> variables_;
};

}  // namespace

bool LooksLikeSafetensors(Bytes bytes) {
  if (bytes.size() <= kSafetensorsLengthBytes) return false;
  const uint64_t length = LoadLittleEndian<uint64_t>(bytes.data());
  return length > 0 && length <= kMaxSafetensorsHeader &&
         length <= bytes.size() - kSafetensorsLengthBytes &&
         bytes[kSafetensorsLengthBytes] == '{';
}

absl::StatusOr<std::shared_ptr<const VariableSource>> OpenSafetensors(FileBytes file) {
  return Safetensors::Open(std::move(file));
}

}  // namespace oriel::checkpoint
