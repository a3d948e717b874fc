// Who may call what: keys and rates, as for HTTP.
#pragma once

#include <grpcpp/server_context.h>

#include "base/status.h"
#include "serving/gatekeeper.h"
#include "serving/grpc/context.h"

namespace oriel::serving::grpc {

// Takes the key from the call's metadata: "authorization: Bearer KEY", "x-api-key: KEY".
Admission Admit(const Context& context, const ::grpc::CallbackServerContext& call,
                Access access);

// The address of gRPC's "ipv4:127.0.0.1:1234" or "ipv6:%5B::1%5D:1234"; else the whole.
std::string PeerAddress(std::string_view peer);

}  // namespace oriel::serving::grpc
