#!/usr/bin/env python3
"""Writes ops.pb: small cases of every operation with TensorFlow's own results.

usage: make_ops.py OUTPUT.pb        (tensorflow-cpu 2.21.0, oneDNN off)

The file is one GraphDef. A case is a name scope: its placeholders are `CASE/x0`,
`CASE/x1`, ...; its results `CASE/y0`, ...; the values that were fed and computed are
constants beside them, `CASE/x0/value` and `CASE/y0/expected`.
"""

import os
import sys
import zlib

os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
os.environ["CUDA_VISIBLE_DEVICES"] = ""
import numpy as np
import tensorflow as tf

tf1 = tf.compat.v1
R = tf.raw_ops
CASES = {}


def case(name, build, *inputs):
    """build(*tensors) -> tensor or list of tensors; inputs: arrays to feed."""
    assert name not in CASES, name
    CASES[name] = (build, inputs)


def rng(name):
    return np.random.RandomState(zlib.crc32(name.encode()))


def f32(name, *shape, low=-2.0, high=2.0):
    return rng(name).uniform(low, high, shape).astype(np.float32)


def const(value, dtype=None):
    return tf.constant(value, dtype=dtype)


def conv_cases():
    for padding in ("SAME", "VALID"):
        for (h, w), (kh, kw), (sh, sw), (dh, dw), cin, cout in [
            ((7, 8), (3, 3), (1, 1), (1, 1), 3, 5),
            ((7, 8), (3, 3), (2, 2), (1, 1), 4, 8),
            ((9, 6), (1, 7), (1, 1), (1, 1), 8, 16),
            ((9, 8), (5, 2), (1, 2), (1, 1), 2, 3),
            ((10, 11), (3, 3), (1, 1), (2, 3), 3, 4),
            ((6, 6), (1, 1), (1, 1), (1, 1), 16, 24),
            ((5, 5), (1, 1), (2, 2), (1, 1), 8, 8),
            ((8, 8), (8, 8), (1, 1), (1, 1), 2, 9),
        ]:
            if kw > w:
                continue
            n = f"conv_{padding}_{h}x{w}_{kh}x{kw}_s{sh}{sw}_d{dh}{dw}_{cin}_{cout}"
            filt = f32(n + "w", kh, kw, cin, cout)
            case(n, lambda x, filt=filt, a=dict(strides=[1, sh, sw, 1], padding=padding,
                                                dilations=[1, dh, dw, 1]):
                 R.Conv2D(input=x, filter=const(filt), **a), f32(n, 2, h, w, cin))
    explicit = f32("explicit", 3, 3, 2, 4)
    case("conv_explicit", lambda x: R.Conv2D(
        input=x, filter=const(explicit), strides=[1, 2, 1, 1], padding="EXPLICIT",
        explicit_paddings=[0, 0, 1, 2, 0, 3, 0, 0]), f32("ce", 1, 6, 7, 2))
    grouped = f32("grouped", 3, 3, 2, 6)
    case("conv_grouped", lambda x: R.Conv2D(
        input=x, filter=const(grouped), strides=[1, 1, 1, 1], padding="SAME"),
        f32("cg", 1, 5, 5, 6))
    case("conv_fed_filter", lambda x, w: R.Conv2D(
        input=x, filter=w, strides=[1, 1, 1, 1], padding="SAME"),
        f32("cf", 1, 5, 5, 3), f32("cfw", 3, 3, 3, 4))
    for padding, s, d, mult, c, k in [("SAME", 1, 1, 1, 8, 3), ("VALID", 2, 1, 1, 5, 3),
                                      ("SAME", 2, 1, 2, 4, 5), ("SAME", 1, 1, 1, 6, 3),
                                      ("VALID", 1, 1, 3, 3, 2)]:
        n = f"depthwise_{padding}_s{s}_d{d}_m{mult}_c{c}_k{k}"
        filt = f32(n + "w", k, k, c, mult)
        case(n, lambda x, filt=filt, a=dict(strides=[1, s, s, 1], padding=padding,
                                            dilations=[1, d, d, 1]):
             R.DepthwiseConv2dNative(input=x, filter=const(filt), **a),
             f32(n, 2, 8, 9, c))


def pool_cases():
    for op in ("MaxPool", "AvgPool"):
        for padding, k, s, size in [("SAME", (3, 3), (1, 1), (7, 6)),
                                    ("SAME", (3, 2), (2, 2), (7, 8)),
                                    ("VALID", (3, 3), (2, 2), (8, 7)),
                                    ("VALID", (8, 8), (2, 2), (8, 8)),
                                    ("SAME", (1, 1), (2, 2), (5, 5)),
                                    ("VALID", (5, 5), (3, 3), (17, 17))]:
            n = f"{op}_{padding}_k{k[0]}{k[1]}_s{s[0]}{s[1]}_{size[0]}x{size[1]}"
            a = dict(ksize=[1, *k, 1], strides=[1, *s, 1], padding=padding)
            fn = (lambda x, a=a: R.MaxPool(input=x, **a)) if op == "MaxPool" else (
                lambda x, a=a: R.AvgPool(value=x, **a))
            case(n, fn, f32(n, 2, *size, 5))
    case("MaxPool_explicit", lambda x: R.MaxPool(
        input=x, ksize=[1, 3, 3, 1], strides=[1, 2, 2, 1], padding="EXPLICIT",
        explicit_paddings=[0, 0, 1, 1, 0, 2, 0, 0]), f32("mpe", 1, 7, 7, 3))


def norm_cases():
    c = 6
    p = dict(scale=f32("s", c), offset=f32("o", c), mean=f32("m", c),
             variance=f32("v", c, low=0.3, high=3))
    x = f32("bn", 2, 4, 3, c)
    for v in ("", "V2", "V3"):
        op = getattr(R, "FusedBatchNorm" + v)
        case("batch_norm" + v, lambda x, op=op: op(
            x=x, **{k: const(a) for k, a in p.items()}, epsilon=0.001, is_training=False)[0],
            x)
    # TensorFlow has no kernel any more for BatchNormWithGlobalNormalization: the value
    # is tf.nn.batch_normalization's, which its message names; main puts the node in.
    def legacy(x, scaled):
        m, v, beta, gamma = (tf.constant(p[k], name=n) for k, n in (
            ("mean", "m"), ("variance", "v"), ("offset", "beta"), ("scale", "gamma")))
        return tf.nn.batch_normalization(x, m, v, beta, gamma if scaled else None, 0.01)

    for scaled in (False, True):
        case(f"legacy_batch_norm_{scaled}".lower(),
             lambda x, scaled=scaled: legacy(x, scaled), x)
    for radius, bias, alpha, beta in ((2, 1.0, 2e-5, 0.75), (5, 1.0, 1.0, 0.5), (1, 2.0, 0.3, 0.6)):
        case(f"LRN_{radius}", lambda x, a=(radius, bias, alpha, beta): R.LRN(
            input=x, depth_radius=a[0], bias=a[1], alpha=a[2], beta=a[3]),
            f32(f"lrn{radius}", 2, 3, 4, 16))
    case("LogSoftmax", lambda x: R.LogSoftmax(logits=x), f32("lsm", 3, 11, low=-8, high=8))
    case("softmax_2d", lambda x: R.Softmax(logits=x), f32("sm", 3, 11, low=-8, high=8))
    case("softmax_4d", lambda x: R.Softmax(logits=x), f32("sm4", 2, 3, 2, 5))
    case("softmax_1d", lambda x: R.Softmax(logits=x), f32("sm1", 4))
    case("matmul", lambda a: R.MatMul(a=a, b=const(f32("mmb", 7, 5))), f32("mm", 3, 7))
    for ta in (False, True):
        for tb in (False, True):
            a = f32("mma", *((7, 3) if ta else (3, 7)))
            b = f32("mmb2", *((5, 7) if tb else (7, 5)))
            case(f"matmul_fed_{ta}_{tb}".lower(), lambda a, b, ta=ta, tb=tb: R.MatMul(
                a=a, b=b, transpose_a=ta, transpose_b=tb), a, b)
    case("matmul_transposed_constant", lambda a: R.MatMul(
        a=a, b=const(f32("mmt", 5, 7)), transpose_b=True), f32("mmta", 2, 7))


def elementwise_cases():
    positive = dict(low=0.05, high=4)
    for op, kw, opts in [("Relu", "features", {}), ("Relu6", "features", dict(low=-3, high=9)),
                         ("LeakyRelu", "features", {}), ("Elu", "features", {}),
                         ("Sigmoid", "x", {}), ("Tanh", "x", {}), ("Exp", "x", {}),
                         ("Neg", "x", {}), ("Square", "x", {}), ("Sqrt", "x", positive),
                         ("Rsqrt", "x", positive), ("Abs", "x", {}), ("Ceil", "x", {}),
                         ("Floor", "x", {}), ("Erf", "x", {}), ("Erfc", "x", {}),
                         ("Expm1", "x", {}), ("Log", "x", positive),
                         ("Log1p", "x", positive), ("Inv", "x", positive),
                         ("Reciprocal", "x", positive), ("Rint", "x", {}), ("Round", "x", {}),
                         ("Selu", "features", {}), ("Sign", "x", {}),
                         ("Softplus", "features", dict(low=-20, high=20)),
                         ("Softsign", "features", {})]:
        extra = dict(alpha=0.3) if op == "LeakyRelu" else {}
        for rank, shape in (("4d", (2, 3, 4, 5)), ("2d", (3, 7))):
            case(f"{op}_{rank}", lambda x, op=op, kw=kw, extra=extra: getattr(R, op)(
                **{kw: x}, **extra), f32(op + rank, *shape, **opts))
    for op in ("Add", "AddV2", "Sub", "Mul", "RealDiv", "Div", "Maximum", "Minimum",
               "SquaredDifference", "FloorDiv", "FloorMod"):
        for i, (a, b) in enumerate([((2, 3, 4, 5), (2, 3, 4, 5)), ((2, 3, 4, 5), (5,)),
                                    ((5,), (2, 3, 4, 5)), ((2, 1, 4, 1), (3, 1, 5)),
                                    ((3, 4), ()), ((), (3, 4)), ((2, 3, 4, 5), (2, 1, 1, 5)),
                                    ((4, 1), (1, 3)), ((2, 2, 2, 2, 3), (2, 1, 3))]):
            n = f"{op}_{i}"
            case(n, lambda x, y, op=op: getattr(R, op)(x=x, y=y), f32(n + "a", *a),
                 f32(n + "b", *b, low=0.5))
        case(f"{op}_constant_left", lambda x, op=op: getattr(R, op)(
            x=const(f32("cl", 5)), y=x), f32(op + "cl", 2, 3, 2, 5, low=0.5))
        case(f"{op}_self", lambda x, op=op: getattr(R, op)(x=x, y=x),
             f32(op + "self", 2, 3, low=0.5))
    for op in ("Add", "Sub", "Mul", "Maximum", "Minimum", "SquaredDifference", "FloorDiv",
               "FloorMod", "TruncateDiv"):
        for dtype in (np.int32, np.int64):
            v = rng(op).randint(-50, 50, (2, 3)).astype(dtype)
            case(f"{op}_{np.dtype(dtype).name}", lambda x, op=op, dtype=dtype: getattr(R, op)(
                x=x, y=const(np.array([3, -7, 11], dtype))), v)
    case("BiasAdd_4d", lambda x: R.BiasAdd(value=x, bias=const(f32("ba", 5))),
         f32("ba4", 2, 3, 2, 5))
    case("BiasAdd_2d", lambda x: R.BiasAdd(value=x, bias=const(f32("ba", 5))), f32("ba2", 3, 5))
    for op in ("Mul", "Sub", "AddV2"):
        case(f"{op}_float64", lambda x, op=op: getattr(R, op)(x=x, y=const(0.875, tf.float64)),
             rng(op).uniform(-3, 3, 7))
        case(f"{op}_uint8", lambda x, op=op: getattr(R, op)(x=x, y=const(200, tf.uint8)),
             rng(op).randint(0, 256, (2, 5)).astype(np.uint8))
    case("Pow", lambda x, y: R.Pow(x=x, y=y), f32("pow", 3, 4, low=0.1), f32("pow2", 4))
    for op in ("Equal", "NotEqual", "Less", "LessEqual", "Greater", "GreaterEqual"):
        a, b = (rng(op + k).randint(-2, 3, (3, 4)).astype(np.float32) for k in "ab")
        case(op, lambda x, y, op=op: getattr(R, op)(x=x, y=y), a, b)
        case(op + "_int32", lambda x, op=op: getattr(R, op)(x=x, y=const(1)), a.astype(np.int32))
    flags = rng("flags").randint(0, 2, (3, 4)) > 0
    other = rng("other").randint(0, 2, 4) > 0
    case("LogicalAnd", lambda x, y: R.LogicalAnd(x=x, y=y), flags, other)
    case("LogicalOr", lambda x, y: R.LogicalOr(x=x, y=y), flags, other)
    case("LogicalNot", lambda x: R.LogicalNot(x=x), flags)
    for op in ("Select", "SelectV2"):
        kw = dict(zip("cte", ("condition", "x", "y") if op == "Select" else ("condition", "t", "e")))
        case(op, lambda c, x, y, op=op, kw=kw: getattr(R, op)(**{kw["c"]: c, kw["t"]: x, kw["e"]: y}),
             flags, f32("sela", 3, 4), f32("selb", 3, 4))
    case("SelectV2_broadcast", lambda c, x, y: R.SelectV2(condition=c, t=x, e=y), other,
         f32("selc", 3, 1), f32("seld"))
    case("AddN", lambda x, y: R.AddN(inputs=[x, y, x]), f32("ana", 2, 3, 4, 5),
         f32("anb", 2, 3, 4, 5))
    case("AddN_2d", lambda x, y: R.AddN(inputs=[x, y]), f32("anc", 3, 7), f32("and", 3, 7))
    case("ClipByValue", lambda x: R.ClipByValue(t=x, clip_value_min=const(-0.5),
                                                clip_value_max=const(1.25)), f32("cl4", 2, 3, 2, 5))
    # what the engine makes one function of
    case("swish", lambda x: R.Mul(x=x, y=R.Sigmoid(x=x)), f32("swish", 2, 3, 4, 5, low=-9, high=9))
    case("hard_swish", lambda x: R.Mul(x=x, y=R.Mul(x=R.Relu6(features=R.AddV2(
        x=x, y=const(3.0))), y=const(1 / 6, tf.float32))), f32("hs", 2, 3, 4, 5, low=-5, high=5))
    case("hard_swish_divided", lambda x: R.RealDiv(x=R.Mul(x=x, y=R.Relu6(features=R.AddV2(
        x=const(3.0), y=x))), y=const(6.0)), f32("hs2", 2, 3, 4, 5, low=-5, high=5))
    case("hard_sigmoid", lambda x: R.Mul(x=R.Relu6(features=R.AddV2(x=x, y=const(3.0))),
                                         y=const(1 / 6, tf.float32)), f32("hsi", 2, 3, low=-5, high=5))
    numbers = np.array([-3.7, -1.0, -0.2, 0.0, 0.6, 1.0, 2.5, 100.0], np.float32)
    for to in (tf.int32, tf.int64, tf.float64, tf.bool):
        case(f"Cast_float32_{to.name}", lambda x, to=to: R.Cast(x=x, DstT=to), numbers)
    for dtype in (np.int32, np.int64, np.uint8, np.bool_, np.float64):
        v = np.array([0, 1, 2, 200, 255], np.float64).astype(dtype)
        case(f"Cast_{np.dtype(dtype).name}_float32", lambda x: R.Cast(x=x, DstT=tf.float32), v)


def reduce_cases():
    for op in ("Mean", "Sum", "Max", "Min", "Prod"):
        for i, (shape, axes, keep) in enumerate([((2, 3, 4, 5), [1, 2], False),
                                                 ((2, 3, 4, 5), [1, 2], True),
                                                 ((2, 3, 4, 5), [-1], False),
                                                 ((2, 3, 4), [0, 2], True),
                                                 ((3, 4), [0, 1], False), ((3, 4), [], False)]):
            n = f"{op}_{i}"
            case(n, lambda x, op=op, axes=axes, keep=keep: getattr(R, op)(
                input=x, axis=const(axes, tf.int32), keep_dims=keep), f32(n, *shape))
    for op in ("All", "Any"):
        case(op, lambda x, op=op: getattr(R, op)(input=x, axis=const([1])),
             np.array([[True, True], [True, False], [False, False]]))
    for op in ("Mean", "Sum", "Max", "Min", "Prod"):
        if op != "Mean":
            case(f"{op}_int32", lambda x, op=op: getattr(R, op)(input=x, axis=const([0])),
                 rng(op).randint(-9, 9, (3, 4)).astype(np.int32))


def array_cases():
    a, b = f32("ca", 2, 3, 4, 8), f32("cb", 2, 3, 4, 16)
    case("ConcatV2_channels", lambda a, b: R.ConcatV2(values=[a, b, a], axis=const(3)), a, b)
    case("ConcatV2_odd", lambda a, b: R.ConcatV2(values=[a, b], axis=const(-1)),
         f32("o1", 1, 2, 2, 3), f32("o2", 1, 2, 2, 6))
    case("ConcatV2_height", lambda a, b: R.ConcatV2(values=[a, b], axis=const(1)),
         f32("h1", 2, 3, 4, 5), f32("h2", 2, 1, 4, 5))
    case("ConcatV2_2d", lambda a, b: R.ConcatV2(values=[a, b], axis=const(0)),
         f32("t1", 2, 3), f32("t2", 4, 3))
    case("ConcatV2_int64", lambda a: R.ConcatV2(values=[a, a], axis=const(0)),
         np.arange(3, dtype=np.int64))
    case("Concat", lambda a, b: R.Concat(concat_dim=const(2), values=[a, b]),
         f32("c1", 2, 3, 2), f32("c2", 2, 3, 5))
    case("Concat_one", lambda a: R.ConcatV2(values=[a, const(f32("cc", 2, 2))], axis=const(1)),
         f32("c3", 2, 3))
    for axis in (0, 1, -1):
        case(f"Pack_{axis}", lambda a, b, axis=axis: R.Pack(values=[a, b], axis=axis),
             f32("pa", 2, 3), f32("pb", 2, 3))
    pads = [[0, 0], [1, 2], [3, 0], [0, 1]]
    case("Pad", lambda x: R.Pad(input=x, paddings=const(pads)), f32("p", 2, 3, 4, 2))
    case("PadV2", lambda x: R.PadV2(input=x, paddings=const(pads), constant_values=const(-1.5)),
         f32("p2", 2, 3, 4, 2))
    case("Pad_int32", lambda x: R.Pad(input=x, paddings=const([[2, 1]])),
         np.arange(4, dtype=np.int32))
    for mode in ("REFLECT", "SYMMETRIC"):
        case(f"MirrorPad_{mode}", lambda x, mode=mode: R.MirrorPad(
            input=x, paddings=const([[1, 1], [2, 0], [0, 2]]), mode=mode), f32("mp", 2, 3, 4))
    case("Transpose_4d", lambda x: R.Transpose(x=x, perm=const([0, 3, 1, 2])),
         f32("tr", 2, 3, 4, 5))
    case("Transpose_2d", lambda x: R.Transpose(x=x, perm=const([1, 0])), f32("tr2", 3, 4))
    case("Split", lambda x: R.Split(axis=const(3), value=x, num_split=3), f32("sp", 2, 2, 2, 6))
    case("Split_0", lambda x: R.Split(axis=const(0), value=x, num_split=2), f32("sp0", 4, 3))
    for axis in (3, 1):
        case(f"SplitV_{axis}", lambda x, axis=axis: R.SplitV(
            value=x, size_splits=const([1, -1, 2]), axis=const(axis), num_split=3),
            f32("spv", 2, 6, 2, 6))
    for axis in (0, 2):
        case(f"Unpack_{axis}", lambda x, axis=axis: R.Unpack(value=x, num=3, axis=axis),
             f32("un", 3, 2, 3))
    case("Gather", lambda x: R.Gather(params=x, indices=const([2, 0, 0])), f32("ga", 3, 4))
    case("GatherV2", lambda x: R.GatherV2(params=x, indices=const([[2, 1], [0, 3]]),
                                          axis=const(1)), f32("gv", 2, 4, 3))
    case("GatherV2_shape", lambda x: R.GatherV2(params=R.Shape(input=x), indices=const([0, 2]),
                                                axis=const(0)), f32("gs", 2, 4, 3))
    case("Tile", lambda x: R.Tile(input=x, multiples=const([2, 1, 3])), f32("ti", 2, 3, 2))
    case("BroadcastTo", lambda x: R.BroadcastTo(input=x, shape=const([2, 3, 4])), f32("bt", 3, 1))
    x = f32("blocks", 2, 4, 6, 12)
    case("DepthToSpace", lambda x: R.DepthToSpace(input=x, block_size=2), x)
    case("SpaceToDepth", lambda x: R.SpaceToDepth(input=x, block_size=2), x)
    case("SpaceToBatchND", lambda x: R.SpaceToBatchND(
        input=x, block_shape=const([2, 3]), paddings=const([[1, 1], [0, 3]])), x)
    case("BatchToSpaceND", lambda x: R.BatchToSpaceND(
        input=x, block_shape=const([2, 2]), crops=const([[1, 0], [2, 1]])), f32("bts", 8, 3, 4, 5))
    case("ReverseV2", lambda x: R.ReverseV2(tensor=x, axis=const([1, -1])), f32("rev", 2, 3, 4))
    ties = np.array([[3, 1, 3, 2, 7], [0, 0, -1, 0, -2]], np.float32)
    case("TopKV2", lambda x: list(R.TopKV2(input=x, k=const(3))), ties)
    case("TopKV2_many", lambda x: list(R.TopKV2(input=x, k=const(40))), f32("tk", 2, 40))
    for axis in (0, -1):
        case(f"ArgMax_{axis}", lambda x, axis=axis: R.ArgMax(input=x, dimension=const(axis)), ties)
    case("ArgMin", lambda x: R.ArgMin(input=x, dimension=const(1), output_type=tf.int32), ties)
    for op in ("Bilinear", "Bicubic", "NearestNeighbor", "Area"):
        for corners, centers in ((False, False), (True, False), (False, True)):
            if op == "Area" and centers:
                continue
            a = dict(align_corners=corners)
            if op != "Area":
                a["half_pixel_centers"] = centers
            grid = "corners" if corners else "centers" if centers else "legacy"
            fn = getattr(R, "Resize" + op)
            for size in ((5, 9), (13, 6)):
                case(f"Resize{op}_{grid}_{size[0]}", lambda x, fn=fn, a=a, size=size: fn(
                    images=x, size=const(list(size)), **a), f32("re", 2, 8, 7, 3))
            case(f"Resize{op}_{grid}_uint8", lambda x, fn=fn, a=a: fn(
                images=x, size=const([4, 5]), **a),
                rng("reb").randint(0, 256, (1, 7, 6, 3)).astype(np.uint8))
    case("Slice", lambda x: R.Slice(input=x, begin=const([0, 1, 2]), size=const([-1, 2, 1])),
         f32("sl", 2, 4, 4))
    x = f32("ss", 4, 5, 6)
    for name, fn in {
        "plain": lambda x: x[1:3, ::2, 5:0:-2],
        "negative": lambda x: x[-3:-1, -1, :-2],
        "ellipsis": lambda x: x[..., 1:4],
        "new_axis": lambda x: x[:, tf.newaxis, 2, ..., tf.newaxis],
        "shrink": lambda x: x[1, -2, 3],
        "reverse": lambda x: x[::-1, ::-3, ::-1],
        "beyond": lambda x: x[2:100, -100:2, 4:2:1],
        "one": lambda x: x[2:4],
    }.items():
        case(f"StridedSlice_{name}", fn, x)


def shape_cases():
    x = f32("sh", 2, 3, 4, 5)
    case("Reshape", lambda x: R.Reshape(tensor=x, shape=const([6, -1])), x)
    case("Reshape_4d", lambda x: R.Reshape(tensor=R.Relu(features=x), shape=const([2, 4, 3, 5])), x)
    case("Reshape_scalar", lambda x: R.Reshape(tensor=x, shape=const([], tf.int32)),
         f32("rs", 1, 1))
    case("Squeeze_all", lambda x: R.Squeeze(input=x), f32("sq", 1, 3, 1, 2))
    case("Squeeze_some", lambda x: R.Squeeze(input=x, axis=[1, -2]), f32("sq2", 1, 1, 1, 4))
    case("ExpandDims", lambda x: R.ExpandDims(input=x, axis=const(-2)), f32("ed", 2, 3))
    case("Shape", lambda x: R.Shape(input=x), x)
    case("Shape_int64", lambda x: R.Shape(input=x, out_type=tf.int64), x)
    case("Fill", lambda x: R.AddV2(x=R.Fill(dims=R.Shape(input=x), value=const(1.5)), y=x),
         f32("fi", 2, 3))
    case("ZerosLike", lambda x: R.ZerosLike(x=x), f32("zl", 2, 3))
    case("OnesLike", lambda x: [R.OnesLike(x=x), R.OnesLike(x=R.Cast(x=x, DstT=tf.int64))],
         f32("ol", 2, 3))
    case("Rank_Size", lambda x: [R.Rank(input=x), R.Size(input=x)], x)
    case("ShapeN", lambda x, y: list(R.ShapeN(input=[x, y])), x, f32("shn", 3))
    case("Range", lambda x: R.Range(start=const(5), limit=R.Rank(input=x), delta=const(-2)),
         f32("rg"))
    case("IdentityN", lambda x, y: list(R.IdentityN(input=[x, y])), f32("in", 2, 3),
         np.arange(4, dtype=np.int32))
    case("Identity", lambda x: R.StopGradient(input=R.Identity(input=R.CheckNumerics(
        tensor=x, message="m"))), f32("id", 2, 3))
    # flatten as tf_slim and Keras write it: the batch from the shape, the rest -1
    case("flatten", lambda x: R.Reshape(tensor=x, shape=R.Pack(values=[
        tf.shape(x)[0], const(-1)])), x)
    case("flatten_product", lambda x: R.Reshape(tensor=x, shape=R.Pack(values=[
        tf.shape(x)[0], R.Prod(input=tf.shape(x)[1:], axis=const([0]))])), x)


def network_cases():
    """What the engine fuses: each with the value in the middle fetched, and without."""
    w = f32("nw", 3, 3, 8, 8, low=-0.4, high=0.4)
    up = f32("nu", 1, 1, 8, 8, low=-0.7, high=0.7)
    x = f32("nx", 2, 6, 7, 8)
    params = [f32("ns", 8, low=0.5), f32("no", 8), f32("nm", 8), f32("nv", 8, low=0.5)]

    def conv(x, w):
        return R.Conv2D(input=x, filter=const(w), strides=[1, 1, 1, 1], padding="SAME")

    def bn(x):
        s, o, m, v = map(const, params)
        return R.FusedBatchNormV3(x=x, scale=s, offset=o, mean=m, variance=v, epsilon=1e-3,
                                  is_training=False)[0]

    def decomposed(x):
        s, o, m, v = map(const, params)
        r = R.Mul(x=R.Rsqrt(x=R.AddV2(x=v, y=const(1e-3))), y=s)
        return R.AddV2(x=R.Mul(x=x, y=r), y=R.Sub(x=o, y=R.Mul(x=m, y=r)))

    case("net_conv_bn_relu", lambda x: R.Relu(features=bn(conv(x, w))), x)
    case("net_conv_decomposed_relu6", lambda x: R.Relu6(features=decomposed(conv(x, w))), x)
    case("net_conv_bn_fetched", lambda x: (lambda b: [b, R.Relu(features=b)])(bn(conv(x, w))), x)
    case("net_depthwise_bn_relu6", lambda x: R.Relu6(features=bn(R.DepthwiseConv2dNative(
        input=x, filter=const(f32("nd", 3, 3, 8, 1)), strides=[1, 2, 2, 1], padding="SAME"))), x)
    case("net_bn_alone", lambda x: R.Relu(features=bn(x)), x)

    def residual(x, scale, last=True):
        net = R.Relu(features=conv(x, w))
        y = R.BiasAdd(value=conv(R.Relu(features=conv(net, w)), up), bias=const(f32("nb", 8)))
        y = R.AddV2(x=net, y=R.Mul(x=const(np.float32(scale)), y=y))
        return R.Relu(features=y) if last else y

    case("net_residual", lambda x: residual(x, 0.17), x)
    case("net_residual_chain", lambda x: residual(residual(residual(x, 0.1), 0.2), 1.0, False), x)
    case("net_residual_of_input", lambda x: R.AddV2(x=conv(x, up), y=x), x)
    case("net_residual_reused", lambda x: (lambda n: R.ConcatV2(
        values=[R.Relu(features=R.AddV2(x=n, y=conv(n, up))), n], axis=const(3)))(
            R.Relu(features=conv(x, w))), x)
    case("net_two_convs_summed", lambda x: R.Relu(features=R.AddV2(x=conv(x, w), y=conv(x, up))), x)
    case("net_head", lambda x: R.Softmax(logits=R.BiasAdd(value=R.MatMul(
        a=R.Reshape(tensor=R.AvgPool(value=R.Relu(features=conv(x, w)), ksize=[1, 6, 7, 1],
                                     strides=[1, 2, 2, 1], padding="VALID"),
                    shape=const([-1, 8])), b=const(f32("nh", 8, 5))), bias=const(f32("nhb", 5)))), x)
    case("net_mean_head", lambda x: R.Relu(features=R.MatMul(a=R.Mean(
        input=conv(x, w), axis=const([1, 2])), b=const(f32("nh", 8, 5)))), x)


def put_legacy_batch_norm(graph_def, name):
    """Makes `name`/y0 the result of a BatchNormWithGlobalNormalization node."""
    node = graph_def.node.add(name=f"{name}/legacy", op="BatchNormWithGlobalNormalization")
    node.input.extend(f"{name}/{i}" for i in ("x0", "m", "v", "beta", "gamma"))
    node.attr["T"].type = tf.float32.as_datatype_enum
    node.attr["variance_epsilon"].f = 0.01
    node.attr["scale_after_normalization"].b = name.endswith("true")
    for other in graph_def.node:
        if other.name == f"{name}/y0":
            other.input[0] = node.name


def main(path):
    for add in (conv_cases, pool_cases, norm_cases, elementwise_cases, reduce_cases, array_cases,
                shape_cases, network_cases):
        add()
    merged = tf1.GraphDef()
    for name, (build, inputs) in CASES.items():
        graph = tf1.Graph()
        with graph.as_default(), tf1.Session(graph=graph) as session:
            with tf1.name_scope(name):
                feeds = [tf1.placeholder(v.dtype, [None] * v.ndim, f"x{i}")
                         for i, v in enumerate(inputs)]
                result = build(*feeds)
                results = result if isinstance(result, (list, tuple)) else [result]
                results = [tf.identity(r, f"y{i}") for i, r in enumerate(results)]
            values = session.run(results, dict(zip(feeds, inputs)))
            for i, v in enumerate(inputs):
                tf1.constant(v, name=f"{name}/x{i}/value")
            for i, v in enumerate(values):
                tf1.constant(v, name=f"{name}/y{i}/expected")
        part = graph.as_graph_def()
        if name.startswith("legacy_batch_norm"):
            put_legacy_batch_norm(part, name)
        for node in part.node:
            node.attr.pop("_output_shapes", None)
        merged.node.extend(part.node)
        merged.versions.CopyFrom(part.versions)
    with open(path, "wb") as f:
        f.write(merged.SerializeToString(deterministic=True))
    print(len(CASES), "cases,", os.path.getsize(path), "bytes, TensorFlow", tf.__version__)


if __name__ == "__main__":
    main(sys.argv[1])
