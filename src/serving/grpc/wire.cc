#include "serving/grpc/wire.h"

#include <grpcpp/support/proto_buffer_reader.h>
#include <grpcpp/support/slice.h>

#include <string>
#include <string_view>
#include <vector>

#include "serving/grpc/message_cost.h"
#include "serving/http/content_coding.h"

namespace oriel::serving::grpc {
namespace {

// gRPC leaves compressed messages as they are (server.cc), and tells nobody. They begin
// as no message here does: gzip's as a field 3 of a wire type that there is not, zlib's
// (RFC 1950) as a field 15 or beyond.
http::ContentCoding CodingOf(std::string_view start) {
  if (start.size() < 2) return http::ContentCoding::kIdentity;
  const auto first = static_cast<uint8_t>(start[0]);
  const auto second = static_cast<uint8_t>(start[1]);
  if (first == 0x1f && second == 0x8b) return http::ContentCoding::kGzip;
  const bool is_zlib = first == 0x78 && (first * 256 + second) % 31 == 0;
  return is_zlib ? http::ContentCoding::kDeflate : http::ContentCoding::kIdentity;
}

absl::Status Decompress(::grpc::ByteBuffer& wire, uint64_t max_bytes) {
  std::vector<::grpc::Slice> slices;
  if (!wire.Dump(&slices).ok()) return Internal("a message cannot be read");
  const auto text = [](const ::grpc::Slice& slice) {
    return std::string_view(reinterpret_cast<const char*>(slice.begin()), slice.size());
  };
  const http::ContentCoding coding =
      slices.empty() ? http::ContentCoding::kIdentity : CodingOf(text(slices[0]));
  if (coding == http::ContentCoding::kIdentity) return absl::OkStatus();
  http::Decompressor decompressor(coding);
  std::string message;
  for (const ::grpc::Slice& slice : slices) {
    RETURN_IF_ERROR(decompressor.Feed(text(slice), [&](std::string_view piece) {
      if (piece.size() > max_bytes - message.size()) {
        return ResourceExhausted("the message has more than {} bytes unpacked",
                                 max_bytes);
      }
      message += piece;
      return absl::OkStatus();
    }));
  }
  RETURN_IF_ERROR(decompressor.Finish());
  const ::grpc::Slice slice(message);
  wire = ::grpc::ByteBuffer(&slice, 1);
  return absl::OkStatus();
}

}  // namespace

absl::Status ParseMessage(::grpc::ByteBuffer wire, uint64_t max_bytes,
                          google::protobuf::Message& message) {
  if (!wire.Valid()) return InvalidArgument("the call has no message");
  RETURN_IF_ERROR(Decompress(wire, max_bytes));
  {
    ::grpc::ProtoBufferReader reader(&wire);
    constexpr uint64_t kSmall = 64 << 10;
    RETURN_IF_ERROR(
        MessageCost(*message.GetDescriptor(), reader, kSmall + 2 * max_bytes).status());
  }
  ::grpc::ProtoBufferReader reader(&wire);
  if (!message.ParseFromZeroCopyStream(&reader)) {
    return InvalidArgument("the message is no {}", message.GetTypeName());
  }
  return absl::OkStatus();
}

::grpc::ByteBuffer SerializeMessage(const google::protobuf::Message& message) {
  const ::grpc::Slice slice(message.SerializeAsString());
  return ::grpc::ByteBuffer(&slice, 1);
}

}  // namespace oriel::serving::grpc
