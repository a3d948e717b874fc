#!/usr/bin/env python3
"""`oriel` on a small graph: what `bench` measures (not how fast), how commands end.

usage: command_test.py ORIEL
"""

import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import unittest

ORIEL = pathlib.Path(sys.argv[1]).resolve()

# y = relu(conv(x, w)): 3x3, 2 to 4 channels.
GRAPH = """
node { name: "x" op: "Placeholder"
  attr { key: "dtype" value { type: DT_FLOAT } }
  attr { key: "shape" value { shape { %s } } } }
node { name: "w" op: "Const"
  attr { key: "dtype" value { type: DT_FLOAT } }
  attr { key: "value" value { tensor { dtype: DT_FLOAT
    tensor_shape { dim { size: 3 } dim { size: 3 } dim { size: 2 } dim { size: 4 } }
    float_val: 0.5 } } } }
node { name: "conv" op: "Conv2D" input: "x" input: "w"
  attr { key: "T" value { type: DT_FLOAT } }
  attr { key: "strides" value { list { i: 1 i: 1 i: 1 i: 1 } } }
  attr { key: "padding" value { s: "SAME" } } }
node { name: "y" op: "Relu" input: "conv" attr { key: "T" value { type: DT_FLOAT } } }
"""
OPEN = " ".join(f"dim {{ size: {size} }}" for size in (-1, -1, -1, 2))
KNOWN = " ".join(f"dim {{ size: {size} }}" for size in (-1, 16, 16, 2))


class Bench(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="oriel-bench-")
        self.addCleanup(self.folder.cleanup)

    def bench(self, shape, *flags):
        graph = pathlib.Path(self.folder.name) / "graph.pbtxt"
        graph.write_text(GRAPH % shape)
        return subprocess.run([ORIEL, "bench", graph, "--text", "--duration", "0.05", *flags],
                              capture_output=True, text=True)

    def rows(self, shape, *flags):
        done = self.bench(shape, "--json", *flags)
        self.assertEqual(done.returncode, 0, done.stderr)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def test_each_batch_and_number_of_streams_has_its_row(self):
        rows = self.rows(KNOWN, "--batch", "1,4", "--streams", "1,2", "--threads", "1")
        self.assertEqual([(r["batch"], r["streams"]) for r in rows],
                         [(1, 1), (4, 1), (1, 2), (4, 2)])
        for row in rows:
            latency = row["latency_ms"]
            self.assertGreater(latency["p50"], 0)
            self.assertLessEqual(latency["p50"], latency["p90"])
            self.assertLessEqual(latency["p90"], latency["p99"])
            self.assertGreaterEqual(row["runs"], row["streams"])
            self.assertAlmostEqual(row["images_per_second"],
                                   row["runs"] * row["batch"] / row["seconds"], delta=0.01)
            flops = 2 * 16 * 16 * 4 * 3 * 3 * 2
            self.assertAlmostEqual(row["gflops_per_second"],
                                   row["images_per_second"] * flops / 1e9, places=6)
            self.assertGreater(row["peak_gflops_per_second"], 0)
            self.assertGreater(row["peak_memory_bytes"], 1 << 20)

    def test_profile_lists_the_steps(self):
        for backend in ("onednn", "reference"):
            row, = self.rows(KNOWN, "--profile", "--backend", backend)
            conv, = (step for step in row["profile"] if step["op"] == "Conv2D")
            self.assertEqual(conv["multiply_adds"], 16 * 16 * 4 * 3 * 3 * 2)
            self.assertTrue(conv["implementation"])
            self.assertGreater(conv["ms"], 0)
        table = self.bench(KNOWN, "--profile", "--precision", "f32-exact").stdout
        self.assertTrue(table.startswith("in f32-exact\n"), table)
        self.assertRegex(table, r"Conv2D +\S.* y\n")

    def test_open_shapes_are_asked_for(self):
        done = self.bench(OPEN)
        self.assertEqual(done.returncode, 1)
        self.assertIn("--shape x=", done.stderr)
        row, = self.rows(OPEN, "--shape", "x=Nx8x8x2", "--batch", "3")
        self.assertEqual(row["batch"], 3)
        for bad in ("x", "x=", "=1x2", "x=Nx8xqx2", "x=Nx8x-3x2", "x=Nx0x8x2"):
            done = self.bench(OPEN, "--shape", bad)
            self.assertEqual(done.returncode, 1, bad)
            self.assertIn(f"--shape {bad}", done.stderr)

    def test_flags_out_of_range_are_refused(self):
        for flags in (["--batch", "0"], ["--streams", "-1"], ["--duration", "0"],
                      ["--precision", "f8"]):
            self.assertEqual(self.bench(KNOWN, *flags).returncode, 2, flags)


class Commands(unittest.TestCase):
    def test_unknown_ones_are_named(self):
        done = subprocess.run([ORIEL, "nosuch"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 2)
        self.assertIn("nosuch", done.stderr)

    def test_flags_of_the_graph_tools(self):
        def missing_file(*flags):
            done = subprocess.run([ORIEL, "freeze-graph", *flags], capture_output=True, text=True)
            return done.returncode, done.stderr

        for graph in (["--input_graph=b"], ["--input-graph", "b"],
                      ["--input_graph=a", "--input-graph=b"]):
            for binary in ([], ["--input_binary"], ["--input-binary=TRUE"],
                           ["--input_binary", "False"], ["--input_binary=no"]):
                self.assertEqual(
                    missing_file(*binary, *graph),
                    (1, "oriel freeze-graph: Input graph file 'b' does not exist!\n"))
        for bad in ("--input_binary=1", "--clear_devices=maybe",
                    "--checkpoint_version=two"):
            code, message = missing_file(bad)
            self.assertEqual(code, 2, message)

    def test_merged_labels_can_be_printed(self):
        with tempfile.TemporaryDirectory() as folder:
            synsets, metadata = pathlib.Path(folder) / "s", pathlib.Path(folder) / "m"
            synsets.write_text("n2\nn1\n")
            metadata.write_text("n1\tcat\nn2\tdog, hound\n")
            done = subprocess.run(
                [ORIEL, "merge-labels", "--synsets", synsets, "--metadata", metadata,
                 "--output", "-"], capture_output=True, text=True, cwd=folder)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(done.stdout, "background\ndog, hound\ncat\n")
            self.assertEqual(len(list(pathlib.Path(folder).iterdir())), 2)

    def version(self, isa):
        return subprocess.run([ORIEL, "version"], capture_output=True, text=True,
                              env={**os.environ, "ORIEL_MAX_ISA": isa})

    def test_instructions_can_be_limited(self):
        done = self.version("scalar")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"(?m)^instructions: scalar by ORIEL_MAX_ISA, the CPU has \w+$")
        self.assertRegex(done.stdout, r"(?m)^oneDNN \d+\.\d+\.\d+: (SSE41|none)$")
        done = self.version("mmx")
        self.assertEqual(done.returncode, 1)
        self.assertIn("'mmx' is none of scalar, avx2", done.stderr)

    def test_signals_end_what_does_not_look_at_them(self):
        with tempfile.TemporaryDirectory() as folder:
            graph = pathlib.Path(folder) / "graph.pbtxt"
            graph.write_text(GRAPH % KNOWN)
            fifo = pathlib.Path(folder) / "x.npy"
            os.mkfifo(fifo)
            process = subprocess.Popen([ORIEL, "run", graph, "--text", "--input", fifo],
                                       stderr=subprocess.DEVNULL)
            try:
                time.sleep(0.3)
                process.send_signal(signal.SIGTERM)
                self.assertEqual(process.wait(timeout=20), -signal.SIGTERM)
            finally:
                process.kill()


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
