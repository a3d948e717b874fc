// Lowerings of quantized operations to our own kernels.

#include <utility>

#include "engine/kernels/int8_conv.h"
#include "engine/kernels/pool.h"
#include "engine/onednn/lowering.h"
#include "engine/onednn/lowerings.h"
#include "engine/onednn/own_kernels.h"
#include "engine/ops.h"
#include "engine/ops/conv.h"
#include "engine/ops/matmul.h"

namespace oriel::engine::onednn {
namespace {

using kernels::Bounds;
using kernels::ConvShape;
using kernels::Int8Conv;
using kernels::Int8Shape;

bool IsMatMul(const Op& op) { return std::string_view(op.type->name) == "MatMul"; }

// Inputs: image, packed weights, residual if there is one. Outputs: the image as
// float32, as u8, or both in this order.
class Int8ConvKernel : public Kernel {
 public:
  struct Views {
    ImageView src;
    std::optional<ImageView> residual, floats, bytes;
  };

  Int8ConvKernel(std::unique_ptr<const Int8Conv> conv, Views views, Bounds bounds)
      : conv_(std::move(conv)), views_(std::move(views)), bounds_(bounds) {}

  std::string_view implementation() const override { return conv_->name(); }
  size_t scratch_bytes() const override { return conv_->scratch_bytes(); }
  const void* FirstRead(std::span<void* const> inputs, int thread) const override {
    return static_cast<const std::byte*>(inputs[1]) + conv_->first_read(thread);
  }

  absl::Status Run(const KernelArgs& args) const override {
    kernels::Int8ConvArgs conv_args{
        .src = At<const uint8_t>(args.inputs[0], views_.src.offset),
        .weights = static_cast<const std::byte*>(args.inputs[1]),
        .scratch = static_cast<std::byte*>(args.scratch),
        .next = args.next,
        .low = bounds_.low,
        .high = bounds_.high};
    if (views_.residual) {
      conv_args.residual = At<const float>(args.inputs[2], views_.residual->offset);
    }
    size_t output = 0;
    if (views_.floats) {
      conv_args.floats = At<float>(args.outputs[output++], views_.floats->offset);
    }
    if (views_.bytes) {
      conv_args.bytes = At<uint8_t>(args.outputs[output], views_.bytes->offset);
    }
    RunOnThreads(*conv_, conv_args, *args.threads);
    return absl::OkStatus();
  }

 private:
  std::unique_ptr<const Int8Conv> conv_;
  Views views_;
  Bounds bounds_;
};

absl::StatusOr<SlotId> AddWeights(Lowering& lowering, const Op& op, const Int8Conv& conv,
                                  bool transpose) {
  const Value& weights = lowering.value(op.inputs[1]);
  const Constant& scales =
      *lowering.value(op.inputs[op.quantization->weight_scales]).constant;
  const Constant* bias = op.epilogue.bias >= 0
                             ? lowering.value(op.inputs[op.epilogue.bias]).constant.get()
                             : nullptr;
  const std::string key = fmt::format(
      "{} {} {} {} {}", weights.constant->key(), scales.key(), conv.weights_form(),
      transpose ? "transposed" : "", bias != nullptr ? bias->key() : "");
  return lowering.AddPacked(key, conv.packed_bytes(), [&](std::span<uint8_t> bytes) {
    const Tensor tensor = weights.constant->MakeTensor();
    std::span<const int8_t> data = tensor.data<int8_t>();
    std::vector<int8_t> transposed;
    if (transpose) {
      transposed = Transposed(data, weights.shape.dim(0), weights.shape.dim(1));
      data = transposed;
    }
    conv.Pack(data, scales.tensor().data<float>(),
              bias != nullptr ? bias->tensor().data<float>() : std::span<const float>(),
              std::as_writable_bytes(bytes));
    return absl::OkStatus();
  });
}

// The kernel for `op`, whose result and residual are images in the sense of `views`.
absl::Status AddInt8(Lowering& lowering, const Op& op, Int8ConvKernel::Views views,
                     ConvShape conv_shape, bool depthwise, bool transpose) {
  Int8Shape shape{.conv = conv_shape, .input = op.quantization->input};
  ConvShape& s = shape.conv;
  s.src_pitch = views.src.pitch;
  if (views.residual) s.residual_pitch = views.residual->pitch;
  shape.floats = views.floats.has_value();
  if (views.floats) s.dst_pitch = views.floats->pitch;
  if (views.bytes) {
    shape.bytes = lowering.value(op.outputs[0]).quantization;
    shape.bytes_pitch = views.bytes->pitch;
  }
  const kernels::Int8Table& table = *lowering.int8_kernels();
  std::unique_ptr<const Int8Conv> conv =
      depthwise ? kernels::MakeInt8DepthwiseConv(shape, lowering.threads(), table)
                : kernels::MakeInt8Conv(shape, lowering.threads(), table);
  ASSIGN_OR_RETURN(const SlotId weights, AddWeights(lowering, op, *conv, transpose));
  std::vector<SlotId> inputs = {views.src.slot, weights}, outputs;
  if (views.residual) inputs.push_back(views.residual->slot);
  if (views.floats) outputs.push_back(views.floats->slot);
  if (views.bytes) outputs.push_back(views.bytes->slot);
  lowering.AddKernel(
      op,
      std::make_shared<Int8ConvKernel>(std::move(conv), views, *BoundsOf(op.epilogue)),
      std::move(inputs), std::move(outputs));
  return absl::OkStatus();
}

absl::Status LowerInt8Conv(Lowering& lowering, const Op& op) {
  const auto& attrs = op.attrs_as<ConvAttrs>();
  const ValueId dst = op.outputs[0];
  Int8ConvKernel::Views views;
  ASSIGN_OR_RETURN(views.src, lowering.GetBytes(op.inputs[0], op.quantization->input));
  ASSIGN_OR_RETURN(views.residual,
                   ResidualOf(op, [&](ValueId id) { return lowering.GetImage(id); }));
  if (lowering.WantsFloats(dst)) {
    views.floats = lowering.DefineImage(dst, views.residual ? &*views.residual : nullptr);
  }
  if (lowering.WantsBytes(dst)) views.bytes = lowering.DefineBytes(dst);
  return AddInt8(lowering, op, views,
                 ShapeOf(lowering.shape(op.inputs[0]), attrs.window,
                         lowering.shape(dst).dim(3), views.src, {}),
                 attrs.depthwise, /*transpose=*/false);
}

// A product is a convolution of m pixels by one tap.
absl::Status LowerInt8MatMul(Lowering& lowering, const Op& op) {
  const auto& attrs = op.attrs_as<MatMulAttrs>();
  const ValueId dst = op.outputs[0];
  Int8ConvKernel::Views views;
  ASSIGN_OR_RETURN(views.src, lowering.GetBytes(op.inputs[0], op.quantization->input));
  ASSIGN_OR_RETURN(
      views.residual, ResidualOf(op, [&](ValueId id) -> absl::StatusOr<ImageView> {
        ASSIGN_OR_RETURN(const Located located, lowering.GetPlain(id));
        return ImageView{.slot = located.slot, .pitch = lowering.shape(id).dim(1)};
      }));
  if (lowering.WantsFloats(dst)) {
    views.floats = {.slot = lowering.Define(dst, Lowering::PlainDesc({attrs.m, attrs.n})),
                    .pitch = attrs.n};
  }
  if (lowering.WantsBytes(dst)) views.bytes = lowering.DefineBytes(dst);
  return AddInt8(lowering, op, views,
                 {.src_w = attrs.m, .src_c = attrs.k, .dst_w = attrs.m, .dst_c = attrs.n},
                 /*depthwise=*/false, attrs.transpose_b);
}

}  // namespace

absl::StatusOr<bool> LowerInt8(Lowering& lowering, const Op& op) {
  if (lowering.int8_kernels() == nullptr) return false;
  RETURN_IF_ERROR(IsMatMul(op) ? LowerInt8MatMul(lowering, op)
                               : LowerInt8Conv(lowering, op));
  return true;
}

absl::Status LowerBytePool(Lowering& lowering, const Op& op, const Window& window) {
  const ValueId dst_id = op.outputs[0];
  const Shape& src_shape = lowering.shape(op.inputs[0]);
  ASSIGN_OR_RETURN(const ImageView src,
                   lowering.GetBytes(op.inputs[0], *lowering.value(dst_id).quantization));
  const ImageView dst = lowering.DefineBytes(dst_id);
  auto pool =
      kernels::MakeBytePool(ShapeOf(src_shape, window, src_shape.dim(3), src, dst),
                            lowering.threads(), *lowering.int8_kernels());
  lowering.AddKernel(op, std::make_shared<PoolKernel<uint8_t>>(std::move(pool), src, dst),
                     {src.slot}, {dst.slot});
  return absl::OkStatus();
}

}  // namespace oriel::engine::onednn

namespace oriel::engine {

bool HasInt8Kernel(const Ir& ir, const Op& op) {
  const kernels::Int8Table* const table = kernels::FindInt8Table();
  if (table == nullptr || op.quantization == nullptr || !onednn::BoundsOf(op.epilogue)) {
    return false;
  }
  const Shape& src = ir.values[op.inputs[0]].shape;
  if (ir.values[op.outputs[0]].shape.elements() == 0 || src.elements() == 0) return false;
  if (op.quantization->input.max > table->max_activation) return false;
  return onednn::IsMatMul(op) || onednn::IsOwnConv(ir, op);
}

}  // namespace oriel::engine
