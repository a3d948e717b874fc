#include "engine/kernels/depthwise_block.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "engine/kernels/depthwise_line.h"
#include "engine/kernels/scratch.h"
#include "engine/kernels/strips.h"

namespace oriel::engine::kernels {
namespace {

// Of the channels between, in a part of their panels: fewer make short work of a line,
// more leave the cache.
constexpr int64_t kGroupChannels = 96;

// The depthwise part of lines that lie in a ring, padding included.
ConvShape Padded(ConvShape shape) {
  shape.src_w =
      (shape.dst_w - 1) * shape.stride_w + (shape.kernel_w - 1) * shape.dilation_w + 1;
  shape.pad_left = 0;
  return shape;
}

// Lines of the image that so many lines of the result read.
int64_t LinesRead(const ConvShape& shape, int64_t lines) {
  return (lines - 1) * shape.stride_h + (shape.kernel_h - 1) * shape.dilation_h + 1;
}

// Of the channels between, at least.
int64_t PanelsBetween(const DepthwiseBlockShape& shape, const KernelTable& table) {
  const int64_t width = int64_t{table.lanes} * kMaxPanelVectors;
  return (shape.depthwise.src_c + width - 1) / width;
}

class Block : public DepthwiseBlock {
 public:
  Block(const DepthwiseBlockShape& shape, const DepthwiseBlockWay& way, int threads,
        const KernelTable& table)
      : shape_(shape),
        dw_(shape.depthwise),
        lines_(std::min(way.lines, dw_.dst_h)),
        line_(shape.expand ? Padded(dw_) : dw_, table),
        taps_(dw_.kernel_h * dw_.kernel_w) {
    assert(shape.expand || shape.project);
    assert(!way.by_channels || (shape.expand && !shape.project));
    if (way.by_channels) {
      // Groups of threads take images, the threads of a group panels.
      const int64_t panels = PanelsBetween(shape, table);
      for (int images = 1; images <= threads; ++images) {
        if (threads % images != 0 || dw_.batch % images != 0) continue;
        by_lines_ = images;
        by_panels_ = threads / images;
        if (by_panels_ <= panels) break;
      }
    } else {
      by_lines_ = threads;
    }
    by_channels_ = way.by_channels;
    width_ = Padded(dw_).src_w;
    ring_ = std::min(LinesRead(dw_, lines_), dw_.src_h);
    channels_ = dw_.src_c;
    if (shape.expand) {
      expand_.emplace(shape.expand->src_c, 1, dw_.src_c, dw_.src_w, by_panels_, table);
      channels_ = expand_->panels().width();
      group_ = std::clamp<int64_t>(kGroupChannels / expand_->first_channel(1), 1,
                                   expand_->count());
      group_width_ = by_channels_ ? expand_->first_channel(group_) : channels_;
    }
    if (shape.project) {
      project_.emplace(dw_.src_c, 1, shape.project->dst_c, lines_ * dw_.dst_w, 1, table);
    }
    pieces_.emplace(MakePieces());
    thread_bytes_ = Carve(nullptr).bytes;
    name_ = fmt::format("{}depthwise{} {} lines {}", expand_ ? "1x1+" : "",
                        project_ ? "+1x1" : "", lines_, table.name);
    form_ = fmt::format("block{}", table.lanes);
    for (const auto* layer : {&expand_, &project_}) {
      form_ += ";";
      if (*layer) form_ += (*layer)->panels().Form();
    }
  }

  const char* name() const override { return name_.c_str(); }
  const char* weights_form() const override { return form_.c_str(); }
  size_t packed_floats() const override { return PartsOf(nullptr).floats; }

  void Pack(const LayerWeights& expand, const LayerWeights& depthwise,
            const LayerWeights& project, std::span<float> packed) const override {
    std::fill(packed.begin(), packed.end(), 0.0f);
    if (expand_) expand_->Pack(expand.weights, expand.bias, packed.data());
    const Parts parts = PartsOf(packed.data());
    auto* const bias = const_cast<float*>(parts.bias);
    std::copy(depthwise.bias.begin(), depthwise.bias.end(), bias);
    for (int64_t tap = 0; tap < taps_; ++tap) {
      const auto row = depthwise.weights.subspan(tap * dw_.src_c, dw_.src_c);
      std::copy(row.begin(), row.end(), bias + (1 + tap) * channels_);
    }
    if (project_) {
      project_->Pack(project.weights, project.bias, const_cast<float*>(parts.project));
    }
  }

  size_t scratch_bytes() const override { return thread_bytes_ * by_lines_ * by_panels_; }

  int64_t pieces(int thread) const override { return pieces_->count(thread); }

  void Run(const DepthwiseBlockArgs& args, int thread) const override {
    const Work work = Carve(args.scratch + thread * thread_bytes_);
    using Piece = GridPieces::Piece;
    ForGridPieces(args.queue, thread, *pieces_, [&](const Piece& piece, const void*) {
      const Range lines = piece.positions;
      const Group group = by_channels_
                              ? GroupOf(piece.panels)
                              : Group{{0, expand_ ? expand_->count() : 0}, 0, channels_};
      for (int64_t line = lines.begin; line < lines.end;) {
        const int64_t row = line % dw_.dst_h;
        const Range rows{row, std::min(dw_.dst_h, row + lines.end - line)};
        RunImage(args, work, line / dw_.dst_h, rows, group);
        line += rows.end - rows.begin;
      }
    });
  }

 private:
  struct Work {
    float* ring;    // [line % ring_][width_][channels of the group]
    float* result;  // of depthwise: [lines_][dst_w][channels_]
    DepthwiseLine::Work line;
    size_t bytes;
  };

  // Of the packed weights.
  struct Parts {
    const float* expand;
    const float* bias;  // of depthwise, then its weights
    const float* project;
    size_t floats;
  };

  GridPieces MakePieces() const {
    const int64_t lines = dw_.batch * dw_.dst_h;
    if (by_channels_) {
      const int64_t panels = expand_->count();
      const int64_t of_thread = (panels + by_panels_ - 1) / by_panels_;
      return {{.pixels = by_lines_, .panels = by_panels_},
              lines,
              dw_.dst_h,
              panels,
              (of_thread + group_ - 1) / group_};
    }
    if (!expand_) return PiecesOfLines(lines, by_lines_, lines_);
    // Pieces would compute lines of the image between, where they meet, twice.
    return {{.pixels = by_lines_}, lines, lines};
  }

  Parts PartsOf(const float* packed) const {
    const int64_t expand = expand_ ? expand_->packed_floats() : 0;
    const int64_t depthwise = RoundUp((1 + taps_) * channels_, 16);
    const int64_t project = project_ ? project_->packed_floats() : 0;
    const auto at = [&](int64_t floats) {
      return packed == nullptr ? nullptr : packed + floats;
    };
    return {packed, at(expand), at(expand + depthwise),
            static_cast<size_t>(expand + depthwise + project)};
  }

  Work Carve(std::byte* memory) const {
    Scratch scratch(memory);
    Work work;
    work.ring = scratch.Take<float>(expand_ ? ring_ * width_ * group_width_ : 0);
    work.result = scratch.Take<float>(project_ ? lines_ * dw_.dst_w * channels_ : 0);
    work.line = line_.Carve(scratch);
    work.bytes = scratch.bytes();
    return work;
  }

  // Of the channels between, those that a group computes at a time.
  struct Group {
    Range panels;
    int64_t channel = 0;  // the first
    int64_t width = 0;    // with zeros that fill the last panel
  };

  Group GroupOf(Range panels) const {
    const int64_t channel = expand_->first_channel(panels.begin);
    return {panels, channel, expand_->first_channel(panels.end) - channel};
  }

  // Some lines of the result of one image.
  void RunImage(const DepthwiseBlockArgs& args, const Work& work, int64_t image,
                Range rows, const Group& group) const {
    if (expand_) ClearPadding(work, group.width);
    int64_t made = 0;  // lines of the image between, up to here
    for (int64_t row = rows.begin; row < rows.end; row += lines_) {
      const int64_t lines = std::min(lines_, rows.end - row);
      const int64_t top = row * dw_.stride_h - dw_.pad_top;
      const int64_t end = std::min(top + LinesRead(dw_, lines), dw_.src_h);
      if (expand_)
        Expand(args, work, image, {std::max({made, top, int64_t{0}}), end}, group);
      made = std::max(made, end);
      for (int64_t i = 0; i < lines; ++i) {
        RunLine(args, work, image, row + i, i, group);
      }
      if (project_) Project(args, work, image * dw_.dst_h + row, lines);
    }
  }

  float* RingPixel(const Work& work, int64_t y, int64_t x, int64_t width) const {
    return work.ring + (y % ring_ * width_ + x) * width;
  }

  // What the columns of padding hold stays zero.
  void ClearPadding(const Work& work, int64_t width) const {
    const int64_t left = std::min(dw_.pad_left, width_);
    const int64_t right = std::min(dw_.pad_left + dw_.src_w, width_);
    for (int64_t y = 0; y < ring_; ++y) {
      std::fill_n(RingPixel(work, y, 0, width), left * width, 0.0f);
      std::fill_n(RingPixel(work, y, right, width), (width_ - right) * width, 0.0f);
    }
  }

  // Lines of the image between.
  void Expand(const DepthwiseBlockArgs& args, const Work& work, int64_t image,
              Range lines, const Group& group) const {
    const ConvShape& shape = *shape_.expand;
    // Strides may leave the last columns unread.
    const int64_t columns = std::min(dw_.src_w, width_ - dw_.pad_left);
    for (int64_t p = group.panels.begin; p < group.panels.end; ++p) {
      for (int64_t y = lines.begin; y < lines.end; ++y) {
        const float* src =
            args.src + (image * shape.src_h + y) * shape.src_w * shape.src_pitch;
        expand_->Run(PartsOf(args.weights).expand, p, /*whole=*/true, group.channel,
                     {.src = &src,
                      .pixel_stride = shape.src_pitch,
                      .pixels = static_cast<int>(columns),
                      .dst = RingPixel(work, y, dw_.pad_left, group.width),
                      .dst_stride = group.width,
                      .low = args.expand.low,
                      .high = args.expand.high});
      }
    }
  }

  void RunLine(const DepthwiseBlockArgs& args, const Work& work, int64_t image,
               int64_t row, int64_t index, const Group& group) const {
    for (int64_t ky = 0; ky < dw_.kernel_h; ++ky) {
      const int64_t y = row * dw_.stride_h - dw_.pad_top + ky * dw_.dilation_h;
      const float*& line = work.line.lines[ky];
      if (y < 0 || y >= dw_.src_h) {
        line = nullptr;
      } else if (expand_) {
        line = RingPixel(work, y, 0, group.width);
      } else {
        line = args.src + (image * dw_.src_h + y) * dw_.src_w * dw_.src_pitch;
      }
    }
    const float* bias = PartsOf(args.weights).bias;
    DepthwiseLine::Args line{.work = &work.line,
                             .src_pitch = expand_ ? group.width : dw_.src_pitch,
                             .weights = bias + channels_ + group.channel,
                             .weights_pitch = channels_,
                             .bias = bias + group.channel,
                             .channels = static_cast<int>(group.width),
                             .low = args.depthwise.low,
                             .high = args.depthwise.high};
    if (project_) {
      line.dst = work.result + index * dw_.dst_w * channels_;
      line.dst_pitch = channels_;
      if (!expand_) line.channels = static_cast<int>(dw_.src_c);
    } else {
      const int64_t pixel = (image * dw_.dst_h + row) * dw_.dst_w;
      line.dst = args.dst + pixel * dw_.dst_pitch + group.channel;
      line.dst_pitch = dw_.dst_pitch;
      if (args.residual != nullptr) {
        line.residual = args.residual + pixel * dw_.residual_pitch + group.channel;
        line.residual_pitch = dw_.residual_pitch;
      }
      line.channels = static_cast<int>(std::min(group.width, dw_.src_c - group.channel));
    }
    line_.Run(line);
  }

  // From line `line` of the result on.
  void Project(const DepthwiseBlockArgs& args, const Work& work, int64_t line,
               int64_t lines) const {
    const ConvShape& shape = *shape_.project;
    const int64_t first = line * dw_.dst_w;
    const bool residual = args.residual != nullptr;
    const float* const src = work.result;
    for (int64_t p = 0; p < project_->count(); ++p) {
      project_->Run(
          PartsOf(args.weights).project, p, /*whole=*/false, /*origin=*/0,
          {.src = &src,
           .pixel_stride = channels_,
           .pixels = static_cast<int>(lines * dw_.dst_w),
           .dst = args.dst + first * shape.dst_pitch,
           .dst_stride = shape.dst_pitch,
           .residual = residual ? args.residual + first * shape.residual_pitch : nullptr,
           .residual_stride = shape.residual_pitch,
           .low = args.project.low,
           .high = args.project.high});
    }
  }

  DepthwiseBlockShape shape_;
  ConvShape dw_;
  int64_t lines_;
  DepthwiseLine line_;
  int64_t taps_;
  bool by_channels_ = false;
  int by_lines_ = 1, by_panels_ = 1;  // threads
  int64_t width_ = 0;                 // columns of a line in the ring
  int64_t ring_ = 0;                  // lines
  int64_t channels_ = 0;              // between, with those that fill the last panel
  int64_t group_ = 0;                 // panels that a thread computes at a time
  int64_t group_width_ = 0;           // channels of the widest group
  std::optional<StripProduct> expand_, project_;
  std::optional<GridPieces> pieces_;
  size_t thread_bytes_ = 0;
  std::string name_, form_;
};

}  // namespace

std::unique_ptr<DepthwiseBlock> MakeDepthwiseBlock(const DepthwiseBlockShape& shape,
                                                   const DepthwiseBlockWay& way,
                                                   int threads,
                                                   const KernelTable& table) {
  return std::make_unique<Block>(shape, way, threads, table);
}

std::optional<DepthwiseBlockWay> ChooseDepthwiseBlock(const DepthwiseBlockShape& shape,
                                                      int threads,
                                                      const KernelTable& table) {
  const ConvShape& dw = shape.depthwise;
  const int64_t cache = SecondLevelCache() / static_cast<int64_t>(sizeof(float));
  const int64_t width = Padded(dw).src_w;
  if (shape.project) {
    // Few pixels make poor tiles; many lines leave the cache.
    int64_t lines = std::clamp<int64_t>((30 + dw.dst_w - 1) / dw.dst_w, 1, dw.dst_h);
    const int64_t ring =
        shape.expand ? std::min(LinesRead(dw, lines), dw.src_h) * width * dw.src_c : 0;
    const int64_t weights = dw.src_c * ((shape.expand ? shape.expand->src_c : 0) +
                                        dw.kernel_h * dw.kernel_w + shape.project->dst_c);
    if (ring + lines * dw.dst_w * dw.src_c + weights > cache * 7 / 8) return std::nullopt;
    // Lines at the border of two shares are computed by both.
    if (shape.expand && dw.batch < threads) {
      const double share =
          static_cast<double>(dw.batch * dw.dst_h * dw.stride_h) / threads;
      const auto twice = static_cast<double>(LinesRead(dw, 1) - dw.stride_h);
      if (twice > 0.15 * share) return std::nullopt;
    }
    return DepthwiseBlockWay{.lines = lines};
  }
  if (dw.batch * PanelsBetween(shape, table) < threads) return std::nullopt;
  // Some panels of the image between stay in the cache, of all lines or of some.
  const int64_t line = width * std::min(kGroupChannels, dw.src_c);
  const int64_t most = cache / 4 / line;
  int64_t lines = (most - LinesRead(dw, 1)) / dw.stride_h + 1;
  if (lines < 1) return std::nullopt;
  return DepthwiseBlockWay{.by_channels = true, .lines = std::min(lines, dw.dst_h)};
}

}  // namespace oriel::engine::kernels
