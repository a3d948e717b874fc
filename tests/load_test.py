#!/usr/bin/env python3
"""Load on the server, each kind for a moment: nothing that it accepts is lost.

usage: load_test.py ORIEL MODEL_DATA_DIR
"""

import pathlib
import subprocess
import sys
import tempfile
import unittest

ORIEL, DATA = sys.argv[1], pathlib.Path(sys.argv[2])
MODEL = "efficientnet_lite0"
BENCH = pathlib.Path(__file__).resolve().parent.parent / "bench/serving.py"


class Load(unittest.TestCase):
    def test_every_part(self):
        with tempfile.TemporaryDirectory(prefix="oriel-load-") as folder:
            weights = next((DATA / "weights").glob("efficientnet-lite0-*.pth"))
            subprocess.run([ORIEL, "export", MODEL, "--checkpoint", weights,
                            "--output-dir", folder], check=True, capture_output=True)
            done = subprocess.run(
                [sys.executable, BENCH, f"{folder}/{MODEL}/1", "--oriel", ORIEL, "--quick",
                 "--photo", DATA / "photos/china.jpg"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        for row in ("HTTP, 1 connections", "HTTP, 8 connections", "4x its capacity",
                    "1000 idle connections", "3 new versions under load"):
            self.assertIn(row, done.stdout)
        self.assertNotIn(" 0 answered", done.stdout)
        self.assertIn(" 0 refused, 0 lost", done.stdout)
        self.assertIn("got 429", done.stdout)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
