#!/usr/bin/env python3
"""The plan cache as a user meets it: a second start answers the same bytes from it.

usage: plan_cache_test.py ORIEL TEST_DATA
       (TEST_DATA: what tools/fetch_test_data.sh left)

Standard library only.
"""

import array
import os
import pathlib
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

ORIEL, DATA = (pathlib.Path(path).resolve() for path in sys.argv[1:3])
MODEL = "efficientnet_lite2"
SIZE = 260
PHOTO = sorted((DATA / "photos").iterdir())[0]


def write_npy(path, shape):
    """Random images, the same each time."""
    numbers = random.Random(7)
    count = 1
    for size in shape:
        count *= size
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {tuple(shape)}, }}"
    header += " " * (-(len(header) + 11) % 64) + "\n"
    data = array.array("f", (numbers.uniform(-1, 1) for _ in range(count)))
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) +
                     header.encode() + data.tobytes())


class PlanCache(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="oriel-plan-cache-")
        cls.addClassCleanup(cls.folder.cleanup)
        cls.work = pathlib.Path(cls.folder.name)
        cls.env = dict(os.environ, XDG_CACHE_HOME=str(cls.work / "user"))
        weights = next((DATA / "weights").glob("efficientnet-lite2-*.pth"))
        done = subprocess.run([ORIEL, "export", MODEL, "--checkpoint", weights, "--output-dir",
                               cls.work / "exported", "--quiet"],
                              capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        cls.one, cls.three = cls.work / "one.npy", cls.work / "three.npy"
        write_npy(cls.one, (1, SIZE, SIZE, 3))
        write_npy(cls.three, (3, SIZE, SIZE, 3))

    def setUp(self):
        self.models = self.work / self.id()
        shutil.copytree(self.work / "exported", self.models)
        self.model = self.models / MODEL / "1"

    def run_oriel(self, *args):
        done = subprocess.run([str(a) for a in (ORIEL, *args)], capture_output=True, text=True,
                              env=self.env)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def answer(self, image, *flags):
        """(the bytes that come out, what it said of the cache)."""
        out = self.work / "out.npy"
        done = self.run_oriel("run", self.model, "--input", image, "--output", out, "--verbose",
                              *flags)
        report = [line for line in done.stderr.splitlines() if line.startswith("plan cache: ")]
        return out.read_bytes(), report[0]

    def caches(self):
        return sorted(self.model.glob("*.plans"))

    def check_precision(self, precision):
        flags = ("--precision", precision)
        without, report = self.answer(self.one, *flags, "--plan-cache", "off")
        self.assertEqual(report, "plan cache: none")
        self.assertEqual(self.caches(), [])
        first, report = self.answer(self.one, *flags)
        self.assertEqual(report, "plan cache: none")
        cache, = self.caches()
        self.assertTrue(cache.name.startswith(precision + "-"))
        written = cache.stat()
        second, report = self.answer(self.one, *flags)
        self.assertEqual(report, f"plan cache: {cache}")
        self.assertEqual(first, without)
        self.assertEqual(second, without)
        # It had all that was needed, and so was left as it is.
        self.assertEqual(cache.stat().st_ino, written.st_ino)
        # The other batch size uses what there is, and adds what is not.
        batch, _ = self.answer(self.three, *flags, "--plan-cache", "off")
        for _ in range(2):
            self.assertEqual(self.answer(self.three, *flags)[0], batch)
        again, report = self.answer(self.one, *flags)
        self.assertEqual((again, report), (without, f"plan cache: {cache}"))

    def test_f32(self):
        self.check_precision("f32")

    def test_f32_exact(self):
        self.check_precision("f32-exact")

    def test_bf16(self):
        self.check_precision("bf16")

    def test_int8(self):
        self.check_precision("int8")

    def test_classify(self):
        flags = ("classify", PHOTO, "--model", MODEL, "--model-dir", self.models, "--json")
        without = self.run_oriel(*flags, "--plan-cache", "off").stdout
        self.assertEqual(self.run_oriel(*flags).stdout, without)
        done = self.run_oriel(*flags, "--verbose")
        self.assertEqual(done.stdout, without)
        self.assertIn(f"plan cache: {self.caches()[0]}", done.stderr)

    def test_a_directory_of_its_own(self):
        folder = self.work / "caches"
        flags = ("--plan-cache", folder)
        first, _ = self.answer(self.one, *flags)
        cache, = folder.glob("*.plans")
        second, report = self.answer(self.one, *flags)
        self.assertEqual((second, report), (first, f"plan cache: {cache}"))
        self.assertEqual(self.caches(), [])

    def test_a_broken_cache_does_no_harm(self):
        first, _ = self.answer(self.one)
        cache, = self.caches()
        whole = cache.read_bytes()
        for broken in (b"", b"other", whole[:1000], whole[:-1], whole[:500] + b"x" + whole[501:]):
            cache.write_bytes(broken)
            answer, report = self.answer(self.one)
            self.assertEqual(answer, first)
            self.assertIn("not used", report)
            self.assertEqual(cache.stat().st_size, len(whole))

    def test_tune(self):
        first, _ = self.answer(self.one)
        done = self.run_oriel("tune", self.model, "--runs", "3", "--threads", "2")
        self.assertRegex(done.stdout, r"^batch 1, 2 threads: (\d+ of \d+ convolutions changed, "
                                      r".* ms a run|no kernel of ours to choose)")
        second, report = self.answer(self.one)
        self.assertEqual(report, f"plan cache: {self.caches()[0]}")
        values = [array.array("f", answer[-4000:]) for answer in (first, second)]
        self.assertAlmostEqual(sum(values[1]), 1, delta=1e-4)
        self.assertLess(max(abs(a - b) for a, b in zip(*values)), 1e-4)
        off = subprocess.run([ORIEL, "tune", self.model, "--plan-cache", "off"],
                             capture_output=True, text=True)
        self.assertNotEqual(off.returncode, 0)
        self.assertIn("plan cache", off.stderr)

    def test_instructions_do_not_mix(self):
        self.answer(self.one)
        self.env = dict(self.env, ORIEL_MAX_ISA="scalar")
        _, report = self.answer(self.one)
        self.assertEqual(report, "plan cache: none")
        self.assertEqual(len(self.caches()), 2)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
