// Operations that move elements of any type.
#pragma once

#include "engine/ir.h"

namespace oriel::engine {

// Concat, ConcatV2, Pack: the inputs one after the other along `axis`.
struct ConcatAttrs : OpAttrs {
  int axis = 0;       // of the output
  bool pack = false;  // the inputs lack the axis
};

// Split, SplitV, Unpack: the outputs one after the other along `axis`.
struct SplitAttrs : OpAttrs {
  int axis = 0;         // of the input
  bool unpack = false;  // the outputs lack the axis
};

// ZerosLike, OnesLike.
struct FillAttrs : OpAttrs {
  int number = 0;
};

enum class PadMode { kConstant, kReflect, kSymmetric };

struct PadAttrs : OpAttrs {
  PadMode mode = PadMode::kConstant;  // input 1, if there is one, is the value
  std::vector<int64_t> before;        // by axis
};

// dst[i] has src's axis perm[i].
struct TransposeAttrs : OpAttrs {
  std::vector<int> perm;
};

// The input read as if it had shape `from`, transposed to `to`, read as the output's
// shape: DepthToSpace and SpaceToDepth.
struct RearrangeAttrs : OpAttrs {
  Shape from, to;
  std::vector<int> perm;
};

// SpaceToBatchND, BatchToSpaceND: axes 1 to block.size() of the larger image, `crop`
// elements of it at their beginnings outside of the other.
struct BlocksAttrs : OpAttrs {
  std::vector<int64_t> block;
  std::vector<int64_t> crop;
};

// dst[o, i, r] = src[o, indices[i], r] around `axis`.
struct GatherAttrs : OpAttrs {
  int axis = 0;
  std::vector<int64_t> indices;  // all of them inside
};

// Slice, StridedSlice, Reverse: dst[i0, i1, ...] = src[begin0 + i0 * step0, ...].
struct SliceAttrs : OpAttrs {
  std::vector<int64_t> begin, step;  // by axis of the input
  Shape size;                        // of the result, before axes are dropped
};

}  // namespace oriel::engine
