#include "base/shared_library.h"

#include <gmock/gmock.h>

#include "base/testing.h"

namespace oriel {
namespace {

TEST(SharedLibraryTest, FindsFunctions) {
  ASSERT_OK_AND_ASSIGN(const SharedLibrary library, SharedLibrary::Open("libz.so.1"));
  unsigned long (*crc32)(unsigned long, const unsigned char*, unsigned) = nullptr;
  ASSERT_OK(library.Find("crc32", crc32));
  // The check value of CRC-32/ISO-HDLC.
  EXPECT_EQ(crc32(0, reinterpret_cast<const unsigned char*>("123456789"), 9), 0xcbf43926);
}

TEST(SharedLibraryTest, SaysWhatIsMissing) {
  const auto missing = SharedLibrary::Open("liboriel_missing.so.1");
  EXPECT_EQ(missing.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(Message(missing.status()), testing::HasSubstr("liboriel_missing.so.1"));

  ASSERT_OK_AND_ASSIGN(const SharedLibrary library, SharedLibrary::Open("libz.so.1"));
  void (*function)() = nullptr;
  const absl::Status status = library.Find("no_such_function", function);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(Message(status), testing::HasSubstr("libz.so.1 has no no_such_function"));
  EXPECT_EQ(function, nullptr);
}

}  // namespace
}  // namespace oriel
