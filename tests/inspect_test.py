#!/usr/bin/env python3
"""`oriel inspect` on the fixtures. usage: inspect_test.py ORIEL TESTDATA"""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

ORIEL = sys.argv[1]
FIXTURES = pathlib.Path(sys.argv[2]) / "fixtures"


def run(*args):
    return subprocess.run([ORIEL, "inspect", *map(str, args)], capture_output=True, text=True,
                          timeout=60, check=False)


def report(*args):
    result = run(*args, "--json")
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("\n") == 1
    return json.loads(result.stdout)


class Checkpoints(unittest.TestCase):
    def test_json_lists_each_format(self):
        for file, form, count in [
            ("dtypes_v1.ckpt", "TensorFlow V1 checkpoint", 18),
            ("dtypes_v2.ckpt", "TensorFlow V2 checkpoint", 19),
            ("sharded_v1.ckpt-?????-of-?????", "TensorFlow V1 checkpoint", 9),
            ("pytorch_dtypes_zip.pth", "PyTorch checkpoint (zip)", 16),
            ("pytorch_dtypes_stream.pth", "PyTorch checkpoint (stream)", 16),
            ("all.safetensors", "safetensors", 17),
        ]:
            with self.subTest(file=file):
                got = report(FIXTURES / file)
                self.assertEqual(got["kind"], "checkpoint")
                self.assertEqual(got["format"], form)
                self.assertEqual(len(got["tensors"]), count)
                self.assertEqual(got["totals"]["tensors"], count)

    def test_tensors_are_as_expected(self):
        expected = json.loads((FIXTURES / "expected.json").read_text())
        for tensor in report(FIXTURES / "dtypes_v2.ckpt")["tensors"]:
            want = expected[tensor["name"]]
            self.assertEqual(tensor["dtype"], want["dtype"])
            self.assertEqual(tensor["shape"], want["shape"])
            if want["dtype"] == "float32":
                self.assertEqual(tensor["bytes"], 4 * len(want["values"]))
            if want["dtype"] == "string":
                self.assertIsNone(tensor["bytes"])

    def test_table_is_aligned_and_totalled(self):
        result = run(FIXTURES / "partitioned_v2.ckpt")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(result.stdout, "\n".join([
            "NAME          DTYPE    SHAPE   SLICES",
            "part/weights  float32  [10,4]       3",
            "whole         float32  [3]          1",
            "",
            "TensorFlow V2 checkpoint: 2 tensors, 43 parameters, 172 bytes",
            "",
        ]))


class Graphs(unittest.TestCase):
    TEXT = """
node { name: "input" op: "Placeholder"
       attr { key: "dtype" value { type: DT_FLOAT } }
       attr { key: "shape" value { shape { dim { size: -1 } dim { size: 2 } } } } }
node { name: "w" op: "Const"
       attr { key: "dtype" value { type: DT_FLOAT } }
       attr { key: "value" value { tensor { dtype: DT_FLOAT float_val: 1
              tensor_shape { dim { size: 2 } dim { size: 3 } } } } } }
node { name: "y" op: "MatMul" input: "input" input: "w" }
node { name: "init" op: "NoOp" input: "^y" }
node { name: "z" op: "Identity" input: "y:0" }
"""

    def check(self, path, form):
        got = report(path)
        self.assertEqual(got["kind"], "graph")
        self.assertEqual(got["format"], form)
        self.assertEqual(got["nodes"], 5)
        self.assertEqual(got["ops"], {"Const": 1, "Identity": 1, "MatMul": 1, "NoOp": 1,
                                      "Placeholder": 1})
        self.assertEqual(got["inputs"],
                         [{"name": "input", "dtype": "float32", "shape": "[?,2]"}])
        self.assertEqual(got["outputs"], ["z"])
        self.assertEqual(got["parameters"], 6)
        # [1,2] by [2,3]
        self.assertEqual(got["multiply_adds"], 6)
        self.assertEqual(got["layers"], [{"name": "y", "op": "MatMul", "shapes": [[1, 3]],
                                          "parameters": 6, "multiply_adds": 6}])
        table = run(path, "--batch", "5")
        self.assertEqual(table.returncode, 0, table.stderr)
        self.assertIn("y      MatMul  [5,3]            6             30", table.stdout)
        self.assertIn("5 nodes, 6 parameters, 30 multiply-adds at batch 5", table.stdout)

    def test_text_and_binary(self):
        with tempfile.TemporaryDirectory() as folder:
            text = pathlib.Path(folder) / "graph"
            text.write_text(self.TEXT)
            self.check(text, "text GraphDef")
            # A NodeDef is field 1 of a GraphDef; these are strings of name, op and input.
            def field(number, payload):
                return bytes([number << 3 | 2, len(payload)]) + payload
            def attr(key, value):
                return field(5, field(1, key) + field(2, value))
            dims = field(2, b"\x08" + b"\xff" * 9 + b"\x01") + field(2, b"\x08\x02")
            weights = b"\x08\x01" + field(2, field(2, b"\x08\x02") + field(2, b"\x08\x03"))
            nodes = [
                field(1, b"input") + field(2, b"Placeholder") + attr(b"dtype", b"\x30\x01")
                + attr(b"shape", field(7, dims)),
                field(1, b"w") + field(2, b"Const") + attr(b"value", field(8, weights)),
                field(1, b"y") + field(2, b"MatMul") + field(3, b"input") + field(3, b"w"),
                field(1, b"init") + field(2, b"NoOp") + field(3, b"^y"),
                field(1, b"z") + field(2, b"Identity") + field(3, b"y:0"),
            ]
            binary = pathlib.Path(folder) / "graph.bin"
            graph = b"".join(field(1, node) for node in nodes)
            binary.write_bytes(graph)
            self.check(binary, "binary GraphDef")
            # The graph is field 2 of a MetaGraphDef; its length takes two bytes.
            text.write_text(f"graph_def {{ {self.TEXT} }}")
            self.check(text, "text MetaGraphDef")
            self.assertLess(len(graph), 1 << 14)
            length = bytes([len(graph) & 127 | 128, len(graph) >> 7])
            meta = pathlib.Path(folder) / "graph.meta"
            meta.write_bytes(bytes([2 << 3 | 2]) + length + graph)
            self.check(meta, "binary MetaGraphDef")
            # A model's directory, and its version's.
            version = pathlib.Path(folder) / "model/2"
            version.mkdir(parents=True)
            (version / "oriel.json").write_text("{}")
            (version / "model.pb").write_bytes(graph)
            self.check(version, "binary GraphDef")
            self.check(version.parent, "binary GraphDef")

    def write(self, text):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        path = pathlib.Path(temporary.name) / "graph"
        path.write_text(text)
        return path

    def test_dot(self):
        path = self.write(self.TEXT)
        result = run(path, "--dot")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertTrue(result.stdout.startswith("digraph {\n"))
        self.assertTrue(result.stdout.endswith("}\n"))
        for line in ('"input" [label="input\\nPlaceholder\\n[?,2]"',
                     '"y" [label="y\\nMatMul\\n[1,3]"', '"input" -> "y"\n',
                     '"y" -> "init" [style=dashed]'):
            self.assertIn(line, result.stdout)
        self.assertNotIn('"w"', result.stdout)
        self.assertEqual(run(path, "--dot", "--json").returncode, 2)

    def test_shapes_that_the_graph_leaves_open(self):
        path = self.write(self.TEXT.replace("shape { dim { size: -1 } dim { size: 2 } }",
                                            "shape { unknown_rank: true }"))
        result = run(path)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("--shape input=", result.stdout)
        got = report(path, "--shape", "input=7x2")
        self.assertEqual(got["multiply_adds"], 42)

    def test_operations_that_the_engine_lacks(self):
        path = self.write(self.TEXT.replace('"Identity"', '"Perceive"'))
        got = report(path)
        self.assertIn("Perceive (node 'z')", got["layers_unknown"])
        self.assertNotIn("layers", got)
        self.assertEqual(report(path, "--output", "y")["multiply_adds"], 6)
        result = run(path, "--output", "q")
        self.assertEqual(result.returncode, 1)
        self.assertIn("has no node 'q'", result.stderr)


class Records(unittest.TestCase):
    FILE = FIXTURES.parent / "records" / "three.tfrecord"  # TensorFlow's

    def test_records(self):
        got = report(self.FILE)
        self.assertEqual((got["kind"], got["records"]), ("records", 3))
        self.assertEqual(got["features"], {
            "image/height": {"type": "int64", "count": 1},
            "image/filename": {"type": "bytes", "count": 1},
            "image/data": {"type": "float", "count": 3}})
        table = run(self.FILE).stdout
        self.assertRegex(table, r"(?m)^image/filename +bytes +1 +cat.jpg$")
        self.assertRegex(table, r"(?m)^image/height +int64 +1 +299$")

    def test_a_damaged_record_is_named(self):
        with tempfile.TemporaryDirectory() as folder:
            bad = pathlib.Path(folder) / "bad.tfrecord"
            bytes_ = bytearray(self.FILE.read_bytes())
            bytes_[-5] ^= 1
            bad.write_bytes(bytes_)
            result = run(bad)
            self.assertEqual(result.returncode, 1)
            self.assertIn(str(bad), result.stderr)
            self.assertEqual(result.stdout, "")


class Errors(unittest.TestCase):
    def test_messages(self):
        for path, message in [
            (FIXTURES / "missing", "No such file"),
            (FIXTURES, "directory"),
            (FIXTURES / "expected.json", "neither a checkpoint"),
            (FIXTURES / "pytorch_evil_zip.pth", "posix.system"),
        ]:
            with self.subTest(path=path):
                result = run(path)
                self.assertEqual(result.returncode, 1)
                self.assertEqual(result.stdout, "")
                self.assertIn(message, result.stderr)
                self.assertIn(str(path), result.stderr)

    def test_usage(self):
        self.assertEqual(run().returncode, 2)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
