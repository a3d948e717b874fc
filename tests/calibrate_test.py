#!/usr/bin/env python3
"""`oriel calibrate` and int8 as a user runs them, on real weights and photos.

usage: calibrate_test.py ORIEL TEST_DATA
       (TEST_DATA: what tools/fetch_test_data.sh left)

Standard library only.
"""

import hashlib
import json
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

ORIEL, DATA = (pathlib.Path(path).resolve() for path in sys.argv[1:3])
MODEL = "efficientnet_lite2"
PHOTOS = sorted((DATA / "photos").iterdir())


def oriel(*args):
    return subprocess.run([ORIEL, *args], capture_output=True, text=True)


class Calibrate(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="oriel-calibrate-")
        cls.addClassCleanup(cls.folder.cleanup)
        cls.exported = pathlib.Path(cls.folder.name) / "exported"
        weights = next((DATA / "weights").glob("efficientnet-lite2-*.pth"))
        done = oriel("export", MODEL, "--checkpoint", weights, "--output-dir", cls.exported,
                     "--quiet")
        assert done.returncode == 0, done.stderr

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="oriel-calibrate-")
        self.addCleanup(folder.cleanup)
        self.models = pathlib.Path(folder.name) / "models"
        shutil.copytree(self.exported, self.models)
        self.file = self.models / MODEL / "1" / "calibration.json"

    def classify(self, *flags):
        return oriel("classify", "--model", MODEL, "--model-dir", self.models, "--json",
                     "--top-k", "1", *flags, *PHOTOS)

    def top1(self, *flags):
        done = self.classify(*flags)
        self.assertEqual(done.returncode, 0, done.stderr)
        return [json.loads(line)["top"][0] for line in done.stdout.splitlines()]

    def calibrate(self, *args):
        return oriel("calibrate", MODEL, "--model-dir", self.models, *args)

    def test_what_ships_fits_what_is_exported(self):
        calibration = json.loads(self.file.read_text())
        model = (self.file.parent / "model.pb").read_bytes()
        self.assertEqual(calibration["model_sha256"], hashlib.sha256(model).hexdigest())
        self.assertGreaterEqual(calibration["agreements"][0]["top1"], 0.99)
        self.assertGreaterEqual(calibration["bf16"]["top1"], 0.99)
        self.assertLess(self.file.stat().st_size, 200_000)

    def test_int8_gives_the_answers_of_f32(self):
        f32, int8 = self.top1(), self.top1("--precision", "int8")
        self.assertEqual([a["index"] for a in f32], [a["index"] for a in int8])
        # It is another computation, though a close one.
        differences = [abs(a["probability"] - b["probability"]) for a, b in zip(f32, int8)]
        self.assertGreater(max(differences), 1e-4)
        self.assertLess(max(differences), 0.1)

    def test_bf16_gives_the_answers_of_f32(self):
        f32, bf16 = self.top1(), self.top1("--precision", "bf16")
        self.assertEqual([a["index"] for a in f32], [a["index"] for a in bf16])
        differences = [abs(a["probability"] - b["probability"]) for a, b in zip(f32, bf16)]
        self.assertGreater(max(differences), 1e-5)
        self.assertLess(max(differences), 0.05)

    def test_bf16_says_once_where_it_is_no_faster(self):
        done = self.classify("--precision", "bf16", "--verbose")
        self.assertEqual(done.returncode, 0, done.stderr)
        flags = pathlib.Path("/proc/cpuinfo").read_text().split()
        if "avx512_bf16" not in flags and "amx_bf16" not in flags:
            self.assertEqual(done.stderr.count("bf16: this CPU has no bf16 arithmetic"), 1)
        self.assertNotIn("bf16", self.classify("--precision", "f32").stderr)

    def test_a_calibration_of_ones_own_replaces_it(self):
        before = self.file.read_bytes()
        for method in ("minmax", "percentile", "mse"):
            done = self.calibrate(*PHOTOS, "--images", "4", "--scan-images", "1", "--json",
                                  "--method", method, "--keep-wider", "3")
            self.assertEqual(done.returncode, 0, done.stderr)
            result = json.loads(done.stdout)
            self.assertEqual(result["images"], 4)
            self.assertEqual(result["quantized"], result["operations"] - len(result["wider"]))
            self.assertGreaterEqual(len(result["wider"]), 5)
            self.assertEqual(len(result["sensitivities"]), result["operations"])
            worst = [row["op"] for row in result["sensitivities"][:3]]
            self.assertLessEqual(set(worst), set(result["wider"]))
            for agreement in result["agreements"]:
                self.assertLess(agreement["logits_rms"], 0.3)
            self.assertLess(result["bf16"]["logits_rms"], 0.05)
            self.assertEqual(json.loads(self.file.read_text())["bf16"]["images"], 4)
            self.assertNotEqual(self.file.read_bytes(), before)
            f32, int8 = self.top1(), self.top1("--precision", "int8")
            self.assertEqual([a["index"] for a in f32], [a["index"] for a in int8])

    def test_the_guard_keeps_more_operations_in_float32(self):
        # Ranges that clip two numbers of five leave little of the network.
        done = self.calibrate(*PHOTOS, "--images", "4", "--scan-images", "1", "--json",
                              "--method", "percentile", "--percentile", "60",
                              "--guard", "1")
        self.assertEqual(done.returncode, 0, done.stderr)
        result = json.loads(done.stdout)
        self.assertIn("more operations stay float32", done.stderr)
        self.assertGreater(len(result["wider"]), 2)
        self.assertTrue(result["agreements"][0]["top1"] == 1 or
                        len(result["wider"]) * 2 >= result["operations"])

    def test_bias_correction_helps(self):
        rms = {}
        for flag in ("--bias-correction", "--no-bias-correction"):
            done = self.calibrate(*PHOTOS, "--scan-images", "0", "--json", flag)
            self.assertEqual(done.returncode, 0, done.stderr)
            rms[flag] = json.loads(done.stdout)["agreements"][0]["logits_rms"]
        self.assertLess(rms["--bias-correction"], 0.8 * rms["--no-bias-correction"])

    def test_that_of_another_graph_is_refused(self):
        calibration = json.loads(self.file.read_text())
        calibration["model_sha256"] = "0" * 64
        self.file.write_text(json.dumps(calibration))
        done = self.classify()
        self.assertEqual(done.returncode, 1)
        self.assertIn("calibration.json", done.stderr)
        self.assertIn("another model.pb", done.stderr)
        done = self.calibrate(PHOTOS[0], "--scan-images", "0", "--guard", "0")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.classify().returncode, 0)

    def test_without_one(self):
        self.file.unlink()
        done = self.classify("--precision", "int8")
        self.assertEqual(done.returncode, 1)
        self.assertIn("oriel calibrate", done.stderr)
        done = self.classify("--precision", "auto", "--verbose")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("f32: no calibration for int8", done.stderr)

    def test_auto_says_what_it_chose(self):
        done = self.classify("--precision", "auto", "--verbose")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stderr, r"efficientnet_lite2 version 1, (int8|bf16|f32): \w+")

    def test_images_that_cannot_be_read(self):
        bad = self.models / "bad.jpg"
        bad.write_text("no image")
        done = self.calibrate(bad, PHOTOS[0], "--scan-images", "0", "--guard", "0", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("bad.jpg", done.stderr)
        self.assertEqual(json.loads(done.stdout)["images"], 1)
        before = self.file.read_bytes()
        done = self.calibrate(bad)
        self.assertEqual(done.returncode, 1)
        self.assertIn("none of the images can be read", done.stderr)
        self.assertEqual(self.file.read_bytes(), before)

    def test_interrupted_it_leaves_what_was_there(self):
        before = self.file.read_bytes()
        process = subprocess.Popen(
            [ORIEL, "calibrate", MODEL, "--model-dir", self.models, *PHOTOS * 20],
            stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        # The first step is done.
        line = process.stderr.readline()
        process.send_signal(signal.SIGINT)
        _, rest = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 130, line + rest)
        self.assertEqual(self.file.read_bytes(), before)
        self.assertEqual(sorted(path.name for path in self.file.parent.iterdir()),
                         ["calibration.json", "descriptions.txt", "model.pb", "oriel.json",
                          "wnids.txt"])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
