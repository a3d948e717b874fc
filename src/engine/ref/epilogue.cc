#include "engine/ref/kernels.h"

namespace oriel::engine::ref {

void ApplyEpilogue(const Op& op, Inputs in, Outputs out) {
  const Epilogue& epilogue = op.epilogue;
  float* dst = out[0].as<float>();
  const int64_t elements = out[0].elements();
  if (epilogue.bias >= 0) {
    const float* bias = in[epilogue.bias].as<float>();
    const int64_t channels = in[epilogue.bias].elements();
    for (int64_t i = 0; i < elements; ++i) dst[i] += bias[i % channels];
  }
  if (epilogue.residual >= 0) {
    const float* residual = in[epilogue.residual].as<float>();
    for (int64_t i = 0; i < elements; ++i) dst[i] += residual[i];
  }
  if (epilogue.activation) {
    for (int64_t i = 0; i < elements; ++i) {
      dst[i] = Evaluate(*epilogue.activation, dst[i]);
    }
  }
}

}  // namespace oriel::engine::ref
