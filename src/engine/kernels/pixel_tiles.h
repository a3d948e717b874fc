// Output pixels of a convolution as tiles of rows for the innermost loops, and what of
// the image each of them reads: pointers to pixels, as an indirection buffer has them
// (Dukhan, "The Indirect Convolution Algorithm", 2019), made anew for each block.
#pragma once

#include <algorithm>
#include <vector>

#include "engine/kernels/conv.h"
#include "engine/kernels/scratch.h"

namespace oriel::engine::kernels {

// For pixels of T. `unit`: how many channels a row of packed weights holds; the channels
// of each tap are padded to a multiple of it.
template <typename T>
class PixelTiles {
 public:
  // rows: of a tile, at most; block: pixels described at a time, at most. `padding` is
  // what pixels outside the image hold; taps that none of a tile's pixels has are left
  // out if `skip_padding`.
  PixelTiles(const ConvShape& shape, int rows, int64_t block, int64_t unit, T padding,
             bool skip_padding)
      : shape_(shape),
        rows_(rows),
        block_(block),
        tap_((shape.src_c + unit - 1) / unit),
        skip_padding_(skip_padding) {
    // The taps of one row are one run of memory for a pixel that has them all.
    rows_merge_ = shape.src_pitch == shape.src_c && shape.dilation_w == 1 &&
                  shape.src_c % unit == 0;
    // Tiles of one column share the taps that they lack.
    by_columns_ = shape.kernel_h == 1 && shape.kernel_w > 1 && shape.stride_w == 1;
    pointwise_ = shape.kernel_h == 1 && shape.kernel_w == 1 && shape.stride_h == 1 &&
                 shape.stride_w == 1 && shape.pad_top == 0 && shape.pad_left == 0 &&
                 shape.src_h == shape.dst_h && shape.src_w == shape.dst_w;
    src_h_ = static_cast<uint64_t>(shape.src_h);
    src_w_ = static_cast<uint64_t>(shape.src_w);
    padding_.assign((rows_merge_ ? shape.kernel_w : 1) * tap_ * unit, padding);
  }

  struct Tile {
    int rows = 0;
    int num_segments = 0;
    int64_t first_segment = 0;  // its pointers begin at Work::src + that * rows
    int64_t first_pixel = 0;    // into Work::pixels
  };
  struct Work {
    Tile* tiles;
    Segment* segments;
    const T** src;
    int64_t* pixels;  // of the output
  };

  // Segments count in units.
  int64_t units() const { return shape_.kernel_h * shape_.kernel_w * tap_; }
  int64_t pixels() const { return shape_.batch * shape_.dst_h * shape_.dst_w; }
  int64_t block() const { return block_; }

  Work Carve(Scratch& scratch) const {
    const int64_t tiles = (block_ + rows_ - 1) / rows_;
    const int64_t segments = tiles * shape_.kernel_h * shape_.kernel_w;
    Work work;
    work.tiles = scratch.Take<Tile>(tiles);
    work.segments = scratch.Take<Segment>(segments);
    work.src = scratch.Take<const T*>(segments * rows_);
    work.pixels = scratch.Take<int64_t>(block_);
    return work;
  }

  // The tiles of a block of pixels, in the order of this class; returns how many.
  int64_t Describe(const T* src, Range block, const Work& work) const {
    const int64_t count = block.end - block.begin;
    const int64_t tiles = (count + rows_ - 1) / rows_;
    int64_t segments = 0;
    Position at = PositionOf(block.begin);
    for (int64_t t = 0; t < tiles; ++t) {
      const Range pixels = Share(count, t, tiles);
      Tile& tile = work.tiles[t];
      tile = {.rows = static_cast<int>(pixels.end - pixels.begin),
              .first_segment = segments,
              .first_pixel = pixels.begin};
      if (pointwise_) {
        DescribePointwise(src, block.begin + pixels.begin, work, tile);
      } else {
        DescribeTile(src, work, at, tile);
      }
      segments += tile.num_segments;
    }
    return tiles;
  }

 private:
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

  void DescribeTile(const T* src, const Work& work, Position& at, Tile& tile) const {
    const T* base[kMaxTileRows];  // of the pixel's image
    int64_t top[kMaxTileRows], left[kMaxTileRows];
    bool inside = true;  // all taps along the width, for all rows
    for (int i = 0; i < tile.rows; ++i, Advance(at)) {
      base[i] = src + at.image * shape_.src_h * shape_.src_w * shape_.src_pitch;
      top[i] = at.y * shape_.stride_h - shape_.pad_top;
      left[i] = at.x * shape_.stride_w - shape_.pad_left;
      inside &= left[i] >= 0 && left[i] + shape_.kernel_w <= shape_.src_w;
      work.pixels[tile.first_pixel + i] =
          (at.image * shape_.dst_h + at.y) * shape_.dst_w + at.x;
    }
    const bool merge = rows_merge_ && inside;
    const int64_t columns = merge ? 1 : shape_.kernel_w;
    const auto run = static_cast<int32_t>(merge ? shape_.kernel_w * tap_ : tap_);
    // The pointers of a segment follow those of the one before.
    const T** pointers = work.src + tile.first_segment * rows_;
    for (int64_t ky = 0; ky < shape_.kernel_h; ++ky) {
      for (int64_t kx = 0; kx < columns; ++kx) {
        bool any = !skip_padding_;
        for (int i = 0; i < tile.rows; ++i) {
          const int64_t y = top[i] + ky * shape_.dilation_h;
          const int64_t x = left[i] + kx * shape_.dilation_w;
          // As unsigned numbers, what is negative is too large.
          const bool there =
              static_cast<uint64_t>(y) < src_h_ && static_cast<uint64_t>(x) < src_w_;
          pointers[i] = there ? base[i] + (y * shape_.src_w + x) * shape_.src_pitch
                              : padding_.data();
          any |= there;
        }
        if (!any) continue;
        work.segments[tile.first_segment + tile.num_segments++] = {
            static_cast<int32_t>((ky * shape_.kernel_w + kx) * tap_), run};
        pointers += tile.rows;
      }
    }
  }

  // One tap, and pixels of the image and of the result in the same order.
  void DescribePointwise(const T* src, int64_t first, const Work& work,
                         Tile& tile) const {
    const T** pointers = work.src + tile.first_segment * rows_;
    for (int i = 0; i < tile.rows; ++i) {
      pointers[i] = src + (first + i) * shape_.src_pitch;
      work.pixels[tile.first_pixel + i] = first + i;
    }
    work.segments[tile.first_segment] = {0, static_cast<int32_t>(tap_)};
    tile.num_segments = 1;
  }

  ConvShape shape_;
  int64_t rows_, block_;
  int64_t tap_;  // units of a tap
  bool skip_padding_;
  bool rows_merge_ = false;
  bool by_columns_ = false;
  bool pointwise_ = false;
  uint64_t src_h_, src_w_;  // as unsigned numbers
  std::vector<T> padding_;  // a run of taps
};

}  // namespace oriel::engine::kernels
