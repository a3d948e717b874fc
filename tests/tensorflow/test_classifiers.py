"""Other people's graphs on Oriel's engine against TensorFlow: well-known classifiers
(networks.py has the whole list), graphs that call functions, and graphs that decode and
preprocess images themselves."""

import argparse
import json
import os
import pathlib
import sys
import tempfile
import unittest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import numpy as np
import tensorflow as tf

import networks

tf1 = tf.compat.v1
ROOT = pathlib.Path(__file__).resolve().parents[2]
IMAGES = ROOT / "testdata" / "preproc" / "images"
FLAGS = argparse.Namespace()


def oriel(*arguments):
    return networks.run_program([FLAGS.oriel, *arguments])


def write(path, graph_def):
    path.write_bytes(graph_def.SerializeToString())
    return path


class TestCase(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix="oriel-classifiers-")
        self.addCleanup(temporary.cleanup)
        self.folder = pathlib.Path(temporary.name)


class Networks(TestCase):
    """With small images: enough for every operation and every kind of layer."""

    def check(self, name, size=None):
        differences, _ = networks.compare(name, FLAGS.oriel, self.folder, size)
        print(f"  {name}: {differences.__dict__}", flush=True)
        self.assertTrue(differences.agree)
        self.assertGreater(differences.spread, 0.05, "the logits say nothing")
        self.assertLess(differences.of_spread, 1e-3)
        self.assertLess(differences.absolute, 1e-4)

    def test_mobilenet_v3_small(self):
        self.check("mobilenet_v3_small", 96)

    def test_efficientnet_b0(self):
        self.check("efficientnet_b0", 64)

    def test_densenet121(self):
        self.check("densenet121", 64)

    def test_resnet50(self):
        self.check("resnet50", 64)

    def test_googlenet(self):
        self.check("googlenet")

    def test_inception_v2(self):
        self.check("inception_v2")


class Functions(TestCase):
    def test_calls_are_inlined(self):
        """A graph as a SavedModel has it: functions that call functions, with several
        outputs, a batch norm and a split among what they read of each other."""
        kernel = np.random.default_rng(5).normal(0, 0.3, (3, 3, 4, 8)).astype(np.float32)

        @tf.function
        def inner(x, y):
            a, b = tf.split(x, 2, axis=3)
            values, indices = tf.math.top_k(tf.reshape(a, [-1, 2]), 1)
            return b + y, values, tf.cast(indices, tf.float32)

        @tf.function
        def middle(x):
            x = tf.raw_ops.FusedBatchNormV3(
                x=x, scale=tf.ones(4), offset=tf.fill([4], 0.1), mean=tf.fill([4], 0.2),
                variance=tf.fill([4], 1.5), is_training=False)[0]
            b, values, indices = inner(x, x[..., :1])
            return inner(tf.concat([b, b], 3), b)[0], values, indices

        @tf.function(input_signature=[tf.TensorSpec([None, 5, 6, 4], tf.float32, "x")])
        def outer(x):
            b, values, indices = middle(tf.nn.relu(x))
            b = tf.identity(tf.nn.conv2d(tf.concat([b, b], 3), kernel, 1, "SAME"), "conv")
            return b, tf.add(values, indices, "sum")

        graph_def = outer.get_concrete_function().graph.as_graph_def()
        self.assertTrue(any("PartitionedCall" in n.op for n in graph_def.node))
        self.assertTrue(any("PartitionedCall" in n.op
                            for f in graph_def.library.function for n in f.node_def))
        x = np.random.default_rng(6).normal(0, 1, (2, 5, 6, 4)).astype(np.float32)
        want = outer(x)
        graph = write(self.folder / "graph.pb", graph_def)
        np.save(self.folder / "x.npy", x)
        oriel("run", graph, f"--input=x={self.folder / 'x.npy'}",
              f"--output=conv={self.folder / 'conv.npy'}",
              f"--output=sum={self.folder / 'sum.npy'}")
        np.testing.assert_allclose(np.load(self.folder / "conv.npy"), want[0], atol=1e-5)
        np.testing.assert_allclose(np.load(self.folder / "sum.npy"), want[1], atol=1e-5)


def old_central_crop(image, fraction):
    """As TensorFlow 1.0 built it, when the demos exported their graphs."""
    shape = tf.shape(image)
    offset = int(1 / ((1 - fraction) / 2.0))
    top, left = (tf1.div(shape[i], offset) for i in (0, 1))
    size = tf.stack([shape[0] - top * 2, shape[1] - left * 2, -1])
    return tf.slice(image, tf.stack([top, left, 0]), size)


def demo_preprocessing(image):
    """Slim's inception_preprocessing.preprocess_for_eval, in a graph of its time."""
    image = tf.image.convert_image_dtype(image, tf.float32)
    image = old_central_crop(image, 0.875)
    image = tf1.image.resize_bilinear(tf.expand_dims(image, 0), [48, 40], align_corners=False)
    return tf.multiply(tf.subtract(tf.squeeze(image, [0]), 0.5), 2.0)


def new_preprocessing(image):
    """With the ops of TensorFlow 2."""
    image = tf.image.central_crop(tf.image.convert_image_dtype(image, tf.float32), 0.8)
    return tf.image.resize(image, [33, 48]) * 2.0 - 1.0


def resized_by(method):
    def preprocess(image):
        image.set_shape([None, None, 3])
        return tf.cast(tf.image.resize(image, [24, 37], method), tf.float32) / 127.5 - 1.0
    return preprocess


def aligned(image):
    """Sizes that depend on the image: half of each side."""
    half = tf.shape(image)[:2] // 2
    image = tf1.image.resize_bilinear(tf.expand_dims(image, 0), half, align_corners=True)
    image = tf.image.pad_to_bounding_box(image[0], 3, 2, half[0] + 5, half[1] + 4)
    return image[::-1, :, ::-1] / 255.0


class Decoding(TestCase):
    """The whole way from the file's bytes."""

    def graph(self, decode, preprocess, shape=(), classes=1001):
        random = np.random.default_rng(7)
        with tf.Graph().as_default() as graph:
            contents = tf1.placeholder(tf.string, shape, "contents")
            image = decode(tf.reshape(contents, []))
            image = tf.identity(preprocess(tf.identity(image, "image")), "preprocessed")
            x = tf.expand_dims(image, 0)
            kernel = random.normal(0, 0.3, (3, 3, 3, 16)).astype(np.float32)
            x = tf.nn.relu(tf.nn.conv2d(x, kernel, 2, "SAME"))
            x = tf.reduce_mean(x, [1, 2])
            weights = random.normal(0, 2, (16, classes)).astype(np.float32)
            logits = tf.identity(tf.matmul(x, weights), "logits")
            tf.nn.softmax(logits, name="predictions")
        return graph

    def check(self, decode, preprocess, images, shape=()):
        graph = self.graph(decode, preprocess, shape)
        file = write(self.folder / "graph.pb", graph.as_graph_def())
        names = ("image", "preprocessed", "predictions")
        with networks.session(graph) as session:
            for image in images:
                contents = np.array(image.read_bytes(), object).reshape(
                    [1] * len(shape) if shape else [])
                want = session.run([f"{n}:0" for n in names], {"contents:0": contents})
                files = [self.folder / f"{n}.npy" for n in names]
                oriel("run", file, f"--input={image}",
                      *(f"--output={n}={f}" for n, f in zip(names, files)))
                got = [np.load(f) for f in files]
                np.testing.assert_array_equal(got[0], want[0], image.name)
                self.assertEqual(got[1].shape, want[1].shape)
                np.testing.assert_array_equal(got[1], want[1], image.name)
                np.testing.assert_allclose(got[2], want[2], atol=2e-5)

    def jpegs(self):
        return sorted(IMAGES.glob("*.jpg"))[:6]

    def test_demo(self):
        self.check(lambda c: tf1.image.decode_jpeg(c, channels=3), demo_preprocessing,
                   self.jpegs())

    def test_tensorflow_2(self):
        self.check(lambda c: tf.io.decode_image(c, channels=3, expand_animations=False),
                   lambda image: (image.set_shape([None, None, 3]), new_preprocessing(image))[1],
                   [*self.jpegs()[:2], *sorted(IMAGES.glob("*.png"))[:3],
                    *sorted(IMAGES.glob("*.gif"))[:1], *sorted(IMAGES.glob("*.bmp"))[:1]],
                   shape=(None,))

    def test_methods_and_sizes(self):
        for method in ("bilinear", "bicubic", "nearest", "area"):
            self.check(lambda c: tf1.image.decode_png(c, channels=3), resized_by(method),
                       sorted(IMAGES.glob("*.png"))[:2])
        self.check(lambda c: tf1.image.decode_jpeg(c, channels=3, dct_method="INTEGER_ACCURATE"),
                   aligned, [IMAGES / f"jpeg_{n}.jpg" for n in ("420", "wide", "gray")])

    def test_types(self):
        """Pixels of 16 bits and floats, of files with 8 and 16; animations."""
        operations = [lambda c, t=t: tf.raw_ops.DecodeImage(
            contents=c, channels=0, dtype=t, expand_animations=t == tf.uint8)
                      for t in (tf.uint8, tf.uint16, tf.float32)]
        operations.append(lambda c: tf.raw_ops.DecodePng(contents=c, channels=3, dtype=tf.uint16))
        images = [IMAGES / n for n in ("png_gray16.png", "png_rgb16.png", "png_la.png",
                                       "png_palette_trns.png", "jpeg_420.jpg", "jpeg_cmyk.jpg",
                                       "bmp_32.bmp", "gif_animated.gif")]
        for operation in operations:
            with tf.Graph().as_default() as graph:
                contents = tf1.placeholder(tf.string, [], "contents")
                tf.identity(operation(contents), "pixels")
            file = write(self.folder / "graph.pb", graph.as_graph_def())
            with networks.session(graph) as session:
                for image in images[:6] if operation is operations[-1] else images:
                    want = session.run("pixels:0", {"contents:0": image.read_bytes()})
                    oriel("run", file, f"--input={image}",
                          f"--output={self.folder / 'pixels.npy'}")
                    got = np.load(self.folder / "pixels.npy")
                    self.assertEqual((got.dtype, got.shape), (want.dtype, want.shape))
                    np.testing.assert_array_equal(got, want, image.name)

    def test_classify(self):
        graph = self.graph(lambda c: tf1.image.decode_jpeg(c, channels=3), demo_preprocessing)
        file = write(self.folder / "graph.pb", graph.as_graph_def())
        broken = self.folder / "broken.jpg"
        broken.write_bytes(b"no image")
        images = self.jpegs()
        lines = oriel("classify", "--model", file, "--json", "--top-k", "3", *images)
        with networks.session(graph) as session:
            for image, line in zip(images, lines.splitlines(), strict=True):
                scores, = session.run("predictions:0", {"contents:0": image.read_bytes()})
                result = json.loads(line)
                self.assertEqual([r["index"] for r in result["top"]],
                                 list(np.argsort(-scores, kind="stable")[:3]))
                for r in result["top"]:
                    self.assertAlmostEqual(r["probability"], scores[r["index"]], delta=2e-5)
                    self.assertEqual(r["label"] == "background", r["index"] == 0)
                    self.assertRegex(r["wnid"], r"^n\d{8}$" if r["index"] else "^$")
        with self.assertRaisesRegex(RuntimeError, "broken.jpg.*DecodeJpeg"):
            oriel("classify", "--model", file, broken)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--oriel", type=pathlib.Path, required=True)
    for unused in ("--write-golden-checkpoint", "--test-data"):
        parser.add_argument(unused, help="what the other suites need")
    flags, rest = parser.parse_known_args()
    FLAGS.oriel = flags.oriel.resolve()
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)


if __name__ == "__main__":
    main()
