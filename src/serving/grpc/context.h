// What the calls of one server work with. Outlives them.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <vector>

#include "serving/clock.h"
#include "serving/gatekeeper.h"
#include "serving/http/client_address.h"
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
  Gatekeeper* gatekeeper = nullptr;       // null: everybody may do everything
  std::vector<http::Network> trusted_proxies;
};

}  // namespace oriel::serving::grpc
