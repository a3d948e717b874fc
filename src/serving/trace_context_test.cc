#include "serving/trace_context.h"

#include <gtest/gtest.h>

namespace oriel::serving {
namespace {

// The example of the specification.
constexpr char kExample[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

TEST(Traceparent, TakesTheSpecificationsExample) {
  const auto trace = ParseTraceparent(kExample);
  ASSERT_TRUE(trace.has_value());
  EXPECT_EQ(trace->trace_id, "4bf92f3577b34da6a3ce929d0e0e4736");
  EXPECT_EQ(trace->parent_id, "00f067aa0ba902b7");
}

TEST(Traceparent, LaterVersionsMayHaveMore) {
  const std::string rest = std::string(kExample).substr(2);
  EXPECT_TRUE(ParseTraceparent("01" + rest).has_value());
  EXPECT_TRUE(ParseTraceparent("cc" + rest + "-what-the-future-will-be").has_value());
  EXPECT_FALSE(ParseTraceparent("cc" + rest + ".what-the-future-will-be").has_value());
  EXPECT_FALSE(ParseTraceparent("00" + rest + "-more").has_value());
  EXPECT_FALSE(ParseTraceparent("ff" + rest).has_value());
}

TEST(Traceparent, RefusesEverythingElse) {
  const std::string example = kExample;
  for (size_t n = 0; n < example.size(); ++n) {
    EXPECT_FALSE(ParseTraceparent(example.substr(0, n)).has_value()) << n;
    for (const char c : {'G', 'A', '_', ' ', '\n', '\0', '\xff'}) {
      std::string changed = example;
      changed[n] = c;
      EXPECT_FALSE(ParseTraceparent(changed).has_value()) << n << " " << c;
    }
  }
  const std::string zeros = "00000000000000000000000000000000";
  EXPECT_FALSE(ParseTraceparent("00-" + zeros + "-00f067aa0ba902b7-01").has_value());
  EXPECT_FALSE(
      ParseTraceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-" + zeros.substr(16) + "-01")
          .has_value());
}

}  // namespace
}  // namespace oriel::serving
