#include "engine/ops.h"

#include <algorithm>
#include <array>

#include "engine/onednn/lowerings.h"
#include "engine/ops/setups.h"
#include "engine/ref/kernels.h"

namespace oriel::engine {
namespace {

// In the order of their names. Placeholders are not here: they are inputs.
constexpr std::array kOps = {
    OpType{"Add", SetupAdd, ref::Binary, onednn::LowerBinary, true},
    OpType{"AddV2", SetupAdd, ref::Binary, onednn::LowerBinary, true},
    OpType{"AvgPool", SetupAvgPool, ref::Pool, onednn::LowerPool, false},
    OpType{"BatchNormWithGlobalNormalization", SetupBatchNormWithGlobalNormalization,
           ref::BatchNorm, onednn::LowerBatchNorm, false},
    OpType{"BiasAdd", SetupBiasAdd, ref::Binary, onednn::LowerBinary, true},
    OpType{"Cast", SetupCast, ref::Cast, nullptr, true},
    OpType{"CheckNumerics", SetupIdentity, nullptr, nullptr, false},
    OpType{"Concat", SetupConcat, ref::Concat, onednn::LowerConcat, true},
    OpType{"ConcatV2", SetupConcatV2, ref::Concat, onednn::LowerConcat, true},
    OpType{"Const", SetupConst, nullptr, nullptr, false},
    OpType{"Conv2D", SetupConv2D, ref::Conv, onednn::LowerConv, false},
    OpType{"DepthwiseConv2dNative", SetupDepthwiseConv2D, ref::Conv, onednn::LowerConv,
           false},
    OpType{"Elu", SetupElu, ref::Unary, onednn::LowerUnary, true},
    OpType{"Exp", SetupExp, ref::Unary, onednn::LowerUnary, true},
    OpType{"ExpandDims", SetupExpandDims, nullptr, nullptr, false},
    OpType{"Fill", SetupFill, ref::Fill, nullptr, true},
    OpType{"FusedBatchNorm", SetupFusedBatchNorm, ref::BatchNorm, onednn::LowerBatchNorm,
           false},
    OpType{"FusedBatchNormV2", SetupFusedBatchNorm, ref::BatchNorm,
           onednn::LowerBatchNorm, false},
    OpType{"FusedBatchNormV3", SetupFusedBatchNorm, ref::BatchNorm,
           onednn::LowerBatchNorm, false},
    OpType{"FusedPadConv2D", SetupFusedPadConv2D, ref::FusedConv, nullptr, false},
    OpType{"FusedResizeAndPadConv2D", SetupFusedResizeAndPadConv2D, ref::FusedConv,
           nullptr, false},
    OpType{"Identity", SetupIdentity, nullptr, nullptr, false},
    OpType{"LeakyRelu", SetupLeakyRelu, ref::Unary, onednn::LowerUnary, true},
    OpType{"MatMul", SetupMatMul, ref::MatMul, onednn::LowerMatMul, false},
    OpType{"Max", SetupMax, ref::Reduce, nullptr, true},
    OpType{"MaxPool", SetupMaxPool, ref::Pool, onednn::LowerPool, false},
    OpType{"Maximum", SetupMaximum, ref::Binary, onednn::LowerBinary, true},
    OpType{"Mean", SetupMean, ref::Reduce, onednn::LowerReduce, true},
    OpType{"Min", SetupMin, ref::Reduce, nullptr, true},
    OpType{"Minimum", SetupMinimum, ref::Binary, onednn::LowerBinary, true},
    OpType{"MirrorPad", SetupMirrorPad, ref::Pad, nullptr, true},
    OpType{"Mul", SetupMul, ref::Binary, onednn::LowerBinary, true},
    OpType{"Neg", SetupNeg, ref::Unary, onednn::LowerUnary, true},
    OpType{"Pack", SetupPack, ref::Concat, nullptr, true},
    OpType{"Pad", SetupPad, ref::Pad, nullptr, true},
    OpType{"PadV2", SetupPad, ref::Pad, nullptr, true},
    OpType{"PlaceholderWithDefault", SetupIdentity, nullptr, nullptr, false},
    OpType{"Prod", SetupProd, ref::Reduce, nullptr, true},
    OpType{"RealDiv", SetupDiv, ref::Binary, onednn::LowerBinary, true},
    OpType{"Relu", SetupRelu, ref::Unary, onednn::LowerUnary, true},
    OpType{"Relu6", SetupRelu6, ref::Unary, onednn::LowerUnary, true},
    OpType{"Reshape", SetupReshape, nullptr, nullptr, false},
    OpType{"Rsqrt", SetupRsqrt, ref::Unary, onednn::LowerUnary, true},
    OpType{"Shape", SetupShape, nullptr, nullptr, false},
    OpType{"Sigmoid", SetupSigmoid, ref::Unary, onednn::LowerUnary, true},
    OpType{"Slice", SetupSlice, ref::Slice, nullptr, true},
    OpType{"Softmax", SetupSoftmax, ref::Softmax, onednn::LowerSoftmax, false},
    OpType{"Split", SetupSplit, ref::Split, nullptr, true},
    OpType{"Sqrt", SetupSqrt, ref::Unary, onednn::LowerUnary, true},
    OpType{"Square", SetupSquare, ref::Unary, onednn::LowerUnary, true},
    OpType{"Squeeze", SetupSqueeze, nullptr, nullptr, false},
    OpType{"StopGradient", SetupIdentity, nullptr, nullptr, false},
    OpType{"StridedSlice", SetupStridedSlice, ref::Slice, nullptr, true},
    OpType{"Sub", SetupSub, ref::Binary, onednn::LowerBinary, true},
    OpType{"Sum", SetupSum, ref::Reduce, nullptr, true},
    OpType{"Tanh", SetupTanh, ref::Unary, onednn::LowerUnary, true},
    OpType{"Transpose", SetupTranspose, ref::Transpose, nullptr, true},
};

constexpr bool Sorted() {
  for (size_t i = 1; i < kOps.size(); ++i) {
    if (std::string_view(kOps[i - 1].name) >= std::string_view(kOps[i].name))
      return false;
  }
  return true;
}
static_assert(Sorted());

}  // namespace

std::span<const OpType> OpTable() { return kOps; }

const OpType* FindOp(std::string_view name) {
  const auto it = std::lower_bound(
      kOps.begin(), kOps.end(), name,
      [](const OpType& op, std::string_view want) { return op.name < want; });
  return it != kOps.end() && it->name == name ? &*it : nullptr;
}

}  // namespace oriel::engine
