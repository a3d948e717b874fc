// libarchive, loaded when something is unpacked, for the reason of curl_library.h.
#pragma once

#include <archive.h>
#include <archive_entry.h>

#include "base/status.h"

namespace oriel::model {

// The functions that we call, without their prefix.
struct ArchiveLibrary {
  decltype(&archive_entry_filetype) entry_filetype = nullptr;
  decltype(&archive_entry_hardlink) entry_hardlink = nullptr;
  decltype(&archive_entry_is_encrypted) entry_is_encrypted = nullptr;
  decltype(&archive_entry_pathname) entry_pathname = nullptr;
  decltype(&archive_entry_pathname_utf8) entry_pathname_utf8 = nullptr;
  decltype(&archive_entry_size) entry_size = nullptr;
  decltype(&archive_entry_size_is_set) entry_size_is_set = nullptr;
  decltype(&archive_errno) error_number = nullptr;
  decltype(&archive_error_string) error_string = nullptr;
  decltype(&archive_read_data_block) read_data_block = nullptr;
  decltype(&archive_read_free) read_free = nullptr;
  decltype(&archive_read_new) read_new = nullptr;
  decltype(&archive_read_next_header) read_next_header = nullptr;
  decltype(&archive_read_open_filename) read_open_filename = nullptr;
  decltype(&archive_read_support_filter_bzip2) read_support_filter_bzip2 = nullptr;
  decltype(&archive_read_support_filter_gzip) read_support_filter_gzip = nullptr;
  decltype(&archive_read_support_filter_xz) read_support_filter_xz = nullptr;
  decltype(&archive_read_support_filter_zstd) read_support_filter_zstd = nullptr;
  decltype(&archive_read_support_format_tar) read_support_format_tar = nullptr;
  decltype(&archive_read_support_format_zip) read_support_format_zip = nullptr;
};

// kFailedPrecondition: the library is not installed. Thread-safe.
absl::Status LoadArchiveLibrary();

// Only after LoadArchiveLibrary has succeeded.
const ArchiveLibrary& Archive();

}  // namespace oriel::model
