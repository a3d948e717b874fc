#include "model/curl_library.h"

#include "base/shared_library.h"

namespace oriel::model {
namespace {

absl::StatusOr<CurlLibrary> Open() {
  ASSIGN_OR_RETURN(const SharedLibrary library, SharedLibrary::Open("libcurl.so.4"));
  CurlLibrary functions;
  RETURN_IF_ERROR(library.Find("curl_easy_cleanup", functions.easy_cleanup));
  RETURN_IF_ERROR(library.Find("curl_easy_getinfo", functions.easy_getinfo));
  RETURN_IF_ERROR(library.Find("curl_easy_init", functions.easy_init));
  RETURN_IF_ERROR(library.Find("curl_easy_setopt", functions.easy_setopt));
  RETURN_IF_ERROR(library.Find("curl_easy_strerror", functions.easy_strerror));
  RETURN_IF_ERROR(library.Find("curl_free", functions.free));
  RETURN_IF_ERROR(library.Find("curl_global_init", functions.global_init));
  RETURN_IF_ERROR(library.Find("curl_multi_add_handle", functions.multi_add_handle));
  RETURN_IF_ERROR(library.Find("curl_multi_cleanup", functions.multi_cleanup));
  RETURN_IF_ERROR(library.Find("curl_multi_info_read", functions.multi_info_read));
  RETURN_IF_ERROR(library.Find("curl_multi_init", functions.multi_init));
  RETURN_IF_ERROR(library.Find("curl_multi_perform", functions.multi_perform));
  RETURN_IF_ERROR(library.Find("curl_multi_poll", functions.multi_poll));
  RETURN_IF_ERROR(
      library.Find("curl_multi_remove_handle", functions.multi_remove_handle));
  RETURN_IF_ERROR(library.Find("curl_slist_append", functions.slist_append));
  RETURN_IF_ERROR(library.Find("curl_slist_free_all", functions.slist_free_all));
  RETURN_IF_ERROR(library.Find("curl_url", functions.url));
  RETURN_IF_ERROR(library.Find("curl_url_cleanup", functions.url_cleanup));
  RETURN_IF_ERROR(library.Find("curl_url_get", functions.url_get));
  RETURN_IF_ERROR(library.Find("curl_url_set", functions.url_set));
  if (functions.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
    return FailedPrecondition("libcurl cannot be initialized");
  }
  return functions;
}

const absl::StatusOr<CurlLibrary>& Opened() {
  static const absl::StatusOr<CurlLibrary> opened = Open();
  return opened;
}

}  // namespace

absl::Status LoadCurlLibrary() { return Opened().status(); }

const CurlLibrary& Curl() { return *Opened(); }

}  // namespace oriel::model
