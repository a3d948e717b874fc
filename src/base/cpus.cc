#include "base/cpus.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <sstream>
#include <string>

namespace oriel {
namespace {

int AffinityCpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof(set), &set) != 0) return 1;
  return std::max(1, CPU_COUNT(&set));
}

// The tightest `quota / period` of this cgroup and its parents; 0 when none.
double QuotaUnder(const std::string& root, std::string group, bool v2) {
  double tightest = 0;
  while (true) {
    double quota = -1;
    double period = 0;
    if (v2) {
      std::ifstream file(root + group + "/cpu.max");
      std::string first;
      if (file >> first >> period && first != "max") quota = std::atof(first.c_str());
    } else {
      std::ifstream(root + group + "/cpu.cfs_quota_us") >> quota;
      std::ifstream(root + group + "/cpu.cfs_period_us") >> period;
    }
    if (quota > 0 && period > 0) {
      const double cpus = quota / period;
      tightest = tightest == 0 ? cpus : std::min(tightest, cpus);
    }
    if (group.empty() || group == "/") return tightest;
    group.resize(group.rfind('/'));
  }
}

}  // namespace

double CgroupCpuQuota(const std::filesystem::path& root) {
  std::ifstream file(root / "proc/self/cgroup");
  const std::string mount = (root / "sys/fs/cgroup").string();
  double tightest = 0;
  for (std::string line; std::getline(file, line);) {
    // "0::/path" (v2) or "4:cpu,cpuacct:/path" (v1)
    std::istringstream fields(line);
    std::string id, controllers, path;
    std::getline(fields, id, ':');
    std::getline(fields, controllers, ':');
    std::getline(fields, path);
    const bool v2 = controllers.empty();
    if (!v2 && ("," + controllers + ",").find(",cpu,") == std::string::npos) continue;
    if (path.empty() || path[0] != '/') continue;
    double quota = QuotaUnder(v2 ? mount : mount + "/cpu", path, v2);
    // Where nobody made the link of that name.
    if (!v2 && quota == 0) quota = QuotaUnder(mount + "/" + controllers, path, v2);
    if (quota > 0) tightest = tightest == 0 ? quota : std::min(tightest, quota);
  }
  return tightest;
}

int AvailableCpus() {
  const int affinity = AffinityCpus();
  const double quota = CgroupCpuQuota();
  if (quota <= 0) return affinity;
  return std::clamp(static_cast<int>(std::ceil(quota)), 1, affinity);
}

ScopedCpuShare::ScopedCpuShare(int share, int shares) {
  CPU_ZERO(&before_);
  if (shares < 2 || ::sched_getaffinity(0, sizeof(before_), &before_) != 0) return;
  const int cpus = CPU_COUNT(&before_);
  if (cpus < shares || CgroupCpuQuota() > 0) return;
  const int begin = cpus * share / shares, end = cpus * (share + 1) / shares;
  cpu_set_t mine;
  CPU_ZERO(&mine);
  int index = 0;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &before_)) continue;
    if (index >= begin && index < end) CPU_SET(cpu, &mine);
    ++index;
  }
  pinned_ = ::sched_setaffinity(0, sizeof(mine), &mine) == 0;
}

ScopedCpuShare::~ScopedCpuShare() {
  if (pinned_) ::sched_setaffinity(0, sizeof(before_), &before_);
}

}  // namespace oriel
