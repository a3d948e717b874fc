// HTTPS, asked by OpenSSL's own client.
#include "serving/http/tls.h"

#include <gmock/gmock.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "serving/http/server_test_fixture.h"

namespace oriel::serving::http {
namespace {

using testing::HasSubstr;

struct Certificate {
  std::string certificate, key;  // PEM
};

std::string Text(BIO* bio) {
  char* data;
  const long n = BIO_get_mem_data(bio, &data);
  std::string text(data, n);
  BIO_free(bio);
  return text;
}

// Signed by itself.
Certificate MakeCertificate(const char* name) {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* x509 = X509_new();
  X509_set_version(x509, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
  X509_gmtime_adj(X509_getm_notBefore(x509), -60);
  X509_gmtime_adj(X509_getm_notAfter(x509), 3600);
  X509_set_pubkey(x509, key);
  X509_NAME* subject = X509_get_subject_name(x509);
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(name), -1, -1, 0);
  X509_set_issuer_name(x509, subject);
  X509_sign(x509, key, EVP_sha256());
  Certificate made;
  BIO* bio = BIO_new(BIO_s_mem());
  PEM_write_bio_X509(bio, x509);
  made.certificate = Text(bio);
  bio = BIO_new(BIO_s_mem());
  PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
  made.key = Text(bio);
  X509_free(x509);
  EVP_PKEY_free(key);
  return made;
}

// A connection through TLS: `ssl` is null where there is none.
class TlsClient {
 public:
  struct Options {
    int max_version = 0;
    const Certificate* certificate = nullptr;
  };
  explicit TlsClient(uint16_t port) : TlsClient(port, Options()) {}
  TlsClient(uint16_t port, const Options& options)
      : context_(SSL_CTX_new(TLS_client_method())), ssl_(SSL_new(context_)) {
    SSL_set_min_proto_version(ssl_, TLS1_VERSION);
    SSL_set_security_level(ssl_, 0);
    if (options.max_version != 0) SSL_set_max_proto_version(ssl_, options.max_version);
    if (options.certificate != nullptr) Show(*options.certificate);
    BIO* bio = BIO_new_connect(fmt::format("127.0.0.1:{}", port).c_str());
    SSL_set_bio(ssl_, bio, bio);
    connected_ = SSL_connect(ssl_) == 1;
  }
  ~TlsClient() {
    SSL_free(ssl_);
    SSL_CTX_free(context_);
  }

  bool connected() const { return connected_; }
  std::string version() const { return SSL_get_version(ssl_); }
  std::string peer() const {
    X509* x509 = SSL_get1_peer_certificate(ssl_);
    char name[100] = "";
    X509_NAME_get_text_by_NID(X509_get_subject_name(x509), NID_commonName, name, 100);
    X509_free(x509);
    return name;
  }
  bool Send(std::string_view bytes) {
    return SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size())) > 0;
  }
  // What comes until `wanted` was seen so many times, or the end.
  std::string Receive(std::string_view wanted, int times = 1) {
    std::string all;
    while (true) {
      size_t at = 0;
      int seen = 0;
      while ((at = all.find(wanted, at)) != std::string::npos) ++seen, ++at;
      if (seen >= times) return all;
      char chunk[4096];
      const int n = SSL_read(ssl_, chunk, sizeof(chunk));
      if (n <= 0) return all;
      all.append(chunk, n);
    }
  }
  // Whether the server said farewell, as TLS wants it.
  bool AwaitFarewell() {
    char chunk[4096];
    int n;
    while ((n = SSL_read(ssl_, chunk, sizeof(chunk))) > 0) {
    }
    return SSL_get_error(ssl_, n) == SSL_ERROR_ZERO_RETURN;
  }
  void Leave() {
    SSL_shutdown(ssl_);
    BIO_reset(SSL_get_wbio(ssl_));  // closes the socket
  }

 private:
  void Show(const Certificate& certificate) {
    BIO* bio = BIO_new_mem_buf(certificate.certificate.data(), -1);
    X509* x509 = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr);
    SSL_use_certificate(ssl_, x509);
    X509_free(x509);
    BIO_free(bio);
    bio = BIO_new_mem_buf(certificate.key.data(), -1);
    EVP_PKEY* key = PEM_read_bio_PrivateKey(bio, nullptr, nullptr, nullptr);
    SSL_use_PrivateKey(ssl_, key);
    EVP_PKEY_free(key);
    BIO_free(bio);
  }

  SSL_CTX* context_;
  SSL* ssl_;
  bool connected_ = false;
};

class TlsTest : public ServerTest {
 protected:
  TlsTest() : paths_{keys_.path() / "cert.pem", keys_.path() / "key.pem", {}} {}

  void Install(const Certificate& certificate) {
    ASSERT_OK(WriteFileAtomically(paths_.certificate, certificate.certificate));
    ASSERT_OK(WriteFileAtomically(paths_.key, certificate.key));
  }
  void StartTls() {
    ASSERT_OK_AND_ASSIGN(options_.tls, TlsContext::Create(paths_));
    StartServer();
  }

  TemporaryDirectory keys_;
  TlsOptions paths_;
};

TEST_F(TlsTest, AnswersThroughTls) {
  Install(MakeCertificate("first"));
  StartTls();
  EXPECT_THAT(server_->url(), HasSubstr("https://"));
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    TlsClient client(port(), {.max_version = version});
    ASSERT_TRUE(client.connected());
    EXPECT_EQ(client.peer(), "first");
    for (int i = 0; i < 3; ++i) {
      client.Send(Post("/api/classify", FakeImage(i)));
      EXPECT_THAT(client.Receive("total"), HasSubstr(fmt::format("\"index\":{}", i)));
    }
    client.Send(Get("/healthz", "Connection: close\r\n"));
    EXPECT_THAT(client.Receive("alive"), HasSubstr("alive"));
    EXPECT_TRUE(client.AwaitFarewell());
  }
}

TEST_F(TlsTest, PipelinedAndLargeBodies) {
  Install(MakeCertificate("first"));
  StartTls();
  TlsClient client(port());
  // In one record: what follows the first request lies in the TLS layer.
  std::string all;
  for (int i = 0; i < 5; ++i) all += Get("/healthz");
  client.Send(all);
  client.Receive("alive", 5);
  client.Send(Post("/api/classify", std::string(3 << 20, 'x')));
  EXPECT_THAT(client.Receive("}"), HasSubstr("415"));
}

TEST_F(TlsTest, OldVersionsAndPlainHttpAreRefused) {
  Install(MakeCertificate("first"));
  StartTls();
  EXPECT_FALSE(TlsClient(port(), {.max_version = TLS1_1_VERSION}).connected());
  TestClient plain(port());
  plain.Send(Get("/healthz"));
  EXPECT_EQ(plain.Receive().status, 0);
  EXPECT_TRUE(TlsClient(port()).connected());
}

TEST_F(TlsTest, SilentHandshakesEnd) {
  Install(MakeCertificate("first"));
  options_.header_timeout = std::chrono::milliseconds(100);
  StartTls();
  TestClient silent(port());
  EXPECT_TRUE(silent.AwaitEnd());
}

TEST_F(TlsTest, RequestsOfClientsThatLeaveAreDropped) {
  Install(MakeCertificate("first"));
  session_->preprocess_gate().Close();
  StartTls();
  {
    TlsClient client(port());
    client.Send(Post("/api/classify", FakeImage(1)));
    session_->preprocess_gate().AwaitArrived(1);
    client.Leave();
  }
  while (server_->connections() > 0)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  session_->preprocess_gate().Open();
  while (pending() > 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_EQ(session_->runs(), warm_up_runs_);
}

TEST_F(TlsTest, CertificatesAreExchanged) {
  Install(MakeCertificate("first"));
  StartTls();
  TlsClient before(port());
  EXPECT_EQ(before.peer(), "first");
  Install(MakeCertificate("second"));
  ASSERT_OK(options_.tls->Reload());
  EXPECT_EQ(TlsClient(port()).peer(), "second");
  before.Send(Get("/healthz"));  // what is open goes on
  EXPECT_THAT(before.Receive("alive"), HasSubstr("alive"));
  // Half of a renewal: the key of another certificate.
  ASSERT_OK(WriteFileAtomically(paths_.key, MakeCertificate("third").key));
  EXPECT_THAT(options_.tls->Reload().ToString(),
              HasSubstr("key.pem: want the certificate's private key"));
  EXPECT_EQ(TlsClient(port()).peer(), "second");
}

TEST_F(TlsTest, ClientsMayHaveToShowTheirs) {
  const Certificate mine = MakeCertificate("client"), other = MakeCertificate("other");
  Install(MakeCertificate("first"));
  paths_.client_authorities = keys_.path() / "clients.pem";
  ASSERT_OK(WriteFileAtomically(paths_.client_authorities, mine.certificate));
  StartTls();
  const auto answer = [&](const Certificate* certificate) {
    TlsClient client(port(), {.certificate = certificate});
    client.Send(Get("/healthz"));
    return client.Receive("alive");
  };
  EXPECT_THAT(answer(&mine), HasSubstr("alive"));
  EXPECT_EQ(answer(&other), "");
  EXPECT_EQ(answer(nullptr), "");
}

TEST_F(TlsTest, FilesThatAreNoCertificates) {
  const Certificate good = MakeCertificate("first");
  const auto error = [&] { return TlsContext::Create(paths_).status().ToString(); };
  EXPECT_THAT(error(), HasSubstr("cert.pem"));
  Install({"nonsense", good.key});
  EXPECT_THAT(error(), HasSubstr("cert.pem: want a certificate chain in PEM"));
  Install({good.certificate, "nonsense"});
  EXPECT_THAT(error(), HasSubstr("key.pem: want the certificate's private key"));
  Install({good.certificate, MakeCertificate("other").key});
  EXPECT_THAT(error(), HasSubstr("key.pem: "));
}

}  // namespace
}  // namespace oriel::serving::http
