// How many requests each client may send: a token bucket for each.
#pragma once

#include <cstddef>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/mutex.h"
#include "serving/clock.h"

namespace oriel::serving {

struct RateLimit {
  double per_second = 0;  // > 0
  double burst = 1;       // requests at once, after a pause; >= 1
};

// Thread-safe.
class RateLimiter {
 public:
  // Remembers at most so many clients, those seen last: what it forgets begins anew with
  // a full bucket.
  explicit RateLimiter(RateLimit limit, size_t max_clients = 1 << 16);

  // Counts a request. nullopt: it may go on; else how long the client has to wait.
  std::optional<Duration> Take(std::string_view client, TimePoint now);

  size_t clients() const;

 private:
  struct Bucket {
    std::string client;
    double tokens;
    TimePoint filled;  // when `tokens` was right
  };

  const RateLimit limit_;
  const size_t max_clients_;
  mutable Mutex mutex_;
  std::list<Bucket> buckets_ ABSL_GUARDED_BY(mutex_);  // seen last first
  std::unordered_map<std::string_view, std::list<Bucket>::iterator> by_client_
      ABSL_GUARDED_BY(mutex_);  // keys are the buckets'
};

}  // namespace oriel::serving
