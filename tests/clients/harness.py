"""What the tests of clients share: flags, a server, and what `oriel classify` says."""

import argparse
import functools
import json
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import unittest

MODEL = "efficientnet_lite0"
SIZE = 224  # of its input
CLASSES = 1000
FLAGS = argparse.Namespace()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--oriel", type=pathlib.Path, required=True)
    parser.add_argument("--test-data", type=pathlib.Path, required=True)
    flags, rest = parser.parse_known_args()
    FLAGS.__dict__.update(vars(flags))
    unittest.main(module="__main__", argv=[sys.argv[0], *rest], verbosity=2)


def photo(name="chelsea.png"):
    return (FLAGS.test_data / "photos" / name).read_bytes()


class ServerTestCase(unittest.TestCase):
    """`oriel serve` on free ports. FLAGS_OF_SERVER: more of them."""

    FLAGS_OF_SERVER = ()

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="oriel-clients-")
        cls.addClassCleanup(cls.folder.cleanup)
        cls.models = pathlib.Path(cls.folder.name)
        weights = next((FLAGS.test_data / "weights").glob("efficientnet-lite0-*.pth"))
        subprocess.run([FLAGS.oriel, "export", MODEL, "--checkpoint", weights, "--output-dir",
                        cls.models], check=True, capture_output=True)
        cls.server = subprocess.Popen(
            [FLAGS.oriel, "serve", MODEL, "--model-dir", cls.models, "--port", "0",
             *cls.FLAGS_OF_SERVER],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        cls.addClassCleanup(cls.stop)
        cls.http = re.search(r"https?://(\S+)", cls.server.stdout.readline()).group(1)
        cls.grpc = re.fullmatch(r"gRPC at (\S+)\n", cls.server.stdout.readline()).group(1)

    @classmethod
    def stop(cls):
        cls.server.send_signal(signal.SIGTERM)  # nothing where it has ended already
        try:
            code = cls.server.wait(timeout=40)
        finally:
            cls.server.kill()
            cls.server.stdout.close()
        if code != 0:
            raise AssertionError(f"the server ended with {code}")

    @classmethod
    @functools.lru_cache
    def expected(cls, name="chelsea.png", top_k=3):
        """[(index, label, probability)] by `oriel classify`."""
        done = subprocess.run(
            [FLAGS.oriel, "classify", "--json", "--model", MODEL, "--model-dir", cls.models,
             "--top-k", str(top_k), FLAGS.test_data / "photos" / name],
            check=True, capture_output=True, text=True)
        return [(row["index"], row["label"], row["probability"])
                for row in json.loads(done.stdout)["top"]]

    def check_probabilities(self, probabilities, name="chelsea.png"):
        """Of one image: all classes, and those of `oriel classify` before the others."""
        self.assertEqual(len(probabilities), CLASSES)
        self.assertAlmostEqual(sum(map(float, probabilities)), 1, places=3)
        best = sorted(range(CLASSES), key=lambda i: -probabilities[i])
        for place, (index, _, probability) in enumerate(self.expected(name)):
            self.assertEqual(best[place], index)
            self.assertAlmostEqual(float(probabilities[index]), probability, places=4)

    def check_classes(self, texts, name="chelsea.png"):
        """Of one image: "probability:index:label", as the classification extension has it."""
        expected = self.expected(name)
        self.assertLessEqual(len(texts), len(expected))
        for text, (index, label, probability) in zip(texts, expected):
            parts = (text.decode() if isinstance(text, bytes) else text).split(":", 2)
            self.assertEqual((int(parts[1]), parts[2]), (index, label))
            self.assertAlmostEqual(float(parts[0]), probability, places=4)
