#include "serving/grpc/message_cost.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include <limits>
#include <string>

namespace oriel::serving::grpc {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::io::CodedInputStream;
using WireFormat = google::protobuf::internal::WireFormatLite;

// Of the objects that libprotobuf makes, with their pointers, on 64 bits.
constexpr uint64_t kMessageBytes = 256;
constexpr uint64_t kStringBytes = 56;
constexpr uint64_t kUnknownBytes = 32;
constexpr uint64_t kNumberBytes = 16;
constexpr int kMaxDepth = 32;

class Walk {
 public:
  Walk(CodedInputStream& in, uint64_t max_bytes) : in_(in), max_bytes_(max_bytes) {}

  absl::Status Message(const Descriptor& type, int depth) {
    if (depth > kMaxDepth) {
      return InvalidArgument("a message is nested more than {} deep", kMaxDepth);
    }
    RETURN_IF_ERROR(Add(kMessageBytes));
    while (const uint32_t tag = in_.ReadTag()) {
      const FieldDescriptor* field =
          type.FindFieldByNumber(WireFormat::GetTagFieldNumber(tag));
      RETURN_IF_ERROR(Field(WireFormat::GetTagWireType(tag), field, depth));
    }
    return in_.ConsumedEntireMessage() ? absl::OkStatus() : Malformed();
  }

  uint64_t bytes() const { return bytes_; }

 private:
  static absl::Status Malformed() {
    return InvalidArgument("the message is no protobuf of its type");
  }

  absl::Status Add(uint64_t bytes) {
    bytes_ += bytes;
    if (bytes_ <= max_bytes_) return absl::OkStatus();
    return InvalidArgument("the message takes more than {} bytes of memory", max_bytes_);
  }

  absl::Status Field(WireFormat::WireType wire_type, const FieldDescriptor* field,
                     int depth) {
    switch (wire_type) {
      case WireFormat::WIRETYPE_VARINT: {
        uint64_t ignored = 0;
        if (!in_.ReadVarint64(&ignored)) return Malformed();
        return Add(field == nullptr ? kUnknownBytes : kNumberBytes);
      }
      case WireFormat::WIRETYPE_FIXED64:
        if (!in_.Skip(8)) return Malformed();
        return Add(field == nullptr ? kUnknownBytes : kNumberBytes);
      case WireFormat::WIRETYPE_FIXED32:
        if (!in_.Skip(4)) return Malformed();
        return Add(field == nullptr ? kUnknownBytes : kNumberBytes);
      case WireFormat::WIRETYPE_LENGTH_DELIMITED:
        return Delimited(field, depth);
      default:  // groups, which no message here has
        return Malformed();
    }
  }

  absl::Status Delimited(const FieldDescriptor* field, int depth) {
    int size = 0;
    if (!in_.ReadVarintSizeAsInt(&size)) return Malformed();
    if (field != nullptr && field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      const auto limit = in_.PushLimit(size);
      // A limit that lies past an outer one does not count.
      if (in_.BytesUntilLimit() != size) return Malformed();
      RETURN_IF_ERROR(Message(*field->message_type(), depth + 1));
      if (in_.BytesUntilLimit() != 0) return Malformed();  // the bytes end before it
      in_.PopLimit(limit);
      return absl::OkStatus();
    }
    if (!in_.Skip(size)) return Malformed();
    const uint64_t bytes = static_cast<uint64_t>(size);
    if (field == nullptr || field->cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
      return Add(kStringBytes + bytes);
    }
    return Add(kNumberBytes + PackedBytes(*field, bytes));
  }

  // A list that grows by doubling has up to half of its room to spare; the numbers of
  // fixed width are made room for at once.
  static uint64_t PackedBytes(const FieldDescriptor& field, uint64_t bytes) {
    switch (field.type()) {
      case FieldDescriptor::TYPE_FLOAT:
      case FieldDescriptor::TYPE_DOUBLE:
      case FieldDescriptor::TYPE_FIXED32:
      case FieldDescriptor::TYPE_FIXED64:
      case FieldDescriptor::TYPE_SFIXED32:
      case FieldDescriptor::TYPE_SFIXED64:
        return bytes;
      case FieldDescriptor::TYPE_BOOL:
        return 2 * bytes;
      default:
        return 16 * bytes;
    }
  }

  CodedInputStream& in_;
  const uint64_t max_bytes_;
  uint64_t bytes_ = 0;
};

}  // namespace

absl::StatusOr<uint64_t> MessageCost(const Descriptor& type,
                                     google::protobuf::io::ZeroCopyInputStream& wire,
                                     uint64_t max_bytes) {
  CodedInputStream in(&wire);
  in.SetTotalBytesLimit(std::numeric_limits<int>::max());
  Walk walk(in, max_bytes);
  RETURN_IF_ERROR(walk.Message(type, 0));
  return walk.bytes();
}

}  // namespace oriel::serving::grpc
