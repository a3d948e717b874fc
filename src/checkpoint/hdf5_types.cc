#include "checkpoint/hdf5_types.h"

#include <algorithm>
#include <array>

namespace oriel::checkpoint {
namespace {

constexpr int kMaxRank = 32;  // HDF5's own
constexpr int64_t kMaxDim = int64_t{1} << 40;
constexpr int kMaxFilters = 32;

enum TypeClass {
  kFixedPoint = 0,
  kFloatingPoint = 1,
  kString = 3,
  kOpaque = 5,
  kEnum = 8,
  kVariableLength = 9
};

std::optional<DType> IntegerType(uint32_t size, bool is_signed) {
  switch (size) {
    case 1:
      return is_signed ? DType::kInt8 : DType::kUInt8;
    case 2:
      return is_signed ? DType::kInt16 : DType::kUInt16;
    case 4:
      return is_signed ? DType::kInt32 : DType::kUInt32;
    case 8:
      return is_signed ? DType::kInt64 : DType::kUInt64;
    default:
      return std::nullopt;
  }
}

// IEEE 754's layouts: exponent's and mantissa's place and size, bias, sign's place.
struct FloatRow {
  uint32_t size;
  uint8_t exponent_at, exponent_bits, mantissa_bits;
  uint32_t bias;
  DType dtype;
};
constexpr std::array kFloats = {
    FloatRow{2, 10, 5, 10, 15, DType::kFloat16},
    FloatRow{4, 23, 8, 23, 127, DType::kFloat32},
    FloatRow{8, 52, 11, 52, 1023, DType::kFloat64},
    FloatRow{2, 7, 8, 7, 127, DType::kBFloat16},
};

absl::Status ParseFixedPoint(ByteReader& reader, uint32_t flags, Hdf5Type& type) {
  ASSIGN_OR_RETURN(const uint16_t offset, reader.Read<uint16_t>());
  ASSIGN_OR_RETURN(const uint16_t precision, reader.Read<uint16_t>());
  const bool is_signed = flags & 8;
  type.kind = Hdf5Type::Kind::kNumber;
  type.big_endian = flags & 1;
  type.title = fmt::format("{}-byte integers", type.size);
  const auto dtype = IntegerType(type.size, is_signed);
  const bool whole = offset == 0 && precision == 8 * type.size;
  if (dtype && whole) type.dtype = dtype;
  return absl::OkStatus();
}

absl::Status ParseFloatingPoint(ByteReader& reader, uint32_t flags, Hdf5Type& type) {
  ASSIGN_OR_RETURN(const Bytes p, reader.Take(12));
  type.kind = Hdf5Type::Kind::kNumber;
  type.big_endian = flags & 1;
  const bool of_vax = flags & 0x40;
  type.title = fmt::format("{}-byte floats", type.size);
  const auto field = [&](size_t at) { return LoadLittleEndian<uint16_t>(&p[at]); };
  for (const FloatRow& row : kFloats) {
    // offset 0, full precision, the sign on top, the mantissa at the bottom with an
    // implied leading bit (normalization 2)
    if (type.size == row.size && !of_vax && field(0) == 0 && field(2) == 8 * row.size &&
        p[4] == row.exponent_at && p[5] == row.exponent_bits && p[6] == 0 &&
        p[7] == row.mantissa_bits && LoadLittleEndian<uint32_t>(&p[8]) == row.bias &&
        ((flags >> 8) & 0xff) == 8 * row.size - 1 && ((flags >> 4) & 3) == 2) {
      type.dtype = row.dtype;
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Hdf5Type> ParseHdf5Type(Bytes bytes, std::string_view what) {
  ByteReader reader(bytes, what);
  ASSIGN_OR_RETURN(const uint32_t head, reader.Read<uint32_t>());
  Hdf5Type type;
  ASSIGN_OR_RETURN(type.size, reader.Read<uint32_t>());
  const uint32_t version = (head >> 4) & 15, flags = head >> 8;
  if (version < 1 || version > 4) {
    return DataLoss("{}: has a type of version {}", what, version);
  }
  if (type.size == 0) return DataLoss("{}: has elements of 0 bytes", what);
  switch (head & 15) {
    case kFixedPoint:
      RETURN_IF_ERROR(ParseFixedPoint(reader, flags, type));
      break;
    case kFloatingPoint:
      RETURN_IF_ERROR(ParseFloatingPoint(reader, flags, type));
      break;
    case kString:
      type.kind = Hdf5Type::Kind::kText;
      type.title = "texts";
      break;
    case kOpaque:
      type.kind = Hdf5Type::Kind::kOpaque;
      type.title = "opaque bytes";
      break;
    case kVariableLength:
      type.title = "variable-length arrays";
      if ((flags & 15) == 1) {
        type.kind = Hdf5Type::Kind::kVariableText;
        type.title = "texts";
      }
      break;
    case kEnum:
      type.title = "an enumeration";
      break;
    default:
      type.title = fmt::format("HDF5's class {}", head & 15);
  }
  return type;
}

absl::StatusOr<Shape> ParseHdf5Shape(Bytes bytes, std::string_view what) {
  ByteReader reader(bytes, what);
  ASSIGN_OR_RETURN(const uint8_t version, reader.Read<uint8_t>());
  ASSIGN_OR_RETURN(const uint8_t rank, reader.Read<uint8_t>());
  ASSIGN_OR_RETURN([[maybe_unused]] const uint8_t flags, reader.Read<uint8_t>());
  ASSIGN_OR_RETURN(const uint8_t kind, reader.Read<uint8_t>());
  constexpr uint8_t kNull = 2;
  if (version == 1) {
    RETURN_IF_ERROR(reader.Take(4).status());
  } else if (version != 2) {
    return DataLoss("{}: has a shape of version {}", what, version);
  } else if (kind == kNull) {
    return Shape{0};
  }
  if (rank > kMaxRank) return DataLoss("{}: has {} dimensions", what, rank);
  std::vector<int64_t> dims;
  for (int d = 0; d < rank; ++d) {
    ASSIGN_OR_RETURN(const uint64_t size, reader.Read<uint64_t>());
    if (size > kMaxDim) return DataLoss("{}: has a dimension of {}", what, size);
    dims.push_back(static_cast<int64_t>(size));
  }
  return Shape(std::move(dims));
}

absl::StatusOr<std::vector<Hdf5Dataset::Filter>> ParseHdf5Filters(Bytes bytes,
                                                                  std::string_view what) {
  ByteReader reader(bytes, what);
  ASSIGN_OR_RETURN(const uint8_t version, reader.Read<uint8_t>());
  ASSIGN_OR_RETURN(const uint8_t count, reader.Read<uint8_t>());
  if (version < 1 || version > 2 || count > kMaxFilters) {
    return DataLoss("{}: has {} filters, version {}", what, count, version);
  }
  if (version == 1) RETURN_IF_ERROR(reader.Take(6).status());
  std::vector<Hdf5Dataset::Filter> filters;
  for (int i = 0; i < count; ++i) {
    constexpr uint16_t kGzip = 1, kShuffle = 2, kFirstOfOthers = 256;
    ASSIGN_OR_RETURN(const uint16_t id, reader.Read<uint16_t>());
    uint16_t name_bytes = 0;
    if (version == 1 || id >= kFirstOfOthers) {
      ASSIGN_OR_RETURN(name_bytes, reader.Read<uint16_t>());
    }
    RETURN_IF_ERROR(reader.Take(2).status());  // flags
    ASSIGN_OR_RETURN(const uint16_t values, reader.Read<uint16_t>());
    const uint64_t padded = version == 1 ? RoundUp(uint64_t{name_bytes}, 8) : name_bytes;
    RETURN_IF_ERROR(reader.Take(padded).status());
    const uint64_t padding = version == 1 && values % 2 == 1 ? 4 : 0;
    RETURN_IF_ERROR(reader.Take(4 * uint64_t{values} + padding).status());
    if (id != kGzip && id != kShuffle) {
      return Unimplemented(
          "{}: is stored with HDF5's filter {}; only gzip and shuffle "
          "are read",
          what, id);
    }
    filters.push_back(id == kGzip ? Hdf5Dataset::Filter::kGzip
                                  : Hdf5Dataset::Filter::kShuffle);
  }
  return filters;
}

absl::StatusOr<Hdf5Layout> ParseHdf5Layout(Bytes bytes, std::string_view what) {
  ByteReader reader(bytes, what);
  ASSIGN_OR_RETURN(const uint8_t version, reader.Read<uint8_t>());
  ASSIGN_OR_RETURN(const uint8_t kind, reader.Read<uint8_t>());
  if (version != 3 && version != 4) {
    return Unimplemented("{}: has a data layout of version {}, want 3 or 4", what,
                         version);
  }
  Hdf5Layout layout;
  switch (kind) {
    case 0: {
      layout.kind = Hdf5Layout::Kind::kCompact;
      ASSIGN_OR_RETURN(const uint16_t size, reader.Read<uint16_t>());
      ASSIGN_OR_RETURN(layout.compact, reader.Take(size));
      return layout;
    }
    case 1: {
      layout.kind = Hdf5Layout::Kind::kContiguous;
      ASSIGN_OR_RETURN(layout.address, reader.Read<uint64_t>());
      ASSIGN_OR_RETURN(layout.size, reader.Read<uint64_t>());
      return layout;
    }
    case 2:
      break;
    default:
      return Unimplemented("{}: is a virtual dataset, whose data lie in other files",
                           what);
  }
  if (version == 4) {
    return Unimplemented(
        "{}: has chunks as libver='latest' indexes them; save the file "
        "with h5py's defaults",
        what);
  }
  layout.kind = Hdf5Layout::Kind::kChunked;
  ASSIGN_OR_RETURN(const uint8_t rank, reader.Read<uint8_t>());
  if (rank < 1 || rank > kMaxRank + 1) {
    return DataLoss("{}: has chunks of {} dimensions", what, rank);
  }
  ASSIGN_OR_RETURN(layout.address, reader.Read<uint64_t>());
  for (int d = 0; d < rank; ++d) {
    ASSIGN_OR_RETURN(const uint32_t size, reader.Read<uint32_t>());
    if (size == 0) return DataLoss("{}: has empty chunks", what);
    layout.chunk.push_back(size);
  }
  return layout;
}

absl::StatusOr<std::optional<Hdf5NamedAttribute>> ParseHdf5Attribute(
    Bytes bytes, std::string_view what) {
  ByteReader reader(bytes, what);
  ASSIGN_OR_RETURN(const uint8_t version, reader.Read<uint8_t>());
  ASSIGN_OR_RETURN(const uint8_t flags, reader.Read<uint8_t>());
  ASSIGN_OR_RETURN(const uint16_t name_bytes, reader.Read<uint16_t>());
  ASSIGN_OR_RETURN(const uint16_t type_bytes, reader.Read<uint16_t>());
  ASSIGN_OR_RETURN(const uint16_t shape_bytes, reader.Read<uint16_t>());
  if (version < 1 || version > 3) {
    return DataLoss("{}: has an attribute of version {}", what, version);
  }
  if (version == 3) RETURN_IF_ERROR(reader.Take(1).status());  // character set
  const auto take = [&](uint64_t size) {
    return reader.Take(version == 1 ? RoundUp(size, 8) : size);
  };
  ASSIGN_OR_RETURN(const Bytes name, take(name_bytes));
  ASSIGN_OR_RETURN(const Bytes type, take(type_bytes));
  ASSIGN_OR_RETURN(const Bytes shape, take(shape_bytes));
  if (version > 1 && flags != 0) return std::nullopt;  // shared types
  Hdf5NamedAttribute parsed;
  parsed.name = AsStringView(name);
  parsed.name = parsed.name.substr(0, parsed.name.find('\0'));
  ASSIGN_OR_RETURN(parsed.attribute.type, ParseHdf5Type(type, what));
  ASSIGN_OR_RETURN(parsed.attribute.shape, ParseHdf5Shape(shape, what));
  ASSIGN_OR_RETURN(
      const int64_t elements,
      CheckedElements(parsed.attribute.shape, parsed.attribute.type.size, what));
  ASSIGN_OR_RETURN(parsed.attribute.bytes, reader.Take(static_cast<uint64_t>(elements) *
                                                       parsed.attribute.type.size));
  return parsed;
}

}  // namespace oriel::checkpoint
