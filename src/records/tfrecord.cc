#include "records/tfrecord.h"

#include "base/crc32c.h"

namespace oriel::records {
namespace {

template <typename T>
void AppendLittleEndian(std::string& to, T value) {
  to.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

uint32_t MaskedCrc(Bytes bytes) { return MaskCrc32c(Crc32c(bytes)); }

}  // namespace

std::string FrameTfRecord(std::string_view data) {
  std::string record;
  record.reserve(kTfRecordHeader + data.size() + kTfRecordFooter);
  AppendLittleEndian(record, uint64_t{data.size()});
  AppendLittleEndian(record, MaskedCrc(AsBytes(record)));
  record += data;
  AppendLittleEndian(record, MaskedCrc(AsBytes(data)));
  return record;
}

absl::StatusOr<std::optional<Bytes>> TfRecordReader::Next() {
  if (offset_ == bytes_.size()) return std::nullopt;
  const std::string where =
      fmt::format("{}: record {} at offset {}", what_, count_, offset_);
  ByteReader reader(bytes_.subspan(offset_), where);
  ASSIGN_OR_RETURN(const Bytes length_bytes, reader.Take(sizeof(uint64_t)));
  ASSIGN_OR_RETURN(const uint32_t length_crc, reader.Read<uint32_t>());
  if (MaskedCrc(length_bytes) != length_crc) {
    return DataLoss("{}: the checksum of its length does not match: {:08x}, want {:08x}",
                    where, MaskedCrc(length_bytes), length_crc);
  }
  ASSIGN_OR_RETURN(const Bytes data,
                   reader.Take(LoadLittleEndian<uint64_t>(length_bytes.data())));
  ASSIGN_OR_RETURN(const uint32_t data_crc, reader.Read<uint32_t>());
  if (MaskedCrc(data) != data_crc) {
    return DataLoss("{}: the checksum of its data does not match: {:08x}, want {:08x}",
                    where, MaskedCrc(data), data_crc);
  }
  offset_ += reader.offset();
  ++count_;
  return data;
}

std::string ShardName(std::string_view base, int shard, int shards) {
  return fmt::format("{}-{:05}-of-{:05}", base, shard, shards);
}

}  // namespace oriel::records
