#include "serving/http/web.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <kainjow/mustache.hpp>

#include "base/crc32c.h"
#include "base/files.h"
#include "serving/http/embedded.h"

namespace oriel::serving::http {
namespace {

namespace mustache = kainjow::mustache;

constexpr const char* kFiles[] = {"layout.mustache", "predict.mustache", "error.mustache",
                                  "api.mustache",    "style.css",        "script.js",
                                  "openapi.json"};

std::string Render(const std::string& text, const mustache::data& data) {
  mustache::mustache compiled(text);
  if (!compiled.is_valid()) {
    spdlog::error("a template of the page is broken: {}", compiled.error_message());
    return "A template of this page is broken; the log says how.\n";
  }
  return compiled.render(data);
}

// A text that may be missing: sections of templates ask for has_KEY, as a text that
// is empty counts as there.
void SetText(mustache::data& data, const std::string& key, const std::string& text) {
  data.set("has_" + key, !text.empty());
  data.set(key, text);
}

// "tabby, tabby cat" reads as a name and its synonyms.
std::pair<std::string, std::string> SplitLabel(const std::string& label) {
  const size_t comma = label.find(", ");
  if (comma == std::string::npos) return {label, ""};
  return {label.substr(0, comma), label.substr(comma + 2)};
}

mustache::data Pairs(const std::vector<std::pair<std::string, std::string>>& pairs) {
  mustache::data list{mustache::data::type::list};
  for (const auto& [name, text] : pairs) {
    mustache::data entry;
    entry.set("name", name);
    entry.set("text", text);
    list.push_back(entry);
  }
  return list;
}

mustache::data OperationData(const ApiOperation& operation) {
  mustache::data data;
  data.set("method", operation.method);
  data.set("path", operation.path);
  data.set("summary", operation.summary);
  SetText(data, "description", operation.description);
  SetText(data, "takes", operation.takes);
  data.set("parameters", Pairs(operation.parameters));
  data.set("answers", Pairs(operation.answers));
  return data;
}

mustache::data ResultData(const PageResult& result) {
  mustache::data data;
  SetText(data, "filename", result.filename);
  SetText(data, "picture", result.picture);
  SetText(data, "timing", result.timing);
  SetText(data, "error", result.error);
  mustache::data labels{mustache::data::type::list};
  for (const model::ScoredLabel& label : result.labels) {
    const auto [name, synonyms] = SplitLabel(label.label);
    mustache::data entry;
    entry.set("name", name);
    SetText(entry, "synonyms", synonyms);
    entry.set("index", fmt::format("{}", label.index));
    entry.set("wnid", label.wnid);
    entry.set("percent", fmt::format("{:.1f}", 100 * label.probability));
    labels.push_back(entry);
  }
  data.set("labels", labels);
  return data;
}

}  // namespace

absl::StatusOr<Web> Web::Create(const std::optional<std::filesystem::path>& directory) {
  Web web(directory);
  for (const char* name : kFiles) RETURN_IF_ERROR(web.Read(name).status());
  return web;
}

absl::StatusOr<std::string> Web::Read(std::string_view name) const {
  if (directory_.has_value()) return ReadFile(*directory_ / name, 1 << 20);
  for (const EmbeddedFile& file : EmbeddedFiles()) {
    if (file.name == name) return std::string(file.contents);
  }
  return Internal("{} is not part of the binary", name);
}

StaticFile Web::File(std::string_view name) const {
  const auto body = Read(name);
  if (!body.ok()) {
    spdlog::error("{}", Message(body.status()));
    return {};
  }
  return {*body, fmt::format("\"{:08x}\"", Crc32c(AsBytes(*body)))};
}

std::string Web::RenderPage(const PageData& page) const {
  mustache::data data;
  data.set("loading", page.model == nullptr);
  data.set("has_model", page.model != nullptr);
  if (page.model != nullptr) {
    const model::ModelConfig& model = *page.model;
    data.set("title", model.title);
    data.set("classes", fmt::format("{}", model.num_classes - model.class_offset));
    data.set("input", fmt::format("{} \u00d7 {}", model.width, model.height));
    SetText(data, "source", model.provenance.source);
    SetText(data, "license", model.provenance.license);
    SetText(data, "accuracy", model.provenance.accuracy);
  }
  SetText(data, "note", page.note);
  mustache::data results{mustache::data::type::list};
  for (const PageResult& result : page.results) results.push_back(ResultData(result));
  data.set("results", results);

  const auto body = Read("predict.mustache");
  mustache::data layout;
  layout.set("page_title", page.model == nullptr ? "Oriel" : page.model->title);
  layout.set("script", true);
  layout.set("content", body.ok() ? Render(*body, data) : "");
  return Render(Read("layout.mustache").value_or(""), layout);
}

std::string Web::RenderApi(const ApiDescription& api) const {
  mustache::data data;
  SetText(data, "about", api.about);
  data.set("address", api.address);
  mustache::data groups{mustache::data::type::list};
  for (const ApiGroup& group : api.groups) {
    mustache::data entry;
    entry.set("name", group.name);
    SetText(entry, "description", group.description);
    mustache::data operations{mustache::data::type::list};
    for (const ApiOperation& operation : group.operations) {
      operations.push_back(OperationData(operation));
    }
    entry.set("operations", operations);
    groups.push_back(entry);
  }
  data.set("groups", groups);
  mustache::data layout;
  layout.set("page_title", "API");
  layout.set("script", false);
  layout.set("content", Render(Read("api.mustache").value_or(""), data));
  return Render(Read("layout.mustache").value_or(""), layout);
}

std::string Web::RenderError(int status, std::string_view phrase, std::string_view reason,
                             std::string_view request_id) const {
  mustache::data data;
  data.set("status", fmt::format("{}", status));
  data.set("phrase", std::string(phrase));
  data.set("reason", std::string(reason));
  data.set("request_id", std::string(request_id));
  mustache::data layout;
  layout.set("page_title", std::string(phrase));
  layout.set("script", false);
  layout.set("content", Render(Read("error.mustache").value_or(""), data));
  return Render(Read("layout.mustache").value_or(""), layout);
}

}  // namespace oriel::serving::http
