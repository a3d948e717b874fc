"""What the TensorFlow tests share: flags, running `oriel`, running graphs."""

import argparse
import pathlib
import subprocess
import sys
import tempfile
import unittest
import warnings

import numpy as np
import tensorflow as tf2

tf = tf2.compat.v1
tf.disable_eager_execution()
tf.logging.set_verbosity(tf.logging.ERROR)
warnings.filterwarnings("ignore")

ROOT = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "testdata" / "nets"
FLAGS = argparse.Namespace()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--oriel", type=pathlib.Path, required=True)
    parser.add_argument("--write-golden-checkpoint", type=pathlib.Path, required=True)
    parser.add_argument("--test-data", type=pathlib.Path, required=True)
    flags, rest = parser.parse_known_args()
    FLAGS.__dict__.update(vars(flags))
    unittest.main(module="__main__", argv=[sys.argv[0], *rest], verbosity=2)


def run(program, *arguments):
    return subprocess.run([str(program), *map(str, arguments)], capture_output=True, text=True)


def run_program(program, *arguments):
    done = run(program, *arguments)
    if done.returncode != 0:
        raise AssertionError(f"{program} {arguments}: exit code {done.returncode}\n"
                             f"{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def oriel(command, **flags):
    return run_program(FLAGS.oriel, command, *(f"--{k}={v}" for k, v in flags.items()))


def read_graph(path):
    graph_def = tf.GraphDef()
    graph_def.ParseFromString(pathlib.Path(path).read_bytes())
    return graph_def


def session(graph):
    """Runs the graph as it stands: TensorFlow's own rewriting of 236 MB of constants would
    take most of the time of these tests."""
    config = tf.ConfigProto(intra_op_parallelism_threads=2, inter_op_parallelism_threads=1)
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    config.graph_options.optimizer_options.opt_level = tf.OptimizerOptions.L0
    return tf.Session(graph=graph, config=config)


def load(graph_def):
    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(graph_def, name="")
    return graph


def run_graph(graph_def, fetches, feeds, restore=None):
    """Outputs of a GraphDef; `restore` names a checkpoint for save/restore_all."""
    with session(load(graph_def)) as s:
        if restore is not None:
            s.run("save/restore_all", {"save/Const:0": str(restore)})
        return s.run([f"{name}:0" for name in fetches],
                     {f"{name}:0": value for name, value in feeds.items()})


def histogram(graph_def):
    counts = {}
    for node in graph_def.node:
        counts[node.op] = counts.get(node.op, 0) + 1
    return counts


class TestCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls._temporary = tempfile.TemporaryDirectory(prefix="oriel-tensorflow-")
        cls.directory = pathlib.Path(cls._temporary.name)

    @classmethod
    def tearDownClass(cls):
        cls._temporary.cleanup()

    def assert_logits(self, got, want, what, absolute=1e-3):
        """The tolerances of testdata/nets/README.md."""
        self.assertEqual(got.shape, want.shape, what)
        difference = np.abs(got.astype(np.float64) - want)
        rms = float(np.sqrt(np.mean(difference ** 2)))
        print(f"  {what}: max |d| {difference.max():.2e}, rms {rms:.2e}", flush=True)
        self.assertTrue(np.all(difference <= absolute + 1e-4 * np.abs(want)), what)
        self.assertLessEqual(rms, absolute / 5, what)
