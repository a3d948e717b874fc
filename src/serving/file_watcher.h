// Tells when files were replaced: certificates and keys that are renewed while the server
// runs. Looks at them every few seconds, which works for every file system and for
// links that are turned (Kubernetes' secrets).
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "base/mutex.h"

namespace oriel::serving {

class FileWatcher {
 public:
  FileWatcher() = default;
  ~FileWatcher();
  FileWatcher(const FileWatcher&) = delete;
  FileWatcher& operator=(const FileWatcher&) = delete;

  // `changed` is called, on the watcher's thread, when one of the files is no longer what
  // it was at this call or at the last look: another inode, size or time. Before Start.
  void Watch(std::vector<std::filesystem::path> files, std::function<void()> changed);
  // Does nothing where nothing is watched.
  void Start(std::chrono::milliseconds interval);

 private:
  struct Watched {
    std::vector<std::filesystem::path> files;
    std::function<void()> changed;
    std::string seen;
  };
  void Run(std::chrono::milliseconds interval);

  std::vector<Watched> watched_;
  Mutex mutex_;
  CondVar wake_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace oriel::serving
