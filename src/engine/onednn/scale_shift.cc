// Scaling and shifting by channel: batch norm that stands alone, and ScaleShift.

#include <cmath>

#include "engine/affine.h"
#include "engine/kernels/range.h"
#include "engine/onednn/lowering.h"
#include "engine/onednn/lowerings.h"
#include "engine/onednn/own_kernels.h"

namespace oriel::engine::onednn {
namespace {

using dnnl::memory;

// dst = clamp(src * scale + shift), pixels shared between threads. Inputs: image, scale,
// shift. src and dst may be one.
class ScaleShiftKernel : public Kernel {
 public:
  ScaleShiftKernel(const ImageView& src, const ImageView& dst, int64_t pixels,
                   int64_t channels, kernels::Bounds bounds)
      : src_(src), dst_(dst), pixels_(pixels), channels_(channels), bounds_(bounds) {}

  std::string_view implementation() const override { return "scale and shift"; }

  absl::Status Run(const KernelArgs& args) const override {
    const auto* const src = At<const float>(args.inputs[0], src_.offset);
    const auto* const scale = static_cast<const float*>(args.inputs[1]);
    const auto* const shift = static_cast<const float*>(args.inputs[2]);
    auto* const dst = At<float>(args.outputs[0], dst_.offset);
    const int threads = args.threads->size();
    args.threads->Run([&](int thread) {
      const kernels::Range pixels = kernels::Share(pixels_, thread, threads);
      for (int64_t i = pixels.begin; i < pixels.end; ++i) {
        Pixel(src + i * src_.pitch, scale, shift, dst + i * dst_.pitch);
      }
    });
    return absl::OkStatus();
  }

 private:
  void Pixel(const float* src, const float* scale, const float* shift, float* dst) const {
    const float low = bounds_.low, high = bounds_.high;
    for (int64_t c = 0; c < channels_; ++c) {
      const float value = src[c] * scale[c] + shift[c];
      const float above = value < low ? low : value;
      dst[c] = above > high ? high : above;
    }
  }

  ImageView src_, dst_;
  int64_t pixels_, channels_;
  kernels::Bounds bounds_;
};

absl::StatusOr<bool> LowerOwn(Lowering& lowering, const Op& op, SlotId scale,
                              SlotId shift) {
  const Shape& shape = lowering.shape(op.outputs[0]);
  const auto bounds = BoundsOf(op.epilogue);
  if (lowering.own_kernels() == nullptr || shape.rank() != 4 || !bounds) return false;
  ASSIGN_OR_RETURN(const ImageView src, lowering.GetImage(op.inputs[0]));
  const ImageView dst = lowering.DefineImage(op.outputs[0], &src);
  const int64_t channels = shape.dim(3);
  lowering.AddKernel(op,
                     std::make_shared<ScaleShiftKernel>(
                         src, dst, shape.elements() / channels, channels, *bounds),
                     {src.slot, scale, shift}, {dst.slot});
  return true;
}

// As one product with a sum after it.
absl::StatusOr<bool> AddScaleShift(Lowering& lowering, const Op& op, SlotId scale,
                                   SlotId shift) {
  ASSIGN_OR_RETURN(const bool own, LowerOwn(lowering, op, scale, shift));
  if (own) return true;
  ASSIGN_OR_RETURN(const Located src,
                   lowering.Get(op.inputs[0], lowering.TypeOf(op.outputs[0])));
  const Shape& shape = lowering.shape(op.outputs[0]);
  std::vector<int64_t> dims(shape.rank(), 1);
  dims.back() = shape.dim(-1);
  const memory::desc vector = Lowering::PlainDesc(Shape(std::move(dims)));
  dnnl::primitive_attr attr = Lowering::NewAttr();
  dnnl::post_ops post_ops;
  post_ops.append_binary(dnnl::algorithm::binary_add, vector);
  if (op.epilogue.activation) {
    Lowering::AppendActivation(*op.epilogue.activation, post_ops);
  }
  attr.set_post_ops(post_ops);
  const dnnl::binary::primitive_desc primitive(
      dnnl::binary::desc(dnnl::algorithm::binary_mul, src.desc, vector, src.desc), attr,
      CpuEngine());
  const SlotId to = lowering.PlaceLike(op.outputs[0], src);
  lowering.AddPrimitive(
      op, dnnl::binary(primitive), primitive.scratchpad_desc(),
      {{{DNNL_ARG_SRC_0, src.desc}, src.slot},
       {{DNNL_ARG_SRC_1, vector}, scale},
       {{DNNL_ARG_ATTR_MULTIPLE_POST_OP(0) | DNNL_ARG_SRC_1, vector}, shift}},
      {{{DNNL_ARG_DST, src.desc}, to}});
  return true;
}

}  // namespace

absl::StatusOr<bool> LowerScaleShift(Lowering& lowering, const Op& op) {
  ASSIGN_OR_RETURN(const Located scale, lowering.GetPlain(op.inputs[1]));
  ASSIGN_OR_RETURN(const Located shift, lowering.GetPlain(op.inputs[2]));
  return AddScaleShift(lowering, op, scale.slot, shift.slot);
}

// With numbers made here.
absl::StatusOr<bool> LowerBatchNorm(Lowering& lowering, const Op& op) {
  const auto affine = AffineOf(lowering.ir(), op, op.inputs[0]);
  if (!affine) return false;
  ASSIGN_OR_RETURN(
      const SlotId scale,
      lowering.AddVector(DerivedKey(op.name + "/scale", affine->keys), affine->scale));
  ASSIGN_OR_RETURN(
      const SlotId shift,
      lowering.AddVector(DerivedKey(op.name + "/shift", affine->keys), affine->shift));
  return AddScaleShift(lowering, op, scale, shift);
}

}  // namespace oriel::engine::onednn
