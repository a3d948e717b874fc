"""`oriel preprocess` against TensorFlow: the same files decoded and augmented step by step with
what the manifest says was drawn, evaluation inputs, and TFRecords read by tf.data."""

import json
import pathlib
import shutil
import subprocess

import numpy as np

import harness
from harness import FLAGS, tf, tf2

ORDERINGS = {True: ("bs", "sb", "sb", "sb"), False: ("bshc", "sbch", "chbs", "hscb")}
SIZE = (150, 171)


def preprocess(*arguments, code=0):
    done = subprocess.run([str(FLAGS.oriel), "preprocess", *map(str, arguments), "--quiet"],
                          capture_output=True, text=True)
    if done.returncode != code:
        raise AssertionError(f"{arguments}: exit code {done.returncode}\n{done.stderr}")
    return done.stderr


class Steps:
    """slim's preprocess_for_train and _for_eval after their draws, in TensorFlow's ops."""

    def __init__(self):
        self.graph = tf.Graph()
        self.made = {}
        with self.graph.as_default():
            self.bytes = tf.placeholder(tf.string, [])
            self.box = tf.placeholder(tf.int32, [4])
            self.amounts = {step: tf.placeholder(tf.float32, []) for step in "bshc"}
            image = tf.io.decode_image(self.bytes, channels=3, expand_animations=False)
            self.image = tf.image.convert_image_dtype(image, tf.float32)
            self.image.set_shape([None, None, 3])
        self.session = harness.session(self.graph)

    def train_graph(self, method, flip, fast, ordering):
        top, left, height, width = tf.unstack(self.box)
        image = self.image[top:top + height, left:left + width]
        image = tf.image.resize_images(image, SIZE, method)
        image = tf.image.flip_left_right(image) if flip else image
        adjust = {"b": tf.image.adjust_brightness, "s": tf.image.adjust_saturation,
                  "h": tf.image.adjust_hue, "c": tf.image.adjust_contrast}
        for step in ORDERINGS[fast][ordering]:
            image = adjust[step](image, self.amounts[step])
        image = tf.clip_by_value(image, 0.0, 1.0)
        return tf.multiply(tf.subtract(image, 0.5), 2.0)

    def eval_graph(self, fraction):
        image = tf.image.central_crop(self.image, central_fraction=fraction)
        image = tf.image.resize_bilinear(image[None], SIZE, align_corners=False)[0]
        return tf.multiply(tf.subtract(image, 0.5), 2.0)

    def run(self, make, key, file, feeds):
        with self.graph.as_default():
            if key not in self.made:
                self.made[key] = make()
        return self.session.run(self.made[key],
                                {self.bytes: pathlib.Path(file).read_bytes(), **feeds})

    def train(self, drawn):
        key = tuple(drawn[k] for k in ("resize_method", "flip", "fast_mode", "color_ordering"))
        feeds = {self.box: drawn["box"]}
        for step, name in zip("bshc", ("brightness", "saturation", "hue", "contrast")):
            feeds[self.amounts[step]] = np.float32(drawn[name])
        return self.run(lambda: self.train_graph(*key), key, drawn["file"], feeds)

    def eval(self, file, fraction):
        return self.run(lambda: self.eval_graph(fraction), fraction, file, {})


def read_manifest(path):
    return [json.loads(line) for line in pathlib.Path(path).read_text().splitlines()]


class Preprocess(harness.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.steps = Steps()
        # WebP with alpha is what TensorFlow does not decode.
        cls.small = cls.directory / "small"
        shutil.copytree(harness.ROOT / "testdata/preproc/images", cls.small,
                        ignore=shutil.ignore_patterns("*.bin", "*truncated*", "*.webp"))
        cls.photos = FLAGS.test_data / "photos"

    def augment(self, *arguments):
        """Each of the images, as Oriel made it and as it says that it was made."""
        out, manifest = self.directory / "x.npy", self.directory / "x.jsonl"
        preprocess(self.small, self.photos, "--train", "--size", "x".join(map(str, SIZE)),
                   "--output", out, "--manifest", manifest, *arguments)
        made, drawn = np.load(out), read_manifest(manifest)
        self.assertEqual(made.shape, (len(drawn), *SIZE, 3))
        self.assertEqual([d["output"] for d in drawn],
                         [f"{out}[{i}]" for i in range(len(drawn))])
        return made, drawn

    def check_augmented(self, *arguments):
        made, drawn = self.augment(*arguments)
        exact = worst = 0
        for got, draw in zip(made, drawn):
            want = self.steps.train(draw)
            difference = np.abs(got - want).max()
            # Area and bicubic sums were TensorFlow's to the bit, too, where this was written.
            bound = 0 if draw["resize_method"] in ("bilinear", "nearest") else 1e-6
            self.assertLessEqual(difference, bound, draw)
            exact += difference == 0
            worst = max(worst, difference)
        print(f"  {len(drawn)} augmentations, {exact} to the bit, max |d| {worst:.1e}", flush=True)
        return drawn

    def test_fast_mode(self):
        drawn = self.check_augmented("--seed", 1, "--repeat", 2)
        self.assertEqual({d["color_ordering"] for d in drawn}, {0})

    def test_fast_mode_of_2016(self):
        drawn = self.check_augmented("--seed", 2, "--repeat", 2, "--slim-2016")
        self.assertEqual({d["color_ordering"] for d in drawn}, {0, 1, 2, 3})

    def test_slow_mode(self):
        drawn = self.check_augmented("--seed", 3, "--repeat", 5, "--no-fast-mode")
        self.assertEqual(len({(d["color_ordering"], d["resize_method"]) for d in drawn}), 16)

    def test_without_a_crop(self):
        for draw in self.check_augmented("--seed", 4, "--no-crop"):
            self.assertEqual(draw["box"][:2], [0, 0])

    def test_boxes_are_tensorflows(self):
        """The boxes of a seed are those of TensorFlow's op with seed and seed2."""
        self.check_boxes(np.zeros((1, 0, 4), np.float32))

    def test_boxes_around_objects(self):
        boxes = np.array([[[0.1, 0.2, 0.3, 0.5], [0.6, 0.7, 0.75, 0.8]]], np.float32)
        file = self.directory / "boxes.csv"
        file.write_text("".join(f"{image.name},{x0},{y0},{x1},{y1}\n"
                                for image in self.small.iterdir()
                                for y0, x0, y1, x1 in boxes[0]))
        self.check_boxes(boxes, "--boxes", file, covered=0.6)

    def check_boxes(self, boxes, *arguments, covered=0.1):
        made, drawn = self.augment("--seed", 77, "--min-object-covered", covered, *arguments)
        with tf.Graph().as_default(), tf.Session() as session:
            size = tf.placeholder(tf.int32, [3])
            for draw in drawn[1:12]:  # seed2 0 alone is fine, too, but for the first image
                image = self.steps.session.run(
                    self.steps.image,
                    {self.steps.bytes: pathlib.Path(draw["file"]).read_bytes()})
                begin, extent, _ = tf.raw_ops.SampleDistortedBoundingBoxV2(
                    image_size=size, bounding_boxes=boxes, min_object_covered=covered,
                    aspect_ratio_range=[0.75, 1.33],
                    area_range=[0.05, 1.0], max_attempts=100, seed=77, seed2=draw["number"],
                    use_image_if_no_bounding_boxes=True)
                begin, extent = session.run([begin, extent], {size: image.shape})
                self.assertEqual(draw["box"], [*begin[:2], *extent[:2]], draw)

    def test_evaluation(self):
        for fraction in (0.875, 1.0):
            out, manifest = self.directory / "eval.npy", self.directory / "eval.jsonl"
            preprocess(self.small, self.photos, "--size", "x".join(map(str, SIZE)), "--output",
                       out, "--manifest", manifest, "--central-fraction", fraction)
            made, items = np.load(out), read_manifest(manifest)
            self.assertGreater(len(items), 30)
            for got, item in zip(made, items, strict=True):
                np.testing.assert_array_equal(got, self.steps.eval(item["file"], fraction),
                                              item["file"])


class Records(harness.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.images = cls.directory / "images"
        photos = FLAGS.test_data / "photos"
        for name, files in {"cats": ["chelsea.png"], "flowers": ["flower.jpg"],
                            "things": ["coffee.png", "rocket.jpg", "china.jpg"]}.items():
            (cls.images / name).mkdir(parents=True)
            for file in files:
                shutil.copy(photos / file, cls.images / name)

    def write(self, name, *arguments):
        base = self.directory / name / "train"
        preprocess(self.images, "--train", "--seed", 9, "--repeat", 3, "--size", 64, "--output",
                   base, "--format", "tfrecord", "--shards", 4, "--labels-from-folders",
                   *arguments)
        files = sorted(str(p) for p in base.parent.glob("train-*"))
        self.assertEqual(files, [f"{base}-{i:05}-of-00004" for i in range(4)])
        return files

    def read(self, files, features):
        with tf.Graph().as_default(), tf.Session() as session:
            data = tf2.data.TFRecordDataset(files).map(
                lambda record: tf.io.parse_single_example(record, features))
            item = tf.data.make_one_shot_iterator(data).get_next()
            items = []
            while True:
                try:
                    items.append(session.run(item))
                except tf.errors.OutOfRangeError:
                    return items

    def plain(self):
        """The same pixels and labels as arrays."""
        out = self.directory / "plain.npy"
        preprocess(self.images, "--train", "--seed", 9, "--repeat", 3, "--size", 64, "--output",
                   out, "--labels-from-folders")
        return np.load(out), np.load(out.with_suffix(".labels.npy"))

    COMMON = {
        "image/height": tf.io.FixedLenFeature([], tf.int64),
        "image/width": tf.io.FixedLenFeature([], tf.int64),
        "image/channels": tf.io.FixedLenFeature([], tf.int64),
        "image/filename": tf.io.FixedLenFeature([], tf.string),
        "image/class/label": tf.io.FixedLenFeature([], tf.int64),
        "image/class/text": tf.io.FixedLenFeature([], tf.string),
    }

    def check(self, items):
        pixels, labels = self.plain()
        self.assertEqual(len(items), 15)
        self.assertEqual([i["image/class/label"] for i in items], list(labels))
        self.assertEqual([i["image/class/label"] for i in items[:5]], [0, 1, 2, 2, 2])
        self.assertEqual([i["image/filename"] for i in items[:3]],
                         [b"cats/chelsea.png", b"flowers/flower.jpg", b"things/china.jpg"])
        self.assertEqual({i["image/class/text"] for i in items}, {b"cats", b"flowers", b"things"})
        for item in items:
            self.assertEqual([item[f"image/{k}"] for k in ("height", "width", "channels")],
                             [64, 64, 3])
        return pixels

    def test_floats(self):
        files = self.write("floats")
        items = self.read(files, {
            **self.COMMON, "image/data": tf.io.FixedLenFeature([64, 64, 3], tf.float32)})
        for item, want in zip(items, self.check(items)):
            np.testing.assert_array_equal(item["image/data"], want)
        labels = pathlib.Path(files[0]).parent / "labels.txt"
        self.assertEqual(labels.read_text(), "0:cats\n1:flowers\n2:things\n")

    def test_raw_bytes(self):
        items = self.read(self.write("raw", "--record-pixels", "raw"), {
            **self.COMMON, "image/data": tf.io.FixedLenFeature([], tf.string)})
        for item, want in zip(items, self.check(items)):
            np.testing.assert_array_equal(
                np.frombuffer(item["image/data"], np.float32).reshape(64, 64, 3), want)

    def test_png(self):
        items = self.read(self.write("png", "--record-pixels", "png"), {
            **self.COMMON, "image/encoded": tf.io.FixedLenFeature([], tf.string),
            "image/format": tf.io.FixedLenFeature([], tf.string)})
        with tf.Graph().as_default(), tf.Session() as session:
            encoded = tf.placeholder(tf.string, [])
            decoded = tf.io.decode_png(encoded, channels=3)
            for item, want in zip(items, self.check(items)):
                self.assertEqual(item["image/format"], b"png")
                got = session.run(decoded, {encoded: item["image/encoded"]})
                np.testing.assert_array_equal(got, np.floor(want * 127.5 + 127.5 + 0.5))


if __name__ == "__main__":
    harness.main()
