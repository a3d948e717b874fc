#include "engine/ops/resize.h"

#include "engine/ops/setups.h"

namespace oriel::engine {
namespace {

using image::PixelGrid;
using image::ResizeMethod;

absl::StatusOr<PixelGrid> ReadGrid(const OpSetup& setup) {
  ASSIGN_OR_RETURN(const bool align,
                   graph::GetBoolOr(setup.node(), "align_corners", false));
  ASSIGN_OR_RETURN(const bool centers,
                   graph::GetBoolOr(setup.node(), "half_pixel_centers", false));
  if (align && centers) {
    return setup.Invalid("has align_corners and half_pixel_centers, want one of them");
  }
  return align     ? PixelGrid::kAlignCorners
         : centers ? PixelGrid::kHalfPixelCenters
                   : PixelGrid::kLegacy;
}

absl::Status SetupResizeBy(OpSetup& setup, ResizeMethod method) {
  RETURN_IF_ERROR(setup.WantInputs(2));
  RETURN_IF_ERROR(setup.WantRank(0, 4, "the image"));
  if (setup.dtype(0) != DType::kUInt8) RETURN_IF_ERROR(setup.WantFloat(0));
  ASSIGN_OR_RETURN(const std::vector<int64_t> size, setup.Integers(1, "the size"));
  const Shape& src = setup.shape(0);
  constexpr int64_t kMost = 1 << 20;
  bool fits = size.size() == 2;
  for (const int64_t side : size) fits = fits && side >= 1 && side <= kMost;
  if (!fits) return setup.Invalid("cannot resize to [{}]", fmt::join(size, ","));
  for (int i = 1; i < 4; ++i) {
    if (src.dim(i) < 1 || src.dim(i) > kMost) {
      return setup.Invalid("cannot resize an image of {}", src.ToString());
    }
  }
  ResizeAttrs attrs;
  attrs.method = method;
  ASSIGN_OR_RETURN(attrs.grid, ReadGrid(setup));
  if (method == ResizeMethod::kArea && attrs.grid == PixelGrid::kHalfPixelCenters) {
    return setup.Invalid("ResizeArea has no half_pixel_centers");
  }
  setup.SetAttrs(attrs);
  setup.KeepInputs({0});
  const DType dtype = method == ResizeMethod::kNearest ? setup.dtype(0) : DType::kFloat32;
  return setup.AddOutput(dtype, Shape{src.dim(0), size[0], size[1], src.dim(3)});
}

}  // namespace

template <ResizeMethod kMethod>
absl::Status SetupResize(OpSetup& setup) {
  return SetupResizeBy(setup, kMethod);
}
template absl::Status SetupResize<ResizeMethod::kBilinear>(OpSetup& setup);
template absl::Status SetupResize<ResizeMethod::kNearest>(OpSetup& setup);
template absl::Status SetupResize<ResizeMethod::kBicubic>(OpSetup& setup);
template absl::Status SetupResize<ResizeMethod::kArea>(OpSetup& setup);

}  // namespace oriel::engine
