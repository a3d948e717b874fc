#!/usr/bin/env python3
"""The whole chain by the command line, compared with TensorFlow's results.

usage: chain_test.py ORIEL WRITE_GOLDEN_CHECKPOINT SOURCE_DIR

Writes the golden checkpoints of the full-size Inception-ResNet-v2 (V1 and V2), then
goes both ways that a user can go from them to logits: `oriel export --checkpoint`,
and export-inference-graph, freeze-graph, optimize-for-inference one by one. The
logits of `oriel run` must be TensorFlow's (testdata/golden/full299_logits.npy) within
its tolerances. Standard library only.
"""

import array
import ast
import json
import math
import pathlib
import subprocess
import sys
import tempfile
import unittest

ORIEL, WRITE_GOLDEN_CHECKPOINT, SOURCE = (pathlib.Path(a).resolve() for a in sys.argv[1:4])
VARIABLES = SOURCE / "testdata/checkpoint/variables_full299.txt"
LOGITS = "InceptionResnetV2/Logits/Logits/BiasAdd"
PREDICTIONS = "InceptionResnetV2/Logits/Predictions"


def run(*args, code=0):
    done = subprocess.run([str(a) for a in args], capture_output=True, text=True, timeout=600)
    if done.returncode != code:
        raise AssertionError(f"{args} ended with {done.returncode}, want {code}\n"
                             f"{done.stdout}\n{done.stderr}")
    return done.stdout


def load_npy(path):
    """(shape, flat list) of a float32 .npy file of version 1."""
    data = pathlib.Path(path).read_bytes()
    assert data[:8] == b"\x93NUMPY\x01\x00", path
    size = int.from_bytes(data[8:10], "little")
    header = ast.literal_eval(data[10:10 + size].decode())
    assert header["descr"] == "<f4" and not header["fortran_order"], header
    values = array.array("f")
    values.frombytes(data[10 + size:])
    return header["shape"], values.tolist()


class Chain(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="oriel-chain-")
        cls.dir = pathlib.Path(cls.folder.name)
        run(ORIEL, "export-inference-graph", "--model_name", "inception_resnet_v2",
            "--output_file", cls.dir / "graph.pb")
        # v1.ckpt, v2.ckpt.*, inputs.npy
        run(WRITE_GOLDEN_CHECKPOINT, cls.dir / "graph.pb", cls.dir, 299)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def assert_golden(self, path, name, classes=1001, absolute=1e-3, relative=1e-4, rms=2e-4):
        """`path` holds the first three rows of the golden file `name`."""
        shape, got = load_npy(path)
        _, want = load_npy(SOURCE / "testdata/golden" / name)
        self.assertEqual(tuple(shape), (3, classes))
        want = want[:len(got)]
        worst = max(abs(g - w) - relative * abs(w) for g, w in zip(got, want))
        self.assertLessEqual(worst, absolute, name)
        self.assertLessEqual(
            math.sqrt(sum((g - w)**2 for g, w in zip(got, want)) / len(got)), rms, name)
        for row in range(3):
            values = want[row * classes:(row + 1) * classes]
            self.assertGreater(max(values) - min(values), 0.01, "the golden row is flat")

    def test_inspect_lists_the_checkpoint(self):
        want = {}
        for line in VARIABLES.read_text().splitlines():
            name, dtype, shape = line.split("\t")
            if name != "global_step":  # of training, not of the graph
                want[name] = (dtype, [int(d) for d in shape.split(",") if d])
        for path in ("v1.ckpt", "v2.ckpt"):
            listed = json.loads(run(ORIEL, "inspect", "--json", self.dir / path))
            got = {t["name"]: (t["dtype"], t["shape"]) for t in listed["tensors"]}
            self.assertEqual(got, want)
        self.assertIn("InceptionResnetV2/Conv2d_1a_3x3/weights",
                      run(ORIEL, "inspect", self.dir / "v1.ckpt"))

    def test_export_then_run(self):
        run(ORIEL, "export", "inception_resnet_v2", "--checkpoint", self.dir / "v1.ckpt",
            "--output-dir", self.dir / "models")
        model = self.dir / "models/inception_resnet_v2/1"
        self.assertEqual(sorted(p.name for p in model.iterdir()),
                         ["descriptions.txt", "model.pb", "oriel.json", "wnids.txt"])
        run(ORIEL, "run", model, "--precision", "f32-exact",
            "--input", f"input={self.dir}/inputs.npy", "--output", f"{LOGITS}={self.dir}/logits.npy",
            "--output", f"{PREDICTIONS}={self.dir}/predictions.npy")
        self.assert_golden(self.dir / "logits.npy", "full299_logits.npy")
        self.assert_golden(self.dir / "predictions.npy", "full299_predictions.npy", absolute=1e-4)

    def test_step_by_step(self):
        graph, frozen, optimized = (self.dir / f for f in ("graph.pb", "frozen.pb", "opt.pb"))
        run(ORIEL, "freeze-graph", "--input_graph", graph, "--input_binary=true",
            "--input_checkpoint", self.dir / "v2.ckpt", "--output_graph", frozen,
            "--output_node_names", f"{LOGITS},{PREDICTIONS}")
        run(ORIEL, "optimize-for-inference", "--input", frozen, "--output", optimized,
            "--input_names", "input", "--output_names", f"{LOGITS},{PREDICTIONS}")
        for pb in (frozen, optimized):
            out = self.dir / "step.npy"
            out.unlink(missing_ok=True)
            run(ORIEL, "run", pb, "--precision", "f32-exact",
                "--input", f"input={self.dir}/inputs.npy", "--output", f"{LOGITS}={out}")
            self.assert_golden(out, "full299_logits.npy")
        self.assertLess(optimized.stat().st_size, frozen.stat().st_size)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
