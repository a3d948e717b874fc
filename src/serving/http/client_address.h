// Whose request it is, behind proxies too.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace oriel::serving::http {

// IPv6, or IPv4 as ::ffff:a.b.c.d.
using AddressBytes = std::array<uint8_t, 16>;

// "10.0.0.0/8", "::1", "fd00::/8".
class Network {
 public:
  static absl::StatusOr<Network> Parse(std::string_view text);
  bool Holds(const AddressBytes& address) const;

 private:
  AddressBytes address_{};
  int bits_ = 128;
};

// The client's own address: `peer`, or where that is one of `proxies`, the last address
// of the X-Forwarded-For header that is none of them. Of IPv6 addresses the first 64
// bits, "2001:db8::/64": the rest is the client's to choose.
std::string ClientAddress(std::string_view peer, std::string_view forwarded_for,
                          const std::vector<Network>& proxies);

}  // namespace oriel::serving::http
