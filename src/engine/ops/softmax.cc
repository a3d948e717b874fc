// Softmax and LogSoftmax over the last dimension.

#include "engine/ops/setups.h"

namespace oriel::engine {

absl::Status SetupSoftmax(OpSetup& setup) {
  RETURN_IF_ERROR(setup.WantInputs(1));
  RETURN_IF_ERROR(setup.WantFloat(0));
  if (setup.shape(0).rank() < 1) return setup.Invalid("wants at least one dimension");
  return setup.AddOutput(DType::kFloat32, setup.shape(0));
}

}  // namespace oriel::engine
