#include "base/cpus.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <thread>
#include <vector>

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
