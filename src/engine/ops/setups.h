// The shape rules of all operations, for the table in ops.cc.
#pragma once

#include "engine/op_setup.h"

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
absl::Status SetupAdd(OpSetup& setup);
absl::Status SetupSub(OpSetup& setup);
absl::Status SetupMul(OpSetup& setup);
absl::Status SetupDiv(OpSetup& setup);
absl::Status SetupMaximum(OpSetup& setup);
absl::Status SetupMinimum(OpSetup& setup);
absl::Status SetupElu(OpSetup& setup);
absl::Status SetupExp(OpSetup& setup);
absl::Status SetupLeakyRelu(OpSetup& setup);
absl::Status SetupNeg(OpSetup& setup);
absl::Status SetupRelu(OpSetup& setup);
absl::Status SetupRelu6(OpSetup& setup);
absl::Status SetupRsqrt(OpSetup& setup);
absl::Status SetupSigmoid(OpSetup& setup);
absl::Status SetupSqrt(OpSetup& setup);
absl::Status SetupSquare(OpSetup& setup);
absl::Status SetupTanh(OpSetup& setup);
absl::Status SetupCast(OpSetup& setup);
// reduce.cc
absl::Status SetupMean(OpSetup& setup);
absl::Status SetupSum(OpSetup& setup);
absl::Status SetupMax(OpSetup& setup);
absl::Status SetupMin(OpSetup& setup);
absl::Status SetupProd(OpSetup& setup);
// shape_ops.cc
absl::Status SetupConst(OpSetup& setup);
absl::Status SetupIdentity(OpSetup& setup);
absl::Status SetupReshape(OpSetup& setup);
absl::Status SetupSqueeze(OpSetup& setup);
absl::Status SetupExpandDims(OpSetup& setup);
absl::Status SetupShape(OpSetup& setup);
absl::Status SetupFill(OpSetup& setup);
// array_ops.cc
absl::Status SetupConcat(OpSetup& setup);
absl::Status SetupConcatV2(OpSetup& setup);
absl::Status SetupPack(OpSetup& setup);
absl::Status SetupPad(OpSetup& setup);
absl::Status SetupMirrorPad(OpSetup& setup);
absl::Status SetupTranspose(OpSetup& setup);
absl::Status SetupSplit(OpSetup& setup);
// slice.cc
absl::Status SetupSlice(OpSetup& setup);
absl::Status SetupStridedSlice(OpSetup& setup);

}  // namespace oriel::engine
