#include "serving/model_repository.h"

#include <malloc.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <utility>

namespace oriel::serving {
namespace {

namespace fs = std::filesystem;

// Changes when one of the files that make a version does.
std::string Stamp(const fs::path& version_directory) {
  std::string stamp;
  for (const char* file :
       {model::kConfigFile, model::kGraphFile, model::kDescriptionsFile,
        model::kWnidsFile, "calibration.json"}) {
    struct stat s;
    if (::stat((version_directory / file).c_str(), &s) != 0) {
      stamp += "- ";
      continue;
    }
    stamp += fmt::format("{}:{}:{}:{}.{} ", s.st_dev, s.st_ino, s.st_size,
                         s.st_mtim.tv_sec, s.st_mtim.tv_nsec);
  }
  return stamp;
}

bool HasConfig(const fs::path& folder) {
  std::error_code error;
  return fs::is_regular_file(folder / model::kConfigFile, error);
}

// Versions of a model's folder.
std::map<int64_t, fs::path> VersionsIn(const fs::path& folder) {
  if (HasConfig(folder)) return {{1, folder}};
  std::map<int64_t, fs::path> versions;
  std::error_code error;
  for (auto it = fs::directory_iterator(folder, error);
       !error && it != fs::directory_iterator(); it.increment(error)) {
    const auto version = model::ParseVersion(it->path().filename().string());
    if (version.has_value() && HasConfig(it->path())) {
      versions.emplace(*version, it->path());
    }
  }
  return versions;
}

std::set<int64_t> Select(const VersionPolicy& policy,
                         const std::map<int64_t, fs::path>& there) {
  std::set<int64_t> selected;
  for (auto it = there.rbegin(); it != there.rend(); ++it) {
    if (policy.kind == VersionPolicy::Kind::kLatest && selected.size() >= policy.latest) {
      break;
    }
    if (policy.kind == VersionPolicy::Kind::kSpecific &&
        std::count(policy.versions.begin(), policy.versions.end(), it->first) == 0) {
      continue;
    }
    selected.insert(it->first);
  }
  return selected;
}

template <typename Map>
std::string KeysOf(const Map& map) {
  std::string text;
  for (const auto& [key, value] : map)
    text += fmt::format("{}{}", text.empty() ? "" : ", ", key);
  return text;
}

}  // namespace

absl::StatusOr<VersionPolicy> ParseVersionPolicy(std::string_view text) {
  const auto malformed = [&] {
    return InvalidArgument(
        "version policy '{}': want 'latest', 'latest:N', 'all' or 'specific:N,...'",
        text);
  };
  VersionPolicy policy;
  if (text == "latest") return policy;
  if (text == "all") {
    policy.kind = VersionPolicy::Kind::kAll;
    return policy;
  }
  if (text.starts_with("latest:")) {
    const auto n = model::ParseVersion(text.substr(7));
    if (!n.has_value() || *n < 1 || *n > 1000) return malformed();
    policy.latest = static_cast<int>(*n);
    return policy;
  }
  if (!text.starts_with("specific:")) return malformed();
  policy.kind = VersionPolicy::Kind::kSpecific;
  for (std::string_view rest = text.substr(9);;) {
    const size_t comma = rest.find(',');
    const auto version = model::ParseVersion(rest.substr(0, comma));
    if (!version.has_value()) return malformed();
    policy.versions.push_back(*version);
    if (comma == std::string_view::npos) return policy;
    rest.remove_prefix(comma + 1);
  }
}

absl::StatusOr<VersionLabel> ParseVersionLabel(std::string_view text) {
  const auto malformed = [&] {
    return InvalidArgument("version label '{}': want [MODEL:]LABEL=VERSION", text);
  };
  VersionLabel label;
  std::string_view rest = text;
  if (const size_t colon = rest.find(':'); colon != std::string_view::npos) {
    label.model = rest.substr(0, colon);
    if (!model::CheckModelName(label.model).ok()) return malformed();
    rest.remove_prefix(colon + 1);
  }
  const size_t equals = rest.find('=');
  if (equals == std::string_view::npos) return malformed();
  label.label = rest.substr(0, equals);
  // A label stands in addresses as a name does.
  if (!model::CheckModelName(label.label).ok()) return malformed();
  const auto version = model::ParseVersion(rest.substr(equals + 1));
  if (!version.has_value()) return malformed();
  label.version = *version;
  return label;
}

std::string_view VersionStateName(VersionState state) {
  switch (state) {
    case VersionState::kStart:
      return "START";
    case VersionState::kLoading:
      return "LOADING";
    case VersionState::kAvailable:
      return "AVAILABLE";
    case VersionState::kUnloading:
      return "UNLOADING";
    case VersionState::kEnd:
      return "END";
  }
  return "UNKNOWN";
}

ModelRepository::ModelRepository(ModelRepositoryOptions options, Loader loader,
                                 Clock& clock)
    : options_(std::move(options)), loader_(std::move(loader)), clock_(clock) {}

ModelRepository::~ModelRepository() { Stop(TimePoint::min()); }

void ModelRepository::Start() {
  FindFolders();
  thread_ = std::thread([this] { Work(); });
}

void ModelRepository::AwaitStarted() {
  MutexLock lock(mutex_);
  while (!started_ && !stopping_) changed_.Wait(mutex_);
}

bool ModelRepository::started() const {
  MutexLock lock(mutex_);
  return started_;
}

const ModelSettings& ModelRepository::SettingsOf(std::string_view name) const {
  const auto own = options_.settings_by_model.find(std::string(name));
  return own == options_.settings_by_model.end() ? options_.settings : own->second;
}

std::string ModelRepository::DefaultModelLocked() const {
  if (!options_.default_model.empty()) return options_.default_model;
  for (const char* name : model::kDefaultModels) {
    const auto it = models_.find(name);
    if (it != models_.end() && it->second.wanted) return name;
  }
  for (const auto& [name, model] : models_) {
    if (model.wanted) return name;
  }
  return models_.empty() ? "" : models_.begin()->first;
}

std::string ModelRepository::DefaultModel() const {
  MutexLock lock(mutex_);
  return DefaultModelLocked();
}

std::map<std::string, int64_t> ModelRepository::Labels(std::string_view name) const {
  MutexLock lock(mutex_);
  if (!models_.contains(name)) return {};
  return SettingsOf(name).labels;
}

absl::StatusOr<std::shared_ptr<ServedModel>> ModelRepository::Get(
    const ModelSpec& spec) const {
  MutexLock lock(mutex_);
  if (stopping_) return Unavailable("the server is shutting down");
  const std::string name = spec.name.empty() ? DefaultModelLocked() : spec.name;
  const auto model = models_.find(name);
  if (model == models_.end()) {
    if (spec.name.empty()) return Unavailable("the server has no model");
    return NotFound("there is no model '{}' here; there are: {}", name, KeysOf(models_));
  }
  return Find(model->second, name, spec);
}

absl::StatusOr<std::shared_ptr<ServedModel>> ModelRepository::Find(
    const Model& model, std::string_view name, const ModelSpec& spec) const {
  std::optional<int64_t> wanted = spec.version;
  if (!spec.label.empty()) {
    if (wanted.has_value()) {
      return InvalidArgument("model '{}': a version and a label, want one of them", name);
    }
    const auto& labels = SettingsOf(name).labels;
    const auto label = labels.find(spec.label);
    if (label == labels.end()) {
      return NotFound("model '{}' has no label '{}'; it has: {}", name, spec.label,
                      labels.empty() ? "none" : KeysOf(labels));
    }
    wanted = label->second;
  }
  std::string available;
  bool loading = !started_ && model.wanted;
  for (auto it = model.versions.rbegin(); it != model.versions.rend(); ++it) {
    const auto& [number, version] = *it;
    if (version.model != nullptr && version.state == VersionState::kAvailable) {
      if (!wanted.has_value() || *wanted == number) return version.model;
      available += fmt::format("{}{}", available.empty() ? "" : ", ", number);
    }
    const bool starts = version.state == VersionState::kLoading;
    loading = loading || (starts && (!wanted.has_value() || *wanted == number));
  }
  if (loading) return Unavailable("the model '{}' is still loading", name);
  if (wanted.has_value()) {
    return NotFound("version {} of model '{}' is not available; available: {}", *wanted,
                    name, available.empty() ? "none" : available);
  }
  if (model.unloaded) return Unavailable("the model '{}' is unloaded", name);
  return Unavailable("no version of the model '{}' is available", name);
}

absl::StatusOr<std::vector<std::shared_ptr<ServedModel>>> ModelRepository::GetAll(
    const ModelSpec& spec) const {
  std::vector<std::shared_ptr<ServedModel>> found;
  if (!spec.name.empty()) {
    ASSIGN_OR_RETURN(auto one, Get(spec));
    if (spec.version.has_value() || !spec.label.empty()) {
      found.push_back(std::move(one));
      return found;
    }
  }
  MutexLock lock(mutex_);
  for (const auto& [name, model] : models_) {
    if (!spec.name.empty() && name != spec.name) continue;
    for (const auto& [number, version] : model.versions) {
      if (version.model != nullptr && version.state == VersionState::kAvailable) {
        found.push_back(version.model);
      }
    }
  }
  return found;
}

namespace {
template <typename Versions>
ModelStatus StatusOf(const std::string& name, const Versions& versions) {
  ModelStatus status{name, {}};
  for (auto it = versions.rbegin(); it != versions.rend(); ++it) {
    status.versions.push_back({it->first, it->second.state, it->second.error});
  }
  return status;
}
}  // namespace

std::vector<ModelStatus> ModelRepository::Index() const {
  MutexLock lock(mutex_);
  std::vector<ModelStatus> index;
  for (const auto& [name, model] : models_) {
    index.push_back(StatusOf(name, model.versions));
  }
  return index;
}

absl::StatusOr<ModelStatus> ModelRepository::Status(std::string_view name) const {
  MutexLock lock(mutex_);
  const auto model = models_.find(name);
  if (model == models_.end()) {
    return NotFound("there is no model '{}' here; there are: {}", name, KeysOf(models_));
  }
  return StatusOf(model->first, model->second.versions);
}

void ModelRepository::Submit(Task task, Done done_if_stopped) {
  {
    MutexLock lock(mutex_);
    if (!stopping_) {
      tasks_.emplace_back(std::move(task), std::move(done_if_stopped));
      changed_.NotifyAll();
      return;
    }
  }
  std::move(done_if_stopped)(Unavailable("the server is shutting down"));
}

namespace {
// A Done that two may hold: the task, and whoever drops the task.
std::pair<ModelRepository::Done, ModelRepository::Done> Share(
    ModelRepository::Done done) {
  auto shared = std::make_shared<ModelRepository::Done>(std::move(done));
  const auto call = [shared](absl::Status status) {
    std::move (*shared)(std::move(status));
  };
  return {call, call};
}
}  // namespace

void ModelRepository::Load(std::string name, Done done) {
  auto [run, dropped] = Share(std::move(done));
  Submit(
      [this, name, run = std::move(run)]() mutable {
        FindFolders();
        {
          MutexLock lock(mutex_);
          const auto model = models_.find(name);
          if (model != models_.end()) {
            model->second.wanted = true;
            model->second.unloaded = false;
          }
        }
        std::move(run)(Reconcile(name, /*again=*/true));
      },
      std::move(dropped));
}

void ModelRepository::Unload(std::string name, Done done) {
  auto [run, dropped] = Share(std::move(done));
  Submit(
      [this, name, run = std::move(run)]() mutable {
        {
          MutexLock lock(mutex_);
          const auto model = models_.find(name);
          if (model != models_.end()) {
            model->second.wanted = false;
            model->second.unloaded = true;
          }
        }
        std::move(run)(Reconcile(name, /*again=*/false));
      },
      std::move(dropped));
}

void ModelRepository::Rescan(Done done) {
  auto [run, dropped] = Share(std::move(done));
  Submit([this, run = std::move(run)]() mutable { std::move(run)(ReconcileAll()); },
         std::move(dropped));
}

void ModelRepository::FindFolders() {
  std::map<std::string, fs::path> folders = options_.models;
  if (!options_.root.empty()) {
    for (const model::ModelDirectory& found : model::ListModels(options_.root)) {
      folders.emplace(found.name, options_.root / found.name);
    }
  }
  MutexLock lock(mutex_);
  for (const auto& [name, folder] : folders) {
    const auto [it, is_new] = models_.try_emplace(name);
    Model& model = it->second;
    model.folder = folder;
    if (is_new || (!model.wanted && !model.unloaded)) {
      model.wanted = !options_.load_on_demand || options_.models.contains(name);
    }
  }
  for (auto& [name, model] : models_) {
    // A folder that is there but empty is being written.
    std::error_code error;
    if (!folders.contains(name) && !fs::exists(model.folder, error)) model.wanted = false;
  }
}

std::vector<std::string> ModelRepository::NamesInOrder() const {
  MutexLock lock(mutex_);
  const std::string first = DefaultModelLocked();
  std::vector<std::string> names;
  if (models_.contains(first)) names.push_back(first);
  for (const auto& [name, model] : models_) {
    if (name != first) names.push_back(name);
  }
  return names;
}

absl::Status ModelRepository::ReconcileAll() {
  FindFolders();
  absl::Status first;
  for (const std::string& name : NamesInOrder()) {
    if (Stopping()) return Unavailable("the server is shutting down");
    absl::Status status = Reconcile(name, /*again=*/false);
    if (first.ok()) first = std::move(status);
  }
  return first;
}

absl::Status ModelRepository::Reconcile(const std::string& name, bool again) {
  fs::path folder;
  bool wanted_at_all;
  {
    MutexLock lock(mutex_);
    const auto model = models_.find(name);
    if (model == models_.end()) {
      return NotFound("there is no model '{}' here; there are: {}", name,
                      KeysOf(models_));
    }
    folder = model->second.folder;
    wanted_at_all = model->second.wanted;
  }
  const auto there = VersionsIn(folder);
  std::set<int64_t> wanted;
  absl::Status first;
  if (wanted_at_all) {
    wanted = Select(SettingsOf(name).policy, there);
    if (there.empty()) {
      first = NotFound("{}: no version of model '{}' in it", folder.string(), name);
    } else if (wanted.empty()) {
      first = NotFound("{}: none of the versions that the policy names is there: {}",
                       folder.string(), KeysOf(there));
    }
  }
  for (auto it = wanted.rbegin(); it != wanted.rend(); ++it) {
    if (Stopping()) break;
    absl::Status status =
        LoadVersion(name, {name, std::to_string(*it), there.at(*it)}, again);
    if (first.ok()) first = std::move(status);
  }
  EndExtraVersions(name, wanted, there);
  return first;
}

absl::Status ModelRepository::LoadVersion(const std::string& name,
                                          const model::ModelDirectory& files,
                                          bool again) {
  const int64_t number = *model::ParseVersion(files.version);
  const std::string stamp = Stamp(files.path);
  {
    MutexLock lock(mutex_);
    Version& version = models_.find(name)->second.versions[number];
    if (version.model != nullptr && version.stamp == stamp) return absl::OkStatus();
    if (!again && version.failed_stamp == stamp) return version.error;
    if (version.model == nullptr) version.state = VersionState::kLoading;
  }
  spdlog::info("loading {} version {}", name, number);
  absl::StatusOr<std::shared_ptr<ServedModel>> loaded;
  try {
    loaded = loader_(files);
  } catch (const std::exception& error) {  // memory, threads
    loaded = ResourceExhausted("{}: {}", files.path.string(), error.what());
  }
  std::shared_ptr<ServedModel> replaced;
  {
    MutexLock lock(mutex_);
    Version& version = models_.find(name)->second.versions[number];
    version.error = loaded.status();
    if (loaded.ok()) {
      replaced = std::exchange(version.model, *loaded);
      version.state = VersionState::kAvailable;
      version.stamp = stamp;
      version.failed_stamp.clear();
    } else {
      version.failed_stamp = stamp;
      if (version.model == nullptr) version.state = VersionState::kEnd;
    }
    changed_.NotifyAll();
  }
  if (!loaded.ok()) {
    spdlog::error("{} version {} cannot be loaded: {}", name, number,
                  Message(loaded.status()));
    return loaded.status();
  }
  spdlog::info("{} version {} is available", name, number);
  if (replaced != nullptr) End(std::move(replaced), clock_.Now() + options_.unload_grace);
  const absl::Status saved = (*loaded)->session().SavePlanCache();
  if (!saved.ok()) spdlog::warn("no plan cache was written: {}", Message(saved));
  return absl::OkStatus();
}

void ModelRepository::EndExtraVersions(const std::string& name,
                                       const std::set<int64_t>& wanted,
                                       const std::map<int64_t, fs::path>& there) {
  std::vector<int64_t> extras;  // highest first
  {
    MutexLock lock(mutex_);
    const auto found = models_.find(name);
    Model& model = found->second;
    size_t available = 0;
    for (auto it = model.versions.rbegin(); it != model.versions.rend(); ++it) {
      const bool is_wanted = wanted.contains(it->first);
      if (it->second.model != nullptr) {
        if (is_wanted) {
          ++available;
        } else {
          extras.push_back(it->first);
        }
      }
    }
    // What was good stays until as many of the new are. An empty folder is being
    // written, unless it is gone.
    if (model.wanted) {
      const size_t target = std::max<size_t>(wanted.size(), 1);
      const size_t missing = target - std::min(available, target);
      extras.erase(extras.begin(), extras.begin() + std::min(missing, extras.size()));
    }
  }
  for (const int64_t version : extras) EndVersion(name, version);
  MutexLock lock(mutex_);
  Model& model = models_.find(name)->second;
  std::erase_if(model.versions, [&](const auto& entry) {
    return entry.second.model == nullptr && !there.contains(entry.first);
  });
  std::error_code error;
  if (!model.wanted && !model.unloaded && !fs::exists(model.folder, error)) {
    spdlog::info("{} is gone", name);
    models_.erase(name);
  }
}

void ModelRepository::EndVersion(const std::string& name, int64_t number) {
  std::shared_ptr<ServedModel> model;
  {
    MutexLock lock(mutex_);
    Version& version = models_.find(name)->second.versions[number];
    version.state = VersionState::kUnloading;
    model = std::move(version.model);
    version.model = nullptr;
  }
  spdlog::info("unloading {} version {}", name, number);
  End(std::move(model), clock_.Now() + options_.unload_grace);
  MutexLock lock(mutex_);
  Version& version = models_.find(name)->second.versions[number];
  version.state = VersionState::kEnd;
  version.stamp.clear();
}

void ModelRepository::End(std::shared_ptr<ServedModel> model, TimePoint deadline) {
  // Who called Get a moment ago still means to use it; nobody can any more.
  while (model.use_count() > 1 && clock_.Now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  model->Stop(deadline);
  model.reset();
  ::malloc_trim(0);  // else the C library keeps much of what it was given back
}

bool ModelRepository::Stopping() const {
  MutexLock lock(mutex_);
  return stopping_;
}

void ModelRepository::Work() {
  (void)ReconcileAll();  // errors are in the log and in the index
  {
    MutexLock lock(mutex_);
    started_ = true;
    changed_.NotifyAll();
  }
  const bool polls = options_.poll_interval.count() > 0;
  TimePoint next = polls ? clock_.Now() + options_.poll_interval : kNever;
  while (true) {
    Task task;
    {
      MutexLock lock(mutex_);
      while (tasks_.empty() && !stopping_ && clock_.Now() < next) {
        if (polls) {
          clock_.WaitUntil(changed_, mutex_, next);
        } else {
          changed_.Wait(mutex_);
        }
      }
      if (stopping_) return;
      if (!tasks_.empty()) {
        task = std::move(tasks_.front().first);
        tasks_.pop_front();
      }
    }
    if (task) {
      std::move(task)();
    } else {
      (void)ReconcileAll();
      next = clock_.Now() + options_.poll_interval;
    }
  }
}

void ModelRepository::Stop(TimePoint deadline) {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    changed_.NotifyAll();
  }
  if (thread_.joinable()) thread_.join();
  std::deque<std::pair<Task, Done>> tasks;
  std::vector<std::shared_ptr<ServedModel>> models;
  {
    MutexLock lock(mutex_);
    tasks.swap(tasks_);
    for (auto& [name, model] : models_) {
      for (auto& [number, version] : model.versions) {
        if (version.model != nullptr) models.push_back(std::move(version.model));
        version.model = nullptr;
        version.state = VersionState::kEnd;
      }
    }
  }
  for (auto& [task, done] : tasks) {
    std::move(done)(Unavailable("the server is shutting down"));
  }
  for (auto& model : models) End(std::move(model), deadline);
}

}  // namespace oriel::serving
