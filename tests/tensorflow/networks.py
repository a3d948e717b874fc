#!/usr/bin/env python3
"""Well-known classifiers on Oriel's engine and in TensorFlow: how far apart they are.

  tests/tensorflow/run.sh tests/tensorflow/networks.py --oriel build/dev/src/cli/oriel \
      [--network NAME ...] [--write-doc docs/networks.md] [--keep DIRECTORY]

Makes each network with random weights (fixed seeds) and statistics, freezes it, runs three
images through both, and prints the largest differences, or writes them into the table of
the document.
"""

import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# TensorFlow without its fused and reordered sums is the plainer judge.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import numpy as np
import tensorflow as tf

import slim_networks

tf1 = tf.compat.v1

# name -> class of keras.applications, arguments
KERAS = {
    "inception_v3": ("InceptionV3", {}),
    "inception_resnet_v2": ("InceptionResNetV2", {}),
    "resnet50": ("ResNet50", {}),
    "resnet101": ("ResNet101", {}),
    "resnet152": ("ResNet152", {}),
    "resnet50_v2": ("ResNet50V2", {}),
    "resnet101_v2": ("ResNet101V2", {}),
    "resnet152_v2": ("ResNet152V2", {}),
    "vgg16": ("VGG16", {}),
    "vgg19": ("VGG19", {}),
    "mobilenet": ("MobileNet", {}),
    "mobilenet_v2": ("MobileNetV2", {}),
    "mobilenet_v3_small": ("MobileNetV3Small", {}),
    "mobilenet_v3_large": ("MobileNetV3Large", {}),
    "efficientnet_b0": ("EfficientNetB0", {}),
    "efficientnet_v2_b0": ("EfficientNetV2B0", {}),
    "densenet121": ("DenseNet121", {}),
    "densenet169": ("DenseNet169", {}),
    "densenet201": ("DenseNet201", {}),
    "xception": ("Xception", {}),
    "nasnet_mobile": ("NASNetMobile", {}),
    "convnext_tiny": ("ConvNeXtTiny", {}),
}

NAMES = sorted([*KERAS, *slim_networks.NETWORKS])


def strengthen(model, random):
    """For networks without batch norms: weights with which ReLUs keep the size of numbers, and
    branches that count for something."""
    for layer in model._flatten_layers():
        weights = layer.get_weights()
        if type(layer).__name__ == "LayerScale":
            layer.set_weights([random.uniform(0.3, 0.7, w.shape) for w in weights])
        elif weights and weights[0].ndim > 1:
            layer.set_weights([weights[0] * 2 ** 0.5, *weights[1:]])


def freeze_keras(name, size=None):
    """A network of Keras: input `input`, outputs `logits`, `predictions`."""
    import keras
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    keras.utils.set_random_seed(7)
    kind, arguments = KERAS[name]
    if size is not None:
        arguments = {**arguments, "input_shape": (size, size, 3)}
    model = getattr(keras.applications, kind)(
        weights=None, classifier_activation=None, **arguments)
    size = model.input_shape[1] or 224
    random = np.random.default_rng(20161)
    # Statistics of a batch, so that numbers stay of one size through all layers.
    norms = [layer for layer in model._flatten_layers()
             if isinstance(layer, keras.layers.BatchNormalization)]
    for layer in norms:
        layer.momentum = 0.0
        *affine, mean, variance = layer.get_weights()
        layer.set_weights([*(value * random.uniform(0.9, 1.1, value.shape) +
                             random.uniform(-0.1, 0.1, value.shape) for value in affine),
                           mean, variance])
    if not norms:
        strengthen(model, random)
    model(three_images(name, size), training=True)
    for layer in norms:
        *affine, mean, variance = layer.get_weights()
        # A channel that hardly varies on three images would amplify rounding by hundreds.
        variance = np.maximum(variance, 0.02 * variance.mean())
        layer.set_weights([*affine, mean, variance * random.uniform(0.95, 1.05, variance.shape)])

    @tf.function(input_signature=[tf.TensorSpec([None, size, size, 3], tf.float32, "input")])
    def classify(images):
        logits = tf.identity(model(images, training=False), "logits")
        return logits, tf.nn.softmax(logits, name="predictions")

    frozen = convert_variables_to_constants_v2(classify.get_concrete_function())
    return frozen.graph.as_graph_def()


def freeze(name, size=None):
    if name in KERAS:
        return freeze_keras(name, size)
    return slim_networks.freeze(name, lambda size: three_images(name, size))


def image_size(graph_def):
    node = next(n for n in graph_def.node if n.name == "input")
    return node.attr["shape"].shape.dim[1].size


def three_images(name, size):
    """Noise, a smooth pattern, and a coarse one; in the range that the network wants."""
    random = np.random.default_rng(3)
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) / size
    smooth = np.stack([np.sin(6 * x + 2 * y), np.cos(9 * y - x), x * y * 2 - 1], -1)
    coarse = np.kron(random.uniform(-1, 1, (8, 8, 3)), np.ones((size // 8 + 1,) * 2 + (1,)))
    images = np.stack([random.uniform(-1, 1, (size, size, 3)), smooth,
                       coarse[:size, :size]]).astype(np.float32)
    takes_bytes = name.startswith(("mobilenet_v3", "efficientnet", "convnext"))
    return np.round(images * 127.5 + 127.5) if takes_bytes else images


def session(graph):
    """Runs the graph as it stands: TensorFlow would rewrite divisions into products."""
    config = tf1.ConfigProto(intra_op_parallelism_threads=2, inter_op_parallelism_threads=1)
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    return tf1.Session(graph=graph, config=config)


def run_tensorflow(graph_def, images):
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(graph_def, name="")
    with session(graph) as running:
        runs = [running.run(["logits:0", "predictions:0"], {"input:0": images[i:i + 1]})
                for i in range(len(images))]
    return [np.concatenate(parts) for parts in zip(*runs)]


def run_program(arguments):
    """-> what it writes to stdout."""
    arguments = [str(a) for a in arguments]
    done = subprocess.run(arguments, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def run_oriel(oriel, graph_file, images, folder, *flags):
    np.save(folder / "images.npy", images)
    files = [folder / f"{name}.npy" for name in ("logits", "predictions")]
    run_program([oriel, "run", graph_file, f"--input=input={folder / 'images.npy'}",
                 f"--output=logits={files[0]}", f"--output=predictions={files[1]}", *flags])
    return [np.load(f) for f in files]


class Differences:
    """Of two runs of one network."""

    def __init__(self, want, got):
        logits, predictions = want
        self.logits = float(np.abs(got[0] - logits).max())
        self.largest = float(np.abs(logits).max())
        spread = logits.std(axis=1)
        self.spread = float(spread.min())
        self.of_spread = float((np.abs(got[0] - logits).max(axis=1) / spread).max())
        self.absolute = float(np.abs(got[1] - predictions).max())
        wide = predictions.astype(np.float64)
        self.relative = float((np.abs(got[1] - wide) / np.maximum(wide, 1e-12)).max())
        self.agree = bool((got[0].argmax(1) == logits.argmax(1)).all())


def prepare(name, folder, size=None):
    """Leaves NAME.pb, and in NAME.npz images and what TensorFlow makes of them, in `folder`,
    unless they are there."""
    made = folder / f"{name}.npz"
    if made.exists():
        return
    graph_def = freeze(name, size)
    (folder / f"{name}.pb").write_bytes(graph_def.SerializeToString())
    images = three_images(name, image_size(graph_def))
    logits, predictions = run_tensorflow(graph_def, images)
    np.savez(made, images=images, logits=logits, predictions=predictions)


def compare(name, oriel, folder, size=None, flags=()):
    """-> Differences, size of the images."""
    prepare(name, folder, size)
    known = np.load(folder / f"{name}.npz")
    got = run_oriel(oriel, folder / f"{name}.pb", known["images"], folder, *flags)
    return Differences((known["logits"], known["predictions"]), got), known["images"].shape[1]


COLUMNS = ("| network | image | largest logit | logits: largest difference | to their standard "
           "deviation | probabilities: largest difference | largest relative difference |\n"
           "|---|---|---|---|---|---|---|\n")


def row(name, size, d):
    return (f"| {name} | {size} | {d.largest:.3g} | {d.logits:.1e} | {d.of_spread:.1e} | "
            f"{d.absolute:.1e} | {d.relative:.1e} |\n")


def write_doc(path, rows):
    """Replaces the table between the marks."""
    text = path.read_text()
    begin, end = "<!-- table: begin -->\n", "<!-- table: end -->"
    assert begin in text and end in text, f"{path} has no marks for the table"
    head, rest = text.split(begin)
    path.write_text(head + begin + COLUMNS + "".join(rows) + end + rest.split(end)[1])


def compare_in_child(name, folder, flags):
    """In a process of its own, since TensorFlow gives no memory back. -> whether it went well;
    the row of the table is left in `folder`."""
    pid = os.fork()
    if pid != 0:
        return os.waitpid(pid, 0)[1] == 0
    code = 1
    try:
        begin = time.time()
        if flags.oriel is None:
            prepare(name, folder, flags.size)
        else:
            differences, size = compare(name, flags.oriel.resolve(), folder, flags.size, flags.flag)
            (folder / f"{name}.row").write_text(row(name, size, differences))
            print(f"{name}: {differences.__dict__} {time.time() - begin:.0f} s", flush=True)
        code = 0
    except Exception as error:  # told, and the others go on
        print(f"{name}: {error}", flush=True)
    finally:
        os._exit(code)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--oriel", type=pathlib.Path,
                        help="without it: TensorFlow's part alone, for --keep")
    parser.add_argument("--network", action="append", choices=NAMES)
    parser.add_argument("--size", type=int, help="of the images, for networks of Keras")
    parser.add_argument("--write-doc", type=pathlib.Path, help="put the table into this file")
    parser.add_argument("--keep", type=pathlib.Path,
                        help="leave graphs, results and rows here, and make none anew")
    parser.add_argument("--flag", action="append", default=[], help="for `oriel run`")
    flags = parser.parse_args()
    rows, failed = [], []
    with tempfile.TemporaryDirectory() as temporary:
        folder = flags.keep or pathlib.Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for name in flags.network or NAMES:
            made = folder / f"{name}.row"
            if not made.exists() and not compare_in_child(name, folder, flags):
                failed.append(name)
                continue
            if made.exists():
                rows.append(made.read_text())
            if not flags.keep:
                (folder / f"{name}.pb").unlink()
    if flags.write_doc and not failed:
        write_doc(flags.write_doc, rows)
    return f"failed: {', '.join(failed)}" if failed else 0


if __name__ == "__main__":
    sys.exit(main())
