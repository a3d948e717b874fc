#include "serving/file_watcher.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <utility>

namespace oriel::serving {
namespace {

// What tells one state of the files from another.
std::string Fingerprint(const std::vector<std::filesystem::path>& files) {
  std::string text;
  for (const std::filesystem::path& file : files) {
    struct stat info = {};
    if (::stat(file.c_str(), &info) != 0) {
      text += "-;";
      continue;
    }
    text += fmt::format("{}:{}:{}:{}.{}:{}.{};", info.st_dev, info.st_ino, info.st_size,
                        info.st_mtim.tv_sec, info.st_mtim.tv_nsec, info.st_ctim.tv_sec,
                        info.st_ctim.tv_nsec);
  }
  return text;
}

}  // namespace

FileWatcher::~FileWatcher() {
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
  }
  wake_.NotifyAll();
  if (thread_.joinable()) thread_.join();
}

void FileWatcher::Watch(std::vector<std::filesystem::path> files,
                        std::function<void()> changed) {
  std::string seen = Fingerprint(files);
  watched_.push_back({std::move(files), std::move(changed), std::move(seen)});
}

void FileWatcher::Start(std::chrono::milliseconds interval) {
  if (watched_.empty()) return;
  thread_ = std::thread([this, interval] { Run(interval); });
}

void FileWatcher::Run(std::chrono::milliseconds interval) {
  while (true) {
    const auto until = std::chrono::steady_clock::now() + interval;
    {
      const MutexLock lock(mutex_);
      while (!stopping_ && std::chrono::steady_clock::now() < until) {
        wake_.WaitUntil(mutex_, until);
      }
      if (stopping_) return;
    }
    for (Watched& watched : watched_) {
      std::string now = Fingerprint(watched.files);
      if (now == watched.seen) continue;
      watched.seen = std::move(now);
      watched.changed();
    }
  }
}

}  // namespace oriel::serving
