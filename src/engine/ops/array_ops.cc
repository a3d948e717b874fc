#include "engine/ops/array_ops.h"

#include <algorithm>
#include <numeric>

#include "engine/ops/setups.h"

namespace oriel::engine {
namespace {

absl::StatusOr<int> Axis(const OpSetup& setup, int64_t axis, int rank) {
  if (axis < -rank || axis >= rank) {
    return setup.Invalid("axis {} does not exist among {} dimensions", axis, rank);
  }
  return static_cast<int>(axis < 0 ? axis + rank : axis);
}

// Concatenates inputs [first, first + count).
absl::Status Concatenate(OpSetup& setup, int first, int count, int64_t axis) {
  const Shape& shape = setup.shape(first);
  ConcatAttrs attrs;
  ASSIGN_OR_RETURN(attrs.axis, Axis(setup, axis, shape.rank()));
  int64_t total = 0;
  for (int i = first; i < first + count; ++i) {
    RETURN_IF_ERROR(setup.WantSameType(first, i));
    Shape want = shape;
    const bool fits = setup.shape(i).rank() == shape.rank();
    if (fits) want.set_dim(attrs.axis, setup.shape(i).dim(attrs.axis));
    if (!fits || setup.shape(i) != want) {
      return setup.Invalid(
          "inputs {} and {} have shapes {} and {}: they may differ along "
          "axis {} only",
          first, i, shape.ToString(), setup.shape(i).ToString(), attrs.axis);
    }
    total += setup.shape(i).dim(attrs.axis);
  }
  Shape dst = shape;
  dst.set_dim(attrs.axis, total);
  std::vector<int> kept(count);
  std::iota(kept.begin(), kept.end(), first);
  setup.KeepInputs(std::move(kept));
  setup.SetAttrs(attrs);
  return setup.AddOutput(setup.dtype(first), dst);
}

}  // namespace

absl::Status SetupConcat(OpSetup& setup) {
  RETURN_IF_ERROR(setup.WantInputs(2, INT32_MAX));
  ASSIGN_OR_RETURN(const int64_t axis, setup.Integer(0, "the axis"));
  return Concatenate(setup, 1, setup.num_inputs() - 1, axis);
}

absl::Status SetupConcatV2(OpSetup& setup) {
  RETURN_IF_ERROR(setup.WantInputs(2, INT32_MAX));
  const int count = setup.num_inputs() - 1;
  ASSIGN_OR_RETURN(const int64_t axis, setup.Integer(count, "the axis"));
  return Concatenate(setup, 0, count, axis);
}

absl::Status SetupPack(OpSetup& setup) {
  RETURN_IF_ERROR(setup.WantInputs(1, INT32_MAX));
  ASSIGN_OR_RETURN(const int64_t axis, graph::GetIntOr(setup.node(), "axis", 0));
  for (int i = 1; i < setup.num_inputs(); ++i) {
    RETURN_IF_ERROR(setup.WantSameType(0, i));
    if (setup.shape(i) != setup.shape(0)) {
      return setup.Invalid("inputs 0 and {} have shapes {} and {}, want the same", i,
                           setup.shape(0).ToString(), setup.shape(i).ToString());
    }
  }
  ConcatAttrs attrs;
  attrs.pack = true;
  ASSIGN_OR_RETURN(attrs.axis, Axis(setup, axis, setup.shape(0).rank() + 1));
  std::vector<int64_t> dims = setup.shape(0).dims();
  dims.insert(dims.begin() + attrs.axis, setup.num_inputs());
  setup.SetAttrs(attrs);
  return setup.AddOutput(setup.dtype(0), Shape(std::move(dims)));
}

namespace {

constexpr int64_t kMaxParts = 1 << 16;

}  // namespace

absl::Status SetupSplit(OpSetup& setup) {
  RETURN_IF_ERROR(setup.WantInputs(2));
  ASSIGN_OR_RETURN(const int64_t axis, setup.Integer(0, "the axis"));
  ASSIGN_OR_RETURN(const int64_t count, graph::GetInt(setup.node(), "num_split"));
  SplitAttrs attrs;
  ASSIGN_OR_RETURN(attrs.axis, Axis(setup, axis, setup.shape(1).rank()));
  Shape part = setup.shape(1);
  if (count < 1 || count > kMaxParts || part.dim(attrs.axis) % count != 0) {
    return setup.Invalid("cannot split axis {} of shape {} into {} parts", attrs.axis,
                         part.ToString(), count);
  }
  part.set_dim(attrs.axis, part.dim(attrs.axis) / count);
  setup.SetAttrs(attrs);
  setup.KeepInputs({1});
  for (int64_t i = 0; i < count; ++i) {
    RETURN_IF_ERROR(setup.AddOutput(setup.dtype(1), part));
  }
  return absl::OkStatus();
}

absl::Status SetupSplitV(OpSetup& setup) {
  RETURN_IF_ERROR(setup.WantInputs(3));
  ASSIGN_OR_RETURN(std::vector<int64_t> sizes, setup.Integers(1, "the sizes"));
  ASSIGN_OR_RETURN(const int64_t axis, setup.Integer(2, "the axis"));
  SplitAttrs attrs;
  ASSIGN_OR_RETURN(attrs.axis, Axis(setup, axis, setup.shape(0).rank()));
  int64_t left = setup.shape(0).dim(attrs.axis);
  int unknown = -1;
  bool fits = true;
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] == -1 && unknown < 0) {
      unknown = static_cast<int>(i);
    } else {
      fits = fits && sizes[i] >= 0 && sizes[i] <= left;
      if (fits) left -= sizes[i];
    }
  }
  if (!fits || (unknown < 0 && left != 0)) {
    return setup.Invalid("cannot split axis {} of shape {} into [{}]", attrs.axis,
                         setup.shape(0).ToString(), fmt::join(sizes, ","));
  }
  if (unknown >= 0) sizes[unknown] = left;
  setup.SetAttrs(attrs);
  setup.KeepInputs({0});
  for (const int64_t size : sizes) {
    Shape part = setup.shape(0);
    part.set_dim(attrs.axis, size);
    RETURN_IF_ERROR(setup.AddOutput(setup.dtype(0), std::move(part)));
  }
  return absl::OkStatus();
}

absl::Status SetupUnpack(OpSetup& setup) {
  RETURN_IF_ERROR(setup.WantInputs(1));
  ASSIGN_OR_RETURN(const int64_t axis, graph::GetIntOr(setup.node(), "axis", 0));
  SplitAttrs attrs;
  attrs.unpack = true;
  ASSIGN_OR_RETURN(attrs.axis, Axis(setup, axis, setup.shape(0).rank()));
  std::vector<int64_t> dims = setup.shape(0).dims();
  const int64_t count = dims[attrs.axis];
  ASSIGN_OR_RETURN(const int64_t wanted, graph::GetIntOr(setup.node(), "num", count));
  if (count != wanted || count > kMaxParts) {
    return setup.Invalid("cannot unpack {} parts along axis {} of {}", wanted, attrs.axis,
                         setup.shape(0).ToString());
  }
  dims.erase(dims.begin() + attrs.axis);
  setup.SetAttrs(attrs);
  for (int64_t i = 0; i < count; ++i) {
    RETURN_IF_ERROR(setup.AddOutput(setup.dtype(0), Shape(dims)));
  }
  return absl::OkStatus();
}

namespace {

absl::Status SetupPadding(OpSetup& setup, PadMode mode) {
  const Shape& src = setup.shape(0);
  ASSIGN_OR_RETURN(const std::vector<int64_t> pads, setup.Integers(1, "the paddings"));
  if (setup.shape(1) != Shape{src.rank(), 2}) {
    return setup.Invalid("paddings have shape {}, want [{},2]", setup.shape(1).ToString(),
                         src.rank());
  }
  PadAttrs attrs;
  attrs.mode = mode;
  std::vector<int64_t> dims;
  for (int i = 0; i < src.rank(); ++i) {
    const int64_t before = pads[2 * i], after = pads[2 * i + 1];
    const int64_t most = mode == PadMode::kConstant    ? INT32_MAX
                         : mode == PadMode::kSymmetric ? src.dim(i)
                                                       : src.dim(i) - 1;
    if (before < 0 || after < 0 || before > most || after > most) {
      return setup.Invalid("paddings {} and {} do not fit axis {} of shape {}", before,
                           after, i, src.ToString());
    }
    attrs.before.push_back(before);
    dims.push_back(src.dim(i) + before + after);
  }
  setup.SetAttrs(std::move(attrs));
  return setup.AddOutput(setup.dtype(0), Shape(std::move(dims)));
}

}  // namespace

absl::Status SetupPad(OpSetup& setup) {
  RETURN_IF_ERROR(setup.WantInputs(2, 3));
  if (setup.num_inputs() == 3) {
    RETURN_IF_ERROR(setup.WantSameType(0, 2));
    RETURN_IF_ERROR(setup.WantRank(2, 0, "the padding value"));
    setup.KeepInputs({0, 2});
  } else {
    setup.KeepInputs({0});
  }
  return SetupPadding(setup, PadMode::kConstant);
}

absl::Status SetupMirrorPad(OpSetup& setup) {
  RETURN_IF_ERROR(setup.WantInputs(2));
  ASSIGN_OR_RETURN(const std::string mode, graph::GetString(setup.node(), "mode"));
  setup.KeepInputs({0});
  if (mode == "REFLECT") return SetupPadding(setup, PadMode::kReflect);
  if (mode == "SYMMETRIC") return SetupPadding(setup, PadMode::kSymmetric);
  return setup.Invalid("mode is '{}', want REFLECT or SYMMETRIC", mode);
}

absl::Status SetupTranspose(OpSetup& setup) {
  RETURN_IF_ERROR(setup.WantInputs(2));
  ASSIGN_OR_RETURN(const std::vector<int64_t> perm, setup.Integers(1, "the permutation"));
  const Shape& src = setup.shape(0);
  std::vector<int64_t> sorted = perm;
  std::sort(sorted.begin(), sorted.end());
  bool fits = static_cast<int>(perm.size()) == src.rank();
  for (size_t i = 0; fits && i < sorted.size(); ++i) {
    fits = sorted[i] == static_cast<int64_t>(i);
  }
  if (!fits) {
    return setup.Invalid("[{}] is no permutation of the axes of {}", fmt::join(perm, ","),
                         src.ToString());
  }
  TransposeAttrs attrs;
  std::vector<int64_t> dims;
  for (const int64_t axis : perm) {
    attrs.perm.push_back(static_cast<int>(axis));
    dims.push_back(src.dim(static_cast<int>(axis)));
  }
  setup.SetAttrs(std::move(attrs));
  setup.KeepInputs({0});
  return setup.AddOutput(setup.dtype(0), Shape(std::move(dims)));
}

// The indices are constant; an axis, the third input of GatherV2, too.
absl::Status SetupGather(OpSetup& setup) {
  RETURN_IF_ERROR(setup.WantInputs(2, 3));
  ASSIGN_OR_RETURN(const int64_t batch_dims,
                   graph::GetIntOr(setup.node(), "batch_dims", 0));
  if (batch_dims != 0) return setup.Unsupported("batch_dims is {}, want 0", batch_dims);
  GatherAttrs attrs;
  if (setup.num_inputs() == 3) {
    ASSIGN_OR_RETURN(const int64_t axis, setup.Integer(2, "the axis"));
    ASSIGN_OR_RETURN(attrs.axis, Axis(setup, axis, setup.shape(0).rank()));
  } else if (setup.shape(0).rank() == 0) {
    return setup.Invalid("cannot gather from a scalar");
  }
  ASSIGN_OR_RETURN(attrs.indices, setup.Integers(1, "the indices"));
  const int64_t size = setup.shape(0).dim(attrs.axis);
  for (const int64_t index : attrs.indices) {
    if (index < 0 || index >= size) {
      return setup.Invalid("index {} is outside axis {} of {}", index, attrs.axis,
                           setup.shape(0).ToString());
    }
  }
  std::vector<int64_t> dims = setup.shape(0).dims();
  const std::vector<int64_t>& inner = setup.shape(1).dims();
  dims.erase(dims.begin() + attrs.axis);
  dims.insert(dims.begin() + attrs.axis, inner.begin(), inner.end());
  setup.SetAttrs(std::move(attrs));
  setup.KeepInputs({0});
  return setup.AddOutput(setup.dtype(0), Shape(std::move(dims)));
}

absl::Status SetupTile(OpSetup& setup) {
  RETURN_IF_ERROR(setup.WantInputs(2));
  ASSIGN_OR_RETURN(const std::vector<int64_t> times, setup.Integers(1, "the multiples"));
  const Shape& src = setup.shape(0);
  if (times.size() != static_cast<size_t>(src.rank())) {
    return setup.Invalid("has {} multiples for {}", times.size(), src.ToString());
  }
  std::vector<int64_t> dims;
  for (int i = 0; i < src.rank(); ++i) {
    int64_t size = 0;
    if (times[i] < 0 || __builtin_mul_overflow(src.dim(i), times[i], &size)) {
      return setup.Invalid("cannot repeat axis {} of {} {} times", i, src.ToString(),
                           times[i]);
    }
    dims.push_back(size);
  }
  setup.KeepInputs({0});
  return setup.AddOutput(setup.dtype(0), Shape(std::move(dims)));
}

absl::Status SetupBroadcastTo(OpSetup& setup) {
  RETURN_IF_ERROR(setup.WantInputs(2));
  ASSIGN_OR_RETURN(std::vector<int64_t> dims, setup.Integers(1, "the shape"));
  const Shape& src = setup.shape(0);
  const Shape dst(std::move(dims));
  bool fits = src.rank() <= dst.rank();
  for (int i = 1; fits && i <= src.rank(); ++i) {
    fits = src.dim(-i) == 1 || src.dim(-i) == dst.dim(-i);
  }
  if (!fits) {
    return setup.Invalid("{} does not broadcast to {}", src.ToString(), dst.ToString());
  }
  setup.KeepInputs({0});
  return setup.AddOutput(setup.dtype(0), dst);
}

namespace {

// Attribute block_size of DepthToSpace and SpaceToDepth over images [N,H,W,C].
absl::StatusOr<int64_t> BlockSize(const OpSetup& setup) {
  RETURN_IF_ERROR(setup.WantInputs(1));
  RETURN_IF_ERROR(setup.WantChannelsLast());
  RETURN_IF_ERROR(setup.WantRank(0, 4, "the image"));
  ASSIGN_OR_RETURN(const int64_t block, graph::GetInt(setup.node(), "block_size"));
  constexpr int64_t kMost = 1 << 15;
  if (block < 1 || block > kMost) return setup.Invalid("block_size is {}", block);
  return block;
}

}  // namespace

absl::Status SetupDepthToSpace(OpSetup& setup) {
  ASSIGN_OR_RETURN(const int64_t block, BlockSize(setup));
  const Shape& src = setup.shape(0);
  if (src.dim(3) % (block * block) != 0) {
    return setup.Invalid("{} has no blocks of {} by {} in its channels", src.ToString(),
                         block, block);
  }
  const int64_t channels = src.dim(3) / (block * block);
  RearrangeAttrs attrs;
  attrs.from = Shape{src.dim(0), src.dim(1), src.dim(2), block, block, channels};
  attrs.to = Shape{src.dim(0), src.dim(1), block, src.dim(2), block, channels};
  attrs.perm = {0, 1, 3, 2, 4, 5};
  setup.SetAttrs(std::move(attrs));
  return setup.AddOutput(setup.dtype(0), Shape{src.dim(0), src.dim(1) * block,
                                               src.dim(2) * block, channels});
}

absl::Status SetupSpaceToDepth(OpSetup& setup) {
  ASSIGN_OR_RETURN(const int64_t block, BlockSize(setup));
  const Shape& src = setup.shape(0);
  if (src.dim(1) % block != 0 || src.dim(2) % block != 0) {
    return setup.Invalid("{} does not consist of blocks of {} by {}", src.ToString(),
                         block, block);
  }
  const int64_t height = src.dim(1) / block, width = src.dim(2) / block;
  RearrangeAttrs attrs;
  attrs.from = Shape{src.dim(0), height, block, width, block, src.dim(3)};
  attrs.to = Shape{src.dim(0), height, width, block, block, src.dim(3)};
  attrs.perm = {0, 1, 3, 2, 4, 5};
  setup.SetAttrs(std::move(attrs));
  return setup.AddOutput(setup.dtype(0),
                         Shape{src.dim(0), height, width, block * block * src.dim(3)});
}

namespace {

struct Blocks {
  std::vector<int64_t> block, before, after;
  int64_t product = 1;
};

// Inputs 1 and 2 of SpaceToBatchND and BatchToSpaceND.
absl::StatusOr<Blocks> ReadBlocks(const OpSetup& setup, std::string_view what) {
  RETURN_IF_ERROR(setup.WantInputs(3));
  Blocks blocks;
  ASSIGN_OR_RETURN(blocks.block, setup.Integers(1, "the block shape"));
  ASSIGN_OR_RETURN(const std::vector<int64_t> pairs, setup.Integers(2, what));
  const auto count = static_cast<int64_t>(blocks.block.size());
  if (count < 1 || setup.shape(0).rank() <= count || setup.shape(2) != Shape{count, 2}) {
    return setup.Invalid("a block shape of {} numbers and {} of shape {} do not fit {}",
                         count, what, setup.shape(2).ToString(),
                         setup.shape(0).ToString());
  }
  for (int64_t i = 0; i < count; ++i) {
    const int64_t block = blocks.block[i], before = pairs[2 * i],
                  after = pairs[2 * i + 1];
    const bool fits = block >= 1 && before >= 0 && after >= 0 && before <= INT32_MAX &&
                      after <= INT32_MAX &&
                      !__builtin_mul_overflow(blocks.product, block, &blocks.product);
    if (!fits) {
      return setup.Invalid("block {} with {} {} and {} is out of range", block, what,
                           before, after);
    }
    blocks.before.push_back(before);
    blocks.after.push_back(after);
  }
  return blocks;
}

}  // namespace

absl::Status SetupSpaceToBatch(OpSetup& setup) {
  ASSIGN_OR_RETURN(Blocks blocks, ReadBlocks(setup, "the paddings"));
  std::vector<int64_t> dims = setup.shape(0).dims();
  if (__builtin_mul_overflow(dims[0], blocks.product, &dims[0])) {
    return setup.Invalid("the result's batch is too large");
  }
  for (size_t i = 0; i < blocks.block.size(); ++i) {
    const int64_t padded = dims[i + 1] + blocks.before[i] + blocks.after[i];
    if (padded % blocks.block[i] != 0) {
      return setup.Invalid("axis {} of {} padded by {} and {} is no multiple of {}",
                           i + 1, setup.shape(0).ToString(), blocks.before[i],
                           blocks.after[i], blocks.block[i]);
    }
    dims[i + 1] = padded / blocks.block[i];
  }
  BlocksAttrs attrs;
  attrs.block = std::move(blocks.block);
  attrs.crop = std::move(blocks.before);
  setup.SetAttrs(std::move(attrs));
  setup.KeepInputs({0});
  return setup.AddOutput(setup.dtype(0), Shape(std::move(dims)));
}

absl::Status SetupBatchToSpace(OpSetup& setup) {
  ASSIGN_OR_RETURN(Blocks blocks, ReadBlocks(setup, "the crops"));
  std::vector<int64_t> dims = setup.shape(0).dims();
  if (dims[0] % blocks.product != 0) {
    return setup.Invalid("the batch of {} is no multiple of {}",
                         setup.shape(0).ToString(), blocks.product);
  }
  dims[0] /= blocks.product;
  for (size_t i = 0; i < blocks.block.size(); ++i) {
    int64_t size = 0;
    if (__builtin_mul_overflow(dims[i + 1], blocks.block[i], &size) ||
        size < blocks.before[i] + blocks.after[i]) {
      return setup.Invalid("crops {} and {} do not fit axis {} of {}", blocks.before[i],
                           blocks.after[i], i + 1, setup.shape(0).ToString());
    }
    dims[i + 1] = size - blocks.before[i] - blocks.after[i];
  }
  BlocksAttrs attrs;
  attrs.block = std::move(blocks.block);
  attrs.crop = std::move(blocks.before);
  setup.SetAttrs(std::move(attrs));
  setup.KeepInputs({0});
  return setup.AddOutput(setup.dtype(0), Shape(std::move(dims)));
}

}  // namespace oriel::engine
