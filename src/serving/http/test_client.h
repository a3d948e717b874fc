// A client for tests that sends exactly the bytes it is told to: blocking POSIX
// sockets on loopback.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "base/utf8.h"
#include "serving/http/header_value.h"

namespace oriel::serving::http {

struct TestResponse {
  int status = 0;  // 0: the connection ended before a whole response
  std::string status_line;
  std::multimap<std::string, std::string> headers;  // names lower case
  std::string body;

  std::string Header(const std::string& name) const {
    const auto found = headers.find(name);
    return found == headers.end() ? "" : found->second;
  }
};

class TestClient {
 public:
  explicit TestClient(uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ =
        ::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  }
  ~TestClient() { Close(); }
  TestClient(const TestClient&) = delete;
  TestClient& operator=(const TestClient&) = delete;

  bool connected() const { return connected_; }

  // False when the server closed the connection.
  bool Send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      bytes.remove_prefix(n);
    }
    return true;
  }

  // One response. `head_request`: it has no body whatever its length says.
  TestResponse Receive(bool head_request = false) {
    TestResponse response;
    size_t end;
    while ((end = input_.find("\r\n\r\n")) == std::string::npos) {
      if (!Read()) return response;
    }
    std::string_view head = std::string_view(input_).substr(0, end + 2);
    while (!head.empty()) {
      const size_t line_end = head.find("\r\n");
      const std::string_view line = head.substr(0, line_end);
      if (response.status_line.empty()) {
        response.status_line = line;
      } else {
        const size_t colon = line.find(':');
        response.headers.emplace(ToLower(line.substr(0, colon)),
                                 TrimWhitespace(line.substr(colon + 1)));
      }
      head.remove_prefix(line_end + 2);
    }
    input_.erase(0, end + 4);
    const int status = std::atoi(response.status_line.substr(9, 3).c_str());
    const std::string length = response.Header("content-length");
    const size_t n = head_request || length.empty() || status == 304
                         ? 0
                         : std::strtoull(length.c_str(), nullptr, 10);
    while (input_.size() < n) {
      if (!Read()) return response;
    }
    response.body = input_.substr(0, n);
    input_.erase(0, n);
    response.status = status;
    return response;
  }

  TestResponse Ask(std::string_view bytes) {
    Send(bytes);
    return Receive();
  }

  // Whether the server ends the connection, with nothing more to say.
  bool AwaitEnd() {
    while (Read()) {
    }
    return input_.empty();
  }

  // Whether something (or the end) comes within `milliseconds`.
  bool Readable(int milliseconds) {
    pollfd p = {fd_, POLLIN, 0};
    return !input_.empty() || ::poll(&p, 1, milliseconds) > 0;
  }

  void FinishSending() { ::shutdown(fd_, SHUT_WR); }
  void Close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }

 private:
  bool Read() {
    pollfd p = {fd_, POLLIN, 0};
    if (::poll(&p, 1, 20'000) <= 0) {
      ADD_FAILURE() << "the server said nothing for 20 s";
      return false;
    }
    char chunk[16384];
    const ssize_t n = ::recv(fd_, chunk, sizeof(chunk), 0);
    if (n <= 0) return false;
    input_.append(chunk, n);
    return true;
  }

  int fd_;
  bool connected_ = false;
  std::string input_;
};

}  // namespace oriel::serving::http
