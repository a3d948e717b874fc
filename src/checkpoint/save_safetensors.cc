// safetensors files.

#include <algorithm>
#include <boost/json.hpp>
#include <vector>

#include "base/files.h"
#include "base/interrupt.h"
#include "base/utf8.h"
#include "checkpoint/safetensors_types.h"
#include "checkpoint/save.h"

namespace oriel::checkpoint {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr size_t kAlignment = 8;  // of the data, so that elements are aligned as well

json::string_view JsonText(std::string_view text) { return {text.data(), text.size()}; }

// A tensor of the file, in its order: by type, then by name.
struct Entry {
  const VariableInfo* info;
  const SafetensorsType* type;
};

absl::StatusOr<std::vector<Entry>> InFileOrder(const VariableSource& variables) {
  std::vector<Entry> order;
  for (const VariableInfo& info : variables.variables()) {
    const SafetensorsType* const type = FindSafetensorsType(info.dtype);
    if (type == nullptr) {
      return InvalidArgument("'{}': safetensors files hold no {}", info.name,
                             DTypeName(info.dtype));
    }
    if (info.name == kSafetensorsMetadata || FindInvalidUtf8(info.name)) {
      return InvalidArgument("'{}': safetensors files hold no tensor of that name",
                             Printable(info.name));
    }
    order.push_back({&info, type});
  }
  std::stable_sort(order.begin(), order.end(),
                   [](const Entry& a, const Entry& b) { return a.type > b.type; });
  return order;
}

// The length and the header, padded with spaces.
absl::StatusOr<std::string> MakeHeader(const std::vector<Entry>& order,
                                       const SaveOptions& options) {
  json::object header;
  if (!options.metadata.empty()) {
    json::object metadata;
    for (const auto& [key, value] : options.metadata) metadata[key] = value;
    header[JsonText(kSafetensorsMetadata)] = std::move(metadata);
  }
  uint64_t offset = 0;
  for (const auto& [info, type] : order) {
    json::array shape;
    for (const int64_t d : info->shape.dims()) shape.push_back(d);
    const uint64_t end =
        offset + static_cast<uint64_t>(info->shape.elements()) * ElementSize(info->dtype);
    header[JsonText(info->name)] = {{"dtype", JsonText(type->name)},
                                    {"shape", std::move(shape)},
                                    {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = json::serialize(header);
  text.resize(RoundUp(text.size(), kAlignment), ' ');
  if (text.size() > kMaxSafetensorsHeader) {
    return ResourceExhausted(
        "the names of {} tensors make a header of {} bytes, "
        "safetensors files have at most {}",
        order.size(), text.size(), kMaxSafetensorsHeader);
  }
  const uint64_t length = text.size();
  return std::string(reinterpret_cast<const char*>(&length), sizeof(length)) + text;
}

}  // namespace

absl::Status SaveSafetensors(const fs::path& path, const VariableSource& variables,
                             const SaveOptions& options) {
  ASSIGN_OR_RETURN(const std::vector<Entry> order, InFileOrder(variables));
  ASSIGN_OR_RETURN(const std::string header, MakeHeader(order, options));
  RemoveAbandonedTemporaries(path);
  ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Create(path));
  RETURN_IF_ERROR(file.Append(header));
  uint64_t done = 0;
  for (const Entry& entry : order) {
    RETURN_IF_ERROR(CheckInterrupted());
    ASSIGN_OR_RETURN(const Tensor tensor, variables.Read(entry.info->name));
    RETURN_IF_ERROR(file.Append(AsStringView(tensor.bytes())));
    done += tensor.bytes().size();
    if (options.progress != nullptr) options.progress->Update(done);
  }
  return file.Commit();
}

}  // namespace oriel::checkpoint
