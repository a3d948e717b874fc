#include "serving/http/content_coding.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/testing.h"

namespace oriel::serving::http {
namespace {

using testing::HasSubstr;

// Python: gzip.compress(b"hello hello hello hello\n", mtime=0), zlib.compress(...)
constexpr unsigned char kGzip[] = {0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00,
                                   0x02, 0x03, 0xcb, 0x48, 0xcd, 0xc9, 0xc9, 0x57,
                                   0xc8, 0x40, 0x27, 0xb9, 0x00, 0x00, 0x88, 0x59,
                                   0x0b, 0x18, 0x00, 0x00, 0x00};
constexpr unsigned char kZlib[] = {0x78, 0x9c, 0xcb, 0x48, 0xcd, 0xc9, 0xc9, 0x57, 0xc8,
                                   0x40, 0x27, 0xb9, 0x00, 0x70, 0xbe, 0x08, 0xbb};
constexpr char kText[] = "hello hello hello hello\n";

absl::StatusOr<std::string> Decompress(ContentCoding coding, std::string_view bytes,
                                       size_t step = std::string_view::npos) {
  Decompressor decompressor(coding);
  std::string all;
  while (!bytes.empty()) {
    const std::string_view piece = bytes.substr(0, step);
    RETURN_IF_ERROR(decompressor.Feed(piece, [&](std::string_view out) {
      all += out;
      return absl::OkStatus();
    }));
    bytes.remove_prefix(piece.size());
  }
  RETURN_IF_ERROR(decompressor.Finish());
  return all;
}

std::string Long() {
  std::string text;
  for (int i = 0; i < 100'000; ++i) text += std::to_string(i * 7919);
  return text;
}

TEST(ContentCodingTest, Names) {
  EXPECT_EQ(ParseContentEncoding(""), ContentCoding::kIdentity);
  EXPECT_EQ(ParseContentEncoding("Identity"), ContentCoding::kIdentity);
  EXPECT_EQ(ParseContentEncoding(" GZIP "), ContentCoding::kGzip);
  EXPECT_EQ(ParseContentEncoding("x-gzip"), ContentCoding::kGzip);
  EXPECT_EQ(ParseContentEncoding("deflate"), ContentCoding::kDeflate);
  EXPECT_EQ(ParseContentEncoding("br"), std::nullopt);
  EXPECT_EQ(ParseContentEncoding("gzip, gzip"), std::nullopt);
}

TEST(ContentCodingTest, Choice) {
  const std::pair<const char*, ContentCoding> cases[] = {
      {"", ContentCoding::kIdentity},
      {"gzip, deflate, br", ContentCoding::kGzip},
      {"deflate", ContentCoding::kDeflate},
      {"br", ContentCoding::kIdentity},
      {"*", ContentCoding::kGzip},
      {"gzip;q=0", ContentCoding::kIdentity},
      {"gzip;q=0, *", ContentCoding::kDeflate},
      {"gzip;q=0.5, deflate;q=0.8", ContentCoding::kDeflate},
      {"identity, gzip;q=0.5", ContentCoding::kIdentity},
      {"identity;q=0.1, GZIP;q=0.5", ContentCoding::kGzip},
      {"gzip; q=1.000", ContentCoding::kGzip},
      {"gzip;q=x", ContentCoding::kIdentity},
      {"gzip;q=2", ContentCoding::kIdentity},
      {",,;,", ContentCoding::kIdentity}};
  for (const auto& [header, coding] : cases) {
    EXPECT_EQ(ChooseCoding(header), coding) << header;
  }
}

TEST(DecompressorTest, ReadsWhatOthersWrite) {
  const std::string gzip(reinterpret_cast<const char*>(kGzip), sizeof(kGzip));
  const std::string zlib(reinterpret_cast<const char*>(kZlib), sizeof(kZlib));
  for (const size_t step : {size_t{1}, size_t{5}, size_t{1000}}) {
    EXPECT_EQ(Decompress(ContentCoding::kGzip, gzip, step).value_or("-"), kText);
    EXPECT_EQ(Decompress(ContentCoding::kDeflate, zlib, step).value_or("-"), kText);
    EXPECT_EQ(Decompress(ContentCoding::kGzip, gzip + gzip, step).value_or("-"),
              std::string(kText) + kText);
  }
  EXPECT_FALSE(Decompress(ContentCoding::kDeflate, zlib + "x").ok());
  EXPECT_FALSE(Decompress(ContentCoding::kGzip, gzip + "x").ok());
  EXPECT_FALSE(Decompress(ContentCoding::kGzip, zlib).ok());
  EXPECT_FALSE(Decompress(ContentCoding::kGzip, "").ok());
  for (size_t n = 0; n < gzip.size(); ++n) {
    EXPECT_FALSE(Decompress(ContentCoding::kGzip, gzip.substr(0, n)).ok()) << n;
  }
  std::string damaged = gzip;
  damaged[22] ^= 1;  // of the checksum
  EXPECT_THAT(Decompress(ContentCoding::kGzip, damaged).status().ToString(),
              HasSubstr("is not gzip"));
}

TEST(DecompressorTest, RoundTrips) {
  for (const ContentCoding coding : {ContentCoding::kGzip, ContentCoding::kDeflate}) {
    for (const std::string& text : {std::string(), std::string("x"), Long()}) {
      const std::string compressed = Compress(coding, text);
      EXPECT_EQ(Decompress(coding, compressed, 1000).value_or("-"), text);
    }
    EXPECT_LT(Compress(coding, Long()).size(), Long().size() * 3 / 4);
  }
}

TEST(DecompressorTest, ASinkStopsABomb) {
  const std::string bomb = Compress(ContentCoding::kGzip, std::string(100 << 20, 'x'));
  Decompressor decompressor(ContentCoding::kGzip);
  size_t seen = 0;
  const absl::Status status = decompressor.Feed(bomb, [&](std::string_view out) {
    seen += out.size();
    if (seen > 1 << 20) return ResourceExhausted("enough");
    return absl::OkStatus();
  });
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_LE(seen, (1 << 20) + (64 << 10));
}

}  // namespace
}  // namespace oriel::serving::http
