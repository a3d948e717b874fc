#include "serving/log.h"

#include <spdlog/async.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <utility>

#include "base/mutex.h"
#include "base/utf8.h"

namespace oriel::serving {
namespace {

constexpr char kTime[] = "%Y-%m-%dT%H:%M:%S.%e%z";
// Lines of the access log say by their logger's name which format they were made for.
constexpr char kAccessText[] = "access text";
constexpr char kAccessJson[] = "access json";
constexpr size_t kMaxWaitingLines = 8192;

std::string_view View(const spdlog::string_view_t& text) {
  return {text.data(), text.size()};
}

class Sink : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit Sink(std::FILE* out)
      : out_(out),
        time_(std::make_unique<spdlog::pattern_formatter>(
            kTime, spdlog::pattern_time_type::local, "")) {}

  void SetFormat(LogFormat format) { json_ = format == LogFormat::kJson; }

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    const std::string_view logger = View(message.logger_name);
    const bool json = logger == kAccessJson || (logger != kAccessText && json_);
    const std::string_view level = View(spdlog::level::to_string_view(message.level));
    // Whoever forgets to clean a client's bytes forges no line either.
    const std::string payload = Printable(View(message.payload));
    spdlog::memory_buf_t time;
    time_->format(message, time);
    line_.clear();
    if (!json) {
      line_ = fmt::format("{} {} {}\n", std::string_view(time.data(), time.size()), level,
                          payload);
    } else {
      line_ = fmt::format(R"({{"time":"{}","level":"{}",)",
                          std::string_view(time.data(), time.size()), level);
      line_ += logger == kAccessJson
                   ? payload
                   : fmt::format(R"("message":{})", JsonQuoted(payload));
      line_ += "}\n";
    }
    std::fwrite(line_.data(), 1, line_.size(), out_);
    std::fflush(out_);
  }
  void flush_() override { std::fflush(out_); }

 private:
  std::FILE* const out_;
  const std::unique_ptr<spdlog::formatter> time_;
  std::string line_;
  std::atomic<bool> json_{false};
};

// In front of the queue, so that a change of settings is one for what comes after it.
class Filter : public spdlog::sinks::sink {
 public:
  explicit Filter(std::shared_ptr<spdlog::logger> queue) : queue_(std::move(queue)) {}

  void Set(const LogSettings& settings) {
    info_ = settings.info;
    warning_ = settings.warning;
    error_ = settings.error;
  }
  void log(const spdlog::details::log_msg& message) override {
    if (Wants(message.level)) {
      queue_->log(message.time, message.source, message.level, message.payload);
    }
  }
  void flush() override { queue_->flush(); }
  void set_pattern(const std::string&) override {}
  void set_formatter(std::unique_ptr<spdlog::formatter>) override {}

 private:
  bool Wants(spdlog::level::level_enum level) const {
    switch (level) {
      case spdlog::level::info:
        return info_;
      case spdlog::level::warn:
        return warning_;
      case spdlog::level::err:
      case spdlog::level::critical:
        return error_;
      default:
        return true;  // the logger's level decides
    }
  }

  const std::shared_ptr<spdlog::logger> queue_;
  std::atomic<bool> info_{true}, warning_{true}, error_{true};
};

struct Log {
  std::shared_ptr<Sink> sink;
  std::shared_ptr<Filter> filter;
  std::shared_ptr<spdlog::logger> lines, access_text, access_json;
};

// One for the process, as spdlog's own registry.
struct Global {
  Mutex mutex;
  Log log ABSL_GUARDED_BY(mutex);
  LogSettings settings ABSL_GUARDED_BY(mutex);
};
Global& TheGlobal() {
  static Global global;
  return global;
}

spdlog::level::level_enum LowestLevel(const LogSettings& settings) {
  if (settings.verbose > 1) return spdlog::level::trace;
  if (settings.verbose == 1) return spdlog::level::debug;
  if (settings.info) return spdlog::level::info;
  if (settings.warning) return spdlog::level::warn;
  return settings.error ? spdlog::level::err : spdlog::level::off;
}

void Apply(const Log& log, const LogSettings& settings) {
  if (log.sink == nullptr) return;
  log.sink->SetFormat(settings.format);
  log.filter->Set(settings);
  const auto level = LowestLevel(settings);
  log.lines->set_level(level);
  for (const auto& access : {log.access_text, log.access_json}) {
    access->set_level(settings.access ? level : spdlog::level::off);
  }
}

spdlog::level::level_enum AccessLevel(bool is_probe) {
  return is_probe ? spdlog::level::debug : spdlog::level::info;
}

}  // namespace

std::optional<LogFormat> ParseLogFormat(std::string_view text) {
  if (text == "text") return LogFormat::kText;
  if (text == "json") return LogFormat::kJson;
  return std::nullopt;
}

std::string_view LogFormatName(LogFormat format) {
  return format == LogFormat::kJson ? "json" : "text";
}

std::optional<LogSettings> LogSettingsFor(std::string_view level) {
  LogSettings settings;
  if (level == "trace") settings.verbose = 2;
  if (level == "debug") settings.verbose = 1;
  if (level == "trace" || level == "debug" || level == "info") return settings;
  settings.info = false;
  if (level == "warning") return settings;
  settings.warning = false;
  if (level == "error") return settings;
  settings.error = false;
  if (level == "off") return settings;
  return std::nullopt;
}

std::string JsonQuoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : Printable(text)) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

void StartLog(const LogSettings& settings, std::FILE* out) {
  spdlog::init_thread_pool(kMaxWaitingLines, 1);
  Log log;
  log.sink = std::make_shared<Sink>(out);
  const auto logger = [&](const char* name) {
    auto made = std::make_shared<spdlog::async_logger>(
        name, log.sink, spdlog::thread_pool(),
        spdlog::async_overflow_policy::overrun_oldest);
    made->set_level(spdlog::level::trace);
    return made;
  };
  log.filter = std::make_shared<Filter>(logger("oriel"));
  log.lines = std::make_shared<spdlog::logger>("oriel", log.filter);
  log.access_text = logger(kAccessText);
  log.access_json = logger(kAccessJson);
  Apply(log, settings);
  spdlog::set_default_logger(log.lines);
  Global& global = TheGlobal();
  MutexLock lock(global.mutex);
  global.log = std::move(log);
  global.settings = settings;
}

void StopLog() {
  Global& global = TheGlobal();
  {
    MutexLock lock(global.mutex);
    global.log = {};
  }
  spdlog::shutdown();
}

LogSettings CurrentLogSettings() {
  Global& global = TheGlobal();
  MutexLock lock(global.mutex);
  return global.settings;
}

void ChangeLogSettings(const LogSettings& settings) {
  Global& global = TheGlobal();
  MutexLock lock(global.mutex);
  global.settings = settings;
  Apply(global.log, settings);
}

std::optional<LogFormat> AccessLogFormat(bool is_probe) {
  Global& global = TheGlobal();
  LogSettings settings;
  bool started;
  {
    MutexLock lock(global.mutex);
    settings = global.settings;
    started = global.log.sink != nullptr;
  }
  if (!started) {  // by a program without this log
    if (!spdlog::should_log(AccessLevel(is_probe))) return std::nullopt;
    return LogFormat::kText;
  }
  const bool wanted = is_probe ? settings.verbose > 0 : settings.info;
  if (!settings.access || !wanted) return std::nullopt;
  return settings.format;
}

void LogAccess(bool is_probe, LogFormat format, std::string_view line) {
  std::shared_ptr<spdlog::logger> logger;
  {
    Global& global = TheGlobal();
    MutexLock lock(global.mutex);
    const Log& log = global.log;
    logger = format == LogFormat::kJson ? log.access_json : log.access_text;
  }
  if (logger == nullptr) return spdlog::log(AccessLevel(is_probe), "{}", line);
  logger->log(AccessLevel(is_probe), "{}", line);
}

}  // namespace oriel::serving
