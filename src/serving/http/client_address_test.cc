#include "serving/http/client_address.h"

#include <gtest/gtest.h>

#include "base/testing.h"

namespace oriel::serving::http {
namespace {

std::vector<Network> Networks(std::initializer_list<const char*> texts) {
  std::vector<Network> networks;
  for (const char* text : texts) networks.push_back(*Network::Parse(text));
  return networks;
}

TEST(NetworkTest, Errors) {
  for (const char* text : {"", "/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8x", "::/129",
                           "10.0.0", "host", "10.0.0.0/", "1.2.3.4/8/8"}) {
    EXPECT_FALSE(Network::Parse(text).ok()) << text;
  }
  for (const char* text : {"0.0.0.0/0", "10.1.2.3", "::/0", "fd00::/8", "::1"}) {
    EXPECT_OK(Network::Parse(text).status());
  }
}

TEST(ClientAddressTest, WithoutProxiesThePeerCounts) {
  EXPECT_EQ(ClientAddress("192.0.2.1", "", {}), "192.0.2.1");
  EXPECT_EQ(ClientAddress("192.0.2.1", "10.0.0.1", {}), "192.0.2.1");
  EXPECT_EQ(ClientAddress("::ffff:192.0.2.1", "", {}), "192.0.2.1");
  EXPECT_EQ(ClientAddress("::1", "", {}), "::1");
  EXPECT_EQ(ClientAddress("2001:db8:1:2:3:4:5:6", "", {}), "2001:db8:1:2::/64");
  EXPECT_EQ(ClientAddress("fe80::1%eth0", "", {}), "fe80::/64");
}

TEST(ClientAddressTest, TrustedProxiesSayWhomTheyHeard) {
  const auto proxies = Networks({"10.0.0.0/9", "fd00::/8", "127.0.0.1"});
  const auto client = [&](const char* peer, const char* forwarded) {
    return ClientAddress(peer, forwarded, proxies);
  };
  EXPECT_EQ(client("10.1.2.3", "192.0.2.1"), "192.0.2.1");
  EXPECT_EQ(client("127.0.0.1", "192.0.2.1, 10.0.0.7 ,fd12::1"), "192.0.2.1");
  EXPECT_EQ(client("fd00::5", "[2001:db8::1]:4711"), "2001:db8::/64");
  EXPECT_EQ(client("10.127.255.255", "192.0.2.1:80"), "192.0.2.1");
  // What the client itself wrote before does not count.
  EXPECT_EQ(client("10.1.2.3", "10.9.9.9, 8.8.8.8, 192.0.2.1"), "192.0.2.1");
  EXPECT_EQ(client("10.1.2.3", "8.8.8.8, nonsense"), "10.1.2.3");
  EXPECT_EQ(client("10.1.2.3", "10.5.5.5"), "10.5.5.5");
  EXPECT_EQ(client("10.1.2.3", ""), "10.1.2.3");
  EXPECT_EQ(client("10.128.0.1", "192.0.2.1"), "10.128.0.1");  // not of the network
  EXPECT_EQ(client("192.0.2.9", "192.0.2.1"), "192.0.2.9");
}

}  // namespace
}  // namespace oriel::serving::http
