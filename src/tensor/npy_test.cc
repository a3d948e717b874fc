#include "tensor/npy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/files.h"
#include "base/testing.h"

namespace oriel {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// testdata/npy is written by NumPy.
Tensor Load(const std::string& name) {
  auto tensor = ReadNpy(TestData("npy/" + name));
  EXPECT_OK(tensor.status());
  return tensor.ok() ? *tensor : Tensor();
}

TEST(Npy, ReadsWhatNumpyWrites) {
  const Tensor f4 = Load("f4_2x3.npy");
  EXPECT_EQ(f4.shape(), (Shape{2, 3}));
  EXPECT_THAT(f4.data<float>(), ElementsAre(0, 0.5, 1, 1.5, 2, 2.5));

  const Tensor scalar = Load("i8_scalar.npy");
  EXPECT_EQ(scalar.shape(), Shape{});
  EXPECT_THAT(scalar.data<int64_t>(), ElementsAre(-7));

  EXPECT_THAT(Load("u1_5.npy").data<uint8_t>(), ElementsAre(0, 1, 2, 3, 4));
  EXPECT_THAT(Load("b1_3.npy").data<bool>(), ElementsAre(true, false, true));
  EXPECT_EQ(Load("f2_empty_0x3.npy").shape(), (Shape{0, 3}));
  EXPECT_THAT(Load("f4_version2.npy").data<float>(), ElementsAre(1.5, 2.5));

  const Tensor fortran = Load("f8_fortran_2x3x4.npy");
  EXPECT_EQ(fortran.shape(), (Shape{2, 3, 4}));
  for (int i = 0; i < 24; ++i) EXPECT_EQ(fortran.data<double>()[i], i);
}

TEST(Npy, ReadsBigEndianNumbers) {
  EXPECT_THAT(Load("big_endian_f4.npy").data<float>(), ElementsAre(1));
  const Tensor c8 = Load("big_endian_c8.npy");
  EXPECT_EQ(c8.dtype(), DType::kComplex64);
  EXPECT_EQ(c8.shape(), (Shape{1, 2}));
  EXPECT_THAT(c8.data<float>(), ElementsAre(1, 2, 0, -3.5));
}

TEST(Npy, WritesTheBytesThatNumpyWrites) {
  for (const char* name : {"f4_2x3.npy", "i8_scalar.npy", "u1_5.npy", "b1_3.npy",
                           "f2_empty_0x3.npy", "c8_2.npy"}) {
    ASSERT_OK_AND_ASSIGN(const std::string want, ReadFile(TestData("npy/") / name));
    ASSERT_OK_AND_ASSIGN(const std::string got, FormatNpy(Load(name)));
    // NumPy pads the header with blanks to its own taste: compare without them.
    auto squeeze = [](std::string s) {
      std::erase(s, ' ');
      return s.substr(10);
    };
    EXPECT_EQ(squeeze(got), squeeze(want)) << name;
    EXPECT_EQ((got.find('\n') + 1) % 64, 0u) << name;
    ASSERT_OK_AND_ASSIGN(const Tensor again, ParseNpy(AsBytes(got), name));
    EXPECT_EQ(again.shape(), Load(name).shape());
  }
}

TEST(Npy, RefusesWhatItCannotRead) {
  const auto error = ReadNpy(TestData("npy/strings.npy")).status();
  EXPECT_EQ(error.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(Message(error)), HasSubstr("<U2"));
  EXPECT_FALSE(ParseNpy(AsBytes("hello"), "x").ok());
  EXPECT_FALSE(FormatNpy(Tensor(DType::kBFloat16, {2})).ok());
}

TEST(Npy, EveryTruncationAndBitFlipIsAnErrorOrATensor) {
  ASSERT_OK_AND_ASSIGN(const std::string good, ReadFile(TestData("npy/f4_2x3.npy")));
  for (size_t n = 0; n < good.size(); ++n) {
    EXPECT_FALSE(ParseNpy(AsBytes(good.substr(0, n)), "cut").ok()) << n;
  }
  for (size_t i = 0; i < good.size() * 8; ++i) {
    std::string bad = good;
    bad[i / 8] ^= static_cast<char>(1 << (i % 8));
    const auto tensor = ParseNpy(AsBytes(bad), "flipped");
    if (tensor.ok()) {
      EXPECT_LE(tensor->bytes().size(), good.size());
    }
  }
}

TEST(Npy, HeadersOfOtherCountsTakeEachOthersPlace) {
  ASSERT_OK_AND_ASSIGN(const std::string most,
                       FormatNpyHeader(DType::kFloat32, {123456789, 1, 1, 3}, 100));
  EXPECT_EQ(most.size(), 128);
  for (const int64_t count : {0, 1, 7}) {
    ASSERT_OK_AND_ASSIGN(std::string file,
                         FormatNpyHeader(DType::kFloat32, {count, 1, 1, 3}, most.size()));
    EXPECT_EQ(file.size(), most.size());
    file.append(count * 12, '\0');
    ASSERT_OK_AND_ASSIGN(const Tensor back, ParseNpy(AsBytes(file), "file"));
    EXPECT_EQ(back.shape(), (Shape{count, 1, 1, 3}));
  }
}

}  // namespace
}  // namespace oriel
