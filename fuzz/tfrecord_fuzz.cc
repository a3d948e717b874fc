// Any bytes as a TFRecord file, and its records as tf.Examples.

#include <cstdlib>

#include "records/example.h"
#include "records/tfrecord.h"

namespace {

// What was read must be written again as the very bytes.
void CheckRecord(oriel::Bytes file, size_t offset, oriel::Bytes record) {
  const std::string framed = oriel::records::FrameTfRecord(oriel::AsStringView(record));
  if (oriel::AsStringView(file.subspan(offset, framed.size())) != framed) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const oriel::Bytes bytes{data, size};
  // Checksums keep random bytes out: what follows a frame's place is tried as well.
  (void)oriel::records::ParseExample(bytes, "bytes");
  const std::string framed = oriel::records::FrameTfRecord(oriel::AsStringView(bytes));
  for (const oriel::Bytes file : {bytes, oriel::AsBytes(framed)}) {
    oriel::records::TfRecordReader reader(file, "file");
    size_t offset = 0;
    while (true) {
      const auto record = reader.Next();
      if (!record.ok() || !*record) break;
      CheckRecord(file, offset, **record);
      offset += (*record)->size() + oriel::records::kTfRecordHeader +
                oriel::records::kTfRecordFooter;
      (void)oriel::records::ParseExample(**record, "record");
    }
    if (file.data() == oriel::AsBytes(framed).data() && reader.count() != 1) std::abort();
  }
  return 0;
}
