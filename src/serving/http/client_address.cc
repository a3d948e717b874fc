#include "serving/http/client_address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "serving/http/header_value.h"

namespace oriel::serving::http {
namespace {

constexpr AddressBytes kMappedIpv4 = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
constexpr size_t kMappedBytes = 12;

bool IsIpv4(const AddressBytes& address) {
  return std::equal(address.begin(), address.begin() + kMappedBytes, kMappedIpv4.begin());
}

std::optional<AddressBytes> ParseAddress(std::string_view text) {
  const std::string zero_ended(text.substr(0, text.find('%')));  // without the interface
  AddressBytes address = kMappedIpv4;
  if (::inet_pton(AF_INET, zero_ended.c_str(), address.data() + kMappedBytes) == 1 ||
      ::inet_pton(AF_INET6, zero_ended.c_str(), address.data()) == 1) {
    return address;
  }
  return std::nullopt;
}

// "192.0.2.1", "192.0.2.1:4711", "2001:db8::1", "[2001:db8::1]:4711".
std::optional<AddressBytes> ParseForwarded(std::string_view text) {
  if (text.starts_with('[')) {
    text.remove_prefix(1);
    text = text.substr(0, text.find(']'));
  } else if (std::count(text.begin(), text.end(), ':') == 1) {
    text = text.substr(0, text.find(':'));
  }
  return ParseAddress(text);
}

std::string Text(AddressBytes address) {
  char text[INET6_ADDRSTRLEN] = "";
  if (IsIpv4(address)) {
    ::inet_ntop(AF_INET, address.data() + kMappedBytes, text, sizeof(text));
    return text;
  }
  constexpr AddressBytes kLoopback = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  if (address == kLoopback) return "::1";
  std::fill(address.begin() + 8, address.end(), 0);
  ::inet_ntop(AF_INET6, address.data(), text, sizeof(text));
  return std::string(text) + "/64";
}

}  // namespace

absl::StatusOr<Network> Network::Parse(std::string_view text) {
  const size_t slash = text.find('/');
  const auto address = ParseAddress(text.substr(0, slash));
  Network network;
  bool ok = address.has_value();
  if (ok) {
    network.address_ = *address;
    const int most = text.find(':') == std::string_view::npos ? 32 : 128;
    int bits = most;
    if (slash != std::string_view::npos) {
      const char* last = text.data() + text.size();
      const auto [end, error] = std::from_chars(text.data() + slash + 1, last, bits);
      ok = error == std::errc() && end == last && bits >= 0 && bits <= most;
    }
    network.bits_ = bits + 128 - most;
  }
  if (!ok) {
    return InvalidArgument("'{}': want an address or a network, such as 10.0.0.0/8",
                           text);
  }
  return network;
}

bool Network::Holds(const AddressBytes& address) const {
  for (int i = 0; i < bits_; i += 8) {
    const int unused = std::max(0, 8 - (bits_ - i));
    if ((address[i / 8] ^ address_[i / 8]) >> unused != 0) return false;
  }
  return true;
}

std::string ClientAddress(std::string_view peer, std::string_view forwarded_for,
                          const std::vector<Network>& proxies) {
  auto client = ParseAddress(peer);
  if (!client.has_value()) return std::string(peer);
  const auto is_proxy = [&](const AddressBytes& address) {
    return std::any_of(proxies.begin(), proxies.end(),
                       [&](const Network& network) { return network.Holds(address); });
  };
  // Each proxy appends whom it heard: from the right, as far as they are trusted.
  while (!forwarded_for.empty() && is_proxy(*client)) {
    const size_t comma = forwarded_for.rfind(',');
    const bool last = comma == std::string_view::npos;
    const auto said =
        ParseForwarded(TrimWhitespace(forwarded_for.substr(last ? 0 : comma + 1)));
    if (!said.has_value()) break;
    client = said;
    forwarded_for = forwarded_for.substr(0, last ? 0 : comma);
  }
  return Text(*client);
}

}  // namespace oriel::serving::http
