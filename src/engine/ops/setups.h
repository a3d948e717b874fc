// The shape rules of all operations, for the table in ops.cc.
#pragma once

#include "engine/op_setup.h"
#include "engine/ops/elementwise.h"
#include "engine/ops/reduce.h"
#include "image/resize.h"

namespace oriel::engine {

// conv.cc
absl::Status SetupConv2D(OpSetup& setup);
absl::Status SetupDepthwiseConv2D(OpSetup& setup);
// fused_conv.cc
absl::Status SetupFusedPadConv2D(OpSetup& setup);
absl::Status SetupFusedResizeAndPadConv2D(OpSetup& setup);
// pool.cc
absl::Status SetupMaxPool(OpSetup& setup);
absl::Status SetupAvgPool(OpSetup& setup);
// matmul.cc
absl::Status SetupMatMul(OpSetup& setup);
// batch_norm.cc
absl::Status SetupFusedBatchNorm(OpSetup& setup);
absl::Status SetupBatchNormWithGlobalNormalization(OpSetup& setup);
// softmax.cc
absl::Status SetupSoftmax(OpSetup& setup);
// elementwise.cc
absl::Status SetupBiasAdd(OpSetup& setup);
absl::Status SetupUnaryFunction(OpSetup& setup, UnaryFunction function);
template <UnaryKind kKind>
absl::Status SetupUnary(OpSetup& setup) {
  return SetupUnaryFunction(setup, {kKind});
}
absl::Status SetupBinaryFunction(OpSetup& setup, BinaryKind kind);
template <BinaryKind kKind>
absl::Status SetupBinary(OpSetup& setup) {
  return SetupBinaryFunction(setup, kKind);
}
absl::Status SetupAddN(OpSetup& setup);
absl::Status SetupCast(OpSetup& setup);
absl::Status SetupClipByValue(OpSetup& setup);
absl::Status SetupLeakyRelu(OpSetup& setup);
absl::Status SetupLogicalNot(OpSetup& setup);
absl::Status SetupSelect(OpSetup& setup);
// reduce.cc
absl::Status SetupReduceBy(OpSetup& setup, ReduceKind kind);
template <ReduceKind kKind>
absl::Status SetupReduce(OpSetup& setup) {
  return SetupReduceBy(setup, kKind);
}
// lrn.cc
absl::Status SetupLrn(OpSetup& setup);
// top_k.cc
absl::Status SetupArgMax(OpSetup& setup);
absl::Status SetupArgMin(OpSetup& setup);
absl::Status SetupTopK(OpSetup& setup);
// resize.cc
template <image::ResizeMethod kMethod>
absl::Status SetupResize(OpSetup& setup);
// decode.cc
absl::Status SetupDecodeImage(OpSetup& setup);
// shape_ops.cc
absl::Status SetupConst(OpSetup& setup);
absl::Status SetupIdentity(OpSetup& setup);
absl::Status SetupReshape(OpSetup& setup);
absl::Status SetupSqueeze(OpSetup& setup);
absl::Status SetupExpandDims(OpSetup& setup);
absl::Status SetupShape(OpSetup& setup);
absl::Status SetupFill(OpSetup& setup);
absl::Status SetupIdentityN(OpSetup& setup);
absl::Status SetupNoOp(OpSetup& setup);
absl::Status SetupOnesLike(OpSetup& setup);
absl::Status SetupRange(OpSetup& setup);
absl::Status SetupRank(OpSetup& setup);
absl::Status SetupShapeN(OpSetup& setup);
absl::Status SetupSize(OpSetup& setup);
absl::Status SetupZerosLike(OpSetup& setup);
// array_ops.cc
absl::Status SetupConcat(OpSetup& setup);
absl::Status SetupConcatV2(OpSetup& setup);
absl::Status SetupPack(OpSetup& setup);
absl::Status SetupPad(OpSetup& setup);
absl::Status SetupMirrorPad(OpSetup& setup);
absl::Status SetupTranspose(OpSetup& setup);
absl::Status SetupSplit(OpSetup& setup);
absl::Status SetupSplitV(OpSetup& setup);
absl::Status SetupUnpack(OpSetup& setup);
absl::Status SetupGather(OpSetup& setup);
absl::Status SetupTile(OpSetup& setup);
absl::Status SetupBroadcastTo(OpSetup& setup);
absl::Status SetupDepthToSpace(OpSetup& setup);
absl::Status SetupSpaceToDepth(OpSetup& setup);
absl::Status SetupSpaceToBatch(OpSetup& setup);
absl::Status SetupBatchToSpace(OpSetup& setup);
// slice.cc
absl::Status SetupSlice(OpSetup& setup);
absl::Status SetupStridedSlice(OpSetup& setup);
absl::Status SetupReverse(OpSetup& setup);

}  // namespace oriel::engine
