#include "serving/grpc/admission.h"

#include <charconv>
#include <string>
#include <string_view>

#include "serving/http/header_value.h"

namespace oriel::serving::grpc {
namespace {

std::string_view PresentedKey(const ::grpc::CallbackServerContext& call) {
  constexpr std::string_view kBearer = "bearer ";
  const std::string_view authorization = Metadata(call, "authorization");
  if (http::EqualsIgnoringCase(authorization.substr(0, kBearer.size()), kBearer)) {
    return http::TrimWhitespace(authorization.substr(kBearer.size()));
  }
  return Metadata(call, "x-api-key");
}

}  // namespace

std::string_view Metadata(const ::grpc::CallbackServerContext& call, const char* name) {
  const auto it = call.client_metadata().find(name);
  if (it == call.client_metadata().end()) return {};
  return {it->second.data(), it->second.size()};
}

absl::StatusOr<std::optional<int>> NumberIn(const ::grpc::CallbackServerContext& call,
                                            const char* name, int least, int most) {
  const std::string_view text = Metadata(call, name);
  if (text.empty()) return std::nullopt;
  int number = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < least ||
      number > most) {
    return InvalidArgument("{}: want a number from {} to {}", name, least, most);
  }
  return number;
}

std::string PeerAddress(std::string_view peer) {
  constexpr std::string_view kIpv6 = "ipv6:%5B";
  constexpr std::string_view kIpv4 = "ipv4:";
  if (peer.starts_with(kIpv6)) {
    peer.remove_prefix(kIpv6.size());
    return std::string(peer.substr(0, peer.find("%5D")));
  }
  if (peer.starts_with(kIpv4)) {
    peer.remove_prefix(kIpv4.size());
    return std::string(peer.substr(0, peer.rfind(':')));
  }
  return std::string(peer);
}

std::string ClientOf(const Context& context, const ::grpc::CallbackServerContext& call) {
  return http::ClientAddress(PeerAddress(call.peer()), Metadata(call, "x-forwarded-for"),
                             context.trusted_proxies);
}

Admission Admit(const Context& context, const ::grpc::CallbackServerContext& call,
                Access access) {
  if (access == Access::kAdmin && !context.administration) {
    return {.status = Unimplemented("administration has an address of its own")};
  }
  if (context.gatekeeper == nullptr) return {};
  const std::string address = ClientOf(context, call);
  return context.gatekeeper->Admit(access,
                                   {.key = PresentedKey(call), .address = address});
}

}  // namespace oriel::serving::grpc
