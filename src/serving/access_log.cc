#include "serving/access_log.h"

#include <algorithm>
#include <iterator>

#include "base/utf8.h"

namespace oriel::serving {
namespace {

constexpr size_t kMaxCodePoints = 200;  // of what a client sent

// Nothing in it means anything to a line or to JSON: most of what there is, and quick to
// tell.
bool IsPlain(std::string_view text) {
  return !text.empty() && text.size() <= kMaxCodePoints &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return c > ' ' && c < 0x7f && c != '"' && c != '\\'; });
}

// One word of a line.
std::string Word(std::string_view text) {
  if (IsPlain(text)) return std::string(text);
  std::string clean = Ellipsize(Printable(text), kMaxCodePoints);
  std::replace(clean.begin(), clean.end(), ' ', '?');
  return clean.empty() ? "-" : clean;
}

std::string TextLine(const AccessRecord& record) {
  const RequestMetrics& request = record.metrics;
  std::string line = fmt::format(
      "{} {} {} {} {:.1f} ms id={} client={} in={} upload={:.1f}", Word(record.method),
      Word(record.path), request.status, request.bytes_out,
      Milliseconds(request.duration), Word(record.request_id), Word(record.client),
      request.bytes_in, Milliseconds(record.upload));
  if (record.inference.has_value()) {
    const InferenceReport& report = *record.inference;
    fmt::format_to(std::back_inserter(line),
                   " model={}/{} images={} queue={:.1f} preprocess={:.1f} compute={:.1f}",
                   Word(report.model), report.version, report.images,
                   Milliseconds(report.stages.queue),
                   Milliseconds(report.stages.preprocess),
                   Milliseconds(report.stages.compute));
  }
  if (record.trace.has_value()) line += " trace=" + record.trace->trace_id;
  return line;
}

class JsonMembers {
 public:
  void String(std::string_view key, std::string_view value) {
    if (IsPlain(value)) {
      Key(key);
      ((out_ += '"') += value) += '"';
      return;
    }
    Raw(key, JsonQuoted(Ellipsize(Printable(value), kMaxCodePoints)));
  }
  void Integer(std::string_view key, uint64_t value) {
    Key(key);
    fmt::format_to(std::back_inserter(out_), "{}", value);
  }
  void Milliseconds(std::string_view key, Duration value) {
    Key(key);
    fmt::format_to(std::back_inserter(out_), "{:.3f}", serving::Milliseconds(value));
  }
  // HTTP's statuses are numbers, gRPC's are names.
  void Status(std::string_view key, std::string_view status) {
    const bool number = status.find_first_not_of("0123456789") == status.npos;
    number ? Raw(key, status) : String(key, status);
  }
  std::string Take() && { return std::move(out_); }

 private:
  void Key(std::string_view key) {
    out_ += out_.empty() ? "\"" : ",\"";
    (out_ += key) += "\":";
  }
  void Raw(std::string_view key, std::string_view value) {
    Key(key);
    out_ += value;
  }
  std::string out_;
};

std::string JsonLine(const AccessRecord& record) {
  const RequestMetrics& request = record.metrics;
  JsonMembers json;
  json.String("message", "request");
  json.String("request_id", record.request_id);
  json.String("client", record.client);
  json.String("protocol", request.protocol);
  json.String("method", record.method);
  json.String("path", record.path);
  json.Status("status", request.status);
  json.Integer("bytes_in", request.bytes_in);
  json.Integer("bytes_out", request.bytes_out);
  json.Milliseconds("duration_ms", request.duration);
  json.Milliseconds("upload_ms", record.upload);
  if (record.inference.has_value()) {
    const InferenceReport& report = *record.inference;
    json.String("model", report.model);
    json.String("version", report.version);
    json.Integer("images", report.images);
    json.Milliseconds("queue_ms", report.stages.queue);
    json.Milliseconds("preprocess_ms", report.stages.preprocess);
    json.Milliseconds("compute_ms", report.stages.compute);
  }
  if (record.trace.has_value()) {
    json.String("trace_id", record.trace->trace_id);
    json.String("parent_id", record.trace->parent_id);
  }
  return std::move(json).Take();
}

}  // namespace

InferenceReport ReportOf(const model::Session& session,
                         std::span<const ImageAnswer> answers) {
  InferenceReport report{session.name(), session.version(), answers.size(), {}};
  const auto total = [](const Stages& stages) {
    return stages.queue + stages.preprocess + stages.compute;
  };
  for (const ImageAnswer& answer : answers) {
    if (total(answer.timings) >= total(report.stages)) report.stages = answer.timings;
  }
  return report;
}

std::string AccessLine(const AccessRecord& record, LogFormat format) {
  return format == LogFormat::kJson ? JsonLine(record) : TextLine(record);
}

void RecordAccess(Metrics& metrics, const AccessRecord& record) {
  metrics.Record(record.metrics);
  const auto format = AccessLogFormat(record.is_probe);
  if (!format.has_value()) return;
  LogAccess(record.is_probe, *format, AccessLine(record, *format));
}

}  // namespace oriel::serving
