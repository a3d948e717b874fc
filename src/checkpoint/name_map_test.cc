#include "checkpoint/name_map.h"

#include <gmock/gmock.h>

#include <numeric>

#include "base/testing.h"

namespace oriel::checkpoint {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Values count up from 1.
class Counting final : public VariableSource {
 public:
  explicit Counting(std::vector<VariableInfo> infos) : infos_(std::move(infos)) {}
  const std::vector<VariableInfo>& variables() const override { return infos_; }
  absl::StatusOr<Tensor> Read(std::string_view name) const override {
    Tensor tensor(Find(name)->dtype, Find(name)->shape);
    if (tensor.dtype() == DType::kFloat32) {
      const auto values = tensor.mutable_data<float>();
      std::iota(values.begin(), values.end(), 1.0f);
    }
    return tensor;
  }
  std::string_view format() const override { return "test"; }

 private:
  std::vector<VariableInfo> infos_;
};

std::shared_ptr<const VariableSource> Source() {
  return std::make_shared<Counting>(
      std::vector<VariableInfo>{{"count", DType::kInt64, {}},
                                {"gamma", DType::kFloat32, {2}},
                                {"kernel", DType::kFloat32, {2, 3}},
                                {"oihw", DType::kFloat32, {2, 3, 1, 2}},
                                {"text", DType::kString, {2}}});
}

std::string Json(std::string_view variables, std::string_view drop = "\"*\"") {
  return fmt::format(R"({{"oriel_name_map":1,"variables":[{}],"drop":[{}]}})", variables,
                     drop);
}

absl::StatusOr<Tensor> Made(std::string_view entry) {
  ASSIGN_OR_RETURN(const NameMap map, ParseNameMap(Json(entry), "map"));
  ASSIGN_OR_RETURN(const auto mapped, MapVariables(Source(), map));
  ASSIGN_OR_RETURN(Tensor tensor, mapped->Read("x"));
  const VariableInfo& info = mapped->variables().at(0);
  EXPECT_EQ(info.shape, tensor.shape());
  EXPECT_EQ(info.dtype, tensor.dtype());
  return tensor;
}

void ExpectMade(std::string_view entry, const Shape& shape,
                const std::vector<float>& values) {
  SCOPED_TRACE(entry);
  ASSERT_OK_AND_ASSIGN(const Tensor tensor, Made(entry));
  EXPECT_EQ(tensor.shape(), shape);
  const auto data = tensor.data<float>();
  EXPECT_EQ(std::vector<float>(data.begin(), data.end()), values);
}

TEST(NameMap, Steps) {
  ExpectMade(R"({"from":"kernel","to":"x"})", {2, 3}, {1, 2, 3, 4, 5, 6});
  ExpectMade(R"({"from":"kernel","to":"x","layout":"transpose"})", {3, 2},
             {1, 4, 2, 5, 3, 6});
  // numpy.arange(1, 13).reshape(2, 3, 1, 2).transpose(2, 3, 1, 0).ravel()
  ExpectMade(R"({"from":"oihw","to":"x","layout":"oihw_to_hwio"})", {1, 2, 3, 2},
             {1, 7, 3, 9, 5, 11, 2, 8, 4, 10, 6, 12});
  // ... .transpose(3, 2, 0, 1).ravel()
  ExpectMade(R"({"from":"oihw","to":"x","layout":"hwio_to_oihw"})", {2, 1, 2, 3},
             {1, 3, 5, 7, 9, 11, 2, 4, 6, 8, 10, 12});
  ExpectMade(R"({"from":"kernel","to":"x","slice":{"axis":1,"start":1}})", {2, 2},
             {2, 3, 5, 6});
  ExpectMade(R"({"from":"kernel","to":"x","slice":{"axis":1,"start":1,"stop":-1}})",
             {2, 1}, {2, 5});
  ExpectMade(R"({"from":"kernel","to":"x","slice":{"axis":0,"stop":1}})", {1, 3},
             {1, 2, 3});
  ExpectMade(R"({"from":"kernel","to":"x","scale":{"by":"gamma"}})", {2, 3},
             {1, 2, 3, 8, 10, 12});
  ExpectMade(R"({"from":"kernel","to":"x","layout":"transpose",
                 "scale":{"by":"gamma","axis":1}})",
             {3, 2}, {1, 8, 2, 10, 3, 12});
  ExpectMade(R"({"from":"kernel","to":"x",
                 "pad":{"axis":1,"before":1,"after":2,"value":-9.5}})",
             {2, 6}, {-9.5, 1, 2, 3, -9.5, -9.5, -9.5, 4, 5, 6, -9.5, -9.5});
  ExpectMade(R"({"from":"kernel","to":"x","slice":{"axis":1,"start":2},
                 "pad":{"axis":0,"before":1}})",
             {3, 1}, {0, 3, 6});
  ExpectMade(R"({"to":"x","fill":{"value":0.5,"shape_of":"gamma"}})", {2}, {0.5, 0.5});
  ASSERT_OK_AND_ASSIGN(const Tensor counter,
                       Made(R"({"to":"x","fill":{"value":3,"dtype":"int64"}})"));
  EXPECT_THAT(counter.data<int64_t>(), ElementsAre(3));
}

TEST(NameMap, WhatDoesNotFit) {
  const std::pair<const char*, const char*> wrong[] = {
      {R"({"from":"gone","to":"x"})",
       "(test) has no tensor 'gone', which 'x' is made of"},
      {R"({"from":"kernel","to":"x","layout":"oihw_to_hwio"})", "want 4 dimensions"},
      {R"({"from":"kernel","to":"x","slice":{"axis":1,"start":4}})", "too little"},
      {R"({"from":"kernel","to":"x","slice":{"axis":1,"stop":4}})", "too little"},
      {R"({"from":"kernel","to":"x","slice":{"axis":2}})", "too little"},
      {R"({"from":"kernel","to":"x","scale":{"by":"gamma","axis":1}})",
       "channels differ"},
      {R"({"from":"kernel","to":"x","scale":{"by":"gone"}})", "'gone'"},
      {R"({"from":"gamma","to":"x","pad":{"axis":1}})", "too few dimensions"},
      {R"({"from":"text","to":"x","layout":"transpose"})", "is string"},
      {R"({"from":"count","to":"x","scale":{"by":"gamma"}})", "is int64"},
      {R"({"to":"x","fill":{"shape_of":"gone"}})", "'gone'"},
      {R"({"from":"kernel"})", "'to' is not there"},
      {R"({"to":"x"})", "either 'from' or 'fill'"},
      {R"({"from":"kernel","to":"x","fill":{}})", "either 'from' or 'fill'"},
      {R"({"from":"kernel","to":"x","lay":1})", "unknown key 'lay'"},
      {R"({"from":"kernel","to":"x","layout":"nchw"})", "'layout' is not"},
      {R"({"from":"kernel","to":"x","layout":[0,0]})", "'layout' is not"},
      {R"({"from":"kernel","to":"x","pad":{"before":-1}})", "'before' is not"},
      {R"({"from":"kernel","to":"x","pad":{"value":1e300}})", "within 1e9"},
      {R"({"to":"x","fill":{"value":-1e10}})", "within 1e9"},
      {R"({"to":"x","fill":{"value":0.5,"dtype":"int64"}})", "a whole number"},
      {R"({"to":"x","fill":{"shape":[-1]}})", "array of sizes"},
      {R"({"to":"x","fill":{"shape":[1048576,1048576]}})", "limit"},
      {R"({"from":"kernel","to":"x"},{"from":"gamma","to":"x"})", "'x' is made twice"},
      {R"(3)", "is no object"},
  };
  for (const auto& [entry, message] : wrong) {
    SCOPED_TRACE(entry);
    const absl::Status status = Made(entry).status();
    ASSERT_FALSE(status.ok());
    EXPECT_THAT(std::string(Message(status)), HasSubstr(message));
  }
  for (const char* text : {"", "[]", "{}", "{\"oriel_name_map\":2,\"variables\":[]}",
                           "{\"oriel_name_map\":1}"}) {
    EXPECT_FALSE(ParseNameMap(text, "map").ok()) << text;
  }
}

TEST(NameMap, EveryVariableIsUsedOrDropped) {
  const auto mapped = [](std::string_view drop, const MapOptions& options) {
    return MapVariables(
        Source(), ParseNameMap(Json(R"({"from":"kernel","to":"x"})", drop), "m").value(),
        options);
  };
  const absl::Status left = mapped("\"o*\"", {}).status();
  EXPECT_EQ(Message(left),
            "the map neither uses nor drops 3 of the checkpoint's 5 variables: 'count', "
            "'gamma', 'text'");
  EXPECT_OK(mapped("\"o*\"", {.drop = {"*t", "ga*a"}}).status());
  EXPECT_OK(mapped("", {.drop_unmapped = true}).status());
}

TEST(NameMap, MissingVariablesMayBeAllowed) {
  const NameMap map =
      ParseNameMap(Json(R"({"from":"gone","to":"a"},{"from":"gamma","to":"b"})"), "m")
          .value();
  ASSERT_OK_AND_ASSIGN(const auto mapped,
                       MapVariables(Source(), map, {.allow_missing = true}));
  ASSERT_EQ(mapped->variables().size(), 1);
  EXPECT_EQ(mapped->variables()[0].name, "b");
}

TEST(NameMap, FormattedMapsParseToTheSame) {
  ASSERT_OK_AND_ASSIGN(const NameMap map,
                       ReadNameMap(TestData("fuzz/name_map_fuzz/all.json")));
  EXPECT_EQ(map.variables.size(), 5);
  ASSERT_OK_AND_ASSIGN(const NameMap again, ParseNameMap(FormatNameMap(map), "again"));
  EXPECT_TRUE(again == map);
  // Numbers of more digits than float32 has.
  for (const char* entry :
       {R"({"from":"a","to":"x","pad":{"value":-0.1234567890123456789}})",
        R"({"to":"x","fill":{"value":98765432.10987654321}})",
        R"({"to":"x","fill":{"value":999999999,"dtype":"int64"}})"}) {
    ASSERT_OK_AND_ASSIGN(const NameMap once, ParseNameMap(Json(entry), "once"));
    ASSERT_OK_AND_ASSIGN(const NameMap twice, ParseNameMap(FormatNameMap(once), "twice"));
    EXPECT_TRUE(twice == once) << entry;
  }
}

TEST(NameMap, Patterns) {
  EXPECT_TRUE(MatchesPattern("a/b/c", "a/b/c"));
  EXPECT_TRUE(MatchesPattern("a/b/c", "*"));
  EXPECT_TRUE(MatchesPattern("a/b/c", "a*c"));
  EXPECT_TRUE(MatchesPattern("a/b/c", "*/b/*"));
  EXPECT_TRUE(MatchesPattern("aXbXc", "a*b*c*"));
  EXPECT_FALSE(MatchesPattern("a/b/c", "a/b"));
  EXPECT_FALSE(MatchesPattern("a/b", "a/b/*"));
  EXPECT_FALSE(MatchesPattern("", "a"));
  EXPECT_TRUE(MatchesPattern("", "*"));
}

}  // namespace
}  // namespace oriel::checkpoint
