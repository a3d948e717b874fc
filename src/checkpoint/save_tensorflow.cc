// TensorFlow's checkpoints, V1 and V2.

#include <unistd.h>

#include <cerrno>
#include <limits>

#include "base/crc32c.h"
#include "base/interrupt.h"
#include "base/utf8.h"
#include "checkpoint/save.h"
#include "checkpoint/table_builder.h"
#include "checkpoint/tensorflow_records.h"
#include "tensor/tensor_proto.h"

namespace oriel::checkpoint {
namespace {

namespace fs = std::filesystem;

// Of both formats: what wrote them.
constexpr int kProducer = 1;
// What protobuf can have in one message.
constexpr uint64_t kMaxRecordBytes = std::numeric_limits<int32_t>::max();

// Reads each variable once, in the order of names, and hands it to `write`.
template <typename Write>
absl::Status ForEachVariable(const VariableSource& variables, const SaveOptions& options,
                             const Write& write) {
  uint64_t done = 0;
  for (const VariableInfo& info : variables.variables()) {
    RETURN_IF_ERROR(CheckInterrupted());
    // The empty key is the header's, keys that begin with 0 are those of slices.
    if (info.name.empty() || info.name[0] == '\0' || FindInvalidUtf8(info.name)) {
      return InvalidArgument("a variable is called '{}': TensorFlow cannot have that",
                             Printable(info.name));
    }
    ASSIGN_OR_RETURN(const Tensor tensor, variables.Read(info.name));
    RETURN_IF_ERROR(write(info, tensor));
    done += tensor.dtype() == DType::kString ? 0 : tensor.bytes().size();
    if (options.progress != nullptr) options.progress->Update(done);
  }
  return absl::OkStatus();
}

std::string V1Meta(const VariableSource& variables) {
  tensorflow::SavedTensorSlices meta;
  for (const VariableInfo& info : variables.variables()) {
    auto* entry = meta.mutable_meta()->add_tensor();
    entry->set_name(info.name);
    ShapeToProto(info.shape, entry->mutable_shape());
    entry->set_type(ToTensorFlow(info.dtype));
    SliceToProto(Slice::Full(info.shape.rank()), entry->add_slice());
  }
  meta.mutable_meta()->mutable_versions()->set_producer(kProducer);
  return meta.SerializeAsString();
}

absl::Status AddV1Record(const VariableInfo& info, const Tensor& tensor,
                         TableBuilder& table) {
  if (tensor.dtype() != DType::kString && tensor.bytes().size() > kMaxRecordBytes) {
    return ResourceExhausted("has {} bytes, a V1 checkpoint takes {}",
                             tensor.bytes().size(), kMaxRecordBytes);
  }
  const Slice slice = Slice::Full(info.shape.rank());
  tensorflow::SavedTensorSlices record;
  auto* data = record.mutable_data();
  data->set_name(info.name);
  SliceToProto(slice, data->mutable_slice());
  RETURN_IF_ERROR(FillValues(tensor, data->mutable_data()));
  if (record.ByteSizeLong() > kMaxRecordBytes) {
    return ResourceExhausted("has {} bytes, a V1 checkpoint takes {}",
                             record.ByteSizeLong(), kMaxRecordBytes);
  }
  return table.Add(SliceKey(info.name, slice), record.SerializeAsString());
}

}  // namespace

absl::Status SaveTensorFlowV1(const fs::path& path, const VariableSource& variables,
                              const SaveOptions& options) {
  RemoveAbandonedTemporaries(path);
  ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Create(path));
  TableBuilder table(file);
  RETURN_IF_ERROR(table.Add("", V1Meta(variables)));
  RETURN_IF_ERROR(ForEachVariable(
      variables, options, [&](const VariableInfo& info, const Tensor& tensor) {
        const absl::Status added = AddV1Record(info, tensor, table);
        return added.ok() ? added : Annotate(added, fmt::format("'{}'", info.name));
      }));
  RETURN_IF_ERROR(table.Finish());
  return file.Commit();
}

absl::Status SaveTensorFlowV2(const fs::path& prefix, const VariableSource& variables,
                              const SaveOptions& options) {
  const fs::path data_path = prefix.string() + ".data-00000-of-00001";
  const fs::path index_path = prefix.string() + ".index";
  RemoveAbandonedTemporaries(data_path);
  RemoveAbandonedTemporaries(index_path);
  ASSIGN_OR_RETURN(AtomicFile data, AtomicFile::Create(data_path));
  ASSIGN_OR_RETURN(AtomicFile index, AtomicFile::Create(index_path));
  TableBuilder table(index);
  tensorflow::BundleHeaderProto header;
  header.set_num_shards(1);
  header.mutable_version()->set_producer(kProducer);
  RETURN_IF_ERROR(table.Add("", header.SerializeAsString()));

  uint64_t offset = 0;
  RETURN_IF_ERROR(ForEachVariable(
      variables, options,
      [&](const VariableInfo& info, const Tensor& tensor) -> absl::Status {
        const StoredTensor stored = ToStored(tensor);
        tensorflow::BundleEntryProto entry;
        entry.set_dtype(ToTensorFlow(info.dtype));
        ShapeToProto(info.shape, entry.mutable_shape());
        entry.set_offset(static_cast<int64_t>(offset));
        entry.set_size(static_cast<int64_t>(stored.bytes.size()));
        entry.set_crc32c(MaskCrc32c(stored.crc));
        offset += stored.bytes.size();
        RETURN_IF_ERROR(data.Append(AsStringView(stored.bytes)));
        return table.Add(info.name, entry.SerializeAsString());
      }));
  RETURN_IF_ERROR(table.Finish());
  // Without its index a data file is no checkpoint, so that no reader takes new data
  // for old.
  if (::unlink(index_path.c_str()) != 0 && errno != ENOENT) {
    return ErrnoError(errno, index_path.string());
  }
  RETURN_IF_ERROR(data.Commit());
  return index.Commit();
}

}  // namespace oriel::checkpoint
