#!/usr/bin/env python3
"""`oriel preprocess`: what is written, that it does not depend on threads, how it ends.
What the pixels are is tests/tensorflow/test_preprocess.py's.

usage: preprocess_test.py ORIEL TESTDATA
"""

import array
import ast
import json
import pathlib
import re
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest

ORIEL = pathlib.Path(sys.argv[1]).resolve()
IMAGES = pathlib.Path(sys.argv[2]).resolve() / "preproc/images"
CONFIG = pathlib.Path(__file__).resolve().parents[1] / "docs/formats/oriel_json.md"


def preprocess(*arguments):
    return subprocess.run([ORIEL, "preprocess", *map(str, arguments)], capture_output=True,
                          text=True, timeout=120)


def read_npy(path):
    """(shape, values) of a .npy of floats or int64."""
    data = pathlib.Path(path).read_bytes()
    size, = struct.unpack("<H", data[8:10])
    header = ast.literal_eval(data[10:10 + size].decode())
    values = array.array({"<f4": "f", "<i8": "q"}[header["descr"]])
    values.frombytes(data[10 + size:])
    return header["shape"], values


def files_of(folder):
    return {str(p.relative_to(folder)): p.read_bytes()
            for p in sorted(pathlib.Path(folder).rglob("*")) if p.is_file()}


class Preprocess(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="oriel-preprocess-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.out = self.folder / "out"
        self.images = self.folder / "images"
        for name, files in {"b": ["jpeg_420.jpg", "png_rgb.png"], "a/deeper": ["png_la.png"],
                            "c": ["jpeg_420.jpg", "jpeg_prog_420.jpg"]}.items():
            (self.images / name).mkdir(parents=True)
            for file in files:
                shutil.copy(IMAGES / file, self.images / name)

    def succeed(self, *arguments):
        done = preprocess(*arguments, "--quiet")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stderr, "")
        return done

    def refuse(self, message, *arguments, code=1):
        done = preprocess(*arguments, "--quiet")
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertIn(message, done.stderr)

    def write(self, name, *arguments):
        """The files of one run, by name."""
        out = self.folder / name
        self.succeed(self.images, "--size", 24, "--output", out / "train", *arguments)
        return files_of(out)

    def test_results_do_not_depend_on_threads(self):
        flags = ("--train", "--seed", 5, "--repeat", 7, "--shuffle", "--no-fast-mode", "--format",
                 "tfrecord", "--shards", 3, "--labels-from-folders", "--manifest")
        results = []
        for threads in (1, 2, 5):
            # The same paths, so that the manifests are the same too.
            results.append(self.write("run", *flags, self.folder / "run/manifest.jsonl",
                                      "--threads", threads))
            shutil.rmtree(self.folder / "run")
        self.assertEqual(list(results[0]), ["labels.txt", "manifest.jsonl",
                                            "train-00000-of-00003", "train-00001-of-00003",
                                            "train-00002-of-00003"])
        self.assertEqual(results[0], results[1])
        self.assertEqual(results[0], results[2])

    def test_seeds_and_passes_differ(self):
        flags = ("--format", "npy", "--train", "--repeat", 2)
        one, two = self.write("one", *flags, "--seed", 1), self.write("two", *flags, "--seed", 2)
        self.assertEqual(one, self.write("again", *flags, "--seed", 1))
        self.assertEqual(set(one), set(two))
        self.assertEqual(len(one), 10)
        for name in one:
            self.assertNotEqual(one[name], two[name])
        self.assertNotEqual(one["train/b/png_rgb-0.npy"], one["train/b/png_rgb-1.npy"])

    def test_one_pass_is_part_of_more(self):
        """What is drawn for an image is not changed by further passes, nor by --shuffle."""
        flags = ("--format", "npy", "--train", "--seed", 3)
        once, thrice = self.write("once", *flags), self.write("thrice", *flags, "--repeat", 3,
                                                              "--shuffle")
        for name, contents in once.items():
            self.assertEqual(contents, thrice[name.replace(".npy", "-0.npy")])

    def test_a_file_for_each_image(self):
        shutil.copy(IMAGES / "jpeg_444.jpg", self.images / "b/png_rgb.jpg")
        files = self.write("files", "--format", "npy")
        self.assertEqual(sorted(files), [
            "train/a/deeper/png_la.npy", "train/b/jpeg_420.npy", "train/b/png_rgb.npy",
            "train/b/png_rgb.png.npy", "train/c/jpeg_420.npy", "train/c/jpeg_prog_420.npy"])
        self.assertEqual(files["train/b/jpeg_420.npy"], files["train/c/jpeg_420.npy"])
        shape, values = read_npy(self.folder / "files/train/b/png_rgb.npy")
        self.assertEqual(shape, (24, 24, 3))
        self.assertTrue(all(-1 <= v <= 1 for v in values))
        pictures = self.write("pictures", "--format", "png")
        for contents in pictures.values():
            self.assertEqual(contents[:8], b"\x89PNG\r\n\x1a\n")
            self.assertEqual(struct.unpack(">II", contents[16:24]), (24, 24))
        # A picture, preprocessed without a crop at its own size, is the same again.
        self.succeed(self.folder / "pictures/train", "--size", 24, "--no-crop", "--format", "png",
                     "--output", self.folder / "same")
        self.assertEqual(files_of(self.folder / "same"), files_of(self.folder / "pictures/train"))

    def test_one_array_with_labels(self):
        self.succeed(self.images, "--size", "20x30", "--output", self.out / "x.npy",
                     "--labels-from-folders", "--label-offset", 1, "--manifest",
                     self.folder / "m")
        shape, values = read_npy(self.out / "x.npy")
        self.assertEqual(shape, (5, 20, 30, 3))
        self.assertEqual(len(values), 5 * 20 * 30 * 3)
        self.assertEqual(read_npy(self.out / "x.labels.npy")[1].tolist(), [1, 2, 2, 3, 3])
        self.assertEqual((self.out / "labels.txt").read_text(), "1:a\n2:b\n3:c\n")
        manifest = [json.loads(line) for line in (self.folder / "m").read_text().splitlines()]
        self.assertEqual([m["class"] for m in manifest], ["a", "b", "b", "c", "c"])
        self.assertEqual(manifest[4]["output"], f"{self.out}/x.npy[4]")
        self.assertEqual(manifest[4]["file"], f"{self.images}/c/jpeg_prog_420.jpg")

    def test_labels_by_a_file(self):
        names = self.folder / "names.txt"
        names.write_text("c\nb\nz\na\n")
        self.succeed(self.images, "--size", 8, "--output", self.out / "x.npy", "--labels", names)
        self.assertEqual(read_npy(self.out / "x.labels.npy")[1].tolist(), [3, 1, 1, 0, 0])
        # labels.txt is such a file, and keeps its numbers for another part of the data.
        self.succeed(self.images / "b", "--size", 8, "--output", self.folder / "y.npy")
        self.refuse("names other classes", self.images / "b" / "png_rgb.png", "--size", 8,
                    "--output", self.out / "y.npy", "--labels-from-folders")
        self.succeed(self.images / "b" / "png_rgb.png", "--size", 8, "--output",
                     self.out / "y.npy", "--labels", self.out / "labels.txt")
        self.assertEqual(read_npy(self.out / "y.labels.npy")[1].tolist(), [1])
        names.write_text("a\nb\n")
        self.refuse(f"{names} names no class 'c'", self.images, "--labels", names)
        names.write_text("0:a\n1:b\n1:c\n")
        self.refuse("line 3: number 1 is of class 'b' already", self.images, "--labels", names)
        names.write_text("a\nb\na\n")
        self.refuse("line 3: class 'a' is there twice", self.images, "--labels", names)
        self.refuse("is in no folder", self.images / "b", "--labels-from-folders")

    def test_unreadable_images_are_named_and_counted(self):
        (self.images / "b/broken.jpg").write_bytes((IMAGES / "jpeg_420.jpg").read_bytes()[:300])
        (self.images / "b/empty.png").write_bytes(b"")
        done = preprocess(self.images, "--size", 16, "--output", self.out / "x.npy", "--train",
                          "--repeat", 2)
        self.assertEqual(done.returncode, 1)
        lines = done.stderr.splitlines()
        self.assertIn(f"{self.images}/b/broken.jpg: JPEG image is damaged", done.stderr)
        self.assertEqual(sum("b/empty.png: no bytes" in line for line in lines), 1)
        self.assertEqual(lines[-1], "2 of 7 images could not be preprocessed")
        self.assertEqual(read_npy(self.out / "x.npy")[0], (10, 16, 16, 3))
        # Without an output the images are tried, and that is all.
        before = files_of(self.folder)
        self.refuse("2 of 7 images", self.images)
        self.assertEqual(files_of(self.folder), before)
        self.refuse("no images in this folder", self.out)

    def test_ctrl_c_leaves_nothing(self):
        for output in ("x.npy", "records"):
            self.out.mkdir(exist_ok=True)
            child = subprocess.Popen(
                [ORIEL, "preprocess", self.images, "--train", "--repeat", "100000", "--size",
                 "64", "--output", self.out / output, "--manifest", self.out / "m.jsonl",
                 *([] if output.endswith(".npy") else ["--format", "tfrecord", "--shards", "4"])],
                stderr=subprocess.PIPE, text=True)
            deadline = time.monotonic() + 30
            while not any(p.stat().st_size > 100000 for p in self.out.iterdir()):
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.01)
            child.send_signal(signal.SIGINT)
            _, errors = child.communicate(timeout=30)
            self.assertEqual(child.returncode, 130, errors)
            self.assertIn("interrupted", errors)
            self.assertEqual(list(self.out.iterdir()), [])

    def test_a_sheet_to_look_at(self):
        sheet = self.folder / "sheet.png"
        (self.images / "b/broken.jpg").write_bytes(b"\xff\xd8\xff")
        self.succeed(self.images, "--train", "--size", "20x30", "--sheet", sheet,
                     "--sheet-rows", 4)
        # 4 rows of 20, 9 columns of 30, 4 pixels around each.
        self.assertEqual(struct.unpack(">II", sheet.read_bytes()[16:24]),
                         (9 * 34 + 4, 4 * 24 + 4))
        first = sheet.read_bytes()
        self.succeed(self.images, "--train", "--size", "20x30", "--sheet", sheet,
                     "--sheet-rows", 4, "--threads", 1)
        self.assertEqual(sheet.read_bytes(), first)
        self.assertEqual(list(self.folder.glob(".*")), [])

    def test_other_presets(self):
        for preset in ("keras", "timm", "efficientnet_lite"):
            self.succeed(self.images, "--preset", preset, "--size", 32, "--output",
                         self.out / f"{preset}.npy")
            self.assertEqual(read_npy(self.out / f"{preset}.npy")[0], (5, 32, 32, 3))
        self.refuse("unknown preprocessing 'vgg'", self.images, "--preset", "vgg")
        self.refuse("wants a --size", self.images, "--preset", "efficientnet_lite")
        self.refuse("--train is known for the preset inception", self.images, "--preset", "keras",
                    "--train")

    def test_what_a_model_wants(self):
        """Preset, size and crop of an exported model, as its oriel.json has them; flags that
        are given come before it."""
        config = json.loads(re.search(r"```json\n(.*?)```", CONFIG.read_text(), re.S)[1])
        config["input"].update(height=20, width=30)
        config["preprocessing"] = {"preset": "inception", "central_fraction": 0.5}
        model = self.folder / "models/mine/1"
        model.mkdir(parents=True)
        (model / "oriel.json").write_text(json.dumps(config))

        def array(*flags):
            self.succeed(self.images, "--output", self.out / "x.npy", *flags)
            return (self.out / "x.npy").read_bytes()
        by_name = ("--model", "mine", "--model-dir", self.folder / "models")
        size = ("--size", "20x30")
        plain = array(*size, "--central-fraction", 0.5)
        self.assertEqual(array(*by_name), plain)
        self.assertEqual(array("--model", model), plain)
        self.assertNotEqual(array(*size), plain)
        self.assertEqual(array(*by_name, "--central-fraction", 0.875), array(*size))
        self.assertEqual(array(*by_name, "--no-crop"), array(*size, "--no-crop"))
        self.assertEqual(array(*by_name, "--size", 16),
                         array("--size", 16, "--central-fraction", 0.5))
        self.assertEqual(array(*by_name, "--preset", "keras"), array(*size, "--preset", "keras"))
        self.assertEqual(array(*by_name, "--train", "--seed", 4), array(*size, "--train",
                                                                       "--seed", 4))
        self.refuse("model 'other' is not exported", self.images, "--model", "other",
                    "--model-dir", self.folder / "models")
        (model / "oriel.json").write_text("{}")
        self.refuse("oriel.json", self.images, *by_name)

    def test_boxes_of_objects(self):
        """With an object that has to be covered whole, each part has it in it."""
        boxes = self.folder / "boxes.csv"
        boxes.write_text("jpeg_420.jpg,0.5,0.25,0.75,0.5\nother.jpg,0,0,1,1\n")
        flags = ("--train", "--size", 8, "--repeat", 40, "--manifest", self.folder / "m")
        self.succeed(self.images / "b/jpeg_420.jpg", *flags, "--boxes", boxes,
                     "--min-object-covered", 1)
        height, width = 37, 53
        drawn = [json.loads(line)["box"] for line in (self.folder / "m").read_text().splitlines()]
        self.assertEqual(len(drawn), 40)
        for top, left, rows, columns in drawn:
            self.assertLessEqual(top, int(0.25 * height) + 1)
            self.assertLessEqual(left, int(0.5 * width) + 1)
            self.assertGreaterEqual(top + rows, int(0.5 * height) - 1)
            self.assertGreaterEqual(left + columns, int(0.75 * width) - 1)
        self.assertGreater(len(set(map(tuple, drawn))), 20)
        boxes.write_text("jpeg_420.jpg,0.5,0.25,0.75\n")
        self.refuse(f"{boxes}: line 1: want NAME", self.images, *flags, "--boxes", boxes)
        self.refuse("it wants --train", self.images, "--boxes", boxes)

    def test_results_without_memory_for_them(self):
        """An error and no crash, in the threads of the work as well."""
        def limit():
            resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
        if subprocess.run([ORIEL, "version"], capture_output=True, preexec_fn=limit).returncode:
            self.skipTest("no such limit under AddressSanitizer")
        done = subprocess.run([ORIEL, "preprocess", self.images / "b", "--size", "8192",
                               "--threads", "2", "--quiet"], capture_output=True, text=True,
                              preexec_fn=limit, timeout=120)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("out of memory", done.stderr)
        self.refuse("each 1 to 8192", self.images, "--size", "8193")
        self.refuse("each 1 to 8192", self.images, "--size", "100000", "--output",
                    self.out / "x.npy")

    def test_flags_that_make_no_sense(self):
        for seed in ("-1", "18446744073709551616", "1.5", "x"):
            self.refuse("--seed", self.images, "--train", f"--seed={seed}", code=2)
        self.refuse("would give the same 3 times", self.images, "--repeat", 3)
        self.refuse("--format npy, tfrecord or png", self.images, "--output", self.out)
        self.refuse("--size 0x4", self.images, "--size", "0x4")
        self.refuse("--size 12y4", self.images, "--size", "12y4")
        self.refuse("area_range is [0.9, 0.5]", self.images, "--train", "--min-area", "0.9",
                    "--max-area", "0.5")
        self.refuse("--shards", self.images, "--shards", "0", code=2)
        self.refuse("--format", self.images, "--format", "jpeg", code=2)
        self.assertFalse(self.out.exists())
        (self.folder / "file").write_text("")
        self.refuse(f"{self.folder}/file", self.images, "--output", self.folder / "file/x.npy")

    def test_stdin(self):
        done = subprocess.run([ORIEL, "preprocess", "-", "--size", "8", "--output",
                               self.folder / "x.npy", "--quiet"],
                              input=(IMAGES / "png_rgb.png").read_bytes(), capture_output=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(read_npy(self.folder / "x.npy")[0], (1, 8, 8, 3))


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]], verbosity=1)
