"""Who is measured beside Oriel. To add a peer: an engine module in engines/, a line here,
its package in requirements.txt, and where it reads a format of its own a target in
convert.py and models.TARGETS."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Peer:
    name: str
    title: str
    module: str  # in engines/
    targets: dict  # precision -> targets of models.TARGETS that it reads
    batches: bool = True  # it can run several images at once
    python: str = ""  # another interpreter than that of the environment


PEERS = (
    Peer("openvino", "OpenVINO", "openvino_engine",
         {"f32": ("openvino",), "bf16": ("openvino",), "int8": ("openvino_int8",)}),
    Peer("onnxruntime", "ONNX Runtime", "onnxruntime_engine", {"f32": ("onnx",)}),
    Peer("ncnn", "ncnn", "ncnn_engine", {"f32": ("ncnn",), "bf16": ("ncnn",)}, batches=False),
    Peer("tflite", "TFLite (XNNPACK)", "tflite_engine",
         {"f32": ("tflite",), "int8": ("tflite_int8",)}),
    Peer("tensorflow", "TensorFlow", "tensorflow_engine",
         {"f32": ("graph",), "bf16": ("graph",)}),
    Peer("pytorch", "PyTorch", "pytorch_engine", {"f32": ("torch",)}, python="/usr/bin/python3"),
)
