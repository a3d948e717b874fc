// TLS of the server (OpenSSL through Asio): certificates from files that may be renewed
// while it runs.
#pragma once

#include <boost/asio/ssl/context.hpp>
#include <filesystem>
#include <memory>
#include <vector>

#include "base/mutex.h"
#include "base/status.h"

namespace oriel::serving::http {

struct TlsOptions {
  std::filesystem::path certificate;  // PEM: the server's, then those it was signed with
  std::filesystem::path key;          // PEM, without a passphrase
  // PEM: clients must show a certificate that one of these signed. Empty: they need none.
  std::filesystem::path client_authorities;
};

// Thread-safe.
class TlsContext {
 public:
  // TLS 1.2 and 1.3. Errors name the file.
  static absl::StatusOr<std::shared_ptr<TlsContext>> Create(TlsOptions options);

  // What new connections use.
  std::shared_ptr<boost::asio::ssl::context> current() const;
  // Reads the files anew; on an error what was before stays.
  absl::Status Reload();
  std::vector<std::filesystem::path> files() const;

 private:
  explicit TlsContext(TlsOptions options) : options_(std::move(options)) {}

  const TlsOptions options_;
  mutable Mutex mutex_;
  std::shared_ptr<boost::asio::ssl::context> current_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace oriel::serving::http
