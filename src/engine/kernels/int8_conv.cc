// Direct sums of bytes: an implicit matrix product, as direct_conv.cc has it for
// floats. The image is read as it lies; that its numbers mean q - zero_point is made up
// for by what the sums begin with.

#include "engine/kernels/int8_conv.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "engine/kernels/panels.h"
#include "engine/kernels/pixel_tiles.h"

namespace oriel::engine::kernels {
namespace {

constexpr int64_t kFour = 4;  // products to one sum

class DirectInt8Conv : public Int8Conv {
 public:
  DirectInt8Conv(const Int8Shape& shape, int threads, const Int8Table& table)
      : DirectInt8Conv(shape, table,
                       RankTilings({.positions = shape.conv.batch * shape.conv.dst_h *
                                                 shape.conv.dst_w,
                                    .k = shape.conv.kernel_h * shape.conv.kernel_w *
                                         ((shape.conv.src_c + kFour - 1) / kFour),
                                    .channels = shape.conv.dst_c},
                                   threads, table)
                           .front()) {}

  const char* name() const override { return name_.c_str(); }
  const char* weights_form() const override { return form_.c_str(); }
  size_t packed_bytes() const override {
    return panels_.width() * (3 * sizeof(float) + tiles_.units() * kFour);
  }

  void Pack(std::span<const int8_t> weights, std::span<const float> scales,
            std::span<const float> bias, std::span<std::byte> packed) const override {
    const ConvShape& s = shape_.conv;
    const Packed to = PackedAt(packed.data());
    std::fill_n(packed.begin(), packed_bytes(), std::byte{0});
    std::copy(bias.begin(), bias.end(), to.bias);
    for (int64_t o = 0; o < s.dst_c; ++o) {
      to.scale[o] = shape_.input.scale * scales[o];
    }
    const int64_t taps = s.kernel_h * s.kernel_w;
    const int8_t* from = weights.data();
    for (int64_t k = 0; k < taps * s.src_c; ++k) {
      for (int64_t o = 0; o < s.dst_c; ++o) {
        to.start[o] -= shape_.input.zero_point * *from++;
      }
    }
    const int64_t fours = (s.src_c + kFour - 1) / kFour;  // of a tap
    int8_t* panel = to.weights;
    int64_t first = 0;
    for (const int vectors : panels_.vectors) {
      const int64_t width = int64_t{vectors} * panels_.lanes;
      const int64_t count = std::min(width, s.dst_c - first);
      for (int64_t tap = 0; tap < taps; ++tap) {
        for (int64_t c = 0; c < s.src_c; ++c) {
          const int8_t* row = weights.data() + (tap * s.src_c + c) * s.dst_c + first;
          int8_t* four = panel + (tap * fours + c / kFour) * width * kFour + c % kFour;
          for (int64_t o = 0; o < count; ++o) four[o * kFour] = row[o];
        }
      }
      panel += taps * fours * width * kFour;
      first += width;
    }
  }

  size_t scratch_bytes() const override { return thread_bytes_ * grid_.threads(); }

  int64_t pieces(int thread) const override { return pieces_.count(thread); }

  void Run(const Int8ConvArgs& args, int thread) const override {
    Scratch scratch(args.scratch + thread * thread_bytes_);
    const auto work = tiles_.Carve(scratch);
    Range described;
    int64_t tiles = 0;
    const void* const next = args.next != nullptr ? args.next[thread] : nullptr;
    using Piece = GridPieces::Piece;
    ForGridPieces(
        args.queue, thread, pieces_, [&](const Piece& piece, const Piece* then) {
          if (piece.positions != described) {
            tiles = tiles_.Describe(args.src, piece.positions, work);
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
  using Tiles = PixelTiles<uint8_t>;

  DirectInt8Conv(const Int8Shape& shape, const Int8Table& table, const Tiling& plan)
      : shape_(shape),
        table_(table),
        panels_(plan.panels),
        grid_(plan.grid),
        tiles_(shape.conv, plan.panels.rows, plan.block, kFour,
               static_cast<uint8_t>(shape.input.zero_point),
               /*skip_padding=*/shape.input.zero_point == 0),
        pieces_(
            PiecesOfPanels(grid_, tiles_.pixels(), plan.block, panels_.count(),
                           static_cast<double>(tiles_.units() * panels_.vectors.front() *
                                               panels_.lanes))) {
    Scratch scratch(nullptr);
    tiles_.Carve(scratch);
    thread_bytes_ = scratch.bytes();
    const int widest = *std::max_element(panels_.vectors.begin(), panels_.vectors.end());
    name_ = fmt::format("int8 direct {}x{} {}", panels_.rows, widest * panels_.lanes,
                        table.name);
    form_ = fmt::format("int8 panels{} {} {}", panels_.Form(), shape.input.scale,
                        shape.input.zero_point);
  }

  // The parts of the packed bytes.
  struct Packed {
    int32_t* start;
    float *scale, *bias;
    int8_t* weights;
  };
  Packed PackedAt(std::byte* bytes) const {
    const int64_t width = panels_.width();
    auto* const start = reinterpret_cast<int32_t*>(bytes);
    auto* const scale = reinterpret_cast<float*>(start + width);
    return {start, scale, scale + width, reinterpret_cast<int8_t*>(scale + 2 * width)};
  }

  // Of a panel, in the packed bytes.
  int64_t WeightsAt(int64_t panel) const {
    return panels_.width() * int64_t{3 * sizeof(float)} +
           panels_.first_channel(panel) * tiles_.units() * kFour;
  }

  // `then`: what the thread reads afterwards.
  void RunPanels(const Int8ConvArgs& args, const Tiles::Work& work, int64_t tiles,
                 Range panels, const void* then) const {
    const int64_t k = tiles_.units();
    const Packed packed = PackedAt(const_cast<std::byte*>(args.weights));
    Int8TileArgs tile_args;
    tile_args.output = OutputOf(shape_, args);
    tile_args.channel = panels_.first_channel(panels.begin);
    tile_args.weights = packed.weights + tile_args.channel * k * kFour;
    for (int64_t p = panels.begin; p < panels.end; ++p) {
      const int vectors = panels_.vectors[p];
      const int64_t width = int64_t{vectors} * panels_.lanes;
      tile_args.start = packed.start + tile_args.channel;
      tile_args.scale = packed.scale + tile_args.channel;
      tile_args.bias = packed.bias + tile_args.channel;
      tile_args.channels =
          static_cast<int>(std::min(width, shape_.conv.dst_c - tile_args.channel));
      // All tiles together fetch the next panel.
      const int8_t* const behind = tile_args.weights + k * width * kFour;
      const auto* const next =
          static_cast<const char*>(p + 1 < panels.end ? behind : then);
      tile_args.prefetch_stride = next == nullptr ? 0 : PrefetchStride(width, tiles);
      for (int64_t t = 0; t < tiles; ++t) {
        const Tiles::Tile& tile = work.tiles[t];
        tile_args.src = work.src + tile.first_segment * panels_.rows;
        tile_args.segments = work.segments + tile.first_segment;
        tile_args.num_segments = tile.num_segments;
        tile_args.pixels = work.pixels + tile.first_pixel;
        tile_args.prefetch = next + t * (k / kPrefetchSteps) * tile_args.prefetch_stride;
        table_.tile[vectors][tile.rows](tile_args);
      }
      tile_args.channel += width;
      tile_args.weights = behind;
    }
  }

  Int8Shape shape_;
  const Int8Table& table_;
  Panels panels_;
  Grid grid_;
  Tiles tiles_;
  GridPieces pieces_;
  size_t thread_bytes_ = 0;
  std::string name_, form_;
};

}  // namespace

Requantize RequantizeTo(const ActivationQuantization& to) {
  return {.inverse_scale = to.inverse_scale,
          .low = static_cast<float>(-to.zero_point),
          .high = static_cast<float>(to.max - to.zero_point),
          .zero_point = to.zero_point};
}

Int8Output OutputOf(const Int8Shape& shape, const Int8ConvArgs& args) {
  Int8Output output{.floats_pitch = shape.conv.dst_pitch,
                    .bytes_pitch = shape.bytes_pitch,
                    .residual = args.residual,
                    .residual_pitch = shape.conv.residual_pitch,
                    .low = args.low,
                    .high = args.high};
  if (shape.floats) output.floats = args.floats;
  if (shape.bytes) {
    output.bytes = args.bytes;
    output.requantize = RequantizeTo(*shape.bytes);
  }
  return output;
}

std::unique_ptr<Int8Conv> MakeInt8Conv(const Int8Shape& shape, int threads,
                                       const Int8Table& table) {
  return std::make_unique<DirectInt8Conv>(shape, threads, table);
}

}  // namespace oriel::engine::kernels
