#include "engine/ops/lrn.h"

#include "engine/ops/setups.h"

namespace oriel::engine {

absl::Status SetupLrn(OpSetup& setup) {
  RETURN_IF_ERROR(setup.WantInputs(1));
  RETURN_IF_ERROR(setup.WantFloat(0));
  RETURN_IF_ERROR(setup.WantRank(0, 4, "the image"));
  LrnAttrs attrs;
  ASSIGN_OR_RETURN(attrs.radius, graph::GetIntOr(setup.node(), "depth_radius", 5));
  ASSIGN_OR_RETURN(attrs.bias, graph::GetFloatOr(setup.node(), "bias", 1.0f));
  ASSIGN_OR_RETURN(attrs.alpha, graph::GetFloatOr(setup.node(), "alpha", 1.0f));
  ASSIGN_OR_RETURN(attrs.beta, graph::GetFloatOr(setup.node(), "beta", 0.5f));
  constexpr int64_t kMaxRadius = 1 << 16;
  if (attrs.radius < 0 || attrs.radius > kMaxRadius) {
    return setup.Invalid("depth_radius is {}", attrs.radius);
  }
  setup.SetAttrs(attrs);
  return setup.AddOutput(DType::kFloat32, setup.shape(0));
}

}  // namespace oriel::engine
