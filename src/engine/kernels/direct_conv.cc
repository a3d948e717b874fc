// Convolution by direct sums: an implicit matrix product (Georganas et al., "Anatomy
// of High-Performance Deep Learning Convolutions on SIMD Architectures", 2018) over the
// tiles of pixel_tiles.h.

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "engine/kernels/conv.h"
#include "engine/kernels/panels.h"
#include "engine/kernels/pixel_tiles.h"
#include "engine/kernels/scratch.h"

namespace oriel::engine::kernels {
namespace {

class DirectConv : public Conv {
 public:
  DirectConv(const ConvShape& shape, const Tiling& tiling, const KernelTable& table)
      : shape_(shape),
        table_(table),
        panels_(tiling.panels),
        grid_(tiling.grid),
        tiles_(shape, panels_.rows, tiling.block, /*unit=*/1, /*padding=*/0.0f,
               /*skip_padding=*/true),
        pieces_(
            PiecesOfPanels(grid_, tiles_.pixels(), tiling.block, panels_.count(),
                           static_cast<double>(tiles_.units() * panels_.vectors.front() *
                                               panels_.lanes))) {
    thread_bytes_ = Carve(nullptr).bytes;
    name_ = fmt::format("direct {}x{} {}", panels_.rows,
                        panels_.vectors.front() * panels_.lanes, table.name);
    form_ = "panels" + panels_.Form();
  }

  const char* name() const override { return name_.c_str(); }
  const char* weights_form() const override { return form_.c_str(); }
  size_t packed_floats() const override { return panels_.width() * (1 + tiles_.units()); }

  void Pack(std::span<const float> weights, std::span<const float> bias,
            std::span<float> packed) const override {
    std::fill_n(packed.begin(), panels_.width(), 0.0f);
    std::copy(bias.begin(), bias.end(), packed.begin());
    PackPanels(panels_, tiles_.units(), shape_.dst_c, weights.data(),
               packed.data() + panels_.width());
  }

  size_t scratch_bytes() const override { return thread_bytes_ * grid_.threads(); }

  int64_t pieces(int thread) const override { return pieces_.count(thread); }

  void Run(const ConvArgs& args, int thread) const override {
    const Work work = Carve(args.scratch + thread * thread_bytes_);
    Range described;
    int64_t tiles = 0;
    const void* const next = args.next != nullptr ? args.next[thread] : nullptr;
    using Piece = GridPieces::Piece;
    ForGridPieces(
        args.queue, thread, pieces_, [&](const Piece& piece, const Piece* then) {
          if (piece.positions != described) {
            tiles = DescribeBlock(args, work, piece.positions);
            described = piece.positions;
          }
          RunPanels(
              args, work, tiles, piece.panels,
              then != nullptr ? args.weights + WeightsAt(then->panels.begin) : next);
        });
  }

  int64_t first_read(int thread) const override {
    return WeightsAt(pieces_.first_panel(thread));
  }

 private:
  struct Work {
    PixelTiles<float>::Work tiles;
    float** dst;  // by pixel of the block
    const float** residual;
    size_t bytes;
  };

  Work Carve(std::byte* memory) const {
    Scratch scratch(memory);
    Work work;
    work.tiles = tiles_.Carve(scratch);
    work.dst = scratch.Take<float*>(tiles_.block());
    work.residual = scratch.Take<const float*>(tiles_.block());
    work.bytes = scratch.bytes();
    return work;
  }

  // Returns how many tiles it has.
  int64_t DescribeBlock(const ConvArgs& args, const Work& work, Range block) const {
    const int64_t tiles = tiles_.Describe(args.src, block, work.tiles);
    for (int64_t i = 0; i < block.end - block.begin; ++i) {
      const int64_t pixel = work.tiles.pixels[i];
      work.dst[i] = args.dst + pixel * shape_.dst_pitch;
      if (args.residual != nullptr) {
        work.residual[i] = args.residual + pixel * shape_.residual_pitch;
      }
    }
    return tiles;
  }

  // Of a panel, in the packed weights: behind the biases of all.
  int64_t WeightsAt(int64_t panel) const {
    return panels_.width() + panels_.first_channel(panel) * tiles_.units();
  }

  // `then`: what the thread reads afterwards.
  void RunPanels(const ConvArgs& args, const Work& work, int64_t tiles, Range panels,
                 const void* then) const {
    const int64_t k = tiles_.units();
    TileArgs tile_args;
    tile_args.channel = panels_.first_channel(panels.begin);
    tile_args.weights = args.weights + WeightsAt(panels.begin);
    tile_args.low = args.low;
    tile_args.high = args.high;
    for (int64_t p = panels.begin; p < panels.end; ++p) {
      const int vectors = panels_.vectors[p];
      const int64_t width = int64_t{vectors} * panels_.lanes;
      tile_args.bias = args.weights + tile_args.channel;
      tile_args.channels =
          static_cast<int>(std::min(width, shape_.dst_c - tile_args.channel));
      // All tiles together fetch the next panel.
      const float* const behind = tile_args.weights + k * width;
      const auto* const next =
          static_cast<const char*>(p + 1 < panels.end ? behind : then);
      tile_args.prefetch_stride = next == nullptr ? 0 : PrefetchStride(width, tiles);
      for (int64_t t = 0; t < tiles; ++t) {
        const auto& tile = work.tiles.tiles[t];
        tile_args.src = work.tiles.src + tile.first_segment * panels_.rows;
        tile_args.segments = work.tiles.segments + tile.first_segment;
        tile_args.num_segments = tile.num_segments;
        tile_args.dst = work.dst + tile.first_pixel;
        tile_args.residual =
            args.residual == nullptr ? nullptr : work.residual + tile.first_pixel;
        tile_args.prefetch = next + t * (k / kPrefetchSteps) * tile_args.prefetch_stride;
        table_.tile[vectors][tile.rows](tile_args);
      }
      tile_args.channel += width;
      tile_args.weights = behind;
    }
  }

  ConvShape shape_;
  const KernelTable& table_;
  Panels panels_;
  Grid grid_;
  PixelTiles<float> tiles_;
  GridPieces pieces_;
  size_t thread_bytes_ = 0;
  std::string name_, form_;
};

}  // namespace

std::unique_ptr<Conv> MakeDirectConv(const ConvShape& shape, const Tiling& tiling,
                                     const KernelTable& table) {
  return std::make_unique<DirectConv>(shape, tiling, table);
}

std::vector<Tiling> DirectTilings(const ConvShape& shape, int threads,
                                  const KernelTable& table) {
  return RankTilings({.positions = shape.batch * shape.dst_h * shape.dst_w,
                      .k = shape.kernel_h * shape.kernel_w * shape.src_c,
                      .channels = shape.dst_c},
                     threads, table);
}

std::unique_ptr<Conv> MakeDirectConv(const ConvShape& shape, int threads,
                                     const KernelTable& table) {
  return MakeDirectConv(shape, DirectTilings(shape, threads, table).front(), table);
}

}  // namespace oriel::engine::kernels
