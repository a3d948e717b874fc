#!/usr/bin/env python3
"""Writes testdata/quantize/cases.safetensors: quantized operations with ONNX Runtime's
results.

    pip install numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0
    make_cases.py cases.safetensors

ONNX Runtime quantizes the input (QuantizeLinear) and sums the integers of convolutions
(ConvInteger); matrix products, scales, quantized weights and the float32 epilogue are
NumPy's, from the formulas that src/engine/quantize/quantization.h names. Tensors of a case NAME:
  NAME/x, NAME/w [kh,kw,I,O] or [kh,kw,C,M] or a matrix, NAME/bias, NAME/residual
  NAME/range      low and high of the calibration
  NAME/settings   int32: depthwise, stride, dilation, same (padding), groups, bits,
                  relu (1) or relu6 (2), transposed matrix
  NAME/q          the quantized input, u8
  NAME/wq         the quantized weights, s8, in the order of NAME/w
  NAME/sum        int32
  NAME/y          the result, float32
"""
import json
import struct
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

TYPES = {"float32": "F32", "uint8": "U8", "int8": "I8", "int32": "I32"}


def run(nodes, feeds, output, output_type):
    """Runs a graph of ONNX nodes."""
    types = {"float32": TensorProto.FLOAT, "uint8": TensorProto.UINT8,
             "int8": TensorProto.INT8, "int32": TensorProto.INT32}
    graph = helper.make_graph(
        nodes, "case",
        [helper.make_tensor_value_info(k, types[v.dtype.name], v.shape)
         for k, v in feeds.items()],
        [helper.make_tensor_value_info(output, output_type, None)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 9
    session = onnxruntime.InferenceSession(model.SerializeToString(),
                                           providers=["CPUExecutionProvider"])
    return session.run([output], feeds)[0]


def quantization(low, high, bits):
    top = 2**bits - 1
    low, high = min(low, 0.0), max(high, 0.0)
    scale = (high - low) / top
    return np.float32(scale), int(np.clip(np.rint(-low / scale), 0, top)), top


def same_padding(size, kernel, stride, dilation):
    extent = (kernel - 1) * dilation + 1
    total = max((-(-size // stride) - 1) * stride + extent - size, 0)
    return total // 2, total - total // 2


def quantize_weights(w, axes):
    scales = (np.abs(w).max(axis=axes) / np.float32(127)).astype(np.float32)
    scales[scales == 0] = 1
    shape = [1 if a in axes else n for a, n in enumerate(w.shape)]
    wq = np.clip(np.rint(w / scales.reshape(shape)), -127, 127).astype(np.int8)
    return wq, scales.reshape(-1)


def make_case(rng, name, x_shape, w_shape, *, low, high, depthwise=False, stride=1,
              dilation=1, same=True, groups=1, bits=8, activation=0, transposed=False,
              bias=True, residual=False):
    low, high = float(np.float32(low)), float(np.float32(high))
    scale, zero_point, top = quantization(low, high, bits)
    # Some of the input lies outside of the range and is clipped; halves are exact ties
    # where the scale is a power of two.
    span = high - min(low, 0)
    x = rng.uniform(low - 0.1 * span, high + 0.1 * span, x_shape).astype(np.float32)
    if np.log2(float(scale)) % 1 == 0:
        x = (np.rint(2 * x / scale) / 2 * scale).astype(np.float32)
    w = (rng.standard_normal(w_shape) * rng.uniform(0.05, 2, w_shape[-1])).astype(np.float32)
    q = run([helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"])],
            {"x": x, "s": np.array(scale), "z": np.array(zero_point, np.uint8)}, "q",
            TensorProto.UINT8)
    q = np.minimum(q, top).astype(np.uint8)
    z = np.array(zero_point, np.uint8)
    if len(x_shape) == 2:
        wq, w_scales = quantize_weights(w, (1,) if transposed else (0,))
        # Not ONNX Runtime's MatMulInteger: without VNNI it adds products of u8 and s8 in
        # saturated sixteen bits.
        matrix = (wq.T if transposed else wq).astype(np.int32)
        total = (q.astype(np.int32) - zero_point) @ matrix
    else:
        wq, w_scales = quantize_weights(w, (0, 1) if depthwise else (0, 1, 2))
        kh, kw, filter_in, filter_out = w_shape
        group = x_shape[3] if depthwise else groups
        flat = wq.reshape(kh, kw, 1, filter_in * filter_out) if depthwise else wq
        pads = [0, 0, 0, 0]
        if same:
            top_pad, bottom = same_padding(x_shape[1], kh, stride, dilation)
            left, right = same_padding(x_shape[2], kw, stride, dilation)
            pads = [top_pad, left, bottom, right]
        total = run(
            [helper.make_node("ConvInteger", ["q", "w", "z"], ["y"], pads=pads,
                              strides=[stride, stride], dilations=[dilation, dilation],
                              group=group)],
            {"q": np.ascontiguousarray(q.transpose(0, 3, 1, 2)),
             "w": np.ascontiguousarray(flat.transpose(3, 2, 0, 1)), "z": z},
            "y", TensorProto.INT32)
        total = np.ascontiguousarray(total.transpose(0, 2, 3, 1))
    y = total.astype(np.float32) * (scale * w_scales)
    tensors = {"x": x, "w": w}
    if bias:
        tensors["bias"] = rng.uniform(-1, 1, y.shape[-1]).astype(np.float32)
        y = y + tensors["bias"]
    if residual:
        tensors["residual"] = rng.uniform(-2, 2, y.shape).astype(np.float32)
        y = y + tensors["residual"]
    if activation:
        y = np.maximum(y, 0)
    if activation == 2:
        y = np.minimum(y, 6)
    assert y.dtype == np.float32
    tensors |= {"range": np.array([low, high], np.float32), "q": q, "wq": wq,
                "sum": total, "y": y,
                "settings": np.array([depthwise, stride, dilation, same, groups, bits,
                                      activation, transposed], np.int32)}
    return {f"{name}/{key}": value for key, value in tensors.items()}


def main():
    rng = np.random.default_rng(20161122)
    tensors = {}
    for args, kwargs in [
        (("same_signed", (2, 7, 6, 5), (3, 3, 5, 7)), dict(low=-1.4, high=2.1)),
        (("ties", (1, 6, 6, 4), (3, 3, 4, 8)), dict(low=-2.0, high=13.9375, bias=False)),
        (("stride2_relu6", (1, 8, 9, 3), (3, 3, 3, 6)),
         dict(low=-0.7, high=6.0, stride=2, activation=2)),
        (("valid_residual", (1, 6, 7, 4), (2, 3, 4, 5)),
         dict(low=0.0, high=3.0, same=False, residual=True, activation=1)),
        (("row", (1, 5, 9, 6), (1, 7, 6, 70)), dict(low=-4.0, high=0.5, bias=False)),
        (("grouped_dilated", (1, 9, 8, 6), (3, 3, 3, 4)),
         dict(low=-1.0, high=1.0, groups=2, dilation=2)),
        (("depthwise", (2, 6, 5, 9), (3, 3, 9, 1)),
         dict(low=0.0, high=6.0, depthwise=True, activation=2)),
        (("depthwise_signed", (1, 9, 9, 5), (5, 5, 5, 2)),
         dict(low=-3.1, high=1.7, depthwise=True, stride=2, residual=True)),
        (("seven_bits", (1, 6, 6, 5), (3, 3, 5, 6)), dict(low=-1.0, high=2.5, bits=7)),
        (("negative", (1, 4, 4, 3), (3, 3, 3, 4)), dict(low=-5.0, high=-1.0)),
        (("matmul", (3, 40), (40, 11)), dict(low=-2.2, high=3.3, activation=1)),
        (("matmul_transposed", (2, 33), (9, 33)), dict(low=0.0, high=1.9, transposed=True)),
    ]:
        tensors |= make_case(rng, *args, **kwargs)
    header, data = {}, b""
    for key, value in sorted(tensors.items()):
        raw = np.ascontiguousarray(value).tobytes()
        header[key] = {"dtype": TYPES[value.dtype.name], "shape": list(value.shape),
                       "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(sys.argv[1], "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


main()
