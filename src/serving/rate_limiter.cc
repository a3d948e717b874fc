#include "serving/rate_limiter.h"

#include <algorithm>

namespace oriel::serving {

RateLimiter::RateLimiter(RateLimit limit, size_t max_clients)
    : limit_(limit), max_clients_(std::max<size_t>(1, max_clients)) {}

std::optional<Duration> RateLimiter::Take(std::string_view client, TimePoint now) {
  const MutexLock lock(mutex_);
  const auto found = by_client_.find(client);
  if (found == by_client_.end()) {
    if (buckets_.size() == max_clients_) {
      by_client_.erase(buckets_.back().client);
      buckets_.pop_back();
    }
    buckets_.push_front(
        {.client = std::string(client), .tokens = limit_.burst, .filled = now});
    by_client_.emplace(buckets_.front().client, buckets_.begin());
  } else {
    buckets_.splice(buckets_.begin(), buckets_, found->second);
  }
  Bucket& bucket = buckets_.front();
  using Seconds = std::chrono::duration<double>;
  const double passed = std::max(0.0, Seconds(now - bucket.filled).count());
  bucket.tokens = std::min(limit_.burst, bucket.tokens + passed * limit_.per_second);
  bucket.filled = std::max(bucket.filled, now);
  if (bucket.tokens >= 1) {
    bucket.tokens -= 1;
    return std::nullopt;
  }
  return std::chrono::ceil<Duration>(Seconds((1 - bucket.tokens) / limit_.per_second));
}

size_t RateLimiter::clients() const {
  const MutexLock lock(mutex_);
  return buckets_.size();
}

}  // namespace oriel::serving
