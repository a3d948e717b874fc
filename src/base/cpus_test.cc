#include "base/cpus.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include "base/testing.h"

namespace oriel {
namespace {

std::vector<int> Affinity() {
  cpu_set_t set;
  CPU_ZERO(&set);
  EXPECT_EQ(::sched_getaffinity(0, sizeof(set), &set), 0);
  std::vector<int> cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  }
  return cpus;
}

// A made-up /proc and /sys.
class CgroupTest : public testing::Test {
 protected:
  void Write(const std::string& path, const std::string& text) {
    const auto file = folder_.path() / path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  void WriteV1(const std::string& group, const std::string& quota,
               const std::string& mount = "cpu") {
    Write("sys/fs/cgroup/" + mount + group + "/cpu.cfs_quota_us", quota + "\n");
    Write("sys/fs/cgroup/" + mount + group + "/cpu.cfs_period_us", "100000\n");
  }
  double Quota() { return CgroupCpuQuota(folder_.path()); }

  TemporaryDirectory folder_;
};

TEST_F(CgroupTest, NoneWithoutCgroupsOrLimits) {
  EXPECT_EQ(Quota(), 0);
  Write("proc/self/cgroup", "0::/user.slice/session\n");
  EXPECT_EQ(Quota(), 0);
  Write("sys/fs/cgroup/user.slice/cpu.max", "max 100000\n");
  EXPECT_EQ(Quota(), 0);
}

TEST_F(CgroupTest, V2TheTightestOfAllAbove) {
  Write("proc/self/cgroup", "0::/kubepods/pod1/container\n");
  Write("sys/fs/cgroup/kubepods/pod1/container/cpu.max", "400000 100000\n");
  EXPECT_EQ(Quota(), 4);
  Write("sys/fs/cgroup/kubepods/pod1/cpu.max", "75000 50000\n");
  EXPECT_EQ(Quota(), 1.5);
  Write("sys/fs/cgroup/kubepods/cpu.max", "800000 100000\n");
  EXPECT_EQ(Quota(), 1.5);
  Write("sys/fs/cgroup/cpu.max", "50000 100000\n");
  EXPECT_EQ(Quota(), 0.5);
}

TEST_F(CgroupTest, V2InAContainersOwnView) {
  Write("proc/self/cgroup", "0::/\n");
  Write("sys/fs/cgroup/cpu.max", "200000 100000\n");
  EXPECT_EQ(Quota(), 2);
}

TEST_F(CgroupTest, V1) {
  Write("proc/self/cgroup", "5:memory:/a\n4:cpu,cpuacct:/docker/abc\n0::/\n");
  WriteV1("/docker/abc", "-1");
  EXPECT_EQ(Quota(), 0);
  WriteV1("/docker/abc", "300000");
  EXPECT_EQ(Quota(), 3);
  WriteV1("", "100000");  // the container's own quota, where the path is the host's
  EXPECT_EQ(Quota(), 1);
}

TEST_F(CgroupTest, V1WithoutTheShortName) {
  Write("proc/self/cgroup", "4:cpu,cpuacct:/x\n");
  WriteV1("/x", "250000", "cpu,cpuacct");
  EXPECT_EQ(Quota(), 2.5);
}

TEST_F(CgroupTest, SurvivesNonsense) {
  Write("proc/self/cgroup", "\n::\n0\n0::\n0::relative\n0::/a/../b\n:cpu:/\n");
  Write("sys/fs/cgroup/cpu.max", "lots of it\n");
  Write("sys/fs/cgroup/a/cpu.max", "1000 0\n");
  EXPECT_EQ(Quota(), 0);
}

TEST(AvailableCpus, FollowsTheAffinity) {
  const std::vector<int> all = Affinity();
  int one = 0;
  std::thread([&] {  // its own affinity alone
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(all.back(), &set);
    EXPECT_EQ(::sched_setaffinity(0, sizeof(set), &set), 0);
    one = AvailableCpus();
  })
      .join();
  EXPECT_EQ(one, 1);
  EXPECT_LE(AvailableCpus(), static_cast<int>(all.size()));
}

TEST(ScopedCpuShare, SharesAreApartAndTogetherAll) {
  const std::vector<int> all = Affinity();
  if (AvailableCpus() < static_cast<int>(all.size())) GTEST_SKIP() << "a cgroup quota";
  const int shares = static_cast<int>(all.size());
  if (shares < 2) GTEST_SKIP() << "one CPU";
  std::vector<int> together;
  for (int share = 0; share < shares; ++share) {
    {
      const ScopedCpuShare scoped(share, shares);
      const std::vector<int> mine = Affinity();
      ASSERT_EQ(mine.size(), 1);
      together.push_back(mine[0]);
      std::vector<int> inherited;
      std::thread([&] { inherited = Affinity(); }).join();
      EXPECT_EQ(inherited, mine);
    }
    EXPECT_EQ(Affinity(), all);
  }
  EXPECT_EQ(together, all);
}

TEST(ScopedCpuShare, DoesNothingForOneShareOrTooMany) {
  const std::vector<int> all = Affinity();
  const ScopedCpuShare one(0, 1);
  EXPECT_EQ(Affinity(), all);
  const ScopedCpuShare many(0, static_cast<int>(all.size()) + 1);
  EXPECT_EQ(Affinity(), all);
}

}  // namespace
}  // namespace oriel
