#include "checkpoint/checkpoint.h"

#include <vector>

#include "checkpoint/file_bytes.h"
#include "checkpoint/hdf5.h"
#include "checkpoint/hdf5_file.h"
#include "checkpoint/pytorch.h"
#include "checkpoint/safetensors.h"
#include "checkpoint/sstable.h"
#include "checkpoint/tensorflow_v1.h"
#include "checkpoint/tensorflow_v2.h"
#include "checkpoint/zip_archive.h"

namespace oriel::checkpoint {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kIndexSuffix = ".index";

bool IsFile(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

bool HasIndex(const fs::path& path) {
  return IsFile(path.string() + std::string(kIndexSuffix));
}

// Both kinds of TensorFlow's tables have a record under the empty key. In both its
// field 1 comes first: a number of shards in V2, a message in V1.
absl::StatusOr<Format> FormatOfTable(FileBytes file) {
  ASSIGN_OR_RETURN(const auto table, Table::Open(std::move(file)));
  ASSIGN_OR_RETURN(const auto value, table->Get(""));
  constexpr uint8_t kField1Varint = 0x08;
  constexpr uint8_t kField1Message = 0x0a;
  if (value && !value->bytes.empty()) {
    if (value->bytes[0] == kField1Varint) return Format::kTensorFlowV2;
    if (value->bytes[0] == kField1Message) return Format::kTensorFlowV1;
  }
  return Format::kUnknown;
}

// In the archive that is a .keras file.
constexpr std::string_view kKerasWeights = "model.weights.h5";

bool IsKerasArchive(const FileBytes& file) {
  if (!ZipArchive::HasMagic(file.bytes)) return false;
  const auto archive = ZipArchive::Open(file);
  return archive.ok() && archive->members().contains(kKerasWeights);
}

absl::StatusOr<std::shared_ptr<const VariableSource>> OpenHdf5OrKeras(FileBytes file) {
  if (!ZipArchive::HasMagic(file.bytes)) return OpenHdf5(std::move(file));
  ASSIGN_OR_RETURN(const ZipArchive archive, ZipArchive::Open(file));
  RETURN_IF_ERROR(archive.CheckCrc(kKerasWeights));
  ASSIGN_OR_RETURN(file.bytes, archive.Contents(kKerasWeights));
  return OpenHdf5(std::move(file));
}

absl::StatusOr<Format> DetectBytes(FileBytes file) {
  if (Table::HasMagic(file.bytes)) return FormatOfTable(std::move(file));
  if (IsKerasArchive(file)) return Format::kHdf5;
  if (ZipArchive::HasMagic(file.bytes)) return Format::kPyTorchZip;
  if (HasPyTorchLegacyMagic(file.bytes)) return Format::kPyTorchLegacy;
  if (Hdf5File::HasMagic(file.bytes)) return Format::kHdf5;
  if (LooksLikeSafetensors(file.bytes)) return Format::kSafetensors;
  return Format::kUnknown;
}

}  // namespace

absl::StatusOr<Format> Detect(const fs::path& path) {
  if (HasIndex(path)) return Format::kTensorFlowV2;
  std::error_code error;
  if (!fs::exists(path, error)) {
    ASSIGN_OR_RETURN(const auto shards, FindShards(path));
    if (!shards.empty()) return Format::kTensorFlowV1;
  }
  ASSIGN_OR_RETURN(FileBytes file, MapFile(path));
  return DetectBytes(std::move(file));
}

absl::StatusOr<std::shared_ptr<const VariableSource>> Open(const fs::path& path) {
  ASSIGN_OR_RETURN(const Format format, Detect(path));
  switch (format) {
    case Format::kTensorFlowV1:
      return OpenTensorFlowV1File(path);
    case Format::kTensorFlowV2: {
      if (HasIndex(path)) return OpenTensorFlowV2Files(path);
      const std::string name = path.string();
      if (name.ends_with(kIndexSuffix)) {
        return OpenTensorFlowV2Files(name.substr(0, name.size() - kIndexSuffix.size()));
      }
      return InvalidArgument(
          "{}: is the index of a TensorFlow V2 checkpoint, but not named PREFIX.index, "
          "so "
          "its data files cannot be told",
          name);
    }
    case Format::kPyTorchZip: {
      ASSIGN_OR_RETURN(FileBytes file, MapFile(path));
      return OpenPyTorchZip(std::move(file));
    }
    case Format::kPyTorchLegacy: {
      ASSIGN_OR_RETURN(FileBytes file, MapFile(path));
      return OpenPyTorchLegacy(std::move(file));
    }
    case Format::kSafetensors: {
      ASSIGN_OR_RETURN(FileBytes file, MapFile(path));
      return OpenSafetensors(std::move(file));
    }
    case Format::kHdf5: {
      ASSIGN_OR_RETURN(FileBytes file, MapFile(path));
      return OpenHdf5OrKeras(std::move(file));
    }
    case Format::kUnknown:
      break;
  }
  return InvalidArgument(
      "{}: is no checkpoint that Oriel reads. Tried: TensorFlow V1 and V2 (a table with "
      "its magic number at the end and a checkpoint's first record), PyTorch (a zip "
      "archive, or a stream that begins with torch.save's magic number), safetensors (a "
      "header length, then JSON), HDF5 (its signature){}",
      path.string(),
      path.filename().string().find(".data-") != std::string::npos
          ? ". For a TensorFlow V2 checkpoint give PREFIX or PREFIX.index, not a data "
            "file"
          : "");
}

}  // namespace oriel::checkpoint
