#include "checkpoint/hdf5_file.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "checkpoint/hdf5_types.h"

namespace oriel::checkpoint {
namespace {

constexpr std::array<uint8_t, 8> kMagic = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};
constexpr uint64_t kMaxBudget = 256 << 20;
constexpr size_t kMaxHeaderBlocks = 4096;
constexpr int kMaxTreeLevel = 16;
// What deflate can make of a byte, at most, and what a stream costs without any.
constexpr uint64_t kMaxInflation = 1032;
constexpr uint64_t kMaxEmptyStream = 64;

enum MessageType {
  kShapeMessage = 0x01,
  kLinkInfoMessage = 0x02,
  kTypeMessage = 0x03,
  kLinkMessage = 0x06,
  kExternalFilesMessage = 0x07,
  kLayoutMessage = 0x08,
  kGroupInfoMessage = 0x0a,
  kFiltersMessage = 0x0b,
  kAttributeMessage = 0x0c,
  kContinuationMessage = 0x10,
  kSymbolTableMessage = 0x11,
};
constexpr uint8_t kSharedMessage = 2;

bool StartsWith(Bytes bytes, std::string_view text) {
  return AsStringView(bytes).starts_with(text);
}

}  // namespace

Hdf5File::Hdf5File(FileBytes file)
    : file_(std::move(file)),
      bytes_(file_.bytes),
      budget_(std::min<uint64_t>(4 * bytes_.size() + (1 << 20), kMaxBudget)) {}

bool Hdf5File::HasMagic(Bytes bytes) {
  return bytes.size() >= kMagic.size() &&
         std::equal(kMagic.begin(), kMagic.end(), bytes.begin());
}

absl::StatusOr<Hdf5File> Hdf5File::Open(FileBytes file) {
  if (!HasMagic(file.bytes)) return DataLoss("{}: is no HDF5 file", file.name);
  Hdf5File hdf5(std::move(file));
  const std::string what = hdf5.file_.name + ": superblock";
  ByteReader reader(hdf5.bytes_.subspan(kMagic.size()), what);
  ASSIGN_OR_RETURN(const uint8_t version, reader.Read<uint8_t>());
  if (version > 3) return Unimplemented("{}: has version {}, want 0 to 3", what, version);
  const bool old = version < 2;
  if (old) RETURN_IF_ERROR(reader.Take(4).status());  // versions of other structures
  ASSIGN_OR_RETURN(const uint8_t offset_bytes, reader.Read<uint8_t>());
  ASSIGN_OR_RETURN(const uint8_t length_bytes, reader.Read<uint8_t>());
  if (offset_bytes != 8 || length_bytes != 8) {
    return Unimplemented("{}: has offsets of {} bytes and lengths of {}, want 8", what,
                         offset_bytes, length_bytes);
  }
  // sizes of nodes and flags; or flags alone
  RETURN_IF_ERROR(reader.Take(!old ? 1 : version == 0 ? 9 : 13).status());
  ASSIGN_OR_RETURN(const uint64_t base, reader.Read<uint64_t>());
  RETURN_IF_ERROR(reader.Take(8).status());  // free space; or an extension
  ASSIGN_OR_RETURN(const uint64_t end, reader.Read<uint64_t>());
  if (old) RETURN_IF_ERROR(reader.Take(16).status());  // driver; name of the root
  ASSIGN_OR_RETURN(hdf5.root_, reader.Read<uint64_t>());
  if (base != 0) return Unimplemented("{}: begins at byte {}, want 0", what, base);
  if (end > hdf5.bytes_.size()) {
    return DataLoss("{}: the file has {} bytes, {} were written", hdf5.file_.name,
                    hdf5.bytes_.size(), end);
  }
  hdf5.bytes_ = hdf5.bytes_.first(end);
  return hdf5;
}

// Bytes of a structure, which are paid for.
absl::StatusOr<Bytes> Hdf5File::At(uint64_t address, uint64_t size,
                                   std::string_view what) {
  ASSIGN_OR_RETURN(const Bytes bytes, Sub(bytes_, address, size, what));
  constexpr uint64_t kEach = 16;
  if (size + kEach > budget_) {
    return DataLoss(
        "{}: the file's structures are read over and over, or hold over {} "
        "bytes",
        what, kMaxBudget);
  }
  budget_ -= size + kEach;
  return bytes;
}

// A text of a local heap, which ends with a 0.
absl::StatusOr<std::string_view> Hdf5File::TextAt(Bytes heap, uint64_t offset,
                                                  std::string_view what) {
  if (offset >= heap.size()) {
    return DataLoss("{}: a name lies at byte {} of {}", what, offset, heap.size());
  }
  const std::string_view rest = AsStringView(heap).substr(offset);
  const size_t end = rest.find('\0');
  if (end == rest.npos) return DataLoss("{}: a name has no end", what);
  if (end > budget_) return DataLoss("{}: its names are read over and over", what);
  budget_ -= end;
  return rest.substr(0, end);
}

// Reads the header of one object.
class Hdf5File::Header {
 public:
  Header(Hdf5File& file, const std::string& path)
      : file_(file), what_(fmt::format("{}: '{}'", file.file_.name, path)) {}

  absl::StatusOr<Object> Read(uint64_t address) {
    ASSIGN_OR_RETURN(const Bytes start, Sub(file_.bytes_, address, 4, what_));
    RETURN_IF_ERROR(StartsWith(start, "OHDR") ? ReadNew(address) : ReadOld(address));
    for (size_t i = 0; i < blocks_.size(); ++i) {  // grows while it is walked
      if (i >= kMaxHeaderBlocks) return DataLoss("{}: has a header without end", what_);
      RETURN_IF_ERROR(ReadMessages(blocks_[i]));
    }
    if (has_shape_ && has_type_ && layout_) {
      RETURN_IF_ERROR(FinishDataset());
      object_.dataset = std::make_shared<const Hdf5Dataset>(std::move(dataset_));
    }
    return std::move(object_);
  }

 private:
  absl::Status ReadOld(uint64_t address) {
    constexpr uint64_t kPrefix = 16;
    ASSIGN_OR_RETURN(const Bytes prefix, file_.At(address, kPrefix, what_));
    if (prefix[0] != 1) {
      return DataLoss("{}: has an object header of version {}", what_, prefix[0]);
    }
    old_ = true;
    const uint32_t size = LoadLittleEndian<uint32_t>(&prefix[8]);
    ASSIGN_OR_RETURN(const Bytes block, file_.At(address + kPrefix, size, what_));
    blocks_.push_back(block);
    return absl::OkStatus();
  }

  absl::Status ReadNew(uint64_t address) {
    constexpr uint64_t kLongestPrefix = 4 + 2 + 16 + 4 + 8;
    const uint64_t there = file_.bytes_.size() - address;
    ASSIGN_OR_RETURN(const Bytes prefix,
                     file_.At(address, std::min(kLongestPrefix, there), what_));
    ByteReader reader(prefix, what_);
    RETURN_IF_ERROR(reader.Take(4).status());
    ASSIGN_OR_RETURN(const uint8_t version, reader.Read<uint8_t>());
    ASSIGN_OR_RETURN(const uint8_t flags, reader.Read<uint8_t>());
    if (version != 2) {
      return DataLoss("{}: has an object header of version {}", what_, version);
    }
    if (flags & 0x20) RETURN_IF_ERROR(reader.Take(16).status());  // times
    if (flags & 0x10) RETURN_IF_ERROR(reader.Take(4).status());   // attribute counts
    ASSIGN_OR_RETURN(const Bytes width, reader.Take(uint64_t{1} << (flags & 3)));
    uint64_t size = 0;
    std::memcpy(&size, width.data(), width.size());
    message_has_order_ = flags & 4;
    ASSIGN_OR_RETURN(const Bytes block, file_.At(address + reader.offset(), size, what_));
    blocks_.push_back(block);
    return absl::OkStatus();
  }

  absl::Status ReadMessages(Bytes block) {
    ByteReader reader(block, what_);
    const size_t prefix = old_ ? 8 : message_has_order_ ? 6 : 4;
    while (reader.remaining() >= prefix) {  // fewer bytes are a gap
      ASSIGN_OR_RETURN(const Bytes p, reader.Take(prefix));
      const uint16_t type = old_ ? LoadLittleEndian<uint16_t>(p.data()) : p[0];
      const uint16_t size = LoadLittleEndian<uint16_t>(&p[old_ ? 2 : 1]);
      const uint8_t flags = p[old_ ? 4 : 3];
      ASSIGN_OR_RETURN(const Bytes body, reader.Take(size));
      RETURN_IF_ERROR(ReadMessage(type, flags, body));
    }
    return absl::OkStatus();
  }

  absl::Status ReadMessage(uint16_t type, uint8_t flags, Bytes body) {
    const bool describes = type == kShapeMessage || type == kTypeMessage ||
                           type == kLayoutMessage || type == kFiltersMessage;
    if (describes && (flags & kSharedMessage)) {
      return Unimplemented("{}: has a type or shape that it shares with others", what_);
    }
    switch (type) {
      case kShapeMessage: {
        ASSIGN_OR_RETURN(dataset_.shape, ParseHdf5Shape(body, what_));
        has_shape_ = true;
        return absl::OkStatus();
      }
      case kTypeMessage: {
        ASSIGN_OR_RETURN(dataset_.type, ParseHdf5Type(body, what_));
        has_type_ = true;
        return absl::OkStatus();
      }
      case kLayoutMessage: {
        ASSIGN_OR_RETURN(layout_, ParseHdf5Layout(body, what_));
        return absl::OkStatus();
      }
      case kFiltersMessage: {
        ASSIGN_OR_RETURN(dataset_.filters, ParseHdf5Filters(body, what_));
        return absl::OkStatus();
      }
      case kExternalFilesMessage:
        return Unimplemented("{}: has its data in other files", what_);
      case kAttributeMessage:
        return flags & kSharedMessage ? absl::OkStatus() : ReadAttribute(body);
      case kGroupInfoMessage:
        object_.is_group = true;
        return absl::OkStatus();
      case kLinkInfoMessage:
        return ReadLinkInfo(body);
      case kLinkMessage:
        return ReadLink(body);
      case kSymbolTableMessage:
        return ReadSymbolTable(body);
      case kContinuationMessage:
        return ReadContinuation(body);
      default:
        return absl::OkStatus();
    }
  }

  absl::Status ReadContinuation(Bytes body) {
    ByteReader reader(body, what_);
    ASSIGN_OR_RETURN(const uint64_t address, reader.Read<uint64_t>());
    ASSIGN_OR_RETURN(const uint64_t size, reader.Read<uint64_t>());
    ASSIGN_OR_RETURN(Bytes block, file_.At(address, size, what_));
    if (!old_) {
      constexpr size_t kSignature = 4, kChecksum = 4;
      if (size < kSignature + kChecksum || !StartsWith(block, "OCHK")) {
        return DataLoss("{}: its header does not go on at byte {}", what_, address);
      }
      block = block.subspan(kSignature, size - kSignature - kChecksum);
    }
    blocks_.push_back(block);
    return absl::OkStatus();
  }

  absl::Status ReadAttribute(Bytes body) {
    ASSIGN_OR_RETURN(const auto parsed, ParseHdf5Attribute(body, what_));
    if (parsed) object_.attributes.emplace(parsed->name, parsed->attribute);
    return absl::OkStatus();
  }

  absl::Status ReadLinkInfo(Bytes body) {
    object_.is_group = true;
    ByteReader reader(body, what_);
    RETURN_IF_ERROR(reader.Take(1).status());  // version
    ASSIGN_OR_RETURN(const uint8_t flags, reader.Read<uint8_t>());
    if (flags & 1) RETURN_IF_ERROR(reader.Take(8).status());
    ASSIGN_OR_RETURN(const uint64_t heap, reader.Read<uint64_t>());
    if (heap == kHdf5Undefined) return absl::OkStatus();
    return Unimplemented(
        "{}: is a group as libver='latest' or track_order stores large ones; save the "
        "file with h5py's defaults",
        what_);
  }

  absl::Status ReadLink(Bytes body) {
    object_.is_group = true;
    ByteReader reader(body, what_);
    RETURN_IF_ERROR(reader.Take(1).status());  // version
    ASSIGN_OR_RETURN(const uint8_t flags, reader.Read<uint8_t>());
    uint8_t kind = 0;
    if (flags & 8) {
      ASSIGN_OR_RETURN(kind, reader.Read<uint8_t>());
    }
    if (flags & 4) RETURN_IF_ERROR(reader.Take(8).status());   // order
    if (flags & 16) RETURN_IF_ERROR(reader.Take(1).status());  // character set
    ASSIGN_OR_RETURN(const Bytes width, reader.Take(uint64_t{1} << (flags & 3)));
    uint64_t length = 0;
    std::memcpy(&length, width.data(), width.size());
    ASSIGN_OR_RETURN(const Bytes name, reader.Take(length));
    if (kind != 0) {
      return Unimplemented("{}: its link '{}' is a soft or external one", what_,
                           AsStringView(name));
    }
    ASSIGN_OR_RETURN(const uint64_t address, reader.Read<uint64_t>());
    return AddLink(AsStringView(name), address);
  }

  absl::Status AddLink(std::string_view name, uint64_t address) {
    if (object_.links.emplace(name, address).second) return absl::OkStatus();
    return DataLoss("{}: has two links '{}'", what_, name);
  }

  absl::Status ReadSymbolTable(Bytes body) {
    object_.is_group = true;
    ByteReader reader(body, what_);
    ASSIGN_OR_RETURN(const uint64_t tree, reader.Read<uint64_t>());
    ASSIGN_OR_RETURN(const uint64_t heap, reader.Read<uint64_t>());
    constexpr uint64_t kHeapHeader = 32;
    ASSIGN_OR_RETURN(const Bytes header, file_.At(heap, kHeapHeader, what_));
    if (!StartsWith(header, "HEAP")) {
      return DataLoss("{}: has no heap of names at byte {}", what_, heap);
    }
    ASSIGN_OR_RETURN(names_, Sub(file_.bytes_, LoadLittleEndian<uint64_t>(&header[24]),
                                 LoadLittleEndian<uint64_t>(&header[8]), what_));
    return WalkTree(tree, -1, 0,
                    [this](Bytes, uint64_t node) { return ReadSymbols(node); });
  }

  absl::Status ReadSymbols(uint64_t address) {
    constexpr uint64_t kHeaderBytes = 8, kEntryBytes = 40;
    ASSIGN_OR_RETURN(const Bytes header, file_.At(address, kHeaderBytes, what_));
    if (!StartsWith(header, "SNOD")) {
      return DataLoss("{}: has no list of links at byte {}", what_, address);
    }
    const uint16_t count = LoadLittleEndian<uint16_t>(&header[6]);
    ASSIGN_OR_RETURN(const Bytes entries,
                     file_.At(address + kHeaderBytes, count * kEntryBytes, what_));
    for (size_t at = 0; at < entries.size(); at += kEntryBytes) {
      constexpr uint32_t kSoftLink = 2;
      const uint8_t* const entry = &entries[at];
      ASSIGN_OR_RETURN(const std::string_view name,
                       file_.TextAt(names_, LoadLittleEndian<uint64_t>(entry), what_));
      if (LoadLittleEndian<uint32_t>(entry + 16) == kSoftLink) {
        return Unimplemented("{}: its link '{}' is a soft one", what_, name);
      }
      RETURN_IF_ERROR(AddLink(name, LoadLittleEndian<uint64_t>(entry + 8)));
    }
    return absl::OkStatus();
  }

  // Calls visit(key, child) for each entry of the leaves of a version 1 B-tree. Keys of
  // groups' trees have 8 bytes; of chunks', as many as their rank says. `level` is the
  // one that the node must have, -1 for the root.
  template <typename Visit>
  absl::Status WalkTree(uint64_t address, int level, int chunk_rank, const Visit& visit) {
    constexpr uint64_t kHeaderBytes = 24, kChild = 8;
    const uint64_t key = chunk_rank == 0 ? 8 : 8 + 8 * uint64_t(chunk_rank);
    ASSIGN_OR_RETURN(const Bytes header, file_.At(address, kHeaderBytes, what_));
    if (!StartsWith(header, "TREE") || header[4] != (chunk_rank == 0 ? 0 : 1) ||
        header[5] > kMaxTreeLevel || (level >= 0 && header[5] != level)) {
      return DataLoss("{}: has no tree node that fits at byte {}", what_, address);
    }
    const uint16_t count = LoadLittleEndian<uint16_t>(&header[6]);
    ASSIGN_OR_RETURN(const Bytes entries,
                     file_.At(address + kHeaderBytes, count * (key + kChild), what_));
    for (int i = 0; i < count; ++i) {
      const Bytes entry = entries.subspan(i * (key + kChild), key + kChild);
      const uint64_t child = LoadLittleEndian<uint64_t>(&entry[key]);
      RETURN_IF_ERROR(header[5] == 0 ? visit(entry.first(key), child)
                                     : WalkTree(child, header[5] - 1, chunk_rank, visit));
    }
    return absl::OkStatus();
  }

  absl::Status FinishDataset() {
    ASSIGN_OR_RETURN(const int64_t elements,
                     CheckedElements(dataset_.shape, dataset_.type.size, what_));
    const uint64_t want = static_cast<uint64_t>(elements) * dataset_.type.size;
    switch (layout_->kind) {
      case Hdf5Layout::Kind::kCompact:
        dataset_.bytes = layout_->compact;
        break;
      case Hdf5Layout::Kind::kContiguous: {
        if (want == 0) return absl::OkStatus();
        if (layout_->address == kHdf5Undefined) {
          return Unimplemented("{}: was made, but its data never written", what_);
        }
        ASSIGN_OR_RETURN(dataset_.bytes,
                         Sub(file_.bytes_, layout_->address, layout_->size, what_));
        break;
      }
      case Hdf5Layout::Kind::kChunked:
        return want == 0 ? absl::OkStatus() : ReadChunks();
    }
    if (dataset_.bytes.size() != want) {
      return DataLoss("{}: {} of {} want {} bytes, there are {}", what_,
                      dataset_.shape.ToString(), dataset_.type.title, want,
                      dataset_.bytes.size());
    }
    return absl::OkStatus();
  }

  absl::Status ReadChunks() {
    dataset_.layout = Hdf5Dataset::Layout::kChunks;
    const int rank = dataset_.shape.rank();
    std::vector<int64_t> chunk = layout_->chunk;
    if (static_cast<int>(chunk.size()) != rank + 1 ||
        chunk.back() != dataset_.type.size) {
      return DataLoss("{}: {} of {} bytes each has chunks of {}", what_,
                      dataset_.shape.ToString(), dataset_.type.size,
                      Shape(chunk).ToString());
    }
    chunk.pop_back();
    dataset_.chunk_shape = Shape(std::move(chunk));
    if (layout_->address != kHdf5Undefined) {
      RETURN_IF_ERROR(WalkTree(
          layout_->address, -1, rank + 1,
          [this](Bytes key, uint64_t address) { return AddChunk(key, address); }));
    }
    return CheckChunks();
  }

  absl::Status AddChunk(Bytes key, uint64_t address) {
    Hdf5Dataset::Chunk chunk;
    chunk.filter_mask = LoadLittleEndian<uint32_t>(&key[4]);
    ASSIGN_OR_RETURN(chunk.bytes, Sub(file_.bytes_, address,
                                      LoadLittleEndian<uint32_t>(key.data()), what_));
    for (int d = 0; d < dataset_.shape.rank(); ++d) {
      const uint64_t start = LoadLittleEndian<uint64_t>(&key[8 + 8 * d]);
      if (start >= static_cast<uint64_t>(dataset_.shape.dim(d)) ||
          start % static_cast<uint64_t>(dataset_.chunk_shape.dim(d)) != 0) {
        return DataLoss("{}: a chunk begins at {} of dimension {}, which is {}", what_,
                        start, d, dataset_.shape.dim(d));
      }
      chunk.start.push_back(static_cast<int64_t>(start));
    }
    // Without gzip a chunk is stored as it is.
    bool gzip = false;
    for (size_t i = 0; i < dataset_.filters.size(); ++i) {
      gzip = gzip || (dataset_.filters[i] == Hdf5Dataset::Filter::kGzip &&
                      (chunk.filter_mask >> i & 1) == 0);
    }
    const uint64_t most =
        gzip ? chunk.bytes.size() * kMaxInflation + kMaxEmptyStream : chunk.bytes.size();
    const auto elements =
        CheckedElements(dataset_.chunk_shape, dataset_.type.size, what_, most);
    if (!elements.ok() ||
        (!gzip && static_cast<uint64_t>(*elements) * dataset_.type.size != most)) {
      return DataLoss("{}: a chunk of {} has {} bytes", what_,
                      dataset_.chunk_shape.ToString(), chunk.bytes.size());
    }
    dataset_.chunks.push_back(std::move(chunk));
    return absl::OkStatus();
  }

  // Each place has just one chunk.
  absl::Status CheckChunks() {
    uint64_t want = 1;
    for (int d = 0; d < dataset_.shape.rank(); ++d) {
      const int64_t size = dataset_.chunk_shape.dim(d);
      // each factor is at most 2^40: more chunks than there are ends it in time
      want *= static_cast<uint64_t>((dataset_.shape.dim(d) + size - 1) / size);
      if (want > dataset_.chunks.size()) {
        return Unimplemented("{}: not all of its chunks were written", what_);
      }
    }
    auto& chunks = dataset_.chunks;
    const auto less = [](const auto& a, const auto& b) { return a.start < b.start; };
    std::sort(chunks.begin(), chunks.end(), less);
    const bool twice = std::adjacent_find(chunks.begin(), chunks.end(),
                                          [](const auto& a, const auto& b) {
                                            return a.start == b.start;
                                          }) != chunks.end();
    if (twice || want != chunks.size()) {
      return DataLoss("{}: has {} chunks, want {}", what_, chunks.size(), want);
    }
    return absl::OkStatus();
  }

  Hdf5File& file_;
  const std::string what_;
  bool old_ = false;
  bool message_has_order_ = false;
  std::vector<Bytes> blocks_;
  Bytes names_;
  bool has_shape_ = false;
  bool has_type_ = false;
  std::optional<Hdf5Layout> layout_;
  Hdf5Dataset dataset_;
  Object object_;
};

absl::StatusOr<Hdf5File::Object> Hdf5File::ReadObject(uint64_t address,
                                                      const std::string& path) {
  return Header(*this, path).Read(address);
}

const Hdf5Attribute* Hdf5File::Object::FindAttribute(std::string_view name) const {
  const auto it = attributes.find(name);
  return it == attributes.end() ? nullptr : &it->second;
}

absl::StatusOr<std::vector<std::string>> Hdf5File::ReadTexts(
    const Hdf5Attribute& attribute, const std::string& path) {
  const std::string what = fmt::format("{}: '{}'", file_.name, path);
  const auto until_zero = [](Bytes bytes) {
    const std::string_view text = AsStringView(bytes);
    return std::string(text.substr(0, text.find('\0')));
  };
  std::vector<std::string> texts;
  const bool variable = attribute.type.kind == Hdf5Type::Kind::kVariableText;
  constexpr size_t kReference = 16;  // length, address of a collection, number in it
  if (!variable && attribute.type.kind != Hdf5Type::Kind::kText) {
    return DataLoss("{}: has {} where names should be", what, attribute.type.title);
  }
  if (variable && attribute.type.size != kReference) {
    return DataLoss("{}: has texts of {} bytes each", what, attribute.type.size);
  }
  for (size_t at = 0; at < attribute.bytes.size(); at += attribute.type.size) {
    const Bytes element = attribute.bytes.subspan(at, attribute.type.size);
    if (!variable) {
      texts.push_back(until_zero(element));
      continue;
    }
    const uint32_t length = LoadLittleEndian<uint32_t>(element.data());
    if (length == 0) {  // is in no heap
      texts.emplace_back();
      continue;
    }
    ASSIGN_OR_RETURN(const Bytes text,
                     ReadHeapText(LoadLittleEndian<uint64_t>(&element[4]),
                                  LoadLittleEndian<uint32_t>(&element[12]), what));
    if (length > text.size()) {
      return DataLoss("{}: a text has {} bytes of {}", what, text.size(), length);
    }
    texts.push_back(until_zero(text.first(length)));
  }
  return texts;
}

absl::StatusOr<Bytes> Hdf5File::ReadHeapText(uint64_t address, uint32_t number,
                                             std::string_view what) {
  constexpr uint64_t kHeader = 16;
  HeapIndex& index = heaps_[address];
  if (index.empty()) {
    ASSIGN_OR_RETURN(const Bytes header, Sub(bytes_, address, kHeader, what));
    if (!StartsWith(header, "GCOL")) {
      return DataLoss("{}: has no texts at byte {}", what, address);
    }
    const uint64_t size = LoadLittleEndian<uint64_t>(&header[8]);
    ASSIGN_OR_RETURN(const Bytes collection, At(address, size, what));
    for (uint64_t at = kHeader;
         collection.size() >= kHeader && at <= collection.size() - kHeader;) {
      const uint16_t id = LoadLittleEndian<uint16_t>(&collection[at]);
      if (id == 0) break;  // free space
      const uint64_t bytes = LoadLittleEndian<uint64_t>(&collection[at + 8]);
      ASSIGN_OR_RETURN(const Bytes object, Sub(collection, at + kHeader, bytes, what));
      index.emplace(id, object);
      at += kHeader + RoundUp(bytes, 8);
    }
    index.emplace(0, Bytes());
  }
  const auto found = index.find(static_cast<uint16_t>(number));
  if (number > 0xffff || found == index.end()) {
    return DataLoss("{}: the texts at byte {} have no number {}", what, address, number);
  }
  if (found->second.size() > budget_) {
    return DataLoss("{}: its texts are read over and over", what);
  }
  budget_ -= found->second.size();
  return found->second;
}

}  // namespace oriel::checkpoint
