// The log of the server: lines on stderr, as text or as JSON, one thread of its own that
// writes them. When nobody takes its lines the oldest are dropped: it never holds up a
// request.
//
// Whoever writes a line that has a client's bytes in it passes them through Printable
// (base/utf8.h): no client can forge a line.
#pragma once

#include <cstdio>
#include <optional>
#include <string>
#include <string_view>

namespace oriel::serving {

enum class LogFormat {
  kText,  // "2026-11-22T17:42:11.674+00:00 info MESSAGE"
  kJson,  // {"time":"...","level":"info","message":"..."}
};

std::optional<LogFormat> ParseLogFormat(std::string_view text);  // "text", "json"
std::string_view LogFormatName(LogFormat format);

struct LogSettings {
  bool info = true, warning = true, error = true;
  int verbose = 0;     // 1: debug, 2: trace as well
  bool access = true;  // a line for each request (access_log.h)
  LogFormat format = LogFormat::kText;
};

// Of "trace", "debug", "info", "warning", "error" or "off", and the rest by default.
std::optional<LogSettings> LogSettingsFor(std::string_view level);

// Makes spdlog's default logger the server's; `out` stays open.
void StartLog(const LogSettings& settings, std::FILE* out = stderr);
// Writes what waits and ends its thread. Loggers must not be used any more.
void StopLog();

// Thread-safe, at any time after StartLog.
LogSettings CurrentLogSettings();
void ChangeLogSettings(const LogSettings& settings);

// Whether a line of the access log would be written, and in which format; nullopt: not.
// A probe's is of level debug, others of level info.
std::optional<LogFormat> AccessLogFormat(bool is_probe);
// `line`: the text, or the members of the JSON object (`"a":1,"b":2`).
void LogAccess(bool is_probe, LogFormat format, std::string_view line);

// `text` in quotes, as JSON has it.
std::string JsonQuoted(std::string_view text);

}  // namespace oriel::serving
