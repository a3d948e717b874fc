// Rounding to bfloat16.

#include "engine/bf16/bf16.h"

#include "engine/bf16/rounding.h"
#include "engine/onednn/lowering.h"
#include "engine/onednn/lowerings.h"
#include "engine/onednn/pixels_kernel.h"

namespace oriel::engine::onednn {
namespace {

using dnnl::memory;

void RoundLine(const float* src, float* dst, int64_t count) {
  for (int64_t i = 0; i < count; ++i) dst[i] = RoundToBf16(src[i]);
}

// src and dst may be one.
class RoundKernel : public PixelsKernel {
 public:
  using PixelsKernel::PixelsKernel;
  std::string_view implementation() const override { return "simulated"; }

  absl::Status Run(const KernelArgs& args) const override {
    ForLines<float, float>(args, RoundLine);
    return absl::OkStatus();
  }
};

// Products alone read the value, as their first input: each reorders it for itself,
// which rounds it.
bool EachReaderRounds(const Ir& ir, ValueId id) {
  if (std::ranges::count(ir.outputs, id) > 0) return false;
  return std::ranges::all_of(ir.ops, [&](const Op& op) {
    const auto reads = std::ranges::count(op.inputs, id);
    return reads == 0 || (reads == 1 && op.inputs[0] == id && IsBf16Product(ir, op));
  });
}

absl::StatusOr<bool> LowerToBf16(Lowering& lowering, const Op& op) {
  ASSIGN_OR_RETURN(const Located src, lowering.Get(op.inputs[0]));
  if (EachReaderRounds(lowering.ir(), op.outputs[0])) {
    lowering.DefineIn(op.outputs[0], src.slot, src.desc);
    return true;
  }
  const memory::desc wanted = Lowering::WithType(src.desc, memory::data_type::bf16);
  const Located rounded = lowering.Reorder(op.name, src, wanted);
  lowering.DefineIn(op.outputs[0], rounded.slot, rounded.desc);
  return true;
}

}  // namespace

absl::StatusOr<bool> LowerRoundToBf16(Lowering& lowering, const Op& op) {
  const ValueId from = op.inputs[0], to = op.outputs[0];
  if (lowering.TypeOf(to) == memory::data_type::bf16) return LowerToBf16(lowering, op);
  if (lowering.own_kernels() != nullptr && lowering.shape(to).rank() == 4) {
    ASSIGN_OR_RETURN(const ImageView src, lowering.GetImage(from));
    const ImageView dst = lowering.DefineImage(to, &src);
    const int64_t channels = lowering.shape(to).dim(3);
    lowering.AddKernel(op,
                       std::make_shared<RoundKernel>(
                           src, dst, lowering.shape(to).elements() / channels, channels),
                       {src.slot}, {dst.slot});
    return true;
  }
  // Number by number, wherever they lie: padding of a layout stays zero.
  ASSIGN_OR_RETURN(const Located src, lowering.Get(from));
  const SlotId dst = lowering.PlaceLike(to, src);
  const auto elements = static_cast<int64_t>(src.desc.get_size() / sizeof(float));
  const ImageView line{.pitch = elements};
  lowering.AddKernel(op, std::make_shared<RoundKernel>(line, line, 1, elements),
                     {src.slot}, {dst});
  return true;
}

}  // namespace oriel::engine::onednn
