// What is kept of a request that has ended, of any protocol: a line of the access log and
// its share of the metrics.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "serving/inference_report.h"
#include "serving/log.h"
#include "serving/metrics.h"
#include "serving/served_model.h"
#include "serving/trace_context.h"

namespace oriel::serving {

InferenceReport ReportOf(const model::Session& session,
                         std::span<const ImageAnswer> answers);

// Texts are borrowed for the call; those that a client sent may hold anything.
struct AccessRecord {
  RequestMetrics metrics;
  std::string_view method, path, request_id;
  std::string_view client;  // its address, without the port
  std::optional<TraceContext> trace;
  Duration upload{};  // from the first byte of the request to the last
  bool is_probe = false;
  std::optional<InferenceReport> inference;
};

// Thread-safe and quick.
void RecordAccess(Metrics& metrics, const AccessRecord& record);

// The line that RecordAccess logs: text, or the members of a JSON object.
std::string AccessLine(const AccessRecord& record, LogFormat format);

}  // namespace oriel::serving
