// Making prometheus::MetricFamily of numbers at hand.
#pragma once

#include <prometheus/metric_family.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "serving/statistics.h"

namespace oriel::serving {

using MetricLabels = std::vector<prometheus::ClientMetric::Label>;

// Families in the order in which they are first named. A family of a name has one type
// and one help.
class MetricFamilies {
 public:
  void Counter(const char* name, const char* help, MetricLabels labels, double value);
  void Gauge(const char* name, const char* help, MetricLabels labels, double value);
  void Seconds(const char* name, const char* help, MetricLabels labels,
               const SecondsHistogram& histogram);
  // Of whole numbers, with what each was observed how often. Bounds ascend.
  void Sizes(const char* name, const char* help, MetricLabels labels,
             std::span<const int> bounds, const std::map<int, uint64_t>& observed);

  std::vector<prometheus::MetricFamily> Take() && { return std::move(families_); }

 private:
  prometheus::ClientMetric& Add(const char* name, const char* help,
                                prometheus::MetricType type, MetricLabels labels);

  std::vector<prometheus::MetricFamily> families_;
};

}  // namespace oriel::serving
