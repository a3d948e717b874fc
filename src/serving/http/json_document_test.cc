#include "serving/http/json_document.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

#include "base/testing.h"

namespace oriel::serving::http {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Kind = JsonValue::Kind;

TEST(ParseJsonTest, Values) {
  ASSERT_OK_AND_ASSIGN(
      const JsonValue root,
      ParseJson(R"( {"a": null, "b": [true, "x\u00e9\n"], "c": -1.5e2, "d": {}, "e": [],
                    "f": 18446744073709551615} )"));
  ASSERT_TRUE(root.is(Kind::kObject));
  ASSERT_EQ(root.members.size(), 6);
  EXPECT_TRUE(root.Find("a")->is(Kind::kNull));
  ASSERT_EQ(root.Find("b")->items.size(), 2);
  EXPECT_TRUE(root.Find("b")->items[0].boolean);
  EXPECT_EQ(root.Find("b")->items[1].string, "x\u00e9\n");
  EXPECT_EQ(root.Find("c")->number, -150);
  EXPECT_TRUE(root.Find("d")->is(Kind::kObject));
  EXPECT_TRUE(root.Find("e")->is(Kind::kList));
  EXPECT_EQ(root.Find("f")->number, 18446744073709551615.0);
  EXPECT_EQ(root.Find("g"), nullptr);
}

TEST(ParseJsonTest, ListsOfNumbersAreTensors) {
  ASSERT_OK_AND_ASSIGN(JsonValue value, ParseJson("[1, 2.5, -3]"));
  ASSERT_TRUE(value.is(Kind::kTensor));
  EXPECT_THAT(value.shape, ElementsAre(3));
  EXPECT_THAT(value.numbers, ElementsAre(1, 2.5, -3));
  ASSERT_OK_AND_ASSIGN(value, ParseJson("[[[1,2]],[[3,4]],[[5,6]]]"));
  ASSERT_TRUE(value.is(Kind::kTensor));
  EXPECT_THAT(value.shape, ElementsAre(3, 1, 2));
  EXPECT_THAT(value.numbers, ElementsAre(1, 2, 3, 4, 5, 6));
}

TEST(ParseJsonTest, RaggedAndMixedListsAreLists) {
  ASSERT_OK_AND_ASSIGN(JsonValue value, ParseJson("[[1,2],[3]]"));
  ASSERT_TRUE(value.is(Kind::kList));
  ASSERT_EQ(value.items.size(), 2);
  EXPECT_THAT(value.items[0].numbers, ElementsAre(1, 2));
  EXPECT_THAT(value.items[1].shape, ElementsAre(1));
  ASSERT_OK_AND_ASSIGN(value, ParseJson(R"([1, 2, "x", 3])"));
  ASSERT_EQ(value.items.size(), 4);
  EXPECT_EQ(value.items[1].number, 2);
  EXPECT_EQ(value.items[3].number, 3);
  ASSERT_OK_AND_ASSIGN(value, ParseJson("[1, [2]]"));
  ASSERT_EQ(value.items.size(), 2);
  EXPECT_TRUE(value.items[0].is(Kind::kNumber));
  ASSERT_OK_AND_ASSIGN(value, ParseJson("[[1], 2]"));
  ASSERT_EQ(value.items.size(), 2);
  EXPECT_TRUE(value.items[0].is(Kind::kTensor));
  EXPECT_EQ(value.items[1].number, 2);
  ASSERT_OK_AND_ASSIGN(value, ParseJson("[[], [1]]"));
  EXPECT_EQ(value.items.size(), 2);
  ASSERT_OK_AND_ASSIGN(value, ParseJson("[[[1,2]],[[3,4],[5,6]]]"));
  EXPECT_EQ(value.items.size(), 2);
  EXPECT_THAT(value.items[1].shape, ElementsAre(2, 2));
}

TEST(ParseJsonTest, Errors) {
  for (const char* text :
       {"", "{", "[1,]", "{\"a\":1,}", "nul", "[1] x", "'a'", "{\"a\" 1}", "[01]",
        "\"\x01\"", "\"\xff\"", "[1 2]", "NaN", "// c\n1"}) {
    EXPECT_EQ(ParseJson(text).status().code(), absl::StatusCode::kInvalidArgument)
        << text;
  }
  EXPECT_THAT(ParseJson("{\"a\":1,\"a\":2}").status().ToString(),
              HasSubstr("'a' comes twice"));
}

TEST(ParseJsonTest, Limits) {
  const JsonLimits limits = {.max_depth = 3, .max_numbers = 4, .max_values = 5};
  EXPECT_OK(ParseJson("[[[1]]]", limits).status());
  EXPECT_THAT(ParseJson("[[[[1]]]]", limits).status().ToString(),
              HasSubstr("deeper than 3"));
  EXPECT_OK(ParseJson("[1,2,3,4]", limits).status());
  EXPECT_THAT(ParseJson("[1,2,3,4,5]", limits).status().ToString(),
              HasSubstr("more than 4 numbers"));
  EXPECT_OK(ParseJson("[{},{},{},{},{}]", limits).status());
  EXPECT_THAT(ParseJson("[{},{},{},{},{},{}]", limits).status().ToString(),
              HasSubstr("more than 5 values"));
  EXPECT_THAT(ParseJson("{\"a\":1,\"b\":2}", {.max_members = 1}).status().ToString(),
              HasSubstr("more than 1 members"));
  EXPECT_THAT(ParseJson("[1,2,\"\",\"\",\"\",\"\"]", limits).status().ToString(),
              HasSubstr("more than 5 values"));
}

// Boost.JSON's own document of the same text, as the arbiter.
TEST(ParseJsonTest, AgreesWithBoost) {
  const std::string text = R"([[[0.1,1e-3],[7,8]],[[3.25,-4],[1e10,0]]])";
  ASSERT_OK_AND_ASSIGN(const JsonValue value, ParseJson(text));
  std::vector<float> want;
  const boost::json::value parsed = boost::json::parse(text);
  for (const auto& plane : parsed.as_array()) {
    for (const auto& row : plane.as_array()) {
      for (const auto& x : row.as_array()) want.push_back(x.to_number<double>());
    }
  }
  EXPECT_EQ(value.numbers, want);
}

TEST(DecodeBase64Test, Vectors) {  // RFC 4648, section 10
  const std::pair<const char*, const char*> vectors[] = {{"", ""},
                                                         {"Zg==", "f"},
                                                         {"Zm8=", "fo"},
                                                         {"Zm9v", "foo"},
                                                         {"Zm9vYg==", "foob"},
                                                         {"Zm9vYmE=", "fooba"},
                                                         {"Zm9vYmFy", "foobar"},
                                                         {"Zg", "f"},
                                                         {"Zm9vYmE", "fooba"},
                                                         {"-_-_", "\xfb\xff\xbf"},
                                                         {"+/+/", "\xfb\xff\xbf"}};
  for (const auto& [text, bytes] : vectors) {
    ASSERT_OK_AND_ASSIGN(const std::string decoded, DecodeBase64(text));
    EXPECT_EQ(decoded, bytes) << text;
  }
  for (const char* text :
       {"Z", "Zg=", "Z===", "====", "Zm9v=", "Zm 9v", "Zm9v\n", "Zm*v"}) {
    EXPECT_FALSE(DecodeBase64(text).ok()) << text;
  }
}

}  // namespace
}  // namespace oriel::serving::http
