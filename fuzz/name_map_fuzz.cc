// A name map: whatever parses comes out of FormatNameMap again, and can be applied to
// variables without harm.

#include <string_view>

#include "checkpoint/name_map.h"
#include "fuzz/read_variables.h"

namespace oriel {
namespace {

class Variables final : public VariableSource {
 public:
  const std::vector<VariableInfo>& variables() const override {
    static const std::vector<VariableInfo> infos = {{"a", DType::kFloat32, {2, 3, 4, 5}},
                                                    {"b", DType::kFloat32, {5}},
                                                    {"c", DType::kFloat16, {3, 5}},
                                                    {"d", DType::kInt64, {}},
                                                    {"e", DType::kString, {2}}};
    return infos;
  }
  absl::StatusOr<Tensor> Read(std::string_view name) const override {
    return Tensor(Find(name)->dtype, Find(name)->shape);
  }
  std::string_view format() const override { return "fuzz"; }
};

}  // namespace
}  // namespace oriel

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace oriel;
  const auto map = checkpoint::ParseNameMap(AsStringView(Bytes(data, size)), "fuzz");
  if (!map.ok()) return 0;
  const auto again = checkpoint::ParseNameMap(checkpoint::FormatNameMap(*map), "again");
  if (!again.ok() || *again != *map) __builtin_trap();
  ReadVariables(checkpoint::MapVariables(std::make_shared<Variables>(), *map,
                                         {.allow_missing = true, .drop_unmapped = true}));
  return 0;
}
