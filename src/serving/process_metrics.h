// Metrics of the process and its machine, from /proc, by the names that every Prometheus
// client library uses (and Triton's for CPU and memory).
#pragma once

#include "base/mutex.h"
#include "serving/clock.h"
#include "serving/metric_families.h"

namespace oriel::serving {

// Thread-safe.
class ProcessMetrics {
 public:
  ProcessMetrics();
  // What cannot be read is left out.
  void Collect(MetricFamilies& families) const;

 private:
  struct CpuTimes {
    uint64_t busy = 0, all = 0;  // of all CPUs since boot, in ticks
  };
  static CpuTimes ReadCpuTimes();
  double CpuUtilization() const;

  mutable Mutex mutex_;
  // Utilization is of the time between the last two scrapes that lay a second apart.
  mutable CpuTimes last_ ABSL_GUARDED_BY(mutex_);
  mutable TimePoint last_at_ ABSL_GUARDED_BY(mutex_);
  mutable double utilization_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace oriel::serving
