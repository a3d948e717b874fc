#include "serving/access_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include <boost/json/parse.hpp>
#include <cstdio>
#include <sstream>
#include <vector>

#include "base/files.h"
#include "base/testing.h"
#include "base/utf8.h"
#include "serving/testing.h"

namespace oriel::serving {
namespace {

using std::chrono::microseconds;
using testing::HasSubstr;
using testing::MatchesRegex;

// A client that would like to write lines of its own.
constexpr char kForger[] =
    "/x\n2026-01-01T00:00:00.000+00:00 info GET / "
    "200\r\x1b[2K\"},{\"a\":\"\\\xff\xe2\x80\xa8"
    "\xc2\x85 b";

AccessRecord Record() {
  AccessRecord record;
  record.metrics = {"api", "/api/classify", "200", microseconds(67'640), 100'582, 1272};
  record.method = "POST";
  record.path = "/api/classify";
  record.request_id = "7e16fe83-1";
  record.client = "127.0.0.1";
  record.upload = microseconds(731);
  return record;
}

AccessRecord Inference() {
  AccessRecord record = Record();
  record.inference = {"cat", "3", 2, {}};
  record.inference->stages.queue = microseconds(1500);
  record.inference->stages.preprocess = microseconds(7058);
  record.inference->stages.compute = microseconds(58'400);
  record.trace =
      ParseTraceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
  return record;
}

TEST(AccessLine, Text) {
  EXPECT_EQ(
      AccessLine(Record(), LogFormat::kText),
      "POST /api/classify 200 1272 67.6 ms id=7e16fe83-1 client=127.0.0.1 in=100582 "
      "upload=0.7");
  EXPECT_EQ(
      AccessLine(Inference(), LogFormat::kText),
      "POST /api/classify 200 1272 67.6 ms id=7e16fe83-1 client=127.0.0.1 in=100582 "
      "upload=0.7 model=cat/3 images=2 queue=1.5 preprocess=7.1 compute=58.4 "
      "trace=4bf92f3577b34da6a3ce929d0e0e4736");
}

TEST(AccessLine, Json) {
  const auto line =
      boost::json::parse("{" + AccessLine(Inference(), LogFormat::kJson) + "}");
  EXPECT_EQ(line.at("status").as_int64(), 200);
  EXPECT_EQ(line.at("bytes_in").as_int64(), 100'582);
  EXPECT_EQ(line.at("duration_ms").as_double(), 67.64);
  EXPECT_EQ(line.at("model").as_string(), "cat");
  EXPECT_EQ(line.at("version").as_string(), "3");
  EXPECT_EQ(line.at("compute_ms").as_double(), 58.4);
  EXPECT_EQ(line.at("trace_id").as_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
  EXPECT_EQ(line.at("parent_id").as_string(), "00f067aa0ba902b7");
  AccessRecord grpc = Record();
  grpc.metrics.status = "NOT_FOUND";
  EXPECT_THAT(AccessLine(grpc, LogFormat::kJson), HasSubstr(R"("status":"NOT_FOUND")"));
}

TEST(AccessLine, NoClientForgesALine) {
  AccessRecord record = Record();
  record.path = record.method = record.request_id = record.client = kForger;
  const std::string text = AccessLine(record, LogFormat::kText);
  EXPECT_FALSE(HasControlCharacters(text));
  EXPECT_FALSE(FindInvalidUtf8(text).has_value());
  EXPECT_EQ(std::count(text.begin(), text.end(), ' '), 9) << text;
  const std::string json = "{" + AccessLine(record, LogFormat::kJson) + "}";
  EXPECT_FALSE(HasControlCharacters(json));
  const auto parsed = boost::json::parse(json);
  EXPECT_EQ(parsed.as_object().size(), 11);
  EXPECT_THAT(std::string(parsed.at("path").as_string()), HasSubstr("\"},{\"a\":\"\\"));
}

TEST(AccessLine, LongPathsAreCut) {
  const std::string path(100'000, 'x');
  AccessRecord record = Record();
  record.path = path;
  EXPECT_LT(AccessLine(record, LogFormat::kText).size(), 1000);
  EXPECT_LT(AccessLine(record, LogFormat::kJson).size(), 1000);
}

TEST(Report, IsOfTheImageThatTookLongest) {
  std::vector<ImageAnswer> answers(3);
  answers[0].timings.compute = microseconds(5);
  answers[1].timings.compute = microseconds(9);
  answers[2].timings.queue = microseconds(8);
  const FakeSession session;
  const InferenceReport report = ReportOf(session, answers);
  EXPECT_EQ(report.model, "fake");
  EXPECT_EQ(report.version, "7");
  EXPECT_EQ(report.images, 3);
  EXPECT_EQ(report.stages.compute, microseconds(9));
}

// The lines that the log has written.
class LogTest : public testing::Test {
 protected:
  void Start(const LogSettings& settings) {
    file_ = std::fopen((folder_.path() / "log").c_str(), "w");
    StartLog(settings, file_);
  }
  std::vector<std::string> Stop() {
    StopLog();
    std::fclose(file_);
    const auto text = ReadFile(folder_.path() / "log", 1 << 20);
    EXPECT_TRUE(text.ok());
    std::vector<std::string> lines;
    std::istringstream stream(*text);
    for (std::string line; std::getline(stream, line);) lines.push_back(line);
    // Others of this program log as ever.
    spdlog::set_default_logger(before_);
    return lines;
  }
  static void LogRequest(bool is_probe = false) {
    const auto format = AccessLogFormat(is_probe);
    if (!format.has_value()) return;
    AccessRecord record = Record();
    record.path = is_probe ? "/healthz" : "/api/classify";
    LogAccess(is_probe, *format, AccessLine(record, *format));
  }

  std::shared_ptr<spdlog::logger> before_ = spdlog::default_logger();
  TemporaryDirectory folder_;
  std::FILE* file_ = nullptr;
};

constexpr char kTimePattern[] =
    "[0-9]+-[0-9]+-[0-9]+T[0-9]+:[0-9]+:[0-9]+\\.[0-9]+[+-][0-9]+:[0-9]+ ";

TEST_F(LogTest, Text) {
  Start({});
  spdlog::info("one {}", kForger);
  spdlog::debug("not this");
  LogRequest();
  LogRequest(/*is_probe=*/true);
  spdlog::warn("three");
  const auto lines = Stop();
  ASSERT_EQ(lines.size(), 3);
  EXPECT_THAT(lines[0], MatchesRegex(std::string(kTimePattern) + "info one .*"));
  EXPECT_THAT(lines[1],
              MatchesRegex(std::string(kTimePattern) + "info POST /api/classify 200 .*"));
  EXPECT_THAT(lines[2], MatchesRegex(std::string(kTimePattern) + "warning three"));
}

TEST_F(LogTest, JsonAtDebug) {
  LogSettings settings = *LogSettingsFor("debug");
  settings.format = LogFormat::kJson;
  Start(settings);
  spdlog::error("one {}", kForger);
  LogRequest();
  LogRequest(/*is_probe=*/true);
  const auto lines = Stop();
  ASSERT_EQ(lines.size(), 3);
  std::vector<boost::json::value> parsed;
  for (const std::string& line : lines) parsed.push_back(boost::json::parse(line));
  EXPECT_EQ(parsed[0].at("level").as_string(), "error");
  EXPECT_EQ(parsed[0].as_object().size(), 3);
  EXPECT_EQ(parsed[1].at("level").as_string(), "info");
  EXPECT_EQ(parsed[1].at("path").as_string(), "/api/classify");
  EXPECT_EQ(parsed[2].at("level").as_string(), "debug");
  EXPECT_EQ(parsed[2].at("path").as_string(), "/healthz");
}

TEST_F(LogTest, ChangesWhileItRuns) {
  Start(*LogSettingsFor("off"));
  spdlog::error("not this");
  LogRequest();
  LogSettings settings;
  settings.info = false;
  ChangeLogSettings(settings);
  spdlog::info("not this");
  spdlog::warn("first");
  LogRequest();  // its level is info
  settings.info = true;
  settings.warning = false;
  ChangeLogSettings(settings);
  EXPECT_FALSE(CurrentLogSettings().warning);
  spdlog::warn("not this");
  spdlog::info("second");
  settings.access = false;
  ChangeLogSettings(settings);
  LogRequest();
  spdlog::info("third");
  const auto lines = Stop();
  ASSERT_EQ(lines.size(), 3);
  EXPECT_THAT(lines[0], HasSubstr("first"));
  EXPECT_THAT(lines[1], HasSubstr("second"));
  EXPECT_THAT(lines[2], HasSubstr("third"));
}

}  // namespace
}  // namespace oriel::serving
