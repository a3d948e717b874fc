// The CPUs that this process may use.
#pragma once

#include <sched.h>

#include <filesystem>

namespace oriel {

// The smaller of the affinity mask and the cgroup CPU quota (v2 `cpu.max` or v1
// `cpu.cfs_quota_us`), rounded up; at least 1. Read anew at each call.
int AvailableCpus();

// CPUs' worth of time that this process's cgroup and those above it leave it, the
// tightest of them; 0: as much as there is. `root`: where proc and sys/fs/cgroup lie, for
// tests. In a container's own view of the tree its quota stands at the top.
double CgroupCpuQuota(const std::filesystem::path& root = "/");

// Keeps the calling thread to one of `shares` equal parts of the CPUs that it may use,
// and with it the threads that it starts meanwhile, which stay there; itself it goes
// back at the end. Does nothing for a single share, where there are fewer CPUs than
// shares, and under a cgroup quota, whose time may be had on any CPU.
class ScopedCpuShare {
 public:
  ScopedCpuShare(int share, int shares);
  ~ScopedCpuShare();
  ScopedCpuShare(const ScopedCpuShare&) = delete;
  ScopedCpuShare& operator=(const ScopedCpuShare&) = delete;

 private:
  cpu_set_t before_;
  bool pinned_ = false;
};

}  // namespace oriel
