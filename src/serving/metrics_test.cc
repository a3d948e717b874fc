#include "serving/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/testing.h"
#include "serving/metric_families.h"
#include "serving/model_repository.h"
#include "serving/process_metrics.h"

namespace oriel::serving {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;
using testing::Not;

class MetricsTest : public testing::Test {
 protected:
  ModelRepository models_{{}, nullptr, Clock::Real()};
  Metrics metrics_{models_};
};

TEST_F(MetricsTest, RequestsByProtocolRouteAndStatus) {
  for (int i = 0; i < 2; ++i) {
    metrics_.Record({"api", "/api/classify", "200", milliseconds(20), 100, 1000});
  }
  metrics_.Record({"api", "/api/classify", "429", milliseconds(1), 0, 10});
  const std::string text = metrics_.Text();
  for (const char* line :
       {R"(oriel_requests_total{protocol="api",route="/api/classify",status="200"} 2)",
        R"(oriel_requests_total{protocol="api",route="/api/classify",status="429"} 1)",
        R"(oriel_request_bytes_total{protocol="api"} 200)",
        R"(oriel_response_bytes_total{protocol="api"} 2010)",
        R"(_bucket{protocol="api",route="/api/classify",le="0.001"} 1)",
        R"(_bucket{protocol="api",route="/api/classify",le="0.025"} 3)",
        R"(_count{protocol="api",route="/api/classify"} 3)",
        "# TYPE oriel_request_duration_seconds histogram"}) {
    EXPECT_THAT(text, HasSubstr(std::string(line) + "\n"));
  }
}

TEST_F(MetricsTest, InFlightAndGaugesThatComeAndGo) {
  EXPECT_THAT(metrics_.Text(), HasSubstr("oriel_requests_in_flight 0\n"));
  {
    const Metrics::InFlight one(metrics_), two(metrics_);
    EXPECT_THAT(metrics_.Text(), HasSubstr("oriel_requests_in_flight 2\n"));
  }
  EXPECT_THAT(metrics_.Text(), HasSubstr("oriel_requests_in_flight 0\n"));
  auto main = metrics_.AddGauge("a_gauge", "Help", [] { return 3.0; });
  auto admin = metrics_.AddGauge("a_gauge", "Help", [] { return 4.0; });
  EXPECT_THAT(metrics_.Text(), HasSubstr("a_gauge 7\n"));
  admin.reset();
  EXPECT_THAT(metrics_.Text(), HasSubstr("a_gauge 3\n"));
  main.reset();
  EXPECT_THAT(metrics_.Text(), Not(HasSubstr("a_gauge")));
}

TEST(MetricFamilies, HistogramsAreCumulative) {
  SecondsHistogram seconds;
  for (const int ms : {1, 3, 20'000}) seconds.Observe(milliseconds(ms));
  MetricFamilies families;
  families.Seconds("s", "Help", {}, seconds);
  families.Sizes("n", "Help", {}, std::array{1, 2, 4}, {{1, 5}, {3, 2}, {9, 1}});
  const auto taken = std::move(families).Take();
  ASSERT_EQ(taken.size(), 2);
  const auto& times = taken[0].metric[0].histogram;
  EXPECT_EQ(times.bucket.size(), kSecondsBounds.size() + 1);
  EXPECT_EQ(times.bucket[0].cumulative_count, 0);
  EXPECT_EQ(times.bucket[1].cumulative_count, 1);
  EXPECT_EQ(times.bucket[kSecondsBounds.size() - 1].cumulative_count, 2);
  EXPECT_EQ(times.bucket.back().cumulative_count, 3);
  EXPECT_DOUBLE_EQ(times.sample_sum, 20.004);
  const auto& sizes = taken[1].metric[0].histogram;
  std::vector<uint64_t> counts;
  for (const auto& bucket : sizes.bucket) counts.push_back(bucket.cumulative_count);
  EXPECT_THAT(counts, testing::ElementsAre(5, 5, 7, 8));
  EXPECT_EQ(sizes.sample_count, 8);
  EXPECT_EQ(sizes.sample_sum, 20);
}

TEST(ProcessMetrics, KnowsThisProcess) {
  MetricFamilies families;
  ProcessMetrics().Collect(families);
  std::map<std::string, double> values;
  for (const auto& family : std::move(families).Take()) {
    const auto& metric = family.metric.at(0);
    values[family.name] = family.type == prometheus::MetricType::Counter
                              ? metric.counter.value
                              : metric.gauge.value;
  }
  const double now = static_cast<double>(std::time(nullptr));
  EXPECT_LE(values.at("process_start_time_seconds"), now + 2);
  EXPECT_GT(values.at("process_start_time_seconds"), now - 3600);
  EXPECT_GT(values.at("process_resident_memory_bytes"), 1 << 20);
  EXPECT_GE(values.at("process_virtual_memory_bytes"),
            values.at("process_resident_memory_bytes"));
  EXPECT_GE(values.at("process_open_fds"), 3);
  EXPECT_GT(values.at("process_max_fds"), values.at("process_open_fds"));
  EXPECT_GE(values.at("process_threads"), 1);
  EXPECT_GE(values.at("process_cpu_seconds_total"), 0);
  EXPECT_GT(values.at("nv_cpu_memory_total_bytes"),
            values.at("nv_cpu_memory_used_bytes"));
  EXPECT_GE(values.at("nv_cpu_utilization"), 0);
  EXPECT_LE(values.at("nv_cpu_utilization"), 1);
}

}  // namespace
}  // namespace oriel::serving
