"""PyTorch: the ONNX graph's nodes as a traced, frozen module, optimized for inference
(oneDNN convolutions with their activations), in channels-last memory.

Runs on Debian's python3-torch: PyPI's wheel for x86-64 wants CUDA's libraries."""

import json

import images
import numpy
import torch
import torch.nn.functional as F


class Network(torch.nn.Module):
    """Runs the nodes of convert.py's torch.json."""

    def __init__(self, graph_file, weights_file):
        super().__init__()
        with open(graph_file) as f:
            self.graph = json.load(f)
        arrays = numpy.load(weights_file)
        self.constants = {}
        for i, name in enumerate(self.graph["constants"]):
            value = torch.from_numpy(arrays[str(i)])
            self.constants[name] = (value.contiguous(memory_format=torch.channels_last)
                                    if value.dim() == 4 else value)

    def forward(self, image):
        values = dict(self.constants)
        values[self.graph["input"]] = image
        for node in self.graph["nodes"]:
            inputs = [values[name] if name else None for name in node["inputs"]]
            values[node["outputs"][0]] = getattr(self, node["op"])(node["attributes"], *inputs)
        return values[self.graph["output"]]

    @staticmethod
    def padded(attributes, x, value=0.0):
        """x, and the padding left for the operation itself: ONNX's may be lopsided."""
        top, left, bottom, right = attributes.get("pads", (0, 0, 0, 0))
        if attributes.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
            raise NotImplementedError(attributes["auto_pad"])
        if (top, left) == (bottom, right):
            return x, (top, left)
        return F.pad(x, (left, right, top, bottom), value=value), (0, 0)

    def Conv(self, attributes, x, weights, bias=None):
        x, padding = self.padded(attributes, x)
        return F.conv2d(x, weights, bias, attributes.get("strides", 1), padding,
                        attributes.get("dilations", 1), attributes.get("group", 1))

    def MaxPool(self, attributes, x):
        x, padding = self.padded(attributes, x, float("-inf"))
        return F.max_pool2d(x, attributes["kernel_shape"], attributes["strides"], padding)

    def AveragePool(self, attributes, x):
        top, left, bottom, right = attributes.get("pads", (0, 0, 0, 0))
        if (top, left) != (bottom, right):
            raise NotImplementedError("AveragePool with lopsided padding")
        return F.avg_pool2d(x, attributes["kernel_shape"], attributes["strides"], (top, left),
                            count_include_pad=bool(attributes.get("count_include_pad", 0)))

    def Clip(self, attributes, x, least=None, most=None):
        if least is not None and most is not None and (float(least), float(most)) == (0, 6):
            return F.relu6(x)
        return torch.clamp(x, least, most)

    def ReduceMean(self, attributes, x):
        return x.mean(attributes["axes"], keepdim=bool(attributes.get("keepdims", 1)))

    def GlobalAveragePool(self, attributes, x):
        return x.mean((2, 3), keepdim=True)

    def Relu(self, attributes, x):
        return F.relu(x)

    def Add(self, attributes, a, b):
        return a + b

    def Mul(self, attributes, a, b):
        return a * b

    def Concat(self, attributes, *parts):
        return torch.cat(parts, attributes["axis"])

    def MatMul(self, attributes, a, b):
        return a @ b

    def Gemm(self, attributes, a, b, c):
        return F.linear(a, b if attributes.get("transB") else b.t(), c)

    def Squeeze(self, attributes, x, axes):
        for axis in sorted(axes.tolist(), reverse=True):
            x = x.squeeze(axis)
        return x

    def Reshape(self, attributes, x, shape):
        return x.reshape(shape.tolist())

    def Transpose(self, attributes, x):
        return x.permute(attributes["perm"])

    def Identity(self, attributes, x):
        return x


class Engine:
    version = torch.__version__

    def __init__(self, config):
        files = config["files"]
        torch.set_num_threads(config["threads"])
        self.images = images.Images(config["inputs"], nchw=True)
        self.streams = config["streams"]
        network = Network(files["torch_graph"], files["torch_weights"]).eval()
        with torch.inference_mode():
            traced = torch.jit.trace(network, self.tensor(self.images.batch(1)), check_trace=False)
            self.module = torch.jit.optimize_for_inference(torch.jit.freeze(traced))
        self.settings = {"callers": self.streams, "threads": config["threads"],
                         "memory format": "channels_last",
                         "jit": "trace, freeze, optimize_for_inference"}

    @staticmethod
    def tensor(batch):
        return torch.from_numpy(batch).contiguous(memory_format=torch.channels_last)

    def call(self, feed):
        with torch.inference_mode():
            return self.module(feed)

    def runners(self, batch):
        feed = self.tensor(self.images.batch(batch))
        return [lambda: self.call(feed)] * self.streams

    def logits(self):
        return [images.flat(self.call(self.tensor(image)).numpy()) for image in self.images.each()]
