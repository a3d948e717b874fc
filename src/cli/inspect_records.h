// What `oriel inspect` says of a TFRecord file.
#pragma once

#include <string>

#include "base/bytes.h"
#include "base/status.h"

namespace oriel::cli {

// Whether the file begins like one: a length with its checksum.
bool IsTfRecord(Bytes file);

// Counts the records, checks all of them, and lists the features of the first
// tf.Example among them. Prints to stdout. kDataLoss for a damaged record.
absl::Status InspectRecords(Bytes file, const std::string& path, bool as_json);

}  // namespace oriel::cli
