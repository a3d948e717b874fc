#include "engine/ops/resize.h"

#include <algorithm>
#include <cstdlib>
#include <numeric>

#include "engine/ref/kernels.h"

namespace oriel::engine::ref {
namespace {

// Setup has checked all that could fail.
void Check(const absl::Status& status) {
  if (!status.ok()) std::abort();
}

template <typename T>
image::BasicView<T> ViewOf(const ConstArray& images, int64_t n) {
  const Shape& shape = images.shape;
  const int64_t row = shape.dim(2) * shape.dim(3);
  return {.data = images.as<T>() + n * shape.dim(1) * row,
          .height = static_cast<int>(shape.dim(1)),
          .width = static_cast<int>(shape.dim(2)),
          .channels = static_cast<int>(shape.dim(3)),
          .row_stride = row};
}

// From bytes; nearest neighbours stay bytes.
void ResizeBytes(const ResizeAttrs& attrs, const ConstArray& in, int64_t n, int height,
                 int width, const Array& out) {
  image::ByteValues values;
  std::iota(values.begin(), values.end(), 0.0f);
  const image::ImageView src = ViewOf<uint8_t>(in, n);
  const auto count = static_cast<size_t>(height) * width * src.channels;
  if (attrs.method != image::ResizeMethod::kNearest) {
    return Check(image::Resize(src, values, attrs.method, attrs.grid, height, width,
                               {out.as<float>() + n * count, count}));
  }
  std::vector<float> resized(count);
  Check(image::Resize(src, values, attrs.method, attrs.grid, height, width, resized));
  std::copy(resized.begin(), resized.end(), out.as<uint8_t>() + n * count);
}

}  // namespace

void Resize(const Op& op, Inputs in, Outputs out) {
  const auto& attrs = op.attrs_as<ResizeAttrs>();
  const auto height = static_cast<int>(out[0].shape.dim(1));
  const auto width = static_cast<int>(out[0].shape.dim(2));
  for (int64_t n = 0; n < in[0].shape.dim(0); ++n) {
    if (in[0].dtype == DType::kUInt8) {
      ResizeBytes(attrs, in[0], n, height, width, out[0]);
      continue;
    }
    const image::FloatView src = ViewOf<float>(in[0], n);
    const auto count = static_cast<size_t>(height) * width * src.channels;
    Check(image::Resize(src, attrs.method, attrs.grid, height, width,
                        {out[0].as<float>() + n * count, count}));
  }
}

}  // namespace oriel::engine::ref
