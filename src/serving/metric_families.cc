#include "serving/metric_families.h"

#include <algorithm>
#include <limits>

namespace oriel::serving {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

}  // namespace

prometheus::ClientMetric& MetricFamilies::Add(const char* name, const char* help,
                                              prometheus::MetricType type,
                                              MetricLabels labels) {
  auto family = std::find_if(families_.begin(), families_.end(),
                             [&](const auto& f) { return f.name == name; });
  if (family == families_.end()) {
    family = families_.insert(families_.end(), {name, help, type, {}});
  }
  prometheus::ClientMetric& metric = family->metric.emplace_back();
  metric.label = std::move(labels);
  return metric;
}

void MetricFamilies::Counter(const char* name, const char* help, MetricLabels labels,
                             double value) {
  Add(name, help, prometheus::MetricType::Counter, std::move(labels)).counter.value =
      value;
}

void MetricFamilies::Gauge(const char* name, const char* help, MetricLabels labels,
                           double value) {
  Add(name, help, prometheus::MetricType::Gauge, std::move(labels)).gauge.value = value;
}

void MetricFamilies::Seconds(const char* name, const char* help, MetricLabels labels,
                             const SecondsHistogram& histogram) {
  auto& out =
      Add(name, help, prometheus::MetricType::Histogram, std::move(labels)).histogram;
  out.sample_count = histogram.total.count;
  out.sample_sum = static_cast<double>(histogram.total.ns) / 1e9;
  uint64_t cumulative = 0;
  for (size_t i = 0; i < histogram.counts.size(); ++i) {
    cumulative += histogram.counts[i];
    const double bound = i < kSecondsBounds.size() ? kSecondsBounds[i] : kInfinity;
    out.bucket.push_back({cumulative, bound});
  }
}

void MetricFamilies::Sizes(const char* name, const char* help, MetricLabels labels,
                           std::span<const int> bounds,
                           const std::map<int, uint64_t>& observed) {
  auto& out =
      Add(name, help, prometheus::MetricType::Histogram, std::move(labels)).histogram;
  for (const int bound : bounds) out.bucket.push_back({0, static_cast<double>(bound)});
  out.bucket.push_back({0, kInfinity});
  for (const auto& [size, count] : observed) {
    out.sample_count += count;
    out.sample_sum += static_cast<double>(size) * static_cast<double>(count);
    for (auto& bucket : out.bucket) {
      if (size <= bucket.upper_bound) bucket.cumulative_count += count;
    }
  }
}

}  // namespace oriel::serving
