#include "base/files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>

#include <chrono>
#include <fstream>

#include "base/testing.h"

namespace oriel {
namespace {
namespace fs = std::filesystem;

using ::testing::HasSubstr;

std::vector<std::string> Names(const fs::path& directory) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(directory)) {
    names.push_back(entry.path().filename().string());
  }
  return names;
}

TEST(AtomicFile, AppearsOnlyOnCommit) {
  const TemporaryDirectory dir;
  const fs::path target = dir.path() / "f";
  {
    auto file = AtomicFile::Create(target);
    ASSERT_OK(file.status());
    ASSERT_OK(file->Append("half"));
    EXPECT_FALSE(fs::exists(target));
  }
  EXPECT_TRUE(fs::is_empty(dir.path()));

  ASSERT_OK(WriteFileAtomically(target, "one"));
  ASSERT_OK(WriteFileAtomically(target, "two"));
  EXPECT_EQ(*ReadFile(target), "two");
  EXPECT_THAT(Names(dir.path()), ::testing::ElementsAre("f"));
}

TEST(AtomicFile, SaysWhatIsWrong) {
  const TemporaryDirectory dir;
  EXPECT_EQ(WriteFileAtomically(dir.path() / "no" / "f", "x").code(),
            absl::StatusCode::kNotFound);
  const auto error = WriteFileAtomically(dir.path(), "x");
  EXPECT_THAT(std::string(Message(error)), HasSubstr("is a directory"));
}

TEST(AtomicFile, FollowsLinksAndLeavesDevices) {
  const TemporaryDirectory dir;
  fs::create_directory(dir.path() / "data");
  fs::create_symlink("data/file", dir.path() / "link");  // to nothing yet
  fs::create_symlink(dir.path() / "link", dir.path() / "second");
  for (const char* content : {"first", "then"}) {
    ASSERT_OK(WriteFileAtomically(dir.path() / "second", content));
    EXPECT_TRUE(fs::is_symlink(dir.path() / "link"));
    EXPECT_TRUE(fs::is_symlink(dir.path() / "second"));
    EXPECT_EQ(*ReadFile(dir.path() / "data" / "file"), content);
  }
  fs::create_symlink("/dev/null", dir.path() / "null");
  ASSERT_OK(WriteFileAtomically(dir.path() / "null", "nothing"));
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
  EXPECT_TRUE(fs::is_symlink(dir.path() / "null"));
}

TEST(AtomicFile, WhatAKilledProcessLeftIsRemoved) {
  const TemporaryDirectory dir;
  const fs::path target = dir.path() / "f";
  const auto leave = [&](const char* name, std::chrono::seconds age) {
    const fs::path path = dir.path() / name;
    std::ofstream(path) << "half";
    fs::last_write_time(path, fs::file_time_type::clock::now() - age);
    return path;
  };
  const fs::path old = leave(".f.tmp-999999-0", std::chrono::hours(1));
  const fs::path fresh = leave(".f.tmp-999999-1", std::chrono::seconds(0));
  const fs::path of_another = leave(".g.tmp-999999-0", std::chrono::hours(1));
  auto writing = AtomicFile::Create(target);
  ASSERT_OK(writing.status());
  for (const std::string& name : Names(dir.path())) {  // the one that is being written
    if (name.starts_with(".f") && dir.path() / name != fresh) {
      fs::last_write_time(dir.path() / name,
                          fs::file_time_type::clock::now() - std::chrono::hours(1));
    }
  }
  RemoveAbandonedTemporaries(target);
  EXPECT_FALSE(fs::exists(old));
  EXPECT_TRUE(fs::exists(fresh));
  EXPECT_TRUE(fs::exists(of_another));
  ASSERT_OK(writing->Append("whole"));
  ASSERT_OK(writing->Commit());
  EXPECT_EQ(*ReadFile(target), "whole");
}

TEST(AtomicDirectory, ReplacesWhole) {
  const TemporaryDirectory dir;
  const fs::path target = dir.path() / "a" / "model";
  for (const char* content : {"old", "new"}) {
    auto made = AtomicDirectory::Create(target);
    ASSERT_OK(made.status());
    fs::create_directory(made->path() / "sub");
    std::ofstream(made->path() / "sub" / content) << content;
    ASSERT_OK(made->Commit());
  }
  EXPECT_TRUE(fs::exists(target / "sub" / "new"));
  EXPECT_FALSE(fs::exists(target / "sub" / "old"));
  EXPECT_THAT(Names(target.parent_path()), ::testing::ElementsAre("model"));
}

TEST(AtomicDirectory, WithoutCommitTheOldStays) {
  const TemporaryDirectory dir;
  const fs::path target = dir.path() / "model";
  fs::create_directory(target);
  {
    auto made = AtomicDirectory::Create(target);
    ASSERT_OK(made.status());
    std::ofstream(made->path() / "half") << "x";
  }
  EXPECT_TRUE(fs::is_empty(target));
  EXPECT_THAT(Names(dir.path()), ::testing::ElementsAre("model"));
}

TEST(AtomicDirectory, RemovesWhatAKilledProcessLeftButNothingInUse) {
  const TemporaryDirectory dir;
  const fs::path target = dir.path() / "model";
  const fs::path abandoned = dir.path() / ".model.tmp-1-0";
  fs::create_directory(abandoned);
  auto in_use = AtomicDirectory::Create(target);
  ASSERT_OK(in_use.status());
  EXPECT_FALSE(fs::exists(abandoned));
  auto second = AtomicDirectory::Create(target);
  ASSERT_OK(second.status());
  EXPECT_TRUE(fs::exists(in_use->path()));
  ASSERT_OK(in_use->Commit());
  ASSERT_OK(second->Commit());
}

TEST(ReadFile, BoundsWhatItReads) {
  const TemporaryDirectory dir;
  ASSERT_OK(WriteFileAtomically(dir.path() / "f", "12345"));
  EXPECT_EQ(*ReadFile(dir.path() / "f", 5), "12345");
  EXPECT_EQ(ReadFile(dir.path() / "f", 4).status().code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ReadFile("/dev/zero", 1000).status().code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ReadFile(dir.path() / "g").status().code(), absl::StatusCode::kNotFound);
}

TEST(MappedFile, MapsAndRefuses) {
  const TemporaryDirectory dir;
  ASSERT_OK(WriteFileAtomically(dir.path() / "f", "12345"));
  ASSERT_OK(WriteFileAtomically(dir.path() / "empty", ""));
  EXPECT_EQ(AsStringView((*MappedFile::Open(dir.path() / "f"))->bytes()), "12345");
  EXPECT_TRUE((*MappedFile::Open(dir.path() / "empty"))->bytes().empty());
  EXPECT_FALSE(MappedFile::Open(dir.path()).ok());
  EXPECT_FALSE(MappedFile::Open("/dev/zero").ok());
}

}  // namespace
}  // namespace oriel
