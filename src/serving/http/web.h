// The page: mustache templates, the stylesheet and the script. They are part of the
// binary; a folder given to Create is read anew for each page instead, for work
// on them.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "model/model_config.h"
#include "model/session.h"

namespace oriel::serving::http {

struct PageResult {
  std::string filename;
  std::string picture;  // a data: URL; "" when it is not shown
  std::vector<model::ScoredLabel> labels;
  std::string error;  // why there are no labels
  std::string timing;
};

struct PageData {
  const model::ModelConfig* model = nullptr;  // null: still loading
  std::string note;
  std::vector<PageResult> results;
};

// What the API page tells of one endpoint.
struct ApiOperation {
  std::string method, path, summary, description;
  std::string takes;  // media types of bodies; "": none
  std::vector<std::pair<std::string, std::string>> parameters, answers;  // name, text
};

struct ApiGroup {
  std::string name, description;
  std::vector<ApiOperation> operations;
};

struct ApiDescription {
  std::string about;
  std::string address;  // of the server, "host:port"
  std::vector<ApiGroup> groups;
};

struct StaticFile {
  std::string body;
  std::string etag;
};

// Thread-safe.
class Web {
 public:
  // `directory`: where layout.mustache and the others lie; nullopt: built in.
  // kNotFound and the like when one of them cannot be read.
  static absl::StatusOr<Web> Create(
      const std::optional<std::filesystem::path>& directory);

  std::string RenderPage(const PageData& data) const;
  std::string RenderError(int status, std::string_view phrase, std::string_view reason,
                          std::string_view request_id) const;
  std::string RenderApi(const ApiDescription& api) const;
  StaticFile openapi() const { return File("openapi.json"); }
  StaticFile style() const { return File("style.css"); }
  StaticFile script() const { return File("script.js"); }

 private:
  explicit Web(std::optional<std::filesystem::path> directory)
      : directory_(std::move(directory)) {}
  absl::StatusOr<std::string> Read(std::string_view name) const;
  StaticFile File(std::string_view name) const;

  std::optional<std::filesystem::path> directory_;
};

}  // namespace oriel::serving::http
