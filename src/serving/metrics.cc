#include "serving/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <list>
#include <sstream>
#include <utility>

#include "base/mutex.h"
#include "serving/metric_families.h"
#include "serving/model_metrics.h"
#include "serving/model_repository.h"
#include "serving/process_metrics.h"

namespace oriel::serving {
namespace {

struct ReadGauge {
  const char* name;
  const char* help;
  std::function<double()> read;
};

// The gauges that are added and removed while the server runs.
struct Gauges {
  Mutex mutex;
  std::list<ReadGauge> gauges ABSL_GUARDED_BY(mutex);
};

}  // namespace

struct Metrics::Impl {
  explicit Impl(const ModelRepository& models)
      : models(models),
        requests(prometheus::BuildCounter()
                     .Name("oriel_requests_total")
                     .Help("Requests that have ended")
                     .Register(registry)),
        bytes_in(prometheus::BuildCounter()
                     .Name("oriel_request_bytes_total")
                     .Help("Bytes of requests' bodies")
                     .Register(registry)),
        bytes_out(prometheus::BuildCounter()
                      .Name("oriel_response_bytes_total")
                      .Help("Bytes of answers")
                      .Register(registry)),
        duration(prometheus::BuildHistogram()
                     .Name("oriel_request_duration_seconds")
                     .Help("From the first byte of a request to the last of its answer")
                     .Register(registry)) {}

  const ModelRepository& models;
  prometheus::Registry registry;
  prometheus::Family<prometheus::Counter>& requests;
  prometheus::Family<prometheus::Counter>& bytes_in;
  prometheus::Family<prometheus::Counter>& bytes_out;
  prometheus::Family<prometheus::Histogram>& duration;
  ProcessMetrics process;
  // Shared with the handles, which may outlive the metrics.
  std::shared_ptr<Gauges> gauges = std::make_shared<Gauges>();
};

Metrics::Metrics(const ModelRepository& models) : impl_(std::make_unique<Impl>(models)) {}

Metrics::~Metrics() = default;

void Metrics::Record(const RequestMetrics& request) {
  static const prometheus::Histogram::BucketBoundaries kBounds(kSecondsBounds.begin(),
                                                               kSecondsBounds.end());
  const prometheus::Labels protocol = {{"protocol", std::string(request.protocol)}};
  prometheus::Labels labels = protocol;
  labels.emplace("route", request.route);
  impl_->duration.Add(labels, kBounds)
      .Observe(std::chrono::duration<double>(request.duration).count());
  labels.emplace("status", request.status);
  impl_->requests.Add(labels).Increment();
  impl_->bytes_in.Add(protocol).Increment(static_cast<double>(request.bytes_in));
  impl_->bytes_out.Add(protocol).Increment(static_cast<double>(request.bytes_out));
}

std::shared_ptr<void> Metrics::AddGauge(const char* name, const char* help,
                                        std::function<double()> read) {
  const std::shared_ptr<Gauges> gauges = impl_->gauges;
  MutexLock lock(gauges->mutex);
  const auto added =
      gauges->gauges.insert(gauges->gauges.end(), {name, help, std::move(read)});
  return {nullptr, [gauges, added](void*) {
            MutexLock lock(gauges->mutex);
            gauges->gauges.erase(added);
          }};
}

std::string Metrics::Text() const {
  MetricFamilies families;
  families.Gauge("oriel_build_info", "The build of this server; always 1",
                 {{"version", ORIEL_VERSION}, {"compiler", __VERSION__}}, 1);
  families.Gauge("oriel_requests_in_flight", "Requests that are being answered", {},
                 static_cast<double>(in_flight_.load()));
  {
    MutexLock lock(impl_->gauges->mutex);
    std::map<std::string_view, std::pair<const char*, double>> sums;
    for (const ReadGauge& gauge : impl_->gauges->gauges) {
      auto& [help, sum] = sums[gauge.name];
      help = gauge.help;
      sum += gauge.read();
    }
    for (const auto& [name, sum] : sums) {
      families.Gauge(name.data(), sum.first, {}, sum.second);
    }
  }
  CollectModelMetrics(impl_->models, families);
  impl_->process.Collect(families);

  const prometheus::TextSerializer serializer;
  std::ostringstream out;
  serializer.Serialize(out, impl_->registry.Collect());
  serializer.Serialize(out, std::move(families).Take());
  return std::move(out).str();
}

}  // namespace oriel::serving
