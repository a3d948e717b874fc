// Who may call what: keys and rates, as for HTTP.
#pragma once

#include <grpcpp/server_context.h>

#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "serving/gatekeeper.h"
#include "serving/grpc/context.h"

namespace oriel::serving::grpc {

// The first value of that name, which is in lower case; "" when there is none. Lives as
// long as the call.
std::string_view Metadata(const ::grpc::CallbackServerContext& call, const char* name);

// A number of the metadata; nullopt where there is none. kInvalidArgument for one that is
// not from `least` to `most`.
absl::StatusOr<std::optional<int>> NumberIn(const ::grpc::CallbackServerContext& call,
                                            const char* name, int least, int most);

// Takes the key from the call's metadata: "authorization: Bearer KEY", "x-api-key: KEY".
Admission Admit(const Context& context, const ::grpc::CallbackServerContext& call,
                Access access);

// The client's own address, behind proxies too.
std::string ClientOf(const Context& context, const ::grpc::CallbackServerContext& call);

// The address of gRPC's "ipv4:127.0.0.1:1234" or "ipv6:%5B::1%5D:1234"; else the whole.
std::string PeerAddress(std::string_view peer);

}  // namespace oriel::serving::grpc
