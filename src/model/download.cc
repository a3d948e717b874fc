#include "model/download.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <memory>
#include <random>
#include <thread>
#include <utility>

#include "base/files.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "base/utf8.h"
#include "model/curl_library.h"
#include "model/part_file.h"

namespace oriel::model {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr long kMaxRedirects = 5;
constexpr milliseconds kMaxBackoff{8000};
constexpr milliseconds kMaxRetryAfter{30000};
constexpr int kMaxAttemptsAtAll = 100;        // even where each moves a little
constexpr uint64_t kProgressBytes = 1 << 20;  // that make an attempt count as one
constexpr size_t kMaxHeaderBytes = 64 << 10;

std::string_view Trim(std::string_view text) {
  constexpr char kSpace[] = " \t\r\n";
  const size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

template <typename T>
std::optional<T> ParseNumber(std::string_view text) {
  T value;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// A URL in its parts, for messages: never the user and password in it.
struct Target {
  std::string scheme;
  std::string host;
  std::string shown;  // without user and password
};

absl::StatusOr<Target> ParseUrl(const std::string& url) {
  struct Free {
    void operator()(CURLU* handle) const { Curl().url_cleanup(handle); }
    void operator()(char* text) const { Curl().free(text); }
  };
  std::unique_ptr<CURLU, Free> handle(Curl().url());
  if (handle == nullptr) return ResourceExhausted("out of memory");
  if (Curl().url_set(handle.get(), CURLUPART_URL, url.c_str(),
                     CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK) {
    return InvalidArgument("'{}' is not a URL, want http://... or https://...",
                           Printable(url));
  }
  const auto get = [&](CURLUPart part) {
    char* text = nullptr;
    if (Curl().url_get(handle.get(), part, &text, 0) != CURLUE_OK) return std::string();
    return std::string(std::unique_ptr<char, Free>(text).get());
  };
  Target target;
  target.scheme = get(CURLUPART_SCHEME);
  target.host = get(CURLUPART_HOST);
  if (target.scheme != "http" && target.scheme != "https") {
    return InvalidArgument("'{}': want http or https, not {}", Printable(url),
                           Printable(target.scheme));
  }
  Curl().url_set(handle.get(), CURLUPART_USER, nullptr, 0);
  Curl().url_set(handle.get(), CURLUPART_PASSWORD, nullptr, 0);
  target.shown = Printable(get(CURLUPART_URL));
  return target;
}

// What is known of an unfinished download, kept beside the part: a file for
// which the server vouches (a strong ETag or a date) can be continued.
struct PartInfo {
  std::string url;
  std::string validator;

  static PartInfo Load(const fs::path& path) {
    PartInfo info;
    const auto text = ReadFile(path, 1 << 16);
    if (!text.ok()) return info;
    const size_t newline = text->find('\n');
    if (newline == std::string::npos) return info;
    info.url = text->substr(0, newline);
    info.validator = Trim(std::string_view(*text).substr(newline));
    return info;
  }
  absl::Status Save(const fs::path& path) const {
    return WriteFileAtomically(path, fmt::format("{}\n{}\n", url, validator));
  }
};

// How one attempt ended.
enum class Outcome {
  kDone,
  kRetry,        // worth another one; continues where this ended
  kStartOver,    // the part is of no use
  kUnreachable,  // no connection: nothing was answered
  kFailed,       // for good
};

struct Attempt {
  Outcome outcome;
  absl::Status error;
  milliseconds retry_after{0};
};

// One request and its answer, on its way into the part.
class Transfer {
 public:
  Transfer(const std::string& url, const Target& target, const DownloadOptions& options,
           steady_clock::time_point give_up, PartFile& part, PartInfo& info,
           const fs::path& info_path, Progress& progress)
      : url_(url),
        target_(target),
        options_(options),
        give_up_(give_up),
        part_(part),
        info_(info),
        info_path_(info_path),
        progress_(progress) {}

  Attempt Run();
  // Whether the host, or the proxy before it, answered at all.
  bool answered() const { return answered_; }

 private:
  struct EasyCleanup {
    void operator()(CURL* handle) const { Curl().easy_cleanup(handle); }
  };
  struct MultiCleanup {
    void operator()(CURLM* handle) const { Curl().multi_cleanup(handle); }
  };
  struct ListCleanup {
    void operator()(curl_slist* list) const { Curl().slist_free_all(list); }
  };

  static size_t OnHeader(char* data, size_t, size_t size, void* self) {
    return static_cast<Transfer*>(self)->Header({data, size}) ? size : 0;
  }
  static size_t OnBody(char* data, size_t, size_t size, void* self) {
    return static_cast<Transfer*>(self)->Body({data, size}) ? size : 0;
  }

  bool Header(std::string_view line);
  bool Body(std::string_view bytes);
  bool BeginBody();
  void Configure();
  // Moves the transfer on until it ends or one of our own limits is hit, which
  // sets failure_.
  CURLcode Perform();
  Attempt Judge(CURLcode code);

  const std::string& url_;
  const Target& target_;
  const DownloadOptions& options_;
  const steady_clock::time_point give_up_;
  PartFile& part_;
  PartInfo& info_;
  const fs::path& info_path_;
  Progress& progress_;

  std::unique_ptr<CURL, EasyCleanup> easy_{Curl().easy_init()};
  std::unique_ptr<curl_slist, ListCleanup> headers_;
  char error_text_[CURL_ERROR_SIZE] = {};
  uint64_t offset_ = 0;  // that was asked for

  // Of the last answer's headers.
  bool answered_ = false;
  long status_ = 0;
  size_t header_bytes_ = 0;
  std::optional<uint64_t> content_length_;
  std::string content_range_;
  std::string etag_;
  std::string last_modified_;

  bool body_begun_ = false;
  bool discard_body_ = false;
  uint64_t want_size_ = 0;  // of the whole file; 0: not told
  steady_clock::time_point last_byte_;
  Attempt failure_{Outcome::kDone, absl::OkStatus()};  // what stopped it, if we did
};

bool Transfer::Header(std::string_view line) {
  answered_ = true;
  last_byte_ = steady_clock::now();
  header_bytes_ += line.size();
  if (header_bytes_ > kMaxHeaderBytes) {
    failure_ = {Outcome::kFailed,
                Unavailable("{}: the answer's headers are too long", target_.host)};
    return false;
  }
  if (line.starts_with("HTTP/")) {  // each answer on the way begins anew
    content_length_.reset();
    content_range_.clear();
    etag_.clear();
    last_modified_.clear();
    return true;
  }
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) return true;
  const std::string name = ToLower(line.substr(0, colon));
  const std::string_view value = Trim(line.substr(colon + 1));
  if (name == "content-length") content_length_ = ParseNumber<uint64_t>(value);
  if (name == "content-range") content_range_ = value;
  if (name == "etag") etag_ = value;
  if (name == "last-modified") last_modified_ = value;
  return true;
}

// The answer's headers are complete: is it what was asked for?
bool Transfer::BeginBody() {
  body_begun_ = true;
  Curl().easy_getinfo(easy_.get(), CURLINFO_RESPONSE_CODE, &status_);
  if (status_ != 200 && status_ != 206) {
    discard_body_ = true;  // an error page, judged by its status
    return true;
  }
  if (status_ == 206) {
    // "bytes FIRST-LAST/TOTAL"
    const std::string prefix = fmt::format("bytes {}-", offset_);
    const size_t slash = content_range_.find('/');
    const auto total = slash == std::string::npos
                           ? std::nullopt
                           : ParseNumber<uint64_t>(content_range_.substr(slash + 1));
    if (offset_ == 0 || !content_range_.starts_with(prefix) || !total) {
      failure_ = {Outcome::kStartOver,
                  Unavailable("{}: answered with the range '{}', want {}...",
                              target_.shown, Printable(content_range_), prefix)};
      return false;
    }
    want_size_ = *total;
  } else {
    if (part_.size() > 0) {  // the whole file, not the rest of it
      failure_.error = part_.Clear();
      progress_.set_start(0);
    }
    want_size_ = content_length_.value_or(0);
    // Weak validators are not for ranges (RFC 9110, 13.1.5).
    info_ = {url_, !etag_.empty() && !etag_.starts_with("W/") ? etag_ : last_modified_};
    if (failure_.error.ok()) failure_.error = info_.Save(info_path_);
  }
  if (failure_.error.ok() && want_size_ > options_.max_bytes) {
    failure_.error = ResourceExhausted("{}: has {} bytes, the limit is {}", target_.shown,
                                       want_size_, options_.max_bytes);
  }
  if (!failure_.error.ok()) failure_.outcome = Outcome::kFailed;
  progress_.set_total(want_size_);
  return failure_.error.ok();
}

bool Transfer::Body(std::string_view bytes) {
  last_byte_ = steady_clock::now();
  if (!body_begun_ && !BeginBody()) return false;
  if (discard_body_) return true;
  if (bytes.size() > options_.max_bytes - std::min(part_.size(), options_.max_bytes)) {
    failure_ = {Outcome::kFailed,
                ResourceExhausted("{}: is larger than the limit of {} bytes",
                                  target_.shown, options_.max_bytes)};
    return false;
  }
  if (absl::Status status = part_.Append(bytes); !status.ok()) {
    failure_ = {Outcome::kFailed, status};
    return false;
  }
  progress_.Update(part_.size());
  return true;
}

void Transfer::Configure() {
  CURL* const easy = easy_.get();
  // What may be asked for, and where redirects may lead: never to a file, nor
  // from https back to http.
  const char* const redirects = target_.scheme == "https" ? "https" : "http,https";
  Curl().easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  Curl().easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, redirects);
  Curl().easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 1L);
  Curl().easy_setopt(easy, CURLOPT_MAXREDIRS, kMaxRedirects);
  Curl().easy_setopt(easy, CURLOPT_URL, url_.c_str());
  Curl().easy_setopt(easy, CURLOPT_USERAGENT, "oriel/" ORIEL_VERSION);
  Curl().easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  // A resolver that hangs must not hold up the end.
  Curl().easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
  const auto left =
      std::chrono::duration_cast<milliseconds>(give_up_ - steady_clock::now());
  Curl().easy_setopt(
      easy, CURLOPT_CONNECTTIMEOUT_MS,
      static_cast<long>(std::clamp(options_.connect_timeout, milliseconds(1),
                                   std::max(left, milliseconds(1000)))
                            .count()));
  Curl().easy_setopt(easy, CURLOPT_ERRORBUFFER, error_text_);
  Curl().easy_setopt(easy, CURLOPT_HEADERFUNCTION, OnHeader);
  Curl().easy_setopt(easy, CURLOPT_HEADERDATA, this);
  Curl().easy_setopt(easy, CURLOPT_WRITEFUNCTION, OnBody);
  Curl().easy_setopt(easy, CURLOPT_WRITEDATA, this);
  if (offset_ > 0) {
    curl_slist* list =
        Curl().slist_append(nullptr, fmt::format("Range: bytes={}-", offset_).c_str());
    list =
        Curl().slist_append(list, fmt::format("If-Range: {}", info_.validator).c_str());
    headers_.reset(list);
    Curl().easy_setopt(easy, CURLOPT_HTTPHEADER, list);
  }
}

CURLcode Transfer::Perform() {
  const std::unique_ptr<CURLM, MultiCleanup> multi(Curl().multi_init());
  if (multi == nullptr) return CURLE_OUT_OF_MEMORY;
  Curl().multi_add_handle(multi.get(), easy_.get());
  CURLcode result = CURLE_OK;
  last_byte_ = steady_clock::now();
  while (true) {
    int running = 0;
    Curl().multi_perform(multi.get(), &running);
    int queued = 0;
    const CURLMsg* message = Curl().multi_info_read(multi.get(), &queued);
    if (message != nullptr && message->msg == CURLMSG_DONE) {
      result = message->data.result;
      break;
    }
    const auto now = steady_clock::now();
    if (absl::Status interrupted = CheckInterrupted(); !interrupted.ok()) {
      failure_ = {Outcome::kFailed, interrupted};
      break;
    }
    if (!answered_ && now > give_up_) {
      failure_ = {Outcome::kUnreachable, Unavailable("no answer in time")};
      break;
    }
    if (now - last_byte_ > options_.stall_timeout) {
      failure_ = {
          Outcome::kRetry,
          Unavailable("{}: no data for {:.0f} s", target_.host,
                      std::chrono::duration<double>(options_.stall_timeout).count())};
      break;
    }
    Curl().multi_poll(multi.get(), nullptr, 0, 100, nullptr);
  }
  Curl().multi_remove_handle(multi.get(), easy_.get());
  return result;
}

Attempt Transfer::Judge(CURLcode code) {
  if (!failure_.error.ok()) return failure_;
  Curl().easy_getinfo(easy_.get(), CURLINFO_RESPONSE_CODE, &status_);
  const std::string reason = Printable(error_text_[0] != 0 ? std::string_view(error_text_)
                                                           : Curl().easy_strerror(code));
  switch (code) {
    case CURLE_OK:
      break;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
      return {Outcome::kUnreachable, Unavailable("{}", reason)};
    case CURLE_TOO_MANY_REDIRECTS:
      return {Outcome::kFailed, Unavailable("{}: redirects more than {} times",
                                            target_.shown, kMaxRedirects)};
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
      return {Outcome::kFailed,
              PermissionDenied("{}: redirects to where only http and https may lead: {}",
                               target_.shown, reason)};
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
      return {Outcome::kFailed,
              PermissionDenied("{}: its certificate cannot be trusted: {}", target_.host,
                               reason)};
    case CURLE_OUT_OF_MEMORY:
      return {Outcome::kFailed, ResourceExhausted("out of memory")};
    default:  // cut, reset, timed out, nonsense: another attempt may do better
      return {answered_ ? Outcome::kRetry : Outcome::kUnreachable,
              Unavailable("{}: {}", target_.host, reason)};
  }
  if (status_ == 200 || status_ == 206) {
    if (!body_begun_ && !BeginBody()) return failure_;  // an empty file
    if (want_size_ > 0 && part_.size() != want_size_) {
      return {Outcome::kStartOver, Unavailable("{}: sent {} bytes, said {}",
                                               target_.shown, part_.size(), want_size_)};
    }
    return {Outcome::kDone, absl::OkStatus()};
  }
  const std::string answer = fmt::format("{}: HTTP status {}", target_.shown, status_);
  switch (status_) {
    case 416:
      return {Outcome::kStartOver, Unavailable("{}", answer)};
    case 401:
    case 403:
    case 407:
      return {Outcome::kFailed, PermissionDenied("{}", answer)};
    case 404:
    case 410:
      return {Outcome::kFailed, NotFound("{}", answer)};
    case 408:
    case 425:
    case 429:
      break;
    default:
      if (status_ < 500) return {Outcome::kFailed, Unavailable("{}", answer)};
  }
  curl_off_t seconds = 0;
  Curl().easy_getinfo(easy_.get(), CURLINFO_RETRY_AFTER, &seconds);
  const milliseconds retry_after(std::clamp<curl_off_t>(seconds, 0, 3600) * 1000);
  return {Outcome::kRetry, Unavailable("{}", answer),
          std::min(retry_after, kMaxRetryAfter)};
}

Attempt Transfer::Run() {
  if (easy_ == nullptr) return {Outcome::kFailed, ResourceExhausted("out of memory")};
  // Without a validator nothing says that the rest is of the same file.
  if (part_.size() > 0 && (info_.url != url_ || info_.validator.empty())) {
    if (absl::Status status = part_.Clear(); !status.ok()) {
      return {Outcome::kFailed, status};
    }
  }
  offset_ = part_.size();
  progress_.set_start(offset_);
  Configure();
  return Judge(Perform());
}

// Waits, but not for Ctrl-C.
absl::Status Sleep(milliseconds duration) {
  const auto end = steady_clock::now() + duration;
  while (steady_clock::now() < end) {
    RETURN_IF_ERROR(CheckInterrupted());
    std::this_thread::sleep_for(std::min(
        milliseconds(50), std::chrono::ceil<milliseconds>(end - steady_clock::now())));
  }
  return absl::OkStatus();
}

// `failures` in a row before this one; -1 after an attempt that moved something.
milliseconds Backoff(const DownloadOptions& options, int failures) {
  thread_local std::minstd_rand random(std::random_device{}());
  const double doubled = static_cast<double>(options.backoff.count()) *
                         static_cast<double>(1 << std::clamp(failures, 0, 10));
  const double jitter = std::uniform_real_distribution<double>(0.5, 1.0)(random);
  return std::min(kMaxBackoff, milliseconds(static_cast<int64_t>(doubled * jitter)));
}

// Fetches all bytes into the part, over as many attempts as it takes.
absl::Status FetchPart(const std::string& url, const Target& target,
                       const DownloadOptions& options, PartFile& part,
                       const fs::path& info_path) {
  PartInfo info = PartInfo::Load(info_path);
  Progress progress("downloading " + target.host, ProgressUnit::kBytes, 0, options.quiet);
  const auto give_up = steady_clock::now() + options.unreachable_after;
  bool answered = false;
  int failures = 0;
  for (int attempt = 0;; ++attempt) {
    const uint64_t before = part.size();
    const auto no_limit = steady_clock::time_point::max();
    Transfer transfer(url, target, options, answered ? no_limit : give_up, part, info,
                      info_path, progress);
    const Attempt ended = transfer.Run();
    answered = answered || transfer.answered();
    const bool moved = part.size() >= before + kProgressBytes;
    failures = moved ? 0 : failures + 1;
    const milliseconds wait = std::max(Backoff(options, failures - 1), ended.retry_after);
    switch (ended.outcome) {
      case Outcome::kDone:
        progress.Update(part.size());
        progress.Finish();
        return absl::OkStatus();
      case Outcome::kFailed:
        return ended.error;
      case Outcome::kUnreachable:
        if (!answered &&
            (failures >= options.max_attempts || steady_clock::now() + wait >= give_up)) {
          return Unavailable("cannot reach {}: {}", target.host, Message(ended.error));
        }
        break;
      case Outcome::kStartOver:
        RETURN_IF_ERROR(part.Clear());
        break;
      case Outcome::kRetry:
        break;
    }
    if (failures >= options.max_attempts || attempt >= kMaxAttemptsAtAll) {
      return Annotate(ended.error, fmt::format("gave up after {} attempts", attempt + 1));
    }
    RETURN_IF_ERROR(Sleep(wait));
  }
}

}  // namespace

absl::StatusOr<ExpectedHash> ParseExpectedHash(std::string_view text) {
  const size_t colon = text.find(':');
  const std::string name = ToLower(text.substr(0, colon));
  for (const auto& [kind, digits] :
       {std::pair(DigestKind::kMd5, 32), std::pair(DigestKind::kSha256, 64),
        std::pair(DigestKind::kSha384, 96)}) {
    if (colon == std::string_view::npos || name != DigestName(kind)) continue;
    const std::string hex = ToLower(text.substr(colon + 1));
    if (hex.size() < 8 || hex.size() > digits ||
        hex.find_first_not_of("0123456789abcdef") != std::string::npos) {
      return InvalidArgument("hash '{}': want 8 to {} hex digits", Printable(text),
                             digits);
    }
    return ExpectedHash{kind, hex};
  }
  return InvalidArgument("hash '{}': want md5:HEX, sha256:HEX or sha384:HEX",
                         Printable(text));
}

absl::Status VerifyHash(const fs::path& path, const ExpectedHash& hash) {
  ASSIGN_OR_RETURN(const std::string found, FileHexDigest(hash.kind, path));
  if (found.starts_with(hash.hex)) return absl::OkStatus();
  return DataLoss("{}: its {} is {}, want {}", path.string(), DigestName(hash.kind),
                  found, hash.hex);
}

absl::Status Download(const std::string& url, const fs::path& target,
                      const DownloadOptions& options) {
  RETURN_IF_ERROR(LoadCurlLibrary());
  ASSIGN_OR_RETURN(const Target parsed, ParseUrl(url));
  std::error_code error;
  if (options.hash && fs::exists(target, error) &&
      VerifyHash(target, *options.hash).ok()) {
    return absl::OkStatus();
  }
  const fs::path part_path = target.string() + ".part";
  const fs::path info_path = target.string() + ".part.info";
  ASSIGN_OR_RETURN(PartFile part, PartFile::Open(part_path));
  bool resumed = part.size() > 0;
  while (true) {
    const absl::Status fetched = FetchPart(url, parsed, options, part, info_path);
    if (!fetched.ok()) {
      if (part.size() == 0) fs::remove(part_path, error);
      return fetched;
    }
    const absl::Status verified =
        options.hash ? VerifyHash(part_path, *options.hash) : absl::OkStatus();
    if (verified.ok()) break;
    // What an earlier run left may have been the damaged half: once more, whole.
    RETURN_IF_ERROR(part.Clear());
    if (!resumed) {
      fs::remove(part_path, error);
      fs::remove(info_path, error);
      return DataLoss("{}: {}", parsed.shown, Message(verified));
    }
    resumed = false;
  }
  RETURN_IF_ERROR(part.MoveTo(target));
  fs::remove(info_path, error);
  return absl::OkStatus();
}

}  // namespace oriel::model
