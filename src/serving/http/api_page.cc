#include "serving/http/api_page.h"

#include <fmt/ranges.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <utility>

#include "serving/http/app.h"
#include "serving/http/page.h"
#include "serving/http/problem.h"

namespace oriel::serving::http {
namespace {

namespace json = boost::json;

std::string Text(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains({key.data(), key.size()});
  return value != nullptr && value->is_string()
             ? std::string(value->get_string().begin(), value->get_string().end())
             : "";
}

// Follows {"$ref": "#/components/..."} by one step, which is as deep as ours go.
const json::object& Resolve(const json::value& root, const json::value& value) {
  const json::object& object = value.as_object();
  const std::string reference = Text(object, "$ref");
  return reference.empty() ? object : root.at_pointer(reference.substr(1)).as_object();
}

std::string DescribeParameter(const json::object& parameter) {
  std::vector<std::string> parts;
  if (Text(parameter, "in") == "header") parts.push_back("header");
  const json::object& schema = parameter.at("schema").as_object();
  parts.push_back(Text(schema, "type"));
  for (const char* bound : {"minimum", "maximum", "default"}) {
    if (const json::value* value = schema.if_contains(bound)) {
      parts.push_back(fmt::format("{} {}", bound, json::serialize(*value)));
    }
  }
  if (std::string text = Text(parameter, "description"); !text.empty()) {
    parts.push_back(std::move(text));
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

ApiOperation Describe(const json::value& root, std::string_view path,
                      std::string_view method, const json::object& item,
                      const json::object& operation) {
  ApiOperation described;
  for (const char c : method) described.method += static_cast<char>(c - 'a' + 'A');
  described.path = path;
  described.summary = Text(operation, "summary");
  described.description = Text(operation, "description");
  for (const json::object* holder : {&item, &operation}) {
    const json::value* parameters = holder->if_contains("parameters");
    if (parameters == nullptr) continue;
    for (const json::value& value : parameters->as_array()) {
      const json::object& parameter = Resolve(root, value);
      if (Text(parameter, "in") == "path") continue;
      described.parameters.emplace_back(Text(parameter, "name"),
                                        DescribeParameter(parameter));
    }
  }
  if (const json::value* body = operation.if_contains("requestBody")) {
    std::vector<std::string> types;
    for (const auto& [type, content] : body->at("content").as_object()) {
      types.emplace_back(type);
    }
    described.takes = fmt::format("{}", fmt::join(types, ", "));
  }
  for (const auto& [status, value] : operation.at("responses").as_object()) {
    described.answers.emplace_back(std::string(status),
                                   Text(Resolve(root, value), "description"));
  }
  return described;
}

ApiDescription Describe(const json::value& root) {
  ApiDescription api;
  api.about = Text(root.at("info").as_object(), "description");
  for (const json::value& tag : root.at("tags").as_array()) {
    ApiGroup group = {
        Text(tag.as_object(), "name"), Text(tag.as_object(), "description"), {}};
    for (const auto& [path, item] : root.at("paths").as_object()) {
      for (const char* method : {"get", "post"}) {
        const json::value* operation = item.as_object().if_contains(method);
        if (operation == nullptr ||
            operation->at("tags").at(0).as_string() != json::string_view(group.name)) {
          continue;
        }
        group.operations.push_back(Describe(root, {path.data(), path.size()}, method,
                                            item.as_object(), operation->as_object()));
      }
    }
    api.groups.push_back(std::move(group));
  }
  return api;
}

}  // namespace

absl::StatusOr<ApiDescription> DescribeApi(std::string_view openapi) {
  try {
    return Describe(json::parse({openapi.data(), openapi.size()}));
  } catch (const std::exception& error) {
    return InvalidArgument("openapi.json: {}", error.what());
  }
}

void GetOpenApi(App& app, Request request, Responder responder) {
  SendStatic(app.web.openapi(), "application/json", request, std::move(responder));
}

void GetApiPage(App& app, Request request, Responder responder) {
  auto api = DescribeApi(app.web.openapi().body);
  if (!api.ok()) {
    return std::move(responder).Send(
        ErrorResponse(ProblemFrom(Internal("{}", Message(api.status()))), request.head,
                      Audience::kPerson, app.web));
  }
  // As the client sees the server; a proxy may have ended its TLS.
  api->address = std::string(request.head.Header("host"));
  std::move(responder).Send(
      {.content_type = "text/html; charset=utf-8", .body = app.web.RenderApi(*api)});
}

}  // namespace oriel::serving::http
