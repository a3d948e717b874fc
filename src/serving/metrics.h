// What the server tells Prometheus (docs/operations.md lists it): requests by protocol,
// route and status; what its models have done; the process.
//
// Labels come from tables and folders of the server's own, never from what a client
// sends, so that no client can make series. Series of a version end with it.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "serving/clock.h"

namespace oriel::serving {

class ModelRepository;

// One request that has ended, of any protocol.
struct RequestMetrics {
  // "page", "api", "tensorflow_serving_rest", "open_inference_grpc" ...: few and fixed.
  std::string_view protocol;
  // The endpoint as its table names it ("/v2/models/{model}/infer"), or one text for
  // whatever is none.
  std::string_view route;
  std::string_view status;  // "200", "NOT_FOUND"
  Duration duration{};      // from its first byte to the last of the answer
  uint64_t bytes_in = 0, bytes_out = 0;
};

// Thread-safe.
class Metrics {
 public:
  // `models` outlives it.
  explicit Metrics(const ModelRepository& models);
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  void Record(const RequestMetrics& request);

  // Counts a request as in flight while it lives.
  class InFlight {
   public:
    explicit InFlight(Metrics& metrics) : metrics_(&metrics) { ++metrics_->in_flight_; }
    ~InFlight() { --metrics_->in_flight_; }
    InFlight(const InFlight&) = delete;
    InFlight& operator=(const InFlight&) = delete;

   private:
    Metrics* metrics_;
  };

  // A number that is read at each scrape, for as long as the returned handle lives.
  // `read` is quick and thread-safe; gauges of one name add up. `name` and `help` are
  // literals.
  [[nodiscard]] std::shared_ptr<void> AddGauge(const char* name, const char* help,
                                               std::function<double()> read);

  // Everything, in Prometheus's text format. Reads /proc and takes short locks that
  // requests take too: for a thread of the pool.
  std::string Text() const;
  static constexpr char kContentType[] = "text/plain; version=0.0.4; charset=utf-8";

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
  std::atomic<int64_t> in_flight_{0};
};

}  // namespace oriel::serving
