#include "serving/file_watcher.h"

#include <gtest/gtest.h>

#include <atomic>

#include "base/files.h"
#include "base/testing.h"

namespace oriel::serving {
namespace {

using std::chrono::milliseconds;

// Waits until `count` is `wanted`, and then a few looks more.
int Settled(const std::atomic<int>& count, int wanted) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (count != wanted && std::chrono::steady_clock::now() < until) {
    std::this_thread::sleep_for(milliseconds(1));
  }
  std::this_thread::sleep_for(milliseconds(30));
  return count;
}

TEST(FileWatcherTest, TellsOfFilesThatChange) {
  const TemporaryDirectory folder;
  const auto a = folder.path() / "a", b = folder.path() / "b", link = folder.path() / "l";
  ASSERT_OK(WriteFileAtomically(a, "1"));
  ASSERT_OK(WriteFileAtomically(b, "1"));
  std::filesystem::create_symlink("a", link);
  std::atomic<int> pair{0}, linked{0};
  FileWatcher watcher;
  watcher.Watch({a, folder.path() / "later"}, [&] { ++pair; });
  watcher.Watch({link}, [&] { ++linked; });
  watcher.Start(milliseconds(5));
  EXPECT_EQ(Settled(pair, 0), 0);
  ASSERT_OK(WriteFileAtomically(a, "2"));  // as long as before
  EXPECT_EQ(Settled(pair, 1), 1);
  EXPECT_EQ(Settled(linked, 1), 1);
  ASSERT_OK(WriteFileAtomically(folder.path() / "later", ""));
  EXPECT_EQ(Settled(pair, 2), 2);
  // A link that is turned, in one step.
  std::filesystem::create_symlink("b", folder.path() / "new");
  std::filesystem::rename(folder.path() / "new", link);
  EXPECT_EQ(Settled(linked, 2), 2);
  std::filesystem::remove(a);
  EXPECT_EQ(Settled(pair, 3), 3);
  EXPECT_EQ(linked, 2);
}

}  // namespace
}  // namespace oriel::serving
