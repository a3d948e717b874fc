"""TensorFlow's optimize_for_inference and `oriel optimize-for-inference` on the same
graphs with the same flags: with --compatible they make the same graph, without it one
that computes the same."""

import random
import subprocess

import numpy as np
from tensorflow.core.framework import graph_pb2
from tensorflow.python.tools import optimize_for_inference as original

import harness
import optimize_graphs as graphs
import original_tool
import random_graphs
from google.protobuf import text_format
from harness import FLAGS, run_graph, tf


# In the order in which they run.
PASSES = ["placeholder_to_const", "placeholders", "extract_sub_graph", "inline_calls",
          "fold_branches", "remove_control_inputs", "remove_training_nodes", "fold_constants", "remove_dropout",
          "fold_batch_norm", "fold_mul_add", "fold_input_scale", "fold_remaining_constants",
          "fuse_resize_and_conv", "remove_unused"]


def run_oriel(flags, *more):
    done = subprocess.run(
        [str(FLAGS.oriel), "optimize-for-inference",
         *(f"--{k.replace('_', '-')}={v}" for k, v in flags.items()), *more],
        capture_output=True, text=True)
    return original_tool.Outcome(done.returncode, done.stdout + done.stderr)


def write(graph_def, path, text):
    data = text_format.MessageToString(graph_def).encode() if text else \
        graph_def.SerializeToString()
    path.write_bytes(data)


def read(path, text):
    graph_def = graph_pb2.GraphDef()
    if text:
        text_format.Merge(path.read_text(), graph_def)
    else:
        graph_def.ParseFromString(path.read_bytes())
    return graph_def


def without_values(graph_def):
    """A copy whose large floating-point values are gone, and these values."""
    copy, values = graph_pb2.GraphDef(), {}
    copy.CopyFrom(graph_def)
    for node in copy.node:
        value = node.attr["value"].tensor if "value" in node.attr else None
        if value is not None and value.tensor_content and value.dtype in (1, 2):
            values[node.name] = np.frombuffer(value.tensor_content,
                                              np.float32 if value.dtype == 1 else np.float64)
            value.tensor_content = b""
    return copy, values


class Optimize(harness.TestCase):
    def assert_same_graph(self, got, want, what):
        got, got_values = without_values(got)
        want, want_values = without_values(want)
        self.assertEqual([n.name for n in got.node], [n.name for n in want.node], what)
        for g, w in zip(got.node, want.node):
            self.assertEqual(g, w, what)
        self.assertEqual(got, want, what)
        for name, value in want_values.items():
            np.testing.assert_allclose(got_values[name], value, rtol=2e-7, atol=1e-30,
                                       err_msg=f"{what}: {name}")

    def assert_same_outputs(self, graph_def, case, want, what):
        names = {node.name for node in graph_def.node}
        feeds = {name: value for name, value in case.feeds.items() if name in names}
        got = run_graph(graph_def, case.outputs, feeds)
        for name, g, w in zip(case.outputs, got, want):
            scale = max(float(np.abs(w).max(initial=0)), 1e-6)
            np.testing.assert_allclose(g / scale, w / scale, atol=case.tolerance,
                                       err_msg=f"{what}: {name}")

    def check(self, case):
        folder = self.directory / case.name
        folder.mkdir()
        text = case.flags.get("frozen_graph") == "false"
        graph_def = case.build()
        if graph_def is not None:
            write(graph_def, folder / "in.pb", text)
        flags = {"input": folder / "in.pb", **case.tool_flags()}
        want = original_tool.run(original, {**flags, "output": folder / "want.pb"})
        got = run_oriel({**flags, "output": folder / "compatible.pb"}, "--compatible")
        if case.error is not None:
            self.assertNotEqual(want.code, 0, case.name)
            self.assertIn(case.error, want.text, case.name)
        else:
            self.assertEqual(want.code, 0, f"{case.name}: {want.text}")
        self.assertEqual(got.code, want.code, f"{case.name}: {got.text}\n{want.text}")
        if case.error is not None:
            self.assertIn(case.error, got.text, case.name)
            self.assertFalse((folder / "compatible.pb").exists(), case.name)
        else:
            self.assert_same_graph(read(folder / "compatible.pb", text),
                                   read(folder / "want.pb", text), case.name)
        if not case.feeds:
            return
        # Ours computes the same as the graph that went in, whatever the original did.
        wanted = run_graph(case.reference or graph_def, case.outputs, case.feeds)
        own = run_oriel({**flags, "output": folder / "own.pb"})
        self.assertEqual(own.code, 0, f"{case.name}: {own.text}")
        optimized = read(folder / "own.pb", text)
        self.assert_same_outputs(optimized, case, wanted, case.name)
        counts = harness.histogram(optimized)
        for op, count in case.own_ops.items():
            self.assertEqual(counts.get(op, 0), count, f"{case.name}: {counts}")
        if case.runs:
            np.save(folder / "x.npy", case.feeds["x"])
            harness.run_program(FLAGS.oriel, "run", folder / "own.pb", "--input",
                                f"x={folder / 'x.npy'}", "--output", f"y={folder / 'y.npy'}")
            scale = np.abs(wanted[0]).max()
            np.testing.assert_allclose(np.load(folder / "y.npy") / scale, wanted[0] / scale,
                                       atol=case.tolerance, err_msg=f"{case.name}, engine")
        for name in PASSES if case.each_pass else []:
            alone = run_oriel({**flags, "output": folder / "alone.pb", "passes": name})
            self.assertEqual(alone.code, 0, f"{case.name}, {name}: {alone.text}")
            self.assert_same_outputs(read(folder / "alone.pb", text), case, wanted,
                                     f"{case.name}, {name}")
        if case.error is None and not case.original_breaks:
            self.assert_same_outputs(read(folder / "compatible.pb", text), case, wanted,
                                     f"{case.name}, compatible")

    def test_the_matrix(self):
        for case in graphs.all_cases():
            with self.subTest(case.name):
                self.check(case)

    def test_random_graphs(self):
        """All passes, and all but a few; --compatible makes the original's graph."""
        for seed in range(25):
            with tf.Graph().as_default() as graph:
                made = random_graphs.RandomGraph(seed)
            case = graphs.Case(f"random_{seed}", None, tuple(made.outputs),
                               feeds={"x": made.image}, tolerance=2e-5)
            graph_def = graph.as_graph_def()
            skipped = random.Random(seed).sample(PASSES, 3)
            wanted = run_graph(graph_def, case.outputs, case.feeds)
            write(graph_def, self.directory / "in.pb", text=False)
            flags = {"input": self.directory / "in.pb", "output": self.directory / "own.pb",
                     **case.tool_flags()}
            for more in ([], [f"--skip={','.join(skipped)}"]):
                own = run_oriel(flags, *more)
                self.assertEqual(own.code, 0, f"{case.name}: {own.text}")
                self.assert_same_outputs(read(self.directory / "own.pb", False), case, wanted,
                                         f"{case.name} {more}")
            want = original_tool.run(original, {**flags, "output": self.directory / "want.pb"})
            got = run_oriel(flags, "--compatible")
            self.assertEqual(got.code, want.code, f"{case.name}: {got.text}\n{want.text}")
            if want.code == 0:
                self.assert_same_graph(read(self.directory / "own.pb", False),
                                       read(self.directory / "want.pb", False), case.name)

    def test_passes_by_name(self):
        listed = run_oriel({}, "--list")
        self.assertEqual(listed.code, 0)
        self.assertEqual([line.split()[0] for line in listed.text.splitlines()[1:]], PASSES)
        folder = self.directory / "by_name"
        folder.mkdir()
        write(graphs.graph_def_of(graphs.fused_norms), folder / "in.pb", text=False)
        flags = {"input": folder / "in.pb", "output": folder / "out.pb", "input_names": "x",
                 "output_names": "y"}
        skipped = run_oriel(flags, "--skip=fold_batch_norm,placeholders", "--verbose")
        self.assertEqual(skipped.code, 0, skipped.text)
        ran = [line.split()[0] for line in skipped.text.splitlines()[:-1]]
        self.assertEqual(ran, [p for p in PASSES if p not in ("fold_batch_norm", "placeholders")])
        self.assertRegex(skipped.text,
                         r"remove_training_nodes +0 changes +18 -> +18 nodes +[0-9.]+ ms")
        self.assertEqual(harness.histogram(read(folder / "out.pb", False))["FusedBatchNormV3"], 1)
        unknown = run_oriel(flags, "--passes=make_coffee")
        self.assertEqual(unknown.code, 1)
        self.assertIn("there is no pass 'make_coffee'", unknown.text)
        both = run_oriel(flags, "--passes=placeholders", "--compatible")
        self.assertEqual(both.code, 1)
        self.assertIn("--compatible runs the original's passes", both.text)


if __name__ == "__main__":
    harness.main()
