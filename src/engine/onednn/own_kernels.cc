// Lowerings to our own kernels (engine/kernels).

#include "engine/onednn/own_kernels.h"

#include <cmath>
#include <utility>

#include "engine/choices.h"
#include "engine/kernels/candidates.h"
#include "engine/kernels/conv.h"
#include "engine/kernels/pool.h"
#include "engine/kernels/stem_conv.h"
#include "engine/onednn/lowering.h"
#include "engine/onednn/lowerings.h"
#include "engine/ops/conv.h"
#include "engine/ops/matmul.h"

namespace oriel::engine::onednn {
namespace {

using kernels::Bounds;
using kernels::Conv;
using kernels::ConvShape;
using kernels::WinogradKind;

// Inputs: image, packed weights, residual if there is one.
class ConvKernel : public Kernel {
 public:
  ConvKernel(std::unique_ptr<const Conv> conv, const ImageView& src,
             const std::optional<ImageView>& residual, const ImageView& dst,
             Bounds bounds)
      : conv_(std::move(conv)), src_(src.offset), dst_(dst.offset), bounds_(bounds) {
    if (residual) residual_ = residual->offset;
  }

  std::string_view implementation() const override { return conv_->name(); }
  size_t scratch_bytes() const override { return conv_->scratch_bytes(); }
  const void* FirstRead(std::span<void* const> inputs, int thread) const override {
    return static_cast<const float*>(inputs[1]) + conv_->first_read(thread);
  }

  absl::Status Run(const KernelArgs& args) const override {
    const kernels::ConvArgs conv_args{
        .src = At<const float>(args.inputs[0], src_),
        .weights = static_cast<const float*>(args.inputs[1]),
        .residual = residual_ ? At<const float>(args.inputs[2], *residual_) : nullptr,
        .dst = At<float>(args.outputs[0], dst_),
        .scratch = static_cast<std::byte*>(args.scratch),
        .next = args.next,
        .low = bounds_.low,
        .high = bounds_.high};
    RunOnThreads(*conv_, conv_args, *args.threads);
    return absl::OkStatus();
  }

 private:
  std::unique_ptr<const Conv> conv_;
  size_t src_, dst_;  // offsets
  std::optional<size_t> residual_;
  Bounds bounds_;
};

// The candidate that was measured to be fastest, else the one that ought to be.
std::unique_ptr<const Conv> ChooseConv(const Lowering& lowering, const ConvShape& shape,
                                       bool residual, Choice& choice) {
  const kernels::KernelTable& table = *lowering.own_kernels();
  const Precision precision = lowering.options().precision;
  const bool winograd =
      precision != Precision::kF32Exact && precision != Precision::kBf16;
  const auto candidates =
      kernels::ListCandidates(shape, winograd, lowering.threads(), table);
  choice.key = kernels::CandidatesKey(shape, residual, lowering.threads());
  for (const auto& candidate : candidates) choice.candidates.push_back(candidate.Name());
  if (lowering.options().choices != nullptr) {
    const auto best = lowering.options().choices->Find(choice.key);
    const auto it = std::find(choice.candidates.begin(), choice.candidates.end(), best);
    if (it != choice.candidates.end()) choice.chosen = it - choice.candidates.begin();
  }
  return candidates[choice.chosen].Make(shape, table);
}

// Weights as the convolution reads them, its bias with them.
absl::StatusOr<SlotId> AddWeights(Lowering& lowering, const Op& op, const Conv& conv,
                                  bool transpose) {
  const Value& weights = lowering.value(op.inputs[1]);
  const Constant* bias = op.epilogue.bias >= 0
                             ? lowering.value(op.inputs[op.epilogue.bias]).constant.get()
                             : nullptr;
  const std::string key =
      fmt::format("{} {} {} {}", weights.constant->key(), conv.weights_form(),
                  transpose ? "transposed" : "", bias != nullptr ? bias->key() : "");
  return lowering.AddPacked(
      key, conv.packed_floats() * sizeof(float), [&](std::span<uint8_t> bytes) {
        const Tensor tensor = weights.constant->MakeTensor();
        std::span<const float> data = tensor.data<float>();
        std::vector<float> transposed;
        if (transpose) {
          transposed = Transposed(data, weights.shape.dim(0), weights.shape.dim(1));
          data = transposed;
        }
        conv.Pack(
            data,
            bias != nullptr ? bias->tensor().data<float>() : std::span<const float>(),
            {reinterpret_cast<float*>(bytes.data()), conv.packed_floats()});
        return absl::OkStatus();
      });
}

absl::Status AddConv(Lowering& lowering, const Op& op, std::unique_ptr<const Conv> conv,
                     bool transpose, const ImageView& src,
                     const std::optional<ImageView>& residual, const ImageView& dst,
                     Bounds bounds) {
  ASSIGN_OR_RETURN(const SlotId weights, AddWeights(lowering, op, *conv, transpose));
  std::vector<SlotId> inputs = {src.slot, weights};
  if (residual) inputs.push_back(residual->slot);
  lowering.AddKernel(
      op, std::make_shared<ConvKernel>(std::move(conv), src, residual, dst, bounds),
      std::move(inputs), {dst.slot});
  return absl::OkStatus();
}

}  // namespace

std::optional<Bounds> BoundsOf(const Epilogue& epilogue) {
  if (!epilogue.activation) return Bounds{};
  switch (epilogue.activation->kind) {
    case UnaryKind::kRelu:
      return Bounds{0, INFINITY};
    case UnaryKind::kRelu6:
      return Bounds{0, 6};
    default:
      return std::nullopt;
  }
}

ConvShape ShapeOf(const Shape& src_shape, const Window& window, int64_t channels,
                  const ImageView& src, const ImageView& dst) {
  const WindowAxis &h = window.h, &w = window.w;
  return {.batch = src_shape.dim(0),
          .src_h = h.src,
          .src_w = w.src,
          .src_c = src_shape.dim(3),
          .dst_h = h.dst,
          .dst_w = w.dst,
          .dst_c = channels,
          .kernel_h = h.size,
          .kernel_w = w.size,
          .stride_h = h.stride,
          .stride_w = w.stride,
          .dilation_h = h.dilation,
          .dilation_w = w.dilation,
          .pad_top = h.pad_before,
          .pad_left = w.pad_before,
          .src_pitch = src.pitch,
          .dst_pitch = dst.pitch};
}

bool IsOwnConv(const Ir& ir, const Op& op) {
  const auto* attrs = dynamic_cast<const ConvAttrs*>(op.attrs.get());
  if (attrs == nullptr || !BoundsOf(op.epilogue)) return false;
  if (!attrs->depthwise) return attrs->groups == 1;
  return ir.values[op.inputs[0]].shape.dim(3) == ir.values[op.outputs[0]].shape.dim(3);
}

absl::StatusOr<bool> LowerOwnConv(Lowering& lowering, const Op& op) {
  if (lowering.own_kernels() == nullptr || !IsOwnConv(lowering.ir(), op)) return false;
  const auto& attrs = op.attrs_as<ConvAttrs>();
  ASSIGN_OR_RETURN(const ImageView src, lowering.GetImage(op.inputs[0]));
  ASSIGN_OR_RETURN(const auto residual,
                   ResidualOf(op, [&](ValueId id) { return lowering.GetImage(id); }));
  const ImageView dst =
      lowering.DefineImage(op.outputs[0], residual ? &*residual : nullptr);
  ConvShape shape = ShapeOf(lowering.shape(op.inputs[0]), attrs.window,
                            lowering.shape(op.outputs[0]).dim(3), src, dst);
  if (residual) shape.residual_pitch = residual->pitch;
  Choice choice;
  std::unique_ptr<const Conv> conv;
  if (attrs.depthwise) {
    conv = kernels::MakeDepthwiseConv(shape, lowering.threads(), *lowering.own_kernels());
  } else if (kernels::IsStem(shape)) {
    conv = kernels::MakeStemConv(shape, lowering.threads(), *lowering.own_kernels());
  } else {
    conv = ChooseConv(lowering, shape, residual.has_value(), choice);
  }
  RETURN_IF_ERROR(AddConv(lowering, op, std::move(conv), /*transpose=*/false, src,
                          residual, dst, *BoundsOf(op.epilogue)));
  lowering.SetChoice(std::move(choice));
  return true;
}

absl::StatusOr<bool> LowerOwnMatMul(Lowering& lowering, const Op& op) {
  const auto& attrs = op.attrs_as<MatMulAttrs>();
  const std::optional<Bounds> bounds = BoundsOf(op.epilogue);
  if (lowering.own_kernels() == nullptr || !bounds) return false;
  // A product is a convolution of m pixels by one tap.
  const auto get = [&](ValueId id) -> absl::StatusOr<ImageView> {
    ASSIGN_OR_RETURN(const Located located, lowering.GetPlain(id));
    return ImageView{.slot = located.slot, .pitch = lowering.shape(id).dim(1)};
  };
  ASSIGN_OR_RETURN(const ImageView src, get(op.inputs[0]));
  ASSIGN_OR_RETURN(const auto residual, ResidualOf(op, get));
  const ImageView dst{
      .slot = lowering.Define(op.outputs[0], Lowering::PlainDesc({attrs.m, attrs.n})),
      .pitch = attrs.n};
  const ConvShape shape{.src_w = attrs.m,
                        .src_c = attrs.k,
                        .dst_w = attrs.m,
                        .dst_c = attrs.n,
                        .src_pitch = attrs.k,
                        .dst_pitch = attrs.n,
                        .residual_pitch = attrs.n};
  RETURN_IF_ERROR(
      AddConv(lowering, op,
              kernels::MakeDirectConv(shape, lowering.threads(), *lowering.own_kernels()),
              attrs.transpose_b, src, residual, dst, *bounds));
  return true;
}

absl::StatusOr<bool> LowerOwnPool(Lowering& lowering, const Op& op, const Window& window,
                                  bool mean, ValueId dst_id) {
  const Shape& src_shape = lowering.shape(op.inputs[0]);
  if (lowering.own_kernels() == nullptr || !EachHasCells(window)) return false;
  if (!mean && lowering.WantsBytes(dst_id)) {
    RETURN_IF_ERROR(LowerBytePool(lowering, op, window));
    if (!lowering.WantsFloats(dst_id)) return true;
  }
  ASSIGN_OR_RETURN(const ImageView src, lowering.GetImage(op.inputs[0]));
  ImageView dst;
  if (lowering.shape(dst_id).rank() == 4) {
    dst = lowering.DefineImage(dst_id);
  } else {
    dst = {.slot = lowering.Define(dst_id, Lowering::PlainDesc(lowering.shape(dst_id))),
           .pitch = src_shape.dim(3)};
  }
  const ConvShape shape = ShapeOf(src_shape, window, src_shape.dim(3), src, dst);
  lowering.AddKernel(
      op,
      std::make_shared<PoolKernel<float>>(
          kernels::MakePool(shape, mean, lowering.threads(), *lowering.own_kernels()),
          src, dst),
      {src.slot}, {dst.slot});
  return true;
}

}  // namespace oriel::engine::onednn
