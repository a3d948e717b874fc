#include "tensor/npy.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "base/files.h"

namespace oriel {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";

struct Descr {
  DType dtype;
  std::string_view code;
};
constexpr std::array<Descr, 14> kDescrs = {{
    {DType::kFloat32, "<f4"},
    {DType::kFloat64, "<f8"},
    {DType::kFloat16, "<f2"},
    {DType::kInt32, "<i4"},
    {DType::kInt64, "<i8"},
    {DType::kInt16, "<i2"},
    {DType::kInt8, "|i1"},
    {DType::kUInt8, "|u1"},
    {DType::kUInt16, "<u2"},
    {DType::kUInt32, "<u4"},
    {DType::kUInt64, "<u8"},
    {DType::kBool, "|b1"},
    {DType::kComplex64, "<c8"},
    {DType::kComplex128, "<c16"},
}};

// The text after `'key':` in the header's dict, up to where `end` says.
std::optional<std::string_view> Value(std::string_view header, std::string_view key) {
  for (const char quote : {'\'', '"'}) {
    const std::string quoted = fmt::format("{}{}{}", quote, key, quote);
    size_t at = header.find(quoted);
    if (at == std::string_view::npos) continue;
    at = header.find_first_not_of(' ', at + quoted.size());
    if (at == std::string_view::npos || header[at] != ':') continue;
    at = header.find_first_not_of(' ', at + 1);
    if (at == std::string_view::npos) continue;
    return header.substr(at);
  }
  return std::nullopt;
}

struct ElementType {
  DType dtype;
  bool big_endian;
};

std::optional<ElementType> ParseDescr(std::string_view value) {
  if (value.size() < 2 || (value[0] != '\'' && value[0] != '"')) return std::nullopt;
  const size_t end = value.find(value[0], 1);
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view code = value.substr(1, end - 1);
  if (code.empty() || std::string_view("<>=|").find(code[0]) == std::string_view::npos)
    return std::nullopt;
  for (const Descr& d : kDescrs) {
    if (d.code.substr(1) == code.substr(1)) return ElementType{d.dtype, code[0] == '>'};
  }
  return std::nullopt;
}

std::optional<Shape> ParseShape(std::string_view value) {
  if (value.empty() || value[0] != '(') return std::nullopt;
  const size_t end = value.find(')');
  if (end == std::string_view::npos) return std::nullopt;
  std::vector<int64_t> dims;
  std::string_view list = value.substr(1, end - 1);
  while (true) {
    const size_t start = list.find_first_not_of(" ,");
    if (start == std::string_view::npos) return Shape(std::move(dims));
    list.remove_prefix(start);
    int64_t dim = 0;
    const auto [next, error] =
        std::from_chars(list.data(), list.data() + list.size(), dim);
    if (error != std::errc() || dim < 0) return std::nullopt;
    dims.push_back(dim);
    list.remove_prefix(next - list.data());
  }
}

// Fortran-order elements to C order.
Tensor Transposed(DType dtype, const Shape& shape, Bytes from) {
  Tensor tensor(dtype, shape);
  const size_t size = ElementSize(dtype);
  const auto to = tensor.mutable_bytes();
  std::vector<int64_t> index(shape.rank(), 0);
  for (size_t i = 0; i < static_cast<size_t>(shape.elements()); ++i) {
    size_t offset = 0;
    size_t stride = 1;
    for (int d = 0; d < shape.rank(); ++d) {
      offset += index[d] * stride;
      stride *= shape.dim(d);
    }
    std::memcpy(to.data() + i * size, from.data() + offset * size, size);
    for (int d = shape.rank() - 1; d >= 0 && ++index[d] == shape.dim(d); --d)
      index[d] = 0;
  }
  return tensor;
}

// Turns the bytes of each number round; a complex one is two numbers.
void SwapBytes(Tensor& tensor) {
  size_t size = ElementSize(tensor.dtype());
  if (tensor.dtype() == DType::kComplex64 || tensor.dtype() == DType::kComplex128) {
    size /= 2;
  }
  const auto bytes = tensor.mutable_bytes();
  for (size_t i = 0; i < bytes.size(); i += size) {
    std::reverse(bytes.begin() + i, bytes.begin() + i + size);
  }
}

}  // namespace

absl::StatusOr<Tensor> ParseNpy(Bytes bytes, std::string_view what) {
  ByteReader reader(bytes, what);
  const auto magic = reader.Take(kMagic.size());
  if (!magic.ok() || AsStringView(*magic) != kMagic) {
    return InvalidArgument("{}: is not a .npy file (no NUMPY magic)", what);
  }
  ASSIGN_OR_RETURN(const uint8_t major, reader.Read<uint8_t>());
  RETURN_IF_ERROR(reader.Read<uint8_t>().status());
  if (major < 1 || major > 3) {
    return InvalidArgument("{}: .npy version {}, want 1 to 3", what, major);
  }
  uint32_t header_size = 0;
  if (major == 1) {
    ASSIGN_OR_RETURN(header_size, reader.Read<uint16_t>());
  } else {
    ASSIGN_OR_RETURN(header_size, reader.Read<uint32_t>());
  }
  ASSIGN_OR_RETURN(const Bytes header_bytes, reader.Take(header_size));
  const std::string_view header = AsStringView(header_bytes);

  const auto descr = Value(header, "descr");
  const auto order = Value(header, "fortran_order");
  const auto shape_text = Value(header, "shape");
  if (!descr || !order || !shape_text) {
    return DataLoss("{}: .npy header lacks descr, fortran_order or shape: {}", what,
                    header);
  }
  const auto type = ParseDescr(*descr);
  if (!type) {
    return InvalidArgument("{}: .npy type {} is not supported", what,
                           descr->substr(0, descr->find(',')));
  }
  const auto shape = ParseShape(*shape_text);
  if (!shape) return DataLoss("{}: .npy header has no shape: {}", what, header);
  const size_t size = ElementSize(type->dtype);
  ASSIGN_OR_RETURN(const int64_t elements, CheckedElements(*shape, size, what));
  ASSIGN_OR_RETURN(const Bytes data, reader.Take(static_cast<uint64_t>(elements) * size));
  Tensor tensor;
  if (order->starts_with("True")) {
    tensor = Transposed(type->dtype, *shape, data);
  } else {
    tensor = Tensor(type->dtype, *shape);
    std::copy(data.begin(), data.end(), tensor.mutable_bytes().begin());
  }
  if (type->big_endian) SwapBytes(tensor);
  return tensor;
}

absl::StatusOr<Tensor> ReadNpy(const std::filesystem::path& path) {
  ASSIGN_OR_RETURN(const std::string contents, ReadFile(path, uint64_t{8} << 30));
  return ParseNpy(AsBytes(contents), path.string());
}

absl::StatusOr<std::string> FormatNpyHeader(DType dtype, const Shape& shape,
                                            size_t min_size) {
  const Descr* descr = nullptr;
  for (const Descr& d : kDescrs) {
    if (d.dtype == dtype) descr = &d;
  }
  if (descr == nullptr) {
    return InvalidArgument("NumPy has no type for {}", DTypeName(dtype));
  }
  std::string dims;
  for (const int64_t d : shape.dims()) dims += fmt::format("{}, ", d);
  if (shape.rank() > 1) dims.resize(dims.size() - 2);
  if (shape.rank() == 1) dims.resize(dims.size() - 1);
  std::string header = fmt::format(
      "{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", descr->code, dims);
  // Magic, version and length take 10 bytes, the newline one; the data starts at a
  // multiple of 64.
  const size_t size =
      std::max(RoundUp(10 + header.size() + 1, 64), RoundUp(min_size, 64));
  header.append(size - 10 - header.size() - 1, ' ');
  header += '\n';
  std::string file(kMagic);
  file += '\x01';
  file += '\0';
  file += static_cast<char>(header.size() & 0xff);
  file += static_cast<char>(header.size() >> 8);
  file += header;
  return file;
}

absl::StatusOr<std::string> FormatNpy(const Tensor& tensor) {
  ASSIGN_OR_RETURN(std::string file, FormatNpyHeader(tensor.dtype(), tensor.shape()));
  file += AsStringView(tensor.bytes());
  return file;
}

absl::Status WriteNpy(const std::filesystem::path& path, const Tensor& tensor) {
  ASSIGN_OR_RETURN(const std::string file, FormatNpy(tensor));
  return WriteFileAtomically(path, file);
}

}  // namespace oriel
