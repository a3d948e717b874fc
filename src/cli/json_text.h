// Our values in Boost.JSON's types.
#pragma once

#include <boost/json.hpp>
#include <string_view>

#include "base/utf8.h"
#include "tensor/shape.h"

namespace oriel::cli {

// JSON is UTF-8; names and paths are bytes (Printable).
inline boost::json::string JsonText(std::string_view text) {
  return boost::json::string(Printable(text));
}

inline boost::json::array JsonShape(const Shape& shape) {
  boost::json::array dims;
  for (const int64_t d : shape.dims()) dims.push_back(d);
  return dims;
}

}  // namespace oriel::cli
