// Where the bytes of a body go as they come: unpacked where they were compressed, into
// the request or, part by part, into its form. Private to the server.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "serving/http/content_coding.h"
#include "serving/http/message.h"
#include "serving/http/multipart.h"
#include "serving/http/problem.h"

namespace oriel::serving::http {

// One thread at a time.
class BodySink {
 public:
  // Fills `request`, whose headers say what comes, and takes what that needs of `lease`;
  // both outlive the sink. `length`: of the body as it comes, 0 where nobody knows;
  // `max_bytes`: of what it unpacks to.
  BodySink(Request& request, UploadLease& lease, uint64_t length, uint64_t max_bytes);

  // A problem: the body is refused.
  std::optional<Problem> Begin();
  std::optional<Problem> Take(std::string_view bytes);
  std::optional<Problem> Finish();

 private:
  std::optional<Problem> Put(std::string_view bytes);

  Request& request_;
  UploadLease& lease_;
  const uint64_t length_;
  const uint64_t max_bytes_;
  std::optional<MultipartParser> form_;
  std::optional<Decompressor> decompressor_;
  uint64_t decompressed_ = 0;
};

}  // namespace oriel::serving::http
