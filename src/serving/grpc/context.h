// What the calls of one server work with. Outlives them.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "serving/clock.h"
#include "serving/gatekeeper.h"
#include "serving/http/client_address.h"
#include "serving/metrics.h"
#include "serving/model_repository.h"
#include "serving/upload_budget.h"
#include "serving/worker_pool.h"

namespace oriel::serving::grpc {

struct Context {
  ModelRepository& models;
  WorkerPool& pool;
  Clock& clock;
  const std::atomic<bool>& draining;
  int top_k = 5;                              // where the client does not say
  std::chrono::milliseconds request_timeout;  // from a message to its answer
  uint64_t max_message_bytes = 0;
  size_t max_stream_requests = 0;         // of one stream, in work
  std::shared_ptr<UploadBudget> uploads;  // of all calls together
  Metrics& metrics;
  // Inferences that have come and are not answered.
  std::atomic<int>& active;
  std::atomic<uint64_t>& requests;  // that have come, for their ids
  std::string request_prefix;
  Gatekeeper* gatekeeper = nullptr;  // null: everybody may do everything
  bool administration = true;        // false: there is another address for it
  std::vector<http::Network> trusted_proxies;
};

}  // namespace oriel::serving::grpc
