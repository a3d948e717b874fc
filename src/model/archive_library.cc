#include "model/archive_library.h"

#include "base/shared_library.h"

namespace oriel::model {
namespace {

absl::StatusOr<ArchiveLibrary> Open() {
  ASSIGN_OR_RETURN(const SharedLibrary library, SharedLibrary::Open("libarchive.so.13"));
  ArchiveLibrary functions;
  RETURN_IF_ERROR(library.Find("archive_entry_filetype", functions.entry_filetype));
  RETURN_IF_ERROR(library.Find("archive_entry_hardlink", functions.entry_hardlink));
  RETURN_IF_ERROR(
      library.Find("archive_entry_is_encrypted", functions.entry_is_encrypted));
  RETURN_IF_ERROR(library.Find("archive_entry_pathname", functions.entry_pathname));
  RETURN_IF_ERROR(
      library.Find("archive_entry_pathname_utf8", functions.entry_pathname_utf8));
  RETURN_IF_ERROR(library.Find("archive_entry_size", functions.entry_size));
  RETURN_IF_ERROR(library.Find("archive_entry_size_is_set", functions.entry_size_is_set));
  RETURN_IF_ERROR(library.Find("archive_errno", functions.error_number));
  RETURN_IF_ERROR(library.Find("archive_error_string", functions.error_string));
  RETURN_IF_ERROR(library.Find("archive_read_data_block", functions.read_data_block));
  RETURN_IF_ERROR(library.Find("archive_read_free", functions.read_free));
  RETURN_IF_ERROR(library.Find("archive_read_new", functions.read_new));
  RETURN_IF_ERROR(library.Find("archive_read_next_header", functions.read_next_header));
  RETURN_IF_ERROR(
      library.Find("archive_read_open_filename", functions.read_open_filename));
  RETURN_IF_ERROR(library.Find("archive_read_support_filter_bzip2",
                               functions.read_support_filter_bzip2));
  RETURN_IF_ERROR(library.Find("archive_read_support_filter_gzip",
                               functions.read_support_filter_gzip));
  RETURN_IF_ERROR(
      library.Find("archive_read_support_filter_xz", functions.read_support_filter_xz));
  RETURN_IF_ERROR(library.Find("archive_read_support_filter_zstd",
                               functions.read_support_filter_zstd));
  RETURN_IF_ERROR(
      library.Find("archive_read_support_format_tar", functions.read_support_format_tar));
  RETURN_IF_ERROR(
      library.Find("archive_read_support_format_zip", functions.read_support_format_zip));
  return functions;
}

const absl::StatusOr<ArchiveLibrary>& Opened() {
  static const absl::StatusOr<ArchiveLibrary> opened = Open();
  return opened;
}

}  // namespace

absl::Status LoadArchiveLibrary() { return Opened().status(); }

const ArchiveLibrary& Archive() { return *Opened(); }

}  // namespace oriel::model
