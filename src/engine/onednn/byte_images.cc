// The form of u8 of values: which values have it, where it lies, how they get it.

#include <cstring>

#include "engine/kernels/int8_conv.h"
#include "engine/onednn/lowering.h"
#include "engine/onednn/own_kernels.h"
#include "engine/onednn/pixels_kernel.h"
#include "engine/ops/pool.h"

namespace oriel::engine::onednn {
namespace {

class QuantizeKernel : public PixelsKernel {
 public:
  QuantizeKernel(const ImageView& src, const ImageView& dst, int64_t pixels,
                 int64_t channels, const ActivationQuantization& to,
                 const kernels::Int8Table& table)
      : PixelsKernel(src, dst, pixels, channels),
        to_(kernels::RequantizeTo(to)),
        quantize_(table.quantize) {}

  std::string_view implementation() const override { return "quantize"; }

  absl::Status Run(const KernelArgs& args) const override {
    ForLines<float, uint8_t>(args, [&](const float* src, uint8_t* dst, int64_t count) {
      quantize_(src, count, to_, dst);
    });
    return absl::OkStatus();
  }

 private:
  kernels::Requantize to_;
  void (*quantize_)(const float*, int64_t, const kernels::Requantize&, uint8_t*);
};

class CopyBytesKernel : public PixelsKernel {
 public:
  using PixelsKernel::PixelsKernel;
  std::string_view implementation() const override { return "copy"; }

  absl::Status Run(const KernelArgs& args) const override {
    ForLines<uint8_t, uint8_t>(args, [](const uint8_t* src, uint8_t* dst, int64_t count) {
      std::memcpy(dst, src, static_cast<size_t>(count));
    });
    return absl::OkStatus();
  }
};

}  // namespace

// From the last operation to the first: what reads a value is known before what makes
// it.
void Lowering::PlanForms() {
  wants_floats_.assign(ir_.values.size(), false);
  wants_bytes_.assign(ir_.values.size(), false);
  for (const ValueId id : ir_.outputs) wants_floats_[id] = true;
  for (auto op = ir_.ops.rbegin(); op != ir_.ops.rend(); ++op) {
    const auto* const pool = dynamic_cast<const PoolAttrs*>(op->attrs.get());
    const bool max_pool = pool != nullptr && !pool->average && EachHasCells(pool->window);
    const bool passes_on =
        own_kernels_ != nullptr && (IsConcatOfChannels(*op) || max_pool);
    for (size_t i = 0; i < op->inputs.size(); ++i) {
      const ValueId id = op->inputs[i];
      if (op->quantization != nullptr && i == 0) {
        wants_bytes_[id] = true;
      } else if (passes_on) {
        if (WantsFloats(op->outputs[0])) wants_floats_[id] = true;
        if (wants_bytes_[op->outputs[0]]) wants_bytes_[id] = true;
      } else {
        wants_floats_[id] = true;
      }
    }
  }
}

ImageView Lowering::ReserveBytes(ValueId id) {
  std::optional<ImageView>& reserved = reserved_bytes_[id];
  if (!reserved) {
    const Slice& slice = slices_[id];
    if (slice.concat != kNoValue && wants_bytes_[slice.concat]) {
      reserved = ReserveBytes(slice.concat);
      reserved->offset += static_cast<size_t>(slice.channel);
    } else {
      const auto bytes = static_cast<size_t>(shape(id).elements());
      reserved = {.slot = program_.AddSlot(bytes + kernels::kInt8Slack),
                  .pitch = shape(id).dim(-1)};
    }
  }
  return *reserved;
}

ImageView Lowering::DefineBytes(ValueId id) {
  bytes_[id] = ReserveBytes(id);
  return *bytes_[id];
}

absl::Status Lowering::FillBytes(ValueId id, const ActivationQuantization& as,
                                 const ImageView& to) {
  const int64_t channels = shape(id).dim(-1);
  const int64_t pixels = shape(id).elements() / channels;
  if (bytes_[id]) {
    program_.AddStep(value(id).name,
                     std::make_shared<CopyBytesKernel>(*bytes_[id], to, pixels, channels),
                     {bytes_[id]->slot}, {to.slot});
    return absl::OkStatus();
  }
  ImageView from;
  if (shape(id).rank() == 4) {
    ASSIGN_OR_RETURN(from, GetImage(id));
  } else {
    ASSIGN_OR_RETURN(const Located located, GetPlain(id));
    from = {.slot = located.slot, .pitch = channels};
  }
  program_.AddStep(
      value(id).name,
      std::make_shared<QuantizeKernel>(from, to, pixels, channels, as, *int8_kernels_),
      {from.slot}, {to.slot});
  return absl::OkStatus();
}

absl::StatusOr<ImageView> Lowering::GetBytes(ValueId id,
                                             const ActivationQuantization& as) {
  if (!bytes_[id]) {
    const ImageView to = ReserveBytes(id);
    RETURN_IF_ERROR(FillBytes(id, as, to));
    bytes_[id] = to;
  }
  return *bytes_[id];
}

absl::Status Lowering::ConcatBytes(const Op& op) {
  const ImageView whole = DefineBytes(op.outputs[0]);
  ImageView slice = whole;
  for (const ValueId id : op.inputs) {
    const auto& there = bytes_[id];
    if (!there || there->slot != slice.slot || there->offset != slice.offset) {
      RETURN_IF_ERROR(FillBytes(id, *value(op.outputs[0]).quantization, slice));
    }
    slice.offset += static_cast<size_t>(shape(id).dim(3));
  }
  return absl::OkStatus();
}

}  // namespace oriel::engine::onednn
