#include "cli/inspect_records.h"

#include <algorithm>
#include <boost/json.hpp>
#include <map>

#include "base/crc32c.h"
#include "cli/json_text.h"
#include "cli/table.h"
#include "records/example.h"
#include "records/tfrecord.h"

namespace oriel::cli {
namespace {

namespace json = boost::json;

// Records among which the first tf.Example is looked for.
constexpr size_t kLookedAt = 16;

struct FeatureSummary {
  std::string name;
  std::string type;  // "bytes", "float", "int64", "empty"
  int64_t count = 0;
  std::string value;  // of a single one that is short
};

std::string TextOf(const std::string& bytes) {
  constexpr size_t kLongest = 40;
  return bytes.size() <= kLongest ? bytes : fmt::format("{} bytes", bytes.size());
}

FeatureSummary Summarize(const std::string& name, const tensorflow::Feature& feature) {
  FeatureSummary summary{.name = name, .type = "empty"};
  switch (feature.kind_case()) {
    case tensorflow::Feature::kBytesList: {
      const auto& values = feature.bytes_list().value();
      summary.type = "bytes";
      summary.count = values.size();
      if (values.size() == 1) summary.value = TextOf(values[0]);
      break;
    }
    case tensorflow::Feature::kFloatList: {
      const auto& values = feature.float_list().value();
      summary.type = "float";
      summary.count = values.size();
      if (values.size() == 1) summary.value = fmt::format("{:g}", values[0]);
      break;
    }
    case tensorflow::Feature::kInt64List: {
      const auto& values = feature.int64_list().value();
      summary.type = "int64";
      summary.count = values.size();
      if (values.size() == 1) summary.value = fmt::format("{}", values[0]);
      break;
    }
    case tensorflow::Feature::KIND_NOT_SET:
      break;
  }
  return summary;
}

std::vector<FeatureSummary> FeaturesOf(Bytes record, const std::string& path) {
  std::vector<FeatureSummary> features;
  const auto example = records::ParseExample(record, path);
  if (!example.ok()) return features;
  for (const auto& [name, feature] : example->features().feature()) {
    features.push_back(Summarize(name, feature));
  }
  std::sort(features.begin(), features.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  return features;
}

}  // namespace

bool IsTfRecord(Bytes file) {
  if (file.size() < records::kTfRecordHeader + records::kTfRecordFooter) return false;
  const Bytes length = file.first(8);
  uint32_t crc;
  std::memcpy(&crc, file.data() + length.size(), sizeof crc);
  return crc == MaskCrc32c(Crc32c(length));
}

absl::Status InspectRecords(Bytes file, const std::string& path, bool as_json) {
  records::TfRecordReader reader(file, path);
  std::vector<FeatureSummary> features;
  uint64_t bytes = 0;
  while (true) {
    ASSIGN_OR_RETURN(const auto record, reader.Next());
    if (!record) break;
    if (features.empty() && reader.count() <= kLookedAt) {
      features = FeaturesOf(*record, path);
    }
    bytes += record->size();
  }
  if (as_json) {
    json::object list;
    for (const FeatureSummary& feature : features) {
      list[JsonText(feature.name)] = {{"type", feature.type}, {"count", feature.count}};
    }
    const json::object report{{"kind", "records"},    {"path", JsonText(path)},
                              {"format", "TFRecord"}, {"records", reader.count()},
                              {"bytes", bytes},       {"features", std::move(list)}};
    fmt::print("{}\n", json::serialize(report));
    return absl::OkStatus();
  }
  if (!features.empty()) {
    Table table({false, false, true, false});
    table.Add({"FEATURE", "TYPE", "VALUES", "OF THE FIRST EXAMPLE"});
    for (const FeatureSummary& feature : features) {
      table.Add({feature.name, feature.type, Grouped(feature.count), feature.value});
    }
    table.Print();
    fmt::print("\n");
  }
  fmt::print("TFRecord: {} records, {} bytes\n",
             Grouped(static_cast<int64_t>(reader.count())),
             Grouped(static_cast<int64_t>(bytes)));
  return absl::OkStatus();
}

}  // namespace oriel::cli
