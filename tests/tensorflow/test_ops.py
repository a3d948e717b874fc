"""Every operation of the engine's table in random forms against TensorFlow: attributes,
types, shapes (empty ones among them), constants and fed values, on each backend."""

import argparse
import os
import pathlib
import re
import sys
import tempfile
import unittest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import numpy as np
import tensorflow as tf

import networks

tf1 = tf.compat.v1
raw = tf.raw_ops
FLAGS = argparse.Namespace()

FLOATS = (np.float32,)
NUMBERS = (np.float32, np.int32, np.int64, np.float64, np.uint8, np.int8, np.int16)
ANY = (*NUMBERS, np.bool_)
INTEGERS = (np.int32, np.int64)


class Draw:
    """What a case draws of: shapes, values, and whether they are fed or constant."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.feeds = {}

    def of(self, choices):
        return choices[self.rng.integers(len(choices))]

    def chance(self, probability):
        return bool(self.rng.random() < probability)

    def integer(self, low, high):
        return int(self.rng.integers(low, high + 1))

    def integers(self, low, high, count):
        return [self.integer(low, high) for _ in range(count)]

    def shape(self, least=0, most=5, empty=0.04):
        return [0 if self.chance(empty) else self.integer(1, 5)
                for _ in range(self.integer(least, most))]

    def image(self, side=12, channels=6):
        return [self.of((1, 1, 2, 3)), self.integer(1, side), self.integer(1, side),
                self.integer(1, channels)]

    def broadcast(self, count=2):
        shape = self.shape()
        for _ in range(count):
            part = [1 if self.chance(0.25) else size for size in shape]
            yield part[self.integer(0, len(part)) if self.chance(0.3) else 0:]

    def values(self, shape, dtype, low=-4, high=4):
        if dtype == np.bool_:
            return self.rng.random(shape) < 0.5
        if np.issubdtype(dtype, np.floating):
            return np.asarray(self.rng.uniform(low, high, shape)).astype(dtype)
        least = np.iinfo(dtype).min
        return np.asarray(self.rng.integers(max(low, least), high + 1, shape)).astype(dtype)

    def put(self, values):
        """Fed, with a shape that is known or not, or constant."""
        values = np.asarray(values)
        if self.chance(0.3):
            return tf.constant(values)
        declared = [None if self.chance(0.3) else size for size in values.shape]
        fed = tf1.placeholder(values.dtype, declared, "fed")
        self.feeds[fed.op.name] = values
        return fed

    def any(self, shape, types=FLOATS, low=-4, high=4):
        return self.put(self.values(shape, self.of(types), low, high))

    def ints(self, numbers):
        return tf.constant(np.array(numbers, self.of(INTEGERS)))

    def axis(self, axis, rank):
        return axis - rank if self.chance(0.4) else axis

    def padding(self):
        """Attributes of a window."""
        padding = self.of(("SAME", "VALID", "EXPLICIT"))
        if padding != "EXPLICIT":
            return {"padding": padding}
        return {"padding": padding, "explicit_paddings": [0, 0, *self.integers(0, 2, 4), 0, 0]}


CASES = {}


def of(*names):
    def register(case):
        for name in names:
            CASES[name] = lambda draw, name=name: case(draw, getattr(raw, name))
        return case
    return register


@of("Abs", "Ceil", "Erf", "Erfc", "Exp", "Expm1", "Floor", "Inv", "Log", "Log1p", "Neg",
    "Reciprocal", "Rint", "Round", "Rsqrt", "Sigmoid", "Sign", "Sqrt", "Square", "Tanh")
def unary(d, op):
    return op(x=d.any(d.shape(), low=d.of((-4, -30, 0)), high=d.of((4, 30))))


@of("Elu", "LeakyRelu", "Relu", "Relu6", "Selu", "Softplus", "Softsign")
def activation(d, op):
    slope = {"alpha": d.of((0.2, 0.0, 1.0, 2.5))} if op is raw.LeakyRelu else {}
    return op(features=d.any(d.shape(), low=-20, high=20), **slope)


@of("Add", "AddV2", "Sub", "Mul", "Maximum", "Minimum", "SquaredDifference", "Greater",
    "GreaterEqual", "Less", "LessEqual", "Equal", "NotEqual")
def binary(d, op):
    types = {raw.Equal: ANY, raw.NotEqual: ANY, raw.SquaredDifference: NUMBERS[:4]}
    dtype = d.of(types.get(op, NUMBERS))
    a, b = d.broadcast()
    return op(x=d.any(a, (dtype,)), y=d.any(b, (dtype,)))


@of("Div", "FloorDiv", "FloorMod", "RealDiv", "TruncateDiv")
def division(d, op):
    types = {raw.RealDiv: (np.float32, np.float64), raw.TruncateDiv: NUMBERS[1:3]}
    dtype = d.of(types.get(op, NUMBERS[:4]))
    a, b = d.broadcast()
    divisor = d.values(b, dtype)
    return op(x=d.any(a, (dtype,)), y=d.put(np.where(divisor == 0, dtype(3), divisor)))


@of("Pow")
def power(d, op):
    dtype = d.of((np.float32, np.float64))
    a, b = d.broadcast()
    return op(x=d.any(a, (dtype,), 0, 3), y=d.any(b, (dtype,)))


@of("LogicalAnd", "LogicalOr")
def logical(d, op):
    a, b = d.broadcast()
    return op(x=d.any(a, (np.bool_,)), y=d.any(b, (np.bool_,)))


@of("LogicalNot")
def logical_not(d, op):
    return op(x=d.any(d.shape(), (np.bool_,)))


@of("AddN")
def add_n(d, op):
    shape = d.shape()
    return op(inputs=[d.any(shape) for _ in range(d.integer(1, 4))])


@of("All", "Any", "Max", "Min", "Mean", "Prod", "Sum")
def reduction(d, op):
    types = {raw.All: (np.bool_,), raw.Any: (np.bool_,), raw.Mean: FLOATS}
    values = d.values(d.shape(empty=0.1), d.of(types.get(op, NUMBERS[:3])))
    if values.dtype == np.float32 and values.size and d.chance(0.3):
        values.flat[d.integer(0, values.size - 1)] = d.of((np.nan, np.inf, -np.inf))
    rank = values.ndim
    axes = [d.axis(int(a), rank) for a in d.rng.permutation(rank)[:d.integer(0, rank)]]
    axes = axes[0] if len(axes) == 1 and d.chance(0.5) else axes
    return op(input=d.put(values), axis=d.ints(axes), keep_dims=d.chance(0.5))


@of("ArgMax", "ArgMin")
def arg_most(d, op):
    shape = d.shape(1, 4, 0)
    values = d.values(shape, np.float32)
    return op(input=d.put(np.round(values) if d.chance(0.5) else values),
              dimension=d.ints(d.axis(d.integer(0, len(shape) - 1), len(shape))),
              output_type=d.of((tf.int32, tf.int64)))


@of("AvgPool", "MaxPool")
def pool(d, op):
    attributes = {"ksize": [1, *d.integers(3, 4, 2), 1], "strides": [1, *d.integers(1, 3, 2), 1],
                  **d.padding()}
    if op is raw.AvgPool:
        attributes["padding"] = d.of(("SAME", "VALID"))
        attributes.pop("explicit_paddings", None)
        return op(value=d.any([d.integer(0, 3), *d.integers(4, 12, 2), 5]), **attributes)
    return op(input=d.any([d.integer(0, 3), *d.integers(4, 12, 2), 5]), **attributes)


@of("Conv2D")
def conv(d, op):
    groups, channels = d.of((1, 1, 1, 2, 3)), d.of((1, 3, 4, 8, 16))
    kernel = [d.of((1, 2, 3, 5)), d.of((1, 3, 7)), channels, d.of((1, 3, 8, 17)) * groups]
    dilations = [1, d.of((1, 1, 2)), d.of((1, 1, 3)), 1]
    return op(input=d.any([d.integer(0, 3), *d.integers(7, 15, 2), channels * groups]),
              filter=tf.constant(d.values(kernel, np.float32, -1, 1)),
              strides=[1, *([d.integer(1, 3)] * 2 if d.chance(0.7) else d.integers(1, 3, 2)), 1],
              dilations=dilations if kernel[1] < 7 and kernel[0] < 5 else [1] * 4,
              **d.padding())


@of("DepthwiseConv2dNative")
def depthwise(d, op):
    channels, stride = d.of((1, 3, 8, 20)), d.of((1, 1, 2, 3))
    kernel = [*d.of(((1, 1), (3, 3), (5, 5), (3, 1))), channels, d.of((1, 1, 1, 2))]
    return op(input=d.any([d.integer(1, 3), *d.integers(9, 15, 2), channels]),
              filter=tf.constant(d.values(kernel, np.float32, -1, 1)),
              strides=[1, stride, stride, 1], padding=d.of(("SAME", "VALID")))


def statistics(d, channels):
    return [d.any([channels], low=low, high=3) for low in (-3, -3, -3, 0.1)]


@of("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3")
def batch_norm(d, op):
    shape = d.image()
    mean, offset, scale, variance = statistics(d, shape[3])
    return op(x=d.any(shape), scale=scale, offset=offset, mean=mean, variance=variance,
              epsilon=d.of((1e-3, 0.1)), is_training=False)[0]


@of("BatchToSpaceND", "SpaceToBatchND")
def space_to_batch(d, op):
    count = d.integer(1, 2)
    block, tail = d.integers(1, 3, count), d.shape(0, 2)
    if op is raw.BatchToSpaceND:
        shape = [int(np.prod(block)) * d.integer(1, 2), *d.integers(2, 4, count), *tail]
        return op(input=d.any(shape, NUMBERS), block_shape=d.ints(block),
                  crops=d.ints([d.integers(0, 1, 2) for _ in block]))
    sizes, before = d.integers(1, 7, count), d.integers(0, 2, count)
    paddings = [[b, -(s + b) % k] for s, b, k in zip(sizes, before, block)]
    return op(input=d.any([d.integer(1, 2), *sizes, *tail], NUMBERS),
              block_shape=d.ints(block), paddings=d.ints(paddings))


@of("BiasAdd")
def bias_add(d, op):
    shape, dtype = d.shape(2), d.of(NUMBERS[:4])
    return op(value=d.any(shape, (dtype,)), bias=d.any(shape[-1:], (dtype,)))


@of("BroadcastTo")
def broadcast_to(d, op):
    shape = d.shape()
    part = [1 if d.chance(0.4) else size for size in shape]
    return op(input=d.any(part[d.integer(0, len(part)):], ANY), shape=d.ints(shape))


@of("Cast")
def cast(d, op):
    return op(x=d.any(d.shape(), ANY, 0, 100), DstT=d.of(ANY))


@of("ClipByValue")
def clip(d, op):
    low, high = sorted(d.rng.uniform(-3, 3, 2).astype(np.float32))
    return op(t=d.any(d.shape()), clip_value_min=d.put(low), clip_value_max=d.put(high))


@of("Concat", "ConcatV2")
def concat(d, op):
    shape, dtype = d.shape(1), d.of(ANY)
    axis = d.integer(0, len(shape) - 1)
    values = [d.any([*shape[:axis], d.integer(0, 4), *shape[axis + 1:]], (dtype,))
              for _ in range(d.integer(2, 4))]
    where = np.int32(d.axis(axis, len(shape)))
    return op(concat_dim=where, values=values) if op is raw.Concat else op(values=values,
                                                                         axis=where)


@of("DepthToSpace", "SpaceToDepth")
def rearrange(d, op):
    block, shape = d.integer(2, 3), d.image(3, 3)
    for axis in (3,) if op is raw.DepthToSpace else (1, 2):
        shape[axis] *= block * block if op is raw.DepthToSpace else block
    return op(input=d.any(shape, (np.float32, np.int32, np.uint8)), block_size=block)


@of("ExpandDims")
def expand_dims(d, op):
    shape = d.shape(0, 4)
    return op(input=d.any(shape, ANY), axis=d.ints(d.integer(-len(shape) - 1, len(shape))))


@of("Fill")
def fill(d, op):
    return op(dims=d.ints(d.shape()), value=d.any([], ANY))


def mirror_paddings(d, sizes):
    return d.ints([[0, 0], *([d.integer(0, min(2, s - 1)), d.integer(0, min(2, s - 1))]
                             for s in sizes), [0, 0]])


@of("FusedPadConv2D", "FusedResizeAndPadConv2D")
def fused_conv(d, op):
    # One image: TensorFlow's kernel takes others for parts of the first.
    shape, size = [1, *d.integers(3, 9, 2), d.integer(1, 4)], d.integers(3, 11, 2)
    resize = {} if op is raw.FusedPadConv2D else {
        "size": tf.constant(size), "resize_align_corners": d.chance(0.5)}
    kernel = [*d.integers(1, 3, 2), shape[3], d.of((1, 4, 5))]
    paddings = mirror_paddings(d, size if resize else shape[1:3])
    stride = d.integer(1, 2)
    return op(input=d.any(shape), paddings=tf.cast(paddings, tf.int32),
              filter=tf.constant(d.values(kernel, np.float32)),
              mode=d.of(("REFLECT", "SYMMETRIC")), strides=[1, stride, stride, 1],
              padding=d.of(("SAME", "VALID")), **resize)


@of("Gather", "GatherV2")
def gather(d, op):
    shape = d.shape(1, 4, 0)
    axis = d.integer(0, len(shape) - 1) if op is raw.GatherV2 else 0
    indices = d.ints(d.rng.integers(0, shape[axis], d.shape(0, 2)))
    more = {"axis": d.ints(d.axis(axis, len(shape)))} if op is raw.GatherV2 else {}
    return op(params=d.any(shape, ANY), indices=indices, **more)


@of("CheckNumerics", "Identity", "OnesLike", "PreventGradient", "Rank", "Shape", "Size",
    "Snapshot", "StopGradient", "ZerosLike")
def same(d, op):
    x = d.any(d.shape(), FLOATS if op is raw.CheckNumerics else ANY)
    more = {"message": "no number"} if op is raw.CheckNumerics else {}
    if op in (raw.Shape, raw.Size):
        more = {"out_type": d.of((tf.int32, tf.int64))}
    name = {raw.OnesLike: "x", raw.ZerosLike: "x", raw.CheckNumerics: "tensor"}
    return op(**{name.get(op, "input"): x}, **more)


@of("IdentityN", "ShapeN")
def several(d, op):
    return d.of(op(input=[d.any(d.shape()), d.any(d.shape())]))


@of("PlaceholderWithDefault")
def with_default(d, op):
    shape = d.shape()
    return op(input=d.values(shape, d.of(ANY)), shape=shape)


@of("Const")
def constant(d, op):
    del op
    return tf.constant(d.values(d.shape(), d.of(ANY)))


@of("LRN")
def lrn(d, op):
    return op(input=d.any(d.image(6, 20)), depth_radius=d.of((0, 1, 2, 5, 30)),
              bias=d.of((1.0, 2.0)), alpha=d.of((1.0, 1e-4)), beta=d.of((0.5, 0.75, 1.0)))


@of("LogSoftmax", "Softmax")
def softmax(d, op):
    return op(logits=d.any(d.shape(1, 4), low=-20, high=20))


@of("MatMul")
def matmul(d, op):
    m, k, n = d.integer(0, 20), d.integer(1, 20), d.integer(1, 20)
    ta, tb = d.chance(0.3), d.chance(0.5)
    return op(a=d.any([k, m] if ta else [m, k]), b=d.any([n, k] if tb else [k, n]),
              transpose_a=ta, transpose_b=tb)


@of("MirrorPad", "Pad", "PadV2")
def pad(d, op):
    shape, dtype = d.shape(1, 4, 0), d.of(ANY)
    if op is raw.MirrorPad:
        mode = d.of(("REFLECT", "SYMMETRIC"))
        most = [s if mode == "SYMMETRIC" else s - 1 for s in shape]
        return op(input=d.any(shape, (np.float32, np.int32)), mode=mode,
                  paddings=d.ints([d.integers(0, m, 2) for m in most]))
    more = {"constant_values": d.any([], (dtype,))} if op is raw.PadV2 else {}
    return op(input=d.any(shape, (dtype,)),
              paddings=d.ints([d.integers(0, 3, 2) for _ in shape]), **more)


@of("Pack")
def pack(d, op):
    shape, dtype = d.shape(0, 4), d.of(ANY)
    return op(values=[d.any(shape, (dtype,)) for _ in range(d.integer(1, 4))],
              axis=d.integer(-len(shape) - 1, len(shape)))


@of("Unpack")
def unpack(d, op):
    shape = d.shape(1, 4, 0)
    axis = d.integer(0, len(shape) - 1)
    return d.of(op(value=d.any(shape, ANY), num=shape[axis], axis=d.axis(axis, len(shape))))


@of("Range")
def numbers(d, op):
    dtype = d.of(INTEGERS)
    start, limit = sorted(d.integers(-9, 20, 2))
    step = d.of((1, 2, 7))
    up = d.chance(0.6)
    return op(start=dtype(start if up else limit), limit=dtype(limit if up else start),
              delta=dtype(step if up else -step))


@of("Reshape")
def reshape(d, op):
    shape = d.shape(1, 5, 0)
    to = [int(np.prod(shape[:2])), *shape[2:], 1]
    if d.chance(0.5):
        to[d.integer(0, len(to) - 1)] = -1
    return op(tensor=d.any(shape, ANY), shape=d.ints(to))


@of("ResizeArea", "ResizeBicubic", "ResizeBilinear", "ResizeNearestNeighbor")
def resize(d, op):
    how = {"align_corners": d.chance(0.4)}
    if op is not raw.ResizeArea and not how["align_corners"]:
        how["half_pixel_centers"] = d.chance(0.5)
    return op(images=d.any(d.image(), (np.float32, np.uint8), 0, 120),
              size=tf.constant(d.integers(1, 24, 2)), **how)


@of("ReverseV2")
def reverse(d, op):
    shape = d.shape(1, 4)
    axes = d.rng.permutation(len(shape))[:d.integer(0, len(shape))]
    return op(tensor=d.any(shape, (np.float32, np.int32, np.bool_)),
              axis=d.ints([d.axis(int(a), len(shape)) for a in axes]))


@of("Select", "SelectV2")
def select(d, op):
    dtype = d.of(ANY)
    if op is raw.Select:
        shape = d.shape()
        return op(condition=d.any(d.of((shape, [])), (np.bool_,)), x=d.any(shape, (dtype,)),
                  y=d.any(shape, (dtype,)))
    a, b, c = d.broadcast(3)
    return op(condition=d.any(a, (np.bool_,)), t=d.any(b, (dtype,)), e=d.any(c, (dtype,)))


@of("Slice")
def slices(d, op):
    shape = d.shape(1)
    begin = [d.integer(0, size) for size in shape]
    size = [-1 if d.chance(0.2) else d.integer(0, s - b) for s, b in zip(shape, begin)]
    return op(input=d.any(shape, ANY), begin=tf.constant(begin), size=tf.constant(size))


@of("StridedSlice")
def strided_slice(d, op):
    shape = d.shape(2, 5)
    count = d.integer(1, len(shape))

    def mask(probability):
        return sum(1 << i for i in range(count) if d.chance(probability))
    steps = [d.of((1, 1, 2, 3, -1, -2)) for _ in range(count)]
    shrink = mask(0.2)
    begin = [d.integer(-shape[i], shape[i] - 1) if shape[i] else 0 for i in range(count)]
    if any(shrink >> i & 1 and (steps[i] < 1 or not shape[i]) for i in range(count)):
        shrink = 0
    whole = {} if shrink else {"ellipsis_mask": 1 << d.integer(0, count - 1)
                               if d.chance(0.3) else 0, "new_axis_mask": mask(0.2)}
    return op(input=d.any(shape, ANY), begin=tf.constant(begin),
              end=tf.constant(d.integers(-7, 7, count)), strides=tf.constant(steps),
              begin_mask=mask(0.4), end_mask=mask(0.4), shrink_axis_mask=shrink, **whole)


@of("Split", "SplitV")
def split(d, op):
    shape, parts = d.shape(1, 4), d.integer(1, 3)
    axis = d.integer(0, len(shape) - 1)
    where = np.int32(d.axis(axis, len(shape)))
    if op is raw.Split:
        shape[axis] *= parts
        return d.of(op(axis=where, value=d.any(shape, ANY), num_split=parts))
    sizes = d.integers(0, 3, parts)
    shape[axis] = sum(sizes)
    if parts > 1 and d.chance(0.4):
        sizes[d.integer(0, parts - 1)] = -1
    return d.of(op(value=d.any(shape, ANY), size_splits=d.ints(sizes), axis=where,
                   num_split=parts))


@of("Squeeze")
def squeeze(d, op):
    shape = [1 if d.chance(0.4) else size for size in d.shape()]
    axes = [d.axis(i, len(shape)) for i, s in enumerate(shape) if s == 1 and d.chance(0.5)]
    return op(input=d.any(shape, ANY), axis=axes)


@of("Tile")
def tile(d, op):
    shape = d.shape(0, 4)
    return op(input=d.any(shape, ANY), multiples=d.ints(d.integers(0, 3, len(shape))))


@of("TopKV2")
def top_k(d, op):
    shape = d.shape(1, 3, 0)
    values = np.round(d.values(shape, np.float32))
    return d.of(op(input=d.put(values), k=tf.constant(d.integer(0, shape[-1])), sorted=True))


@of("Transpose")
def transpose(d, op):
    shape = d.shape()
    return op(x=d.any(shape, ANY), perm=d.ints(d.rng.permutation(len(shape))))


# Without values, with bytes of images (test_classifiers.py), or not to be made by a
# TensorFlow of today (testdata/engine/generators/make_ops.py).
ELSEWHERE = {"NoOp", "DecodeBmp", "DecodeGif", "DecodeImage", "DecodeJpeg", "DecodePng",
             "BatchNormWithGlobalNormalization"}


class Operations(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix="oriel-ops-")
        self.addCleanup(temporary.cleanup)
        self.folder = pathlib.Path(temporary.name)

    def agree(self, got, want, what):
        self.assertEqual((got.dtype, got.shape), (want.dtype, want.shape), what)
        if want.dtype.kind != "f":
            np.testing.assert_array_equal(got, want, what)
            return
        finite = np.abs(want[np.isfinite(want)])
        scale = float(finite.max()) if finite.size else 0.0
        np.testing.assert_allclose(got, want, rtol=4e-6, atol=1e-5 * scale + 1e-7, err_msg=what)

    def check(self, seed):
        draw = Draw(seed)
        with tf.Graph().as_default() as graph:
            for name in sorted(CASES):
                with tf.name_scope(name):
                    tf.identity(CASES[name](draw), "result")
        file = self.folder / "graph.pb"
        file.write_bytes(graph.as_graph_def().SerializeToString())
        results = [f"{name}/result" for name in sorted(CASES)]
        with networks.session(graph) as session, np.errstate(all="ignore"):
            wanted = session.run([f"{r}:0" for r in results],
                                 {f"{k}:0": v for k, v in draw.feeds.items()})
        flags = []
        for i, (name, value) in enumerate(draw.feeds.items()):
            np.save(self.folder / f"in{i}.npy", value)
            flags.append(f"--input={name}={self.folder}/in{i}.npy")
        flags += [f"--output={r}={self.folder}/out{i}.npy" for i, r in enumerate(results)]
        for backend in ("reference", "onednn", "native"):
            networks.run_program([FLAGS.oriel, "run", file, *flags, "--backend", backend])
            for i, (result, want) in enumerate(zip(results, wanted)):
                self.agree(np.load(self.folder / f"out{i}.npy"), want,
                           f"{result}, seed {seed}, {backend}")

    def test_every_operation_of_the_table(self):
        table = set(re.findall(r"^\| (\w+) \|", networks.run_program([FLAGS.oriel, "ops"]), re.M))
        self.assertEqual(table - {"operation"}, set(CASES) | ELSEWHERE)
        for seed in range(FLAGS.seeds):
            with self.subTest(seed=seed):
                self.check(seed)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--oriel", type=pathlib.Path, required=True)
    parser.add_argument("--seeds", type=int, default=8, help="graphs to try")
    for unused in ("--write-golden-checkpoint", "--test-data"):
        parser.add_argument(unused, help="what the other suites need")
    flags, rest = parser.parse_known_args()
    FLAGS.oriel, FLAGS.seeds = flags.oriel.resolve(), flags.seeds
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)


if __name__ == "__main__":
    main()
