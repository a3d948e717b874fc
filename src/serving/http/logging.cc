#include "serving/http/logging.h"

#include <spdlog/spdlog.h>

#include <cmath>
#include <string>
#include <utility>

#include "base/utf8.h"
#include "serving/http/app.h"
#include "serving/http/inference_call.h"
#include "serving/http/json.h"
#include "serving/http/json_document.h"
#include "serving/log.h"

namespace oriel::serving::http {
namespace {

constexpr int kMaxVerbose = 2;

Response SettingsResponse(const LogSettings& settings) {
  JsonWriter json;
  json.BeginObject();
  json.Key("log_file").String("");
  json.Key("log_info").Boolean(settings.info);
  json.Key("log_warning").Boolean(settings.warning);
  json.Key("log_error").Boolean(settings.error);
  json.Key("log_verbose_level").Integer(settings.verbose);
  json.Key("log_format").String(LogFormatName(settings.format));
  json.Key("log_access").Boolean(settings.access);
  json.EndObject();
  return {.content_type = "application/json", .body = std::move(json).Take()};
}

absl::Status TakeBool(const JsonMember& member, bool& value) {
  if (!member.value.is(JsonValue::Kind::kBool)) {
    return InvalidArgument("'{}' is {}: want true or false", member.key,
                           member.value.KindName());
  }
  value = member.value.boolean;
  return absl::OkStatus();
}

absl::Status TakeSetting(const JsonMember& member, LogSettings& settings) {
  const std::string& key = member.key;
  const JsonValue& value = member.value;
  if (key == "log_info") return TakeBool(member, settings.info);
  if (key == "log_warning") return TakeBool(member, settings.warning);
  if (key == "log_error") return TakeBool(member, settings.error);
  if (key == "log_access") return TakeBool(member, settings.access);
  if (key == "log_verbose_level") {
    if (!value.is(JsonValue::Kind::kNumber) || value.number < 0 ||
        value.number != std::floor(value.number)) {
      return InvalidArgument("'{}': want a whole number from 0", key);
    }
    settings.verbose =
        value.number > kMaxVerbose ? kMaxVerbose : static_cast<int>(value.number);
    return absl::OkStatus();
  }
  const bool is_text = value.is(JsonValue::Kind::kString);
  if (key == "log_format") {
    const auto format = is_text ? ParseLogFormat(value.string) : std::nullopt;
    if (!format.has_value()) return InvalidArgument("'{}': want text or json", key);
    settings.format = *format;
    return absl::OkStatus();
  }
  if (key == "log_file") {
    if (is_text && value.string.empty()) return absl::OkStatus();
    return InvalidArgument(
        "the log goes to standard error: 'log_file' cannot be changed");
  }
  return InvalidArgument("there is no setting '{}'", Printable(key));
}

absl::StatusOr<LogSettings> ReadSettings(const std::string& body) {
  ASSIGN_OR_RETURN(const JsonValue root,
                   ParseJson(body, {.max_numbers = 100, .max_values = 100}));
  if (!root.is(JsonValue::Kind::kObject)) {
    return InvalidArgument("want an object, such as {{\"log_verbose_level\": 1}}");
  }
  LogSettings settings = CurrentLogSettings();
  for (const JsonMember& member : root.members) {
    RETURN_IF_ERROR(TakeSetting(member, settings));
  }
  return settings;
}

}  // namespace

void GetLogging(App&, Request, Responder responder) {
  std::move(responder).Send(SettingsResponse(CurrentLogSettings()));
}

void PostLogging(App& app, Request request, Responder responder) {
  absl::StatusOr<LogSettings> settings = PermissionDenied(
      "the log is changed by administrators only: with an admin's key (--api-keys), or "
      "on "
      "the administration's address (--admin-port)");
  if (request.head.is_admin) settings = ReadSettings(request.body);
  if (!settings.ok()) {
    return std::move(responder).Send(Failure(settings.status(), request.head, app));
  }
  ChangeLogSettings(*settings);
  std::move(responder).Send(SettingsResponse(*settings));
}

}  // namespace oriel::serving::http
