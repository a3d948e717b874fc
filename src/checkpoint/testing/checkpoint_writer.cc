#include "checkpoint/testing/checkpoint_writer.h"

#include <leveldb/env.h>
#include <leveldb/options.h>
#include <leveldb/table_builder.h>

#include <fstream>
#include <memory>

#include "base/crc32c.h"
#include "checkpoint/slices.h"
#include "checkpoint/tensorflow_records.h"

namespace oriel::checkpoint {
namespace {

namespace fs = std::filesystem;

absl::Status FromLevelDb(const leveldb::Status& status) {
  return status.ok() ? absl::OkStatus() : absl::InternalError(status.ToString());
}

// A table that takes its records in the order of their keys.
class TableFile {
 public:
  static absl::StatusOr<TableFile> Create(const fs::path& path,
                                          const CheckpointWriterOptions& options) {
    leveldb::WritableFile* file;
    RETURN_IF_ERROR(
        FromLevelDb(leveldb::Env::Default()->NewWritableFile(path.string(), &file)));
    return TableFile(file, options);
  }

  absl::Status Add(std::string_view key, std::string_view value) {
    // TensorFlow's table writer gives a large record a block of its own; leveldb's
    // would let it end the block that was begun.
    if (key.size() + value.size() >= 2 * block_size_) builder_->Flush();
    builder_->Add({key.data(), key.size()}, {value.data(), value.size()});
    return FromLevelDb(builder_->status());
  }

  absl::Status Finish() {
    RETURN_IF_ERROR(FromLevelDb(builder_->Finish()));
    return FromLevelDb(file_->Close());
  }

 private:
  TableFile(leveldb::WritableFile* file, const CheckpointWriterOptions& options)
      : block_size_(options.block_size), file_(file) {
    leveldb::Options table_options;
    table_options.block_size = options.block_size;
    table_options.compression =
        options.snappy ? leveldb::kSnappyCompression : leveldb::kNoCompression;
    builder_ = std::make_unique<leveldb::TableBuilder>(table_options, file);
  }
  size_t block_size_;
  std::unique_ptr<leveldb::WritableFile> file_;
  std::unique_ptr<leveldb::TableBuilder> builder_;
};

// The slices of a variable; one that is not cut has a single full one.
std::vector<Slice> SlicesOf(const VariableInfo& info,
                            const CheckpointWriterOptions& options) {
  const auto it = options.partitions.find(info.name);
  if (it == options.partitions.end()) return {Slice::Full(info.shape.rank())};
  const int64_t rows = info.shape.dim(0);
  const int64_t parts = it->second;
  std::vector<Slice> slices;
  int64_t start = 0;
  for (int64_t i = 0; i < parts; ++i) {
    // the first slices take the remainder, as fixed_size_partitioner has it
    const int64_t length = rows / parts + (i < rows % parts ? 1 : 0);
    Slice slice{std::vector<int64_t>(info.shape.rank(), 0), info.shape.dims()};
    slice.start[0] = start;
    slice.length[0] = length;
    slices.push_back(std::move(slice));
    start += length;
  }
  return slices;
}

struct Piece {
  std::string name;
  Slice slice;
};

absl::Status WriteV1File(const fs::path& path, const VariableSource& variables,
                         const std::map<std::string, Piece>& pieces,
                         const CheckpointWriterOptions& options) {
  tensorflow::SavedTensorSlices meta;
  std::map<std::string, tensorflow::SavedSliceMeta*> by_name;
  for (const auto& [key, piece] : pieces) {
    const VariableInfo& info = *variables.Find(piece.name);
    tensorflow::SavedSliceMeta*& entry = by_name[piece.name];
    if (entry == nullptr) {
      entry = meta.mutable_meta()->add_tensor();
      entry->set_name(info.name);
      for (const int64_t d : info.shape.dims()) {
        entry->mutable_shape()->add_dim()->set_size(d);
      }
      entry->mutable_shape();  // written for scalars too
      entry->set_type(ToTensorFlow(info.dtype));
    }
    SliceToProto(piece.slice, entry->add_slice());
  }
  meta.mutable_meta()->mutable_versions()->set_producer(1);

  ASSIGN_OR_RETURN(TableFile table, TableFile::Create(path, options));
  RETURN_IF_ERROR(table.Add("", meta.SerializeAsString()));
  std::string read_name;
  Tensor whole;
  for (const auto& [key, piece] : pieces) {
    if (piece.name != read_name) {
      ASSIGN_OR_RETURN(whole, variables.Read(piece.name));
      read_name = piece.name;
    }
    tensorflow::SavedTensorSlices record;
    auto* data = record.mutable_data();
    data->set_name(piece.name);
    SliceToProto(piece.slice, data->mutable_slice());
    RETURN_IF_ERROR(FillValues(ExtractSlice(whole, piece.slice), data->mutable_data()));
    RETURN_IF_ERROR(table.Add(key, record.SerializeAsString()));
  }
  return table.Finish();
}

fs::path ShardPath(const fs::path& base, const char* infix, int shard, int shards) {
  return fmt::format("{}{}-{:05}-of-{:05}", base.string(), infix, shard, shards);
}

}  // namespace

absl::Status WriteTensorFlowV1(const fs::path& path, const VariableSource& variables,
                               const CheckpointWriterOptions& options) {
  std::vector<std::map<std::string, Piece>> shards(options.shards);
  size_t turn = 0;
  for (const VariableInfo& info : variables.variables()) {
    for (const Slice& slice : SlicesOf(info, options)) {
      shards[turn++ % shards.size()][SliceKey(info.name, slice)] = {info.name, slice};
    }
  }
  if (options.shards == 1) return WriteV1File(path, variables, shards[0], options);
  for (int i = 0; i < options.shards; ++i) {
    RETURN_IF_ERROR(WriteV1File(ShardPath(path, "", i, options.shards), variables,
                                shards[i], options));
  }
  return absl::OkStatus();
}

absl::Status WriteTensorFlowV2(const fs::path& prefix, const VariableSource& variables,
                               const CheckpointWriterOptions& options) {
  std::vector<std::ofstream> files;
  for (int i = 0; i < options.shards; ++i) {
    files.emplace_back(ShardPath(prefix, ".data", i, options.shards),
                       std::ios::binary | std::ios::trunc);
  }
  std::map<std::string, std::string> index;
  tensorflow::BundleHeaderProto header;
  header.set_num_shards(options.shards);
  header.mutable_version()->set_producer(1);
  index[""] = header.SerializeAsString();
  int turn = 0;
  for (const VariableInfo& info : variables.variables()) {
    const int shard = turn++ % options.shards;
    ASSIGN_OR_RETURN(const Tensor whole, variables.Read(info.name));
    const std::vector<Slice> slices = SlicesOf(info, options);
    const bool cut = options.partitions.contains(info.name);
    tensorflow::BundleEntryProto entry;
    entry.set_dtype(ToTensorFlow(info.dtype));
    for (const int64_t d : info.shape.dims()) {
      entry.mutable_shape()->add_dim()->set_size(d);
    }
    entry.mutable_shape();
    for (const Slice& slice : slices) {
      const Tensor part = ExtractSlice(whole, slice);
      const StoredTensor stored = ToStored(part);
      tensorflow::BundleEntryProto one = entry;
      one.clear_slices();
      one.mutable_shape()->clear_dim();
      for (const int64_t d : part.shape().dims()) {
        one.mutable_shape()->add_dim()->set_size(d);
      }
      one.set_shard_id(shard);
      one.set_offset(files[shard].tellp());
      one.set_size(static_cast<int64_t>(stored.bytes.size()));
      one.set_crc32c(MaskCrc32c(stored.crc));
      index[cut ? SliceKey(info.name, slice) : info.name] = one.SerializeAsString();
      if (cut) SliceToProto(slice, entry.add_slices());
      files[shard] << AsStringView(stored.bytes);
    }
    if (cut) index[info.name] = entry.SerializeAsString();
  }
  for (int i = 0; i < options.shards; ++i) {
    files[i].close();
    if (!files[i]) {
      return Unavailable("{}: cannot write",
                         ShardPath(prefix, ".data", i, options.shards).string());
    }
  }
  ASSIGN_OR_RETURN(TableFile table,
                   TableFile::Create(prefix.string() + ".index", options));
  for (const auto& [key, value] : index) RETURN_IF_ERROR(table.Add(key, value));
  return table.Finish();
}

}  // namespace oriel::checkpoint
