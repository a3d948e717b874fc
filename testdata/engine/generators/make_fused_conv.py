#!/usr/bin/env python3
"""Writes fused_conv.pb: FusedPadConv2D and FusedResizeAndPadConv2D with TensorFlow's results,
in the layout of ops.pb.

usage: make_fused_conv.py OUTPUT.pb        (tensorflow-cpu 2.21.0, oneDNN off)

TensorFlow's kernels get only the first image of a batch right: each image is computed alone,
and the results must be those of the operations that the fused ones stand for.
"""

import sys

import numpy as np
import tensorflow as tf
from make_ops import R, const, f32, tf1


def separately(x, size, align, pads, mode, filt, **attributes):
    if size is not None:
        x = R.ResizeBilinear(images=x, size=const(size), align_corners=align)
    return R.Conv2D(input=R.MirrorPad(input=x, paddings=const(pads), mode=mode),
                    filter=const(filt), **attributes)


def case(name, shape, size, align, pads, mode, kernel, stride, padding):
    """`size` None: no resize."""
    filt = f32(name + "w", *kernel)
    pads = [[0, 0], pads[:2], pads[2:], [0, 0]]
    x = f32(name, *shape)
    attributes = dict(strides=[1, *stride, 1], padding=padding)

    # The fused node is the case's result; x has as many images as the session is fed.
    def build(images):
        node = dict(paddings=const(pads), filter=const(filt), mode=mode, **attributes)
        if size is None:
            return R.FusedPadConv2D(input=images, **node)
        return R.FusedResizeAndPadConv2D(input=images, size=const(size),
                                         resize_align_corners=align, **node)

    graph = tf1.Graph()
    with graph.as_default(), tf1.Session(graph=graph) as session:
        with tf1.name_scope(name):
            fed = tf1.placeholder(tf.float32, [None] * 4, "x0")
            y = tf.identity(build(fed), "y0")
        part = graph.as_graph_def()
        values = np.concatenate([session.run(y, {fed: x[i:i + 1]}) for i in range(len(x))])
        apart = session.run(separately(fed, size, align, pads, mode, filt, **attributes),
                            {fed: x})
    np.testing.assert_allclose(values, apart, atol=1e-5)
    with tf1.Graph().as_default() as constants:
        tf1.constant(x, name=f"{name}/x0/value")
        tf1.constant(values, name=f"{name}/y0/expected")
    part.node.extend(constants.as_graph_def().node)
    for node in part.node:
        node.attr.pop("_output_shapes", None)
    return part


def main(path):
    merged = tf1.GraphDef()
    cases = [
        ("pad_reflect", (2, 6, 7, 3), None, False, (2, 1, 0, 3), "REFLECT", (3, 3, 3, 5), (1, 1),
         "VALID"),
        ("pad_symmetric", (1, 5, 4, 4), None, False, (5, 5, 4, 0), "SYMMETRIC", (3, 2, 4, 8),
         (2, 1), "SAME"),
        ("pad_nothing", (1, 5, 5, 2), None, False, (0, 0, 0, 0), "REFLECT", (5, 5, 2, 3), (1, 1),
         "SAME"),
        ("pad_wide", (1, 6, 5, 3), None, False, (1, 1, 1, 1), "REFLECT", (3, 3, 3, 70), (1, 2),
         "VALID"),
        ("up", (2, 5, 6, 3), (11, 9), False, (1, 1, 2, 2), "REFLECT", (3, 3, 3, 4), (1, 1),
         "VALID"),
        ("up_corners", (1, 5, 6, 3), (13, 8), True, (0, 2, 1, 0), "SYMMETRIC", (3, 3, 3, 4),
         (2, 2), "SAME"),
        ("down", (3, 17, 13, 4), (6, 5), False, (0, 0, 0, 0), "REFLECT", (3, 3, 4, 8), (1, 1),
         "SAME"),
        ("down_corners", (1, 17, 13, 2), (4, 1), True, (3, 3, 0, 0), "REFLECT", (2, 1, 2, 3),
         (1, 1), "VALID"),
    ]
    for name, *rest in cases:
        part = case("fused_" + name, *rest)
        merged.node.extend(part.node)
        merged.versions.CopyFrom(part.versions)
    with open(path, "wb") as file:
        file.write(merged.SerializeToString(deterministic=True))
    print(len(cases), "cases, TensorFlow", tf.__version__)


if __name__ == "__main__":
    main(sys.argv[1])
