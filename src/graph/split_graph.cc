#include "graph/split_graph.h"

#include <algorithm>
#include <optional>

namespace oriel::graph {
namespace {

// Field numbers of TensorFlow's messages.
constexpr uint32_t kGraphNode = 1;
constexpr uint32_t kNodeName = 1, kNodeOp = 2, kNodeAttr = 5;
constexpr uint32_t kEntryKey = 1, kEntryValue = 2;  // of every map
constexpr uint32_t kAttrTensor = 8;
constexpr uint32_t kTensorContent = 4;

constexpr uint32_t kLengthDelimited = 2;

struct Field {
  uint32_t number = 0;
  bool is_bytes = false;
  Bytes bytes;  // of a length-delimited field: without tag and length
  Bytes whole;  // with them
};

// The fields of a message, one after the other.
class Fields {
 public:
  Fields(Bytes message, std::string_view what)
      : message_(message), reader_(message, what), what_(what) {}

  bool done() const { return reader_.done(); }

  absl::StatusOr<Field> Next() {
    const size_t begin = reader_.offset();
    ASSIGN_OR_RETURN(const uint64_t tag, reader_.ReadVarint());
    Field field;
    field.number = static_cast<uint32_t>(tag >> 3);
    if (tag >> 3 == 0 || tag >> 32 != 0) return Malformed(begin);
    switch (tag & 7) {
      case 0:
        RETURN_IF_ERROR(reader_.ReadVarint().status());
        break;
      case 1:
        RETURN_IF_ERROR(reader_.Take(8).status());
        break;
      case kLengthDelimited: {
        ASSIGN_OR_RETURN(const uint64_t size, reader_.ReadVarint());
        ASSIGN_OR_RETURN(field.bytes, reader_.Take(size));
        field.is_bytes = true;
        break;
      }
      case 5:
        RETURN_IF_ERROR(reader_.Take(4).status());
        break;
      default:  // groups, which these messages never had
        return Malformed(begin);
    }
    field.whole = message_.subspan(begin, reader_.offset() - begin);
    return field;
  }

 private:
  absl::Status Malformed(size_t offset) const {
    return DataLoss("{}: is no protobuf message at byte {} of {}", what_, offset,
                    message_.size());
  }

  Bytes message_;
  ByteReader reader_;
  std::string_view what_;
};

// The only field of this number; nullopt: there is none, or several, or it is of
// another kind.
absl::StatusOr<std::optional<Bytes>> OnlyField(Bytes message, uint32_t number,
                                               std::string_view what) {
  std::optional<Bytes> found;
  for (Fields fields(message, what); !fields.done();) {
    ASSIGN_OR_RETURN(const Field field, fields.Next());
    if (field.number != number) continue;
    if (found || !field.is_bytes) return std::optional<Bytes>();
    found = field.bytes;
  }
  return found;
}

// The messages around the content of a Const node's value, from the outermost in.
struct ConstNode {
  std::string_view name;
  Bytes entry, attr, tensor, content;
};

absl::StatusOr<std::optional<ConstNode>> FindContent(Bytes node, std::string_view what) {
  const std::optional<ConstNode> none;
  ConstNode found;
  ASSIGN_OR_RETURN(const auto op, OnlyField(node, kNodeOp, what));
  if (!op || AsStringView(*op) != "Const") return none;
  ASSIGN_OR_RETURN(const auto name, OnlyField(node, kNodeName, what));
  if (!name) return none;
  found.name = AsStringView(*name);
  int values = 0;
  for (Fields fields(node, what); !fields.done();) {
    ASSIGN_OR_RETURN(const Field field, fields.Next());
    if (field.number != kNodeAttr || !field.is_bytes) continue;
    ASSIGN_OR_RETURN(const auto key, OnlyField(field.bytes, kEntryKey, what));
    if (!key) return none;
    if (AsStringView(*key) != "value") continue;
    ++values;
    found.entry = field.bytes;
  }
  if (values != 1) return none;
  ASSIGN_OR_RETURN(const auto attr, OnlyField(found.entry, kEntryValue, what));
  if (!attr) return none;
  ASSIGN_OR_RETURN(const auto tensor, OnlyField(*attr, kAttrTensor, what));
  if (!tensor) return none;
  ASSIGN_OR_RETURN(const auto content, OnlyField(*tensor, kTensorContent, what));
  if (!content) return none;
  found.attr = *attr;
  found.tensor = *tensor;
  found.content = *content;
  return std::optional<ConstNode>(found);
}

void AppendVarint(uint64_t value, std::string& to) {
  for (; value >= 0x80; value >>= 7) to += static_cast<char>(value | 0x80);
  to += static_cast<char>(value);
}

void AppendField(uint32_t number, std::string_view bytes, std::string& to) {
  AppendVarint(uint64_t{number} << 3 | kLengthDelimited, to);
  AppendVarint(bytes.size(), to);
  to += bytes;
}

// The message with `replacement` in the place of the field whose bytes are `field`;
// without the field where there is no replacement.
absl::StatusOr<std::string> Replace(Bytes message, Bytes field,
                                    std::optional<std::string_view> replacement,
                                    std::string_view what) {
  std::string result;
  for (Fields fields(message, what); !fields.done();) {
    ASSIGN_OR_RETURN(const Field next, fields.Next());
    if (!next.is_bytes || next.bytes.data() != field.data()) {
      result += AsStringView(next.whole);
    } else if (replacement) {
      AppendField(next.number, *replacement, result);
    }
  }
  return result;
}

absl::StatusOr<std::string> WithoutContent(Bytes node, const ConstNode& found,
                                           std::string_view what) {
  ASSIGN_OR_RETURN(const std::string tensor,
                   Replace(found.tensor, found.content, std::nullopt, what));
  ASSIGN_OR_RETURN(const std::string attr,
                   Replace(found.attr, found.tensor, tensor, what));
  ASSIGN_OR_RETURN(const std::string entry, Replace(found.entry, found.attr, attr, what));
  return Replace(node, found.entry, entry, what);
}

}  // namespace

absl::StatusOr<SplitGraph> SplitGraphDef(Bytes serialized, std::string_view what,
                                         uint64_t least) {
  SplitGraph split;
  for (Fields fields(serialized, what); !fields.done();) {
    ASSIGN_OR_RETURN(const Field field, fields.Next());
    std::optional<ConstNode> found;
    if (field.number == kGraphNode && field.is_bytes && field.bytes.size() >= least) {
      ASSIGN_OR_RETURN(found, FindContent(field.bytes, what));
    }
    if (!found || found->content.size() < std::max<uint64_t>(least, 1)) {
      split.graph += AsStringView(field.whole);
      continue;
    }
    ASSIGN_OR_RETURN(const std::string node, WithoutContent(field.bytes, *found, what));
    AppendField(kGraphNode, node, split.graph);
    split.contents.push_back(
        {.node = std::string(found->name),
         .offset = static_cast<uint64_t>(found->content.data() - serialized.data()),
         .size = found->content.size()});
  }
  return split;
}

}  // namespace oriel::graph
