// Reader of the part of HDF5 that h5py and Keras write: the groups, attributes and
// datasets of one file. The format: "HDF5 File Format Specification Version 3.0".
//
// libhdf5 is not used: it trusts the file. Copies of small Keras files with a few bytes
// changed made Debian's 1.10.8 read and write outside its memory, use what it had freed,
// and loop without end, within a minute. Here every address and size is checked against
// the file's before it is used, and the work that a file asks for is bounded by its size.
//
// Read: superblocks 0 to 3; object headers 1 and 2; groups as symbol tables or links;
// attributes; compact, contiguous and chunked datasets, the latter without filters or
// with shuffle and gzip. Refused, by name: soft and external links, dense storage of
// links ("libver='latest'" of large groups), virtual and external datasets, shared
// messages, other filters.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "checkpoint/file_bytes.h"
#include "tensor/dtype.h"
#include "tensor/shape.h"

namespace oriel::checkpoint {

// An element type, as far as it is known here.
struct Hdf5Type {
  enum class Kind { kNumber, kText, kVariableText, kOpaque, kOther };
  Kind kind = Kind::kOther;
  uint32_t size = 0;           // bytes of an element
  std::optional<DType> dtype;  // of numbers that tensors have
  bool big_endian = false;     // a number's bytes
  std::string title;           // for messages
};

struct Hdf5Attribute {
  Hdf5Type type;
  Shape shape;
  Bytes bytes;
};

struct Hdf5Dataset {
  Hdf5Type type;
  Shape shape;

  enum class Layout { kBytes, kChunks };
  Layout layout = Layout::kBytes;
  Bytes bytes;  // kBytes: the elements; as many as the shape has
  // kChunks: boxes of chunk_shape, one for each place of the shape.
  struct Chunk {
    std::vector<int64_t> start;
    Bytes bytes;  // as stored
    uint32_t filter_mask = 0;
  };
  Shape chunk_shape;
  std::vector<Chunk> chunks;
  enum class Filter { kGzip, kShuffle };
  std::vector<Filter> filters;  // in the order of writing
};

// One thread at a time; what it returns lives as long as the file's bytes.
class Hdf5File {
 public:
  static bool HasMagic(Bytes bytes);

  // kDataLoss for what is no HDF5 file, or a truncated one; kUnimplemented for what is
  // refused.
  static absl::StatusOr<Hdf5File> Open(FileBytes file);

  uint64_t root() const { return root_; }
  const FileBytes& file() const { return file_; }

  // An object of the file: what its header says.
  struct Object {
    bool is_group = false;
    // A group's: addresses of headers by name.
    std::map<std::string, uint64_t, std::less<>> links;
    std::shared_ptr<const Hdf5Dataset> dataset;  // nullptr: it is none
    std::map<std::string, Hdf5Attribute, std::less<>> attributes;

    const Hdf5Attribute* FindAttribute(std::string_view name) const;
  };
  // `path` is the object's, for messages. Each call costs work of the file's budget, so
  // that a file cannot be made to be read over and over: kDataLoss when it is spent.
  absl::StatusOr<Object> ReadObject(uint64_t address, const std::string& path);

  // The texts of an attribute of fixed or variable texts; of no other type.
  absl::StatusOr<std::vector<std::string>> ReadTexts(const Hdf5Attribute& attribute,
                                                     const std::string& path);

 private:
  explicit Hdf5File(FileBytes file);

  absl::StatusOr<Bytes> At(uint64_t address, uint64_t size, std::string_view what);
  absl::StatusOr<std::string_view> TextAt(Bytes heap, uint64_t offset,
                                          std::string_view what);
  absl::StatusOr<Bytes> ReadHeapText(uint64_t address, uint32_t number,
                                     std::string_view what);
  class Header;

  FileBytes file_;
  Bytes bytes_;  // up to the end that the superblock names
  uint64_t root_ = 0;
  uint64_t budget_ = 0;  // bytes of structures that may yet be read
  // Texts by number, of the collections that were read, by address; 0 is there always.
  using HeapIndex = std::map<uint16_t, Bytes>;
  std::map<uint64_t, HeapIndex> heaps_;
};

}  // namespace oriel::checkpoint
