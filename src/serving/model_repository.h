// The models that a server has: several at once, each in several versions, loaded
// from folders and exchanged while requests come in.
//
//   <root>/<name>/<version>/oriel.json ...
//
// One thread does all loading and unloading, one version at a time. A version is
// opened, warmed and checked beside what serves; only then do requests go to it, and
// only then does what it replaces end: it answers what it had accepted, and its
// memory goes back to the system. A version that cannot be loaded replaces nothing,
// and is tried again when its files change.
//
// Names, states and policies are those of TensorFlow Serving
// (tensorflow_serving/apis/get_model_status.proto, config/file_system_storage_path_
// source.proto).
#pragma once

#include <absl/functional/any_invocable.h>

#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "base/status.h"
#include "model/model_directory.h"
#include "serving/clock.h"
#include "serving/served_model.h"

namespace oriel::serving {

// Which of the versions that a model's folder has are to be loaded.
struct VersionPolicy {
  enum class Kind { kLatest, kAll, kSpecific };
  Kind kind = Kind::kLatest;
  int latest = 1;                 // kLatest: so many, the highest numbers
  std::vector<int64_t> versions;  // kSpecific
};

// "latest", "latest:2", "all", "specific:1,3".
absl::StatusOr<VersionPolicy> ParseVersionPolicy(std::string_view text);

// "stable=3", or of one model alone: "cats:stable=3".
struct VersionLabel {
  std::string model;  // "": of all
  std::string label;
  int64_t version = 0;
};
absl::StatusOr<VersionLabel> ParseVersionLabel(std::string_view text);

struct ModelSettings {
  VersionPolicy policy;
  std::map<std::string, int64_t> labels;  // "stable" -> 3
};

struct ModelRepositoryOptions {
  // Every folder in it whose name is a model's and that has versions is a model.
  // Empty: none but `models`.
  std::filesystem::path root;
  // Folders of models by name: with versions in it, or with an oriel.json of its own,
  // which then is version 1.
  std::map<std::string, std::filesystem::path> models;
  // Nothing of `root` is loaded before Load is called for it.
  bool load_on_demand = false;
  // How often folders are looked at; zero: at Start, Load and Rescan only.
  std::chrono::milliseconds poll_interval{0};
  ModelSettings settings;  // of models that are not in the next
  std::map<std::string, ModelSettings> settings_by_model;
  // What answers requests that name no model. Empty: the first of
  // model::kDefaultModels that is there, else the first by name.
  std::string default_model;
  std::chrono::milliseconds unload_grace{30'000};
};

// Which model a request is for.
struct ModelSpec {
  std::string name;                // "": the default
  std::optional<int64_t> version;  // none: the highest that is available
  std::string label;               // instead of a version
};

enum class VersionState { kStart, kLoading, kAvailable, kUnloading, kEnd };
std::string_view VersionStateName(VersionState state);  // "AVAILABLE"

struct VersionStatus {
  int64_t version = 0;
  VersionState state = VersionState::kStart;
  // Why the last attempt to load it failed. Of an available version: why the files
  // that have replaced its own since are not what serves.
  absl::Status error;
};

struct ModelStatus {
  std::string name;
  std::vector<VersionStatus> versions;  // highest first
};

// Thread-safe. `clock` outlives it.
class ModelRepository {
 public:
  // Makes a version ready to answer. Called on the repository's thread only.
  using Loader = std::function<absl::StatusOr<std::shared_ptr<ServedModel>>(
      const model::ModelDirectory&)>;
  // Called once, from the repository's thread or from Stop.
  using Done = absl::AnyInvocable<void(absl::Status) &&>;

  ModelRepository(ModelRepositoryOptions options, Loader loader, Clock& clock);
  // Stop() without grace.
  ~ModelRepository();
  const ModelRepositoryOptions& options() const { return options_; }
  ModelRepository(const ModelRepository&) = delete;
  ModelRepository& operator=(const ModelRepository&) = delete;

  // Starts the thread: it loads what is wanted, the default model first.
  void Start();
  // Blocks until everything that is wanted at Start has been loaded, or has failed.
  void AwaitStarted();
  bool started() const;

  // kUnavailable while the model is loading or the server stops, kNotFound for a
  // model, version or label that is not there; texts that a client may see. Let go of
  // the answer soon: it keeps a model that is to be unloaded from ending.
  absl::StatusOr<std::shared_ptr<ServedModel>> Get(const ModelSpec& spec) const;

  // The versions that are available, by name and number: of all models where spec
  // names none, else of that model, or the one version. Get's errors. Let go of them
  // soon.
  absl::StatusOr<std::vector<std::shared_ptr<ServedModel>>> GetAll(
      const ModelSpec& spec) const;

  // All models, by name.
  std::vector<ModelStatus> Index() const;
  // kNotFound for an unknown model.
  absl::StatusOr<ModelStatus> Status(std::string_view name) const;
  // Of the model that a spec without a name means; "" where there is none.
  std::string DefaultModel() const;
  // Of a model; empty for one that is unknown.
  std::map<std::string, int64_t> Labels(std::string_view name) const;

  // Loads the model of that name, or what has changed of it, a failed version anew.
  // The error of a version that failed; kNotFound where there is no such folder.
  void Load(std::string name, Done done);
  // Ends all its versions; it stays known, and polling does not load it again.
  void Unload(std::string name, Done done);
  // Looks at all folders now. OK unless a wanted version failed.
  void Rescan(Done done);

  // Refuses requests, ends all models. What they have accepted is answered up to
  // `deadline`. May be called twice.
  void Stop(TimePoint deadline);

 private:
  struct Version {
    VersionState state = VersionState::kStart;
    absl::Status error;
    std::shared_ptr<ServedModel> model;
    std::string stamp;         // of the files that `model` is of
    std::string failed_stamp;  // of the files that could not be loaded
  };
  struct Model {
    std::filesystem::path folder;
    bool wanted = false;
    bool unloaded = false;                // by Unload
    std::map<int64_t, Version> versions;  // that are, were or are to be loaded
  };
  using Task = absl::AnyInvocable<void() &&>;

  const ModelSettings& SettingsOf(std::string_view name) const;
  std::string DefaultModelLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<std::shared_ptr<ServedModel>> Find(const Model& model,
                                                    std::string_view name,
                                                    const ModelSpec& spec) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Submit(Task task, Done done_if_stopped);

  // On the thread.
  void Work();
  void FindFolders();
  std::vector<std::string> NamesInOrder() const;
  absl::Status ReconcileAll();
  absl::Status Reconcile(const std::string& name, bool again);
  absl::Status LoadVersion(const std::string& name, const model::ModelDirectory& files,
                           bool again);
  void EndExtraVersions(const std::string& name, const std::set<int64_t>& wanted,
                        const std::map<int64_t, std::filesystem::path>& there);
  void EndVersion(const std::string& name, int64_t version);
  // Ends what nobody can Get any more.
  void End(std::shared_ptr<ServedModel> model, TimePoint deadline);
  bool Stopping() const;

  const ModelRepositoryOptions options_;
  const Loader loader_;
  Clock& clock_;

  mutable Mutex mutex_;
  mutable CondVar changed_;
  std::map<std::string, Model, std::less<>> models_ ABSL_GUARDED_BY(mutex_);
  std::deque<std::pair<Task, Done>> tasks_ ABSL_GUARDED_BY(mutex_);
  bool started_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace oriel::serving
