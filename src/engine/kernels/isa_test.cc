#include "engine/kernels/isa.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include "base/testing.h"
#include "engine/onednn/library.h"

namespace oriel::engine {
namespace {

using ::testing::HasSubstr;

TEST(Isa, NamesAreReadBack) {
  ASSERT_FALSE(AllIsas().empty());
  for (const Isa isa : AllIsas()) {
    const auto read = ParseIsa(IsaName(isa));
    ASSERT_OK(read.status());
    EXPECT_EQ(*read, isa);
  }
}

TEST(Isa, UnknownNameListsTheNames) {
  for (const std::string_view name : {"", "AVX2", "avx", "avx512_", "sse41"}) {
    const absl::Status status = ParseIsa(name).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << name;
    EXPECT_THAT(std::string(Message(status)),
                HasSubstr("scalar, avx2, avx512, avx512_vnni, avx512_bf16"));
  }
}

// Linux lists what CPUID says and the kernel saves.
TEST(Isa, CpuIsAsLinuxSaysIt) {
#if defined(__x86_64__)
  std::ifstream file("/proc/cpuinfo");
  std::set<std::string> flags;
  for (std::string line; flags.empty() && std::getline(file, line);) {
    if (line.rfind("flags", 0) != 0) continue;
    std::istringstream words(line.substr(line.find(':') + 1));
    for (std::string word; words >> word;) flags.insert(word);
  }
  if (flags.empty()) GTEST_SKIP() << "/proc/cpuinfo has no flags";
  Isa want = Isa::kScalar;
  const auto raise = [&](Isa isa, std::initializer_list<const char*> needed) {
    for (const char* const flag : needed) {
      if (!flags.contains(flag)) return;
    }
    if (static_cast<int>(want) == static_cast<int>(isa) - 1) want = isa;
  };
  raise(Isa::kAvx2, {"avx2", "fma"});
  raise(Isa::kAvx512, {"avx512f", "avx512bw", "avx512dq", "avx512vl"});
  raise(Isa::kAvx512Vnni, {"avx512_vnni"});
  raise(Isa::kAvx512Bf16, {"avx512_bf16"});
  EXPECT_EQ(IsaName(CpuIsa()), IsaName(want));
#else
  EXPECT_EQ(CpuIsa(), Isa::kScalar);
#endif
}

// Runs again under each ORIEL_MAX_ISA, see CMakeLists.txt.
TEST(Isa, EnvironmentLowersOursAndOneDnns) {
  const char* const name = std::getenv("ORIEL_MAX_ISA");
  if (name == nullptr) {
    EXPECT_FALSE(IsaIsLimited());
    EXPECT_EQ(MaxIsa(), CpuIsa());
    return;
  }
  const auto limit = ParseIsa(name);
  if (!limit.ok()) {
    EXPECT_THAT(std::string(Message(CheckIsaLimit())), HasSubstr("ORIEL_MAX_ISA"));
    EXPECT_FALSE(IsaIsLimited());
    EXPECT_EQ(MaxIsa(), CpuIsa());
    return;
  }
  EXPECT_OK(CheckIsaLimit());
  EXPECT_TRUE(IsaIsLimited());
  EXPECT_LE(MaxIsa(), *limit);
  EXPECT_EQ(MaxIsa() == *limit, CpuIsa() >= *limit);
#if defined(__x86_64__)
  if (CpuIsa() < Isa::kAvx2) GTEST_SKIP() << "a CPU with little to mask";
  const std::string_view onednn = onednn::EffectiveIsa();
  switch (MaxIsa()) {
    case Isa::kScalar:
      EXPECT_EQ(onednn, "SSE41");
      break;
    case Isa::kAvx2:
      EXPECT_EQ(onednn, "AVX2");
      break;
    case Isa::kAvx512:
      EXPECT_EQ(onednn, "AVX512_CORE");
      break;
    case Isa::kAvx512Vnni:
      EXPECT_EQ(onednn, "AVX512_CORE_VNNI");
      break;
    case Isa::kAvx512Bf16:
      EXPECT_EQ(onednn, "AVX512_CORE_BF16");
      break;
  }
#endif
}

}  // namespace
}  // namespace oriel::engine
