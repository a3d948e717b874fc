// Sums of integers, as quantize/quantization.h defines them.

#include <algorithm>

#include "engine/ops.h"
#include "engine/ops/conv.h"
#include "engine/ops/matmul.h"
#include "engine/quantize/quantize.h"
#include "engine/ref/kernels.h"

namespace oriel::engine::ref {
namespace {

// Channels summed at once: keeps the sums on the stack.
constexpr int64_t kBlock = 64;

struct Place {
  int64_t image, y, x;
};

// What the sums of output channels [first, first + count) become; dst is theirs.
void StoreSums(const Quantization& quantization, Inputs in, const int32_t* sums,
               int64_t first, int64_t count, float* dst) {
  const float* scales = in[quantization.weight_scales].as<float>() + first;
  for (int64_t i = 0; i < count; ++i) {
    dst[i] = static_cast<float>(sums[i]) * (quantization.input.scale * scales[i]);
  }
}

// dst[0, count) = output channels [first, first + count) at one place. They lie in
// one group. Padding adds nothing: it is the real number 0.
void SumAt(const Op& op, Inputs in, Place place, int64_t first, int64_t count,
           float* dst) {
  const auto& attrs = op.attrs_as<ConvAttrs>();
  const WindowAxis &h = attrs.window.h, &w = attrs.window.w;
  const int64_t channels = in[0].shape.dim(3);
  const int64_t filter_in = in[1].shape.dim(2);
  const int64_t filter_out = in[1].shape.dim(3);
  const int64_t out_channels = attrs.depthwise ? filter_in * filter_out : filter_out;
  const int64_t group_in = attrs.depthwise ? 1 : filter_in;
  const int64_t group = first / (out_channels / attrs.groups);
  int32_t sums[kBlock] = {};
  for (int64_t kh = 0; kh < h.size; ++kh) {
    const int64_t y = place.y * h.stride - h.pad_before + kh * h.dilation;
    if (y < 0 || y >= h.src) continue;
    for (int64_t kw = 0; kw < w.size; ++kw) {
      const int64_t x = place.x * w.stride - w.pad_before + kw * w.dilation;
      if (x < 0 || x >= w.src) continue;
      const float* pixel = in[0].as<float>() +
                           ((place.image * h.src + y) * w.src + x) * channels +
                           group * group_in;
      const int8_t* weights =
          in[1].as<int8_t>() + (kh * w.size + kw) * group_in * out_channels + first;
      for (int64_t c = 0; c < group_in; ++c) {
        const auto value =
            static_cast<int32_t>(QuantizeCentered(pixel[c], op.quantization->input));
        const int8_t* row = weights + c * out_channels;
        for (int64_t i = 0; i < count; ++i) sums[i] += value * row[i];
      }
    }
  }
  StoreSums(*op.quantization, in, sums, first, count, dst);
}

void QuantizedConv(const Op& op, Inputs in, Outputs out) {
  const auto& attrs = op.attrs_as<ConvAttrs>();
  const int64_t out_channels = out[0].shape.dim(3);
  const int64_t group_out = out_channels / attrs.groups;
  float* dst = out[0].as<float>();
  for (int64_t n = 0; n < out[0].shape.dim(0); ++n) {
    for (int64_t y = 0; y < attrs.window.h.dst; ++y) {
      for (int64_t x = 0; x < attrs.window.w.dst; ++x) {
        for (int64_t group = 0; group < attrs.groups; ++group) {
          for (int64_t o = 0; o < group_out; o += kBlock) {
            SumAt(op, in, {n, y, x}, group * group_out + o,
                  std::min(kBlock, group_out - o), dst + group * group_out + o);
          }
        }
        dst += out_channels;
      }
    }
  }
}

void QuantizedMatMul(const Op& op, Inputs in, Outputs out) {
  const auto& attrs = op.attrs_as<MatMulAttrs>();
  const int64_t row = attrs.transpose_b ? 1 : attrs.n;
  const int64_t column = attrs.transpose_b ? attrs.k : 1;
  for (int64_t i = 0; i < attrs.m; ++i) {
    for (int64_t j = 0; j < attrs.n; ++j) {
      int32_t sum = 0;
      for (int64_t k = 0; k < attrs.k; ++k) {
        sum += static_cast<int32_t>(QuantizeCentered(in[0].as<float>()[i * attrs.k + k],
                                                     op.quantization->input)) *
               in[1].as<int8_t>()[k * row + j * column];
      }
      StoreSums(*op.quantization, in, &sum, j, 1, out[0].as<float>() + i * attrs.n + j);
    }
  }
}

}  // namespace

void Quantized(const Op& op, Inputs in, Outputs out) {
  if (op.type->ref == MatMul) {
    QuantizedMatMul(op, in, out);
  } else {
    QuantizedConv(op, in, out);
  }
}

void FakeQuantize(const Op& op, Inputs in, Outputs out) {
  const ActivationQuantization& to = op.attrs_as<FakeQuantizeAttrs>().quantization;
  const float* src = in[0].as<float>();
  float* dst = out[0].as<float>();
  for (int64_t i = 0; i < in[0].elements(); ++i) {
    dst[i] = to.scale * QuantizeCentered(src[i], to);
  }
}

}  // namespace oriel::engine::ref
