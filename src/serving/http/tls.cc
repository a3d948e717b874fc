#include "serving/http/tls.h"

#include <openssl/ssl.h>

#include <string>
#include <string_view>
#include <utility>

#include "base/files.h"

namespace oriel::serving::http {
namespace {

namespace fs = std::filesystem;
namespace ssl = boost::asio::ssl;

constexpr size_t kMaxPemBytes = 1 << 20;
// With forward secrecy and authenticated encryption (RFC 9325, section 4.2); TLS 1.3 has
// no others.
constexpr char kCiphers[] =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
// RFC 7301: a length, a name.
constexpr unsigned char kHttp11[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};

int ChooseProtocol(SSL*, const unsigned char** chosen, unsigned char* chosen_length,
                   const unsigned char* offered, unsigned offered_length, void*) {
  unsigned char* protocol = nullptr;
  const int found = SSL_select_next_proto(&protocol, chosen_length, kHttp11,
                                          sizeof(kHttp11), offered, offered_length);
  *chosen = protocol;
  // A client that offers others alone is answered as if it had said nothing.
  return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

absl::Status FileError(const fs::path& path, std::string_view wanted,
                       const boost::system::error_code& ec) {
  return InvalidArgument("{}: want {}: {}", path.string(), wanted, ec.message());
}

// Keys that have a passphrase would ask for it on the terminal.
std::string NoPassphrase(size_t, ssl::context::password_purpose) { return ""; }

absl::StatusOr<std::shared_ptr<ssl::context>> Load(const TlsOptions& options) {
  ASSIGN_OR_RETURN(const std::string chain, ReadFile(options.certificate, kMaxPemBytes));
  ASSIGN_OR_RETURN(const std::string key, ReadFile(options.key, kMaxPemBytes));
  boost::system::error_code ec;
  auto context = std::make_shared<ssl::context>(ssl::context::tls_server);
  SSL_CTX* const native = context->native_handle();
  SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION);
  SSL_CTX_set_cipher_list(native, kCiphers);
  SSL_CTX_set_options(native, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                  SSL_OP_CIPHER_SERVER_PREFERENCE |
                                  SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_mode(native, SSL_MODE_RELEASE_BUFFERS);  // of connections that idle
  SSL_CTX_set_alpn_select_cb(native, ChooseProtocol, nullptr);
  context->set_password_callback(NoPassphrase, ec);
  context->use_certificate_chain(boost::asio::buffer(chain), ec);
  if (ec) return FileError(options.certificate, "a certificate chain in PEM", ec);
  context->use_private_key(boost::asio::buffer(key), ssl::context::pem, ec);
  if (ec) return FileError(options.key, "the certificate's private key in PEM", ec);
  if (!options.client_authorities.empty()) {
    ASSIGN_OR_RETURN(const std::string authorities,
                     ReadFile(options.client_authorities, kMaxPemBytes));
    context->add_certificate_authority(boost::asio::buffer(authorities), ec);
    if (ec) return FileError(options.client_authorities, "certificates in PEM", ec);
    context->set_verify_mode(ssl::verify_peer | ssl::verify_fail_if_no_peer_cert, ec);
    // Sessions are resumed for clients of this server alone.
    static constexpr unsigned char kSession[] = "oriel";
    SSL_CTX_set_session_id_context(native, kSession, sizeof(kSession) - 1);
  }
  return context;
}

}  // namespace

absl::StatusOr<std::shared_ptr<TlsContext>> TlsContext::Create(TlsOptions options) {
  std::shared_ptr<TlsContext> context(new TlsContext(std::move(options)));
  RETURN_IF_ERROR(context->Reload());
  return context;
}

std::shared_ptr<ssl::context> TlsContext::current() const {
  const MutexLock lock(mutex_);
  return current_;
}

absl::Status TlsContext::Reload() {
  ASSIGN_OR_RETURN(auto loaded, Load(options_));
  const MutexLock lock(mutex_);
  current_.swap(loaded);
  return absl::OkStatus();
}

std::vector<fs::path> TlsContext::files() const {
  std::vector<fs::path> files = {options_.certificate, options_.key};
  if (!options_.client_authorities.empty()) files.push_back(options_.client_authorities);
  return files;
}

}  // namespace oriel::serving::http
