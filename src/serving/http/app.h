// What handlers work with. One for a server; outlives it.
#pragma once

#include <atomic>

#include "serving/clock.h"
#include "serving/http/web.h"
#include "serving/metrics.h"
#include "serving/model_repository.h"
#include "serving/worker_pool.h"

namespace oriel::serving::http {

struct AppOptions {
  int top_k = 5;           // where the client does not say
  size_t max_images = 32;  // of one request
  // Larger pictures are not sent back inside the page.
  size_t max_echo_bytes = 12 << 20;
  // Shown beside the model: why it is this one, how to get another. May be empty.
  std::string note;
};

class App {
 public:
  App(ModelRepository& models, WorkerPool& pool, const Web& web, Clock& clock,
      const AppOptions& options)
      : models(models),
        pool(pool),
        web(web),
        clock(clock),
        options(options),
        metrics(models) {}

  ModelRepository& models;
  WorkerPool& pool;
  const Web& web;
  Clock& clock;
  const AppOptions options;
  Metrics metrics;
  // What watches and steers the server, apart from what it is busy with. Stopped as the
  // pool is.
  WorkerPool operations{1, 16};
  // Set by the server when it stops accepting.
  std::atomic<bool> draining{false};
};

}  // namespace oriel::serving::http
