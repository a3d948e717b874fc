// Convolution by Winograd's minimal filtering (Lavin and Gray, 2016; see
// winograd_matrices.h): tiles of the image are transformed, multiplied point by point
// of the transformed domain as matrices [tiles, in] x [in, out], and transformed back.
// Each thread takes its tiles through all three in blocks that its cache holds.

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "engine/kernels/conv.h"
#include "engine/kernels/panels.h"
#include "engine/kernels/scratch.h"
#include "engine/kernels/winograd_matrices.h"

namespace oriel::engine::kernels {
namespace {

// One algorithm in the numbers that this file needs.
struct Variant {
  const char* name;
  int outputs, taps, points;  // along an axis
  bool square;                // along both
  const double* filter;       // G, [points][taps]
};

constexpr Variant kVariants[kWinogradKinds] = {
    {"winograd F(4x4,3x3)", 4, 3, 6, true, &kWinogradF4_3.filter[0][0]},
    {"winograd F(6,7)", 6, 7, 12, false, &kWinogradF6_7.filter[0][0]},
    {"winograd F(4,7)", 4, 7, 10, false, &kWinogradF4_7.filter[0][0]},
    {"winograd F(4,3)", 4, 3, 6, false, &kWinogradF4_3.filter[0][0]},
};

const Variant& VariantOf(WinogradKind kind) { return kVariants[static_cast<int>(kind)]; }

constexpr int kMaxPoints = 36;  // of a tile

// How a shape's image is cut into tiles.
struct Domain {
  int tile_h = 1, tile_w = 1;      // outputs
  int points_h = 1, points_w = 1;  // inputs
  int points = 1;
  int64_t tiles_y = 0, tiles_x = 0, tiles = 0;
};

Domain DomainOf(const ConvShape& shape, const Variant& variant) {
  Domain d;
  if (shape.kernel_h > 1) d.tile_h = variant.outputs, d.points_h = variant.points;
  if (shape.kernel_w > 1) d.tile_w = variant.outputs, d.points_w = variant.points;
  d.points = d.points_h * d.points_w;
  d.tiles_y = (shape.dst_h + d.tile_h - 1) / d.tile_h;
  d.tiles_x = (shape.dst_w + d.tile_w - 1) / d.tile_w;
  d.tiles = shape.batch * d.tiles_y * d.tiles_x;
  return d;
}

class WinogradConv : public Conv {
 public:
  WinogradConv(const ConvShape& shape, WinogradKind kind, const Tiling& tiling,
               const KernelTable& table)
      : shape_(shape),
        variant_(VariantOf(kind)),
        table_(table),
        input_(table.winograd_input[static_cast<int>(kind)]),
        output_(table.winograd_output[static_cast<int>(kind)]),
        domain_(DomainOf(shape, variant_)),
        block_(tiling.block),
        panels_(tiling.panels),
        grid_(tiling.grid),
        pieces_(grid_, domain_.tiles, block_, panels_.count()) {
    zeros_.assign(std::max(shape.src_c, panels_.width()), 0.0f);
    thread_bytes_ = Carve(nullptr).bytes;
    name_ = fmt::format("{} {}", variant_.name, table.name);
    form_ = fmt::format("{} panels{}", variant_.name, panels_.Form());
  }

  const char* name() const override { return name_.c_str(); }
  const char* weights_form() const override { return form_.c_str(); }
  size_t packed_floats() const override {
    return panels_.width() * (1 + domain_.points * shape_.src_c);
  }

  void Pack(std::span<const float> weights, std::span<const float> bias,
            std::span<float> packed) const override {
    std::fill_n(packed.begin(), panels_.width(), 0.0f);
    std::copy(bias.begin(), bias.end(), packed.begin());
    const int64_t size = shape_.src_c * shape_.dst_c;
    std::vector<float> matrix(size);
    std::vector<double> sums(size);
    for (int point = 0; point < domain_.points; ++point) {
      std::fill(sums.begin(), sums.end(), 0.0);
      for (int64_t y = 0; y < shape_.kernel_h; ++y) {
        for (int64_t x = 0; x < shape_.kernel_w; ++x) {
          const double scale = Filter(domain_.points_h, point / domain_.points_w, y) *
                               Filter(domain_.points_w, point % domain_.points_w, x);
          if (scale == 0) continue;
          const float* tap = weights.data() + (y * shape_.kernel_w + x) * size;
          for (int64_t i = 0; i < size; ++i) sums[i] += scale * tap[i];
        }
      }
      for (int64_t i = 0; i < size; ++i) matrix[i] = static_cast<float>(sums[i]);
      PackPanels(panels_, shape_.src_c, shape_.dst_c, matrix.data(),
                 packed.data() + panels_.width() * (1 + point * shape_.src_c));
    }
  }

  size_t scratch_bytes() const override { return thread_bytes_ * grid_.threads(); }

  int64_t pieces(int thread) const override { return pieces_.count(thread); }

  void Run(const ConvArgs& args, int thread) const override {
    const Work work = Carve(args.scratch + thread * thread_bytes_);
    // Where the transformed tiles lie does not change from block to block.
    for (int64_t i = 0; i < domain_.points * block_; ++i) {
      work.src[i] = work.image + i * shape_.src_c;
      work.dst[i] = work.sums + i * panels_.width();
    }
    const void* const next = args.next != nullptr ? args.next[thread] : nullptr;
    using Piece = GridPieces::Piece;
    ForGridPieces(
        args.queue, thread, pieces_, [&](const Piece& piece, const Piece* then) {
          const Slice slice = SliceOf(piece.panels);
          const int64_t first = piece.positions.begin, size = piece.positions.end - first;
          for (int64_t i = 0; i < size; ++i) TransformInput(args, work, first + i, i);
          for (int point = 0; point < domain_.points; ++point) {
            const void* after = next;
            if (point + 1 < domain_.points) {
              after = args.weights + WeightsAt(point + 1, slice);
            } else if (then != nullptr) {
              after = args.weights + WeightsAt(0, slice);
            }
            Multiply(args, work, point, size, slice, after);
          }
          for (int64_t i = 0; i < size; ++i) {
            TransformOutput(args, work, first + i, i, slice);
          }
        });
  }

  int64_t first_read(int thread) const override {
    const int64_t panel = pieces_.first_panel(thread);
    return WeightsAt(0, SliceOf({panel, panel}));
  }

 private:
  struct Work {
    float* image;  // [points][block][src_c]
    float* sums;   // [points][block][width]
    const float** src;
    float** dst;
    size_t bytes;
  };
  struct Slice {
    Range panels;
    int64_t first = 0, count = 0;  // their output channels
  };

  Slice SliceOf(Range panels) const {
    const int64_t first = panels_.first_channel(panels.begin);
    const int64_t end = std::min(panels_.first_channel(panels.end), shape_.dst_c);
    return {panels, first, end - first};
  }

  // Of the slice's first panel, in the packed weights: behind the biases of all.
  int64_t WeightsAt(int point, const Slice& slice) const {
    return panels_.width() * (1 + point * shape_.src_c) + slice.first * shape_.src_c;
  }

  Work Carve(std::byte* memory) const {
    Scratch scratch(memory);
    Work work;
    work.image = scratch.Take<float>(domain_.points * block_ * shape_.src_c);
    work.sums = scratch.Take<float>(domain_.points * block_ * panels_.width());
    work.src = scratch.Take<const float*>(domain_.points * block_);
    work.dst = scratch.Take<float*>(domain_.points * block_);
    work.bytes = scratch.bytes();
    return work;
  }

  double Filter(int points, int point, int64_t tap) const {
    return points == 1 ? 1.0 : variant_.filter[point * variant_.taps + tap];
  }

  struct Place {
    int64_t image, y, x;  // of the first output pixel
  };
  Place PlaceOf(int64_t tile) const {
    const int64_t in_image = tile % (domain_.tiles_y * domain_.tiles_x);
    return {tile / (domain_.tiles_y * domain_.tiles_x),
            in_image / domain_.tiles_x * domain_.tile_h,
            in_image % domain_.tiles_x * domain_.tile_w};
  }

  void TransformInput(const ConvArgs& args, const Work& work, int64_t tile,
                      int64_t i) const {
    const Place place = PlaceOf(tile);
    const float* image =
        args.src + place.image * shape_.src_h * shape_.src_w * shape_.src_pitch;
    const float* src[kMaxPoints];
    for (int p = 0; p < domain_.points; ++p) {
      const int64_t y = place.y - shape_.pad_top + p / domain_.points_w;
      const int64_t x = place.x - shape_.pad_left + p % domain_.points_w;
      const bool there = y >= 0 && y < shape_.src_h && x >= 0 && x < shape_.src_w;
      src[p] = there ? image + (y * shape_.src_w + x) * shape_.src_pitch : zeros_.data();
    }
    input_({.src = src,
            .channels = static_cast<int>(shape_.src_c),
            .domain = work.image + i * shape_.src_c,
            .stride = block_ * shape_.src_c});
  }

  // `then`: what the thread reads afterwards.
  void Multiply(const ConvArgs& args, const Work& work, int point, int64_t size,
                const Slice& slice, const void* then) const {
    const int64_t k = shape_.src_c;
    const int64_t tiles = (size + panels_.rows - 1) / panels_.rows;
    const Segment segment{0, static_cast<int32_t>(k)};
    TileArgs tile_args;
    tile_args.segments = &segment;
    tile_args.num_segments = 1;
    tile_args.bias = zeros_.data();
    tile_args.low = -std::numeric_limits<float>::infinity();
    tile_args.high = std::numeric_limits<float>::infinity();
    tile_args.channel = slice.first;
    tile_args.weights = args.weights + WeightsAt(point, slice);
    for (int64_t p = slice.panels.begin; p < slice.panels.end; ++p) {
      const int vectors = panels_.vectors[p];
      const int64_t width = int64_t{vectors} * panels_.lanes;
      tile_args.channels = static_cast<int>(width);
      // All tiles together fetch the next panel.
      const float* const behind = tile_args.weights + k * width;
      const auto* const next =
          static_cast<const char*>(p + 1 < slice.panels.end ? behind : then);
      tile_args.prefetch_stride = next == nullptr ? 0 : PrefetchStride(width, tiles);
      for (int64_t t = 0; t < tiles; ++t) {
        const Range rows = Share(size, t, tiles);
        tile_args.src = work.src + point * block_ + rows.begin;
        tile_args.dst = work.dst + point * block_ + rows.begin;
        tile_args.prefetch = next + t * (k / kPrefetchSteps) * tile_args.prefetch_stride;
        table_.tile[vectors][rows.end - rows.begin](tile_args);
      }
      tile_args.channel += width;
      tile_args.weights = behind;
    }
  }

  void TransformOutput(const ConvArgs& args, const Work& work, int64_t tile, int64_t i,
                       const Slice& slice) const {
    const Place place = PlaceOf(tile);
    float* dst[kMaxPoints];
    const float* residual[kMaxPoints];
    for (int p = 0; p < domain_.tile_h * domain_.tile_w; ++p) {
      const int64_t y = place.y + p / domain_.tile_w, x = place.x + p % domain_.tile_w;
      const bool there = y < shape_.dst_h && x < shape_.dst_w;
      const int64_t at = (place.image * shape_.dst_h + y) * shape_.dst_w + x;
      dst[p] = there ? args.dst + at * shape_.dst_pitch + slice.first : nullptr;
      if (there && args.residual != nullptr) {
        residual[p] = args.residual + at * shape_.residual_pitch + slice.first;
      }
    }
    output_({.domain = work.sums + i * panels_.width() + slice.first,
             .stride = block_ * panels_.width(),
             .channels = static_cast<int>(slice.count),
             .bias = args.weights + slice.first,
             .dst = dst,
             .residual = args.residual == nullptr ? nullptr : residual,
             .low = args.low,
             .high = args.high});
  }

  ConvShape shape_;
  const Variant& variant_;
  const KernelTable& table_;
  void (*input_)(const WinogradInputArgs&);
  void (*output_)(const WinogradOutputArgs&);
  Domain domain_;
  int64_t block_ = 0;
  Panels panels_;
  Grid grid_;
  GridPieces pieces_;
  size_t thread_bytes_ = 0;
  std::vector<float> zeros_;
  std::string name_, form_;
};

}  // namespace

std::string_view WinogradName(WinogradKind kind) { return VariantOf(kind).name; }

bool IsWinograd(const ConvShape& shape, WinogradKind kind) {
  const Variant& variant = VariantOf(kind);
  if (shape.stride_h != 1 || shape.stride_w != 1 || shape.dilation_h != 1 ||
      shape.dilation_w != 1) {
    return false;
  }
  const int64_t taps = variant.taps;
  if (variant.square) return shape.kernel_h == taps && shape.kernel_w == taps;
  return (shape.kernel_h == taps && shape.kernel_w == 1) ||
         (shape.kernel_h == 1 && shape.kernel_w == taps);
}

std::unique_ptr<Conv> MakeWinogradConv(const ConvShape& shape, WinogradKind kind,
                                       const Tiling& tiling, const KernelTable& table) {
  return std::make_unique<WinogradConv>(shape, kind, tiling, table);
}

std::vector<Tiling> WinogradTilings(const ConvShape& shape, WinogradKind kind,
                                    int threads, const KernelTable& table) {
  const Domain domain = DomainOf(shape, VariantOf(kind));
  return RankTilings({.positions = domain.tiles,
                      .k = shape.src_c,
                      .channels = shape.dst_c,
                      .points = domain.points,
                      .transformed = true},
                     threads, table);
}

}  // namespace oriel::engine::kernels
