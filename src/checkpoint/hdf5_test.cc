// The HDF5 reader on what h5py and Keras wrote, and on files that lie.
#include "checkpoint/hdf5.h"

#include <gmock/gmock.h>

#include "base/files.h"
#include "base/testing.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/testing/corruption.h"
#include "checkpoint/testing/expected_tensors.h"

namespace oriel::checkpoint {
namespace {

using testing::HasSubstr;

std::string Load(const std::string& name) {
  return ReadFile(TestData("hdf5/" + name)).value();
}

class Hdf5Files : public testing::TestWithParam<std::string> {};

TEST_P(Hdf5Files, HoldWhatWasSaved) {
  ASSERT_OK_AND_ASSIGN(const auto source, Open(TestData("hdf5/" + GetParam())));
  const auto expected = ReadJson(TestData("hdf5/expected.json")).as_object();
  ASSERT_TRUE(expected.contains(GetParam()));
  const auto& variables = expected.at(GetParam()).as_object();
  std::vector<std::string> have, want;
  for (const VariableInfo& info : source->variables()) have.push_back(info.name);
  for (const auto& [name, tensor] : variables) {
    ExpectVariable(*source, std::string(name), tensor);
    want.emplace_back(name);
  }
  EXPECT_THAT(have, testing::UnorderedElementsAreArray(want));
  EXPECT_EQ(source->format(), GetParam().find("keras") == std::string::npos
                                  ? "HDF5"
                                  : "Keras weights, HDF5");
  EXPECT_EQ(source->Read("missing").status().code(), absl::StatusCode::kNotFound);
}

INSTANTIATE_TEST_SUITE_P(Files, Hdf5Files,
                         testing::Values("keras2.h5", "keras2_tiny.h5", "keras2_model.h5",
                                         "keras2_lists.h5", "keras3.weights.h5",
                                         "keras3.keras", "keras3_legacy.h5", "dtypes.h5",
                                         "chunks.h5", "latest.h5", "big_endian.h5"),
                         [](const auto& param) {
                           std::string name = param.param;
                           std::replace(name.begin(), name.end(), '.', '_');
                           return name;
                         });

TEST(Hdf5, RefusedByName) {
  const std::pair<const char*, const char*> files[] = {
      {"soft_link.h5", "'/': its link 'soft' is a soft one"},
      {"external_link.h5", "'/': its link 'external' is a soft or external one"},
      {"external_data.h5", "'/a': has its data in other files"},
      {"virtual.h5", "'/a': is a virtual dataset"},
      {"lzf.h5", "'/a': is stored with HDF5's filter 32000"},
      {"compound.h5", "'/a': datasets of HDF5's class 6 are not supported"},
      {"dense.h5", "'/': is a group as libver='latest'"},
      {"unwritten.h5", "'/a': was made, but its data never written"},
      {"missing_chunks.h5", "'/a': not all of its chunks were written"},
      {"loop.h5", "'a/b' is in two places"},
      {"missing_weight.h5", "'/dense' has no 'kernel:0'"},
  };
  for (const auto& [name, message] : files) {
    SCOPED_TRACE(name);
    const absl::Status status =
        Open(TestData(std::string("hdf5/refused/") + name)).status();
    ASSERT_FALSE(status.ok());
    EXPECT_THAT(std::string(Message(status)), HasSubstr(message));
  }
}

TEST(Hdf5, CorruptionNeverCrashes) {
  for (const char* name : {"keras2_tiny.h5", "latest.h5"}) {
    SCOPED_TRACE(name);
    ExpectCorruptionIsSeen(Load(name), OpenHdf5, Checksums::kNone);
  }
}

TEST(Hdf5, AlignedDatasetsAreViews) {
  const std::string bytes = Load("keras2.h5");
  const FileBytes file = OwnedBytes(bytes);
  ASSERT_OK_AND_ASSIGN(const auto source, OpenHdf5(file));
  ASSERT_OK_AND_ASSIGN(const Tensor kernel, source->Read("conv2d_1/kernel"));
  EXPECT_GE(kernel.bytes().data(), file.bytes.data());
  EXPECT_LT(kernel.bytes().data(), file.bytes.data() + file.bytes.size());
}

}  // namespace
}  // namespace oriel::checkpoint
