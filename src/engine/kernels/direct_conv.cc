// Convolution by direct sums: an implicit matrix product (Georganas et al., "Anatomy
// of High-Performance Deep Learning Convolutions on SIMD Architectures", 2018) that
// reads the image through pointers to pixels, as an indirection buffer does (Dukhan,
// "The Indirect Convolution Algorithm", 2019), made anew for each block of pixels.

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "engine/kernels/conv.h"
#include "engine/kernels/panels.h"
#include "engine/kernels/scratch.h"

namespace oriel::engine::kernels {
namespace {

class DirectConv : public Conv {
 public:
  DirectConv(const ConvShape& shape, int threads, const KernelTable& table)
      : shape_(shape), table_(table), pixels_(shape.batch * shape.dst_h * shape.dst_w) {
    const TilePlan plan = PlanTiles(pixels_, shape.dst_c, threads, table);
    panels_ = plan.panels;
    grid_ = plan.grid;
    k_ = shape.kernel_h * shape.kernel_w * shape.src_c;
    // The taps of one row are one run of memory for a pixel that has them all.
    rows_merge_ = shape.src_pitch == shape.src_c && shape.dilation_w == 1;
    // Tiles of one column share the taps that they lack.
    by_columns_ = shape.kernel_h == 1 && shape.kernel_w > 1 && shape.stride_w == 1;
    pointwise_ = shape.kernel_h == 1 && shape.kernel_w == 1 && shape.stride_h == 1 &&
                 shape.stride_w == 1 && shape.pad_top == 0 && shape.pad_left == 0 &&
                 shape.src_h == shape.dst_h && shape.src_w == shape.dst_w;
    src_h_ = static_cast<uint64_t>(shape.src_h);
    src_w_ = static_cast<uint64_t>(shape.src_w);
    zeros_.assign(shape.src_c * (rows_merge_ ? shape.kernel_w : 1), 0.0f);
    // What a block of pixels reads stays in the second level cache, beside a panel and
    // the one that is fetched after it.
    const int64_t row_bytes = std::max<int64_t>(k_ * 4, 1);
    const int64_t panel_bytes = row_bytes * panels_.vectors.front() * panels_.lanes;
    const int64_t fit = (SecondLevelCache() * 5 / 8 - 2 * panel_bytes) / row_bytes /
                        panels_.rows * panels_.rows;
    block_ = std::clamp<int64_t>(fit, 4 * panels_.rows, 64 * panels_.rows);
    thread_bytes_ = Carve(nullptr).bytes;
    name_ = fmt::format(
        "direct {}x{} {}", panels_.rows,
        *std::max_element(panels_.vectors.begin(), panels_.vectors.end()) * panels_.lanes,
        table.name);
    form_ = fmt::format("panels{}", table.lanes);
    for (const int v : panels_.vectors) form_ += fmt::format(",{}", v);
  }

  const char* name() const override { return name_.c_str(); }
  const char* weights_form() const override { return form_.c_str(); }
  size_t packed_floats() const override { return panels_.width() * (1 + k_); }

  void Pack(std::span<const float> weights, std::span<const float> bias,
            std::span<float> packed) const override {
    std::fill_n(packed.begin(), panels_.width(), 0.0f);
    std::copy(bias.begin(), bias.end(), packed.begin());
    PackPanels(panels_, k_, shape_.dst_c, weights.data(),
               packed.data() + panels_.width());
  }

  size_t scratch_bytes() const override {
    return thread_bytes_ * grid_.pixels * grid_.panels;
  }

  void Run(const ConvArgs& args, int thread) const override {
    const Work work = Carve(args.scratch + thread * thread_bytes_);
    const Range pixels = Share(pixels_, thread % grid_.pixels, grid_.pixels);
    const Range panels = Share(static_cast<int64_t>(panels_.vectors.size()),
                               thread / grid_.pixels, grid_.panels);
    const int64_t count = pixels.end - pixels.begin;
    const int64_t blocks = (count + block_ - 1) / block_;
    for (int64_t b = 0; b < blocks; ++b) {
      const Range block = Share(count, b, blocks);
      RunBlock(args, work, {pixels.begin + block.begin, pixels.begin + block.end},
               panels);
    }
  }

 private:
  struct Tile {
    int rows = 0;
    int num_segments = 0;
    int64_t first_segment = 0;  // into Work::segments; its pointers begin there * rows_
    int64_t first_pixel = 0;    // into Work::dst
  };
  struct Work {
    Tile* tiles;
    Segment* segments;
    const float** src;
    float** dst;
    const float** residual;
    size_t bytes;
  };

  int64_t most_tiles() const { return (block_ + panels_.rows - 1) / panels_.rows; }

  Work Carve(std::byte* memory) const {
    Scratch scratch(memory);
    Work work;
    const int64_t segments = most_tiles() * shape_.kernel_h * shape_.kernel_w;
    work.tiles = scratch.Take<Tile>(most_tiles());
    work.segments = scratch.Take<Segment>(segments);
    work.src = scratch.Take<const float*>(segments * panels_.rows);
    work.dst = scratch.Take<float*>(block_);
    work.residual = scratch.Take<const float*>(block_);
    work.bytes = scratch.bytes();
    return work;
  }

  void RunBlock(const ConvArgs& args, const Work& work, Range block, Range panels) const {
    const int64_t count = block.end - block.begin;
    const int64_t tiles = (count + panels_.rows - 1) / panels_.rows;
    int64_t segments = 0;
    Position at = PositionOf(block.begin);
    for (int64_t t = 0; t < tiles; ++t) {
      const Range pixels = Share(count, t, tiles);
      Tile& tile = work.tiles[t];
      tile = {.rows = static_cast<int>(pixels.end - pixels.begin),
              .first_segment = segments,
              .first_pixel = pixels.begin};
      DescribeTile(args, work, at, tile);
      segments += tile.num_segments;
    }
    int64_t channel = 0;
    const float* weights = args.weights + panels_.width();
    for (int64_t p = 0; p < panels.end; ++p) {
      const int vectors = panels_.vectors[p];
      const int64_t width = int64_t{vectors} * panels_.lanes;
      if (p >= panels.begin) {
        TileArgs tile_args;
        tile_args.weights = weights;
        tile_args.bias = args.weights + channel;
        tile_args.channel = channel;
        tile_args.channels = static_cast<int>(std::min(width, shape_.dst_c - channel));
        tile_args.low = args.low;
        tile_args.high = args.high;
        // All tiles together fetch the next panel.
        const bool last = p + 1 == static_cast<int64_t>(panels_.vectors.size());
        const auto* next =
            reinterpret_cast<const char*>(weights + (last ? 0 : k_ * width));
        tile_args.prefetch_stride = last ? 0 : PrefetchStride(width, tiles);
        for (int64_t t = 0; t < tiles; ++t) {
          const Tile& tile = work.tiles[t];
          tile_args.src = work.src + tile.first_segment * panels_.rows;
          tile_args.segments = work.segments + tile.first_segment;
          tile_args.num_segments = tile.num_segments;
          tile_args.dst = work.dst + tile.first_pixel;
          tile_args.residual =
              args.residual == nullptr ? nullptr : work.residual + tile.first_pixel;
          tile_args.prefetch =
              next + t * (k_ / kPrefetchSteps) * tile_args.prefetch_stride;
          table_.tile[vectors][tile.rows](tile_args);
        }
      }
      channel += width;
      weights += k_ * width;
    }
  }

  // An output pixel.
  struct Position {
    int64_t image, y, x;
  };

  Position PositionOf(int64_t pixel) const {
    const int64_t image = pixel / (shape_.dst_h * shape_.dst_w);
    const int64_t rest = pixel % (shape_.dst_h * shape_.dst_w);
    if (by_columns_) return {image, rest % shape_.dst_h, rest / shape_.dst_h};
    return {image, rest / shape_.dst_w, rest % shape_.dst_w};
  }

  void Advance(Position& at) const {
    int64_t& inner = by_columns_ ? at.y : at.x;
    int64_t& outer = by_columns_ ? at.x : at.y;
    if (++inner < (by_columns_ ? shape_.dst_h : shape_.dst_w)) return;
    inner = 0;
    if (++outer < (by_columns_ ? shape_.dst_w : shape_.dst_h)) return;
    outer = 0;
    ++at.image;
  }

  // Where the pixels of a tile lie, from `at` on, and what of the image they read.
  void DescribeTile(const ConvArgs& args, const Work& work, Position& at,
                    Tile& tile) const {
    if (pointwise_) {
      DescribePointwiseTile(args, work, at, tile);
      return;
    }
    const float* base[kMaxTileRows];  // of the pixel's image
    int64_t top[kMaxTileRows], left[kMaxTileRows];
    bool inside = true;  // all taps along the width, for all rows
    for (int i = 0; i < tile.rows; ++i, Advance(at)) {
      base[i] = args.src + at.image * shape_.src_h * shape_.src_w * shape_.src_pitch;
      top[i] = at.y * shape_.stride_h - shape_.pad_top;
      left[i] = at.x * shape_.stride_w - shape_.pad_left;
      inside &= left[i] >= 0 && left[i] + shape_.kernel_w <= shape_.src_w;
      PlaceResult(args, work, (at.image * shape_.dst_h + at.y) * shape_.dst_w + at.x,
                  tile.first_pixel + i);
    }
    const bool merge = rows_merge_ && inside;
    const int64_t columns = merge ? 1 : shape_.kernel_w;
    const auto run =
        static_cast<int32_t>(merge ? shape_.kernel_w * shape_.src_c : shape_.src_c);
    // The pointers of a segment follow those of the one before.
    const float** src = work.src + tile.first_segment * panels_.rows;
    for (int64_t ky = 0; ky < shape_.kernel_h; ++ky) {
      for (int64_t kx = 0; kx < columns; ++kx) {
        bool any = false;
        for (int i = 0; i < tile.rows; ++i) {
          const int64_t y = top[i] + ky * shape_.dilation_h;
          const int64_t x = left[i] + kx * shape_.dilation_w;
          // As unsigned numbers, what is negative is too large.
          const bool there =
              static_cast<uint64_t>(y) < src_h_ && static_cast<uint64_t>(x) < src_w_;
          src[i] =
              there ? base[i] + (y * shape_.src_w + x) * shape_.src_pitch : zeros_.data();
          any |= there;
        }
        if (!any) continue;
        work.segments[tile.first_segment + tile.num_segments++] = {
            static_cast<int32_t>((ky * shape_.kernel_w + kx) * shape_.src_c), run};
        src += tile.rows;
      }
    }
  }

  // One tap, and pixels of the image and of the result in the same order.
  void DescribePointwiseTile(const ConvArgs& args, const Work& work, Position& at,
                             Tile& tile) const {
    const float** src = work.src + tile.first_segment * panels_.rows;
    const int64_t first = (at.image * shape_.dst_h + at.y) * shape_.dst_w + at.x;
    for (int i = 0; i < tile.rows; ++i, Advance(at)) {
      src[i] = args.src + (first + i) * shape_.src_pitch;
      PlaceResult(args, work, first + i, tile.first_pixel + i);
    }
    work.segments[tile.first_segment] = {0, static_cast<int32_t>(shape_.src_c)};
    tile.num_segments = 1;
  }

  void PlaceResult(const ConvArgs& args, const Work& work, int64_t pixel,
                   int64_t index) const {
    work.dst[index] = args.dst + pixel * shape_.dst_pitch;
    if (args.residual != nullptr) {
      work.residual[index] = args.residual + pixel * shape_.residual_pitch;
    }
  }

  ConvShape shape_;
  const KernelTable& table_;
  int64_t pixels_;
  int64_t k_ = 0;
  int64_t block_ = 0;  // pixels
  bool rows_merge_ = false;
  bool by_columns_ = false;
  bool pointwise_ = false;
  uint64_t src_h_, src_w_;  // as unsigned numbers
  Panels panels_;
  Grid grid_;
  size_t thread_bytes_ = 0;
  std::vector<float> zeros_;
  std::string name_, form_;
};

}  // namespace

std::unique_ptr<Conv> MakeDirectConv(const ConvShape& shape, int threads,
                                     const KernelTable& table) {
  return std::make_unique<DirectConv>(shape, threads, table);
}

}  // namespace oriel::engine::kernels
