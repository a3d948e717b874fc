#include "engine/cost.h"

#include "engine/ops/conv.h"
#include "engine/ops/fused_conv.h"
#include "engine/ops/matmul.h"

namespace oriel::engine {

int64_t MultiplyAdds(const Ir& ir, const Op& op) {
  const auto* conv = dynamic_cast<const ConvAttrs*>(op.attrs.get());
  if (const auto* fused = dynamic_cast<const FusedConvAttrs*>(op.attrs.get())) {
    conv = &fused->conv;
  }
  if (conv != nullptr) {
    const Shape& filter = ir.values[op.inputs[1]].shape;
    const int64_t channels = conv->depthwise ? 1 : filter.dim(2);
    return ir.values[op.outputs[0]].shape.elements() * filter.dim(0) * filter.dim(1) *
           channels;
  }
  if (const auto* matmul = dynamic_cast<const MatMulAttrs*>(op.attrs.get())) {
    return matmul->m * matmul->n * matmul->k;
  }
  if (const auto* fused = dynamic_cast<const FusedAttrs*>(op.attrs.get())) {
    int64_t sum = 0;
    for (const Op& part : fused->ops) sum += MultiplyAdds(ir, part);
    return sum;
  }
  return 0;
}

}  // namespace oriel::engine
