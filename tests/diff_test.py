#!/usr/bin/env python3
"""`oriel diff` on graphs whose values are worked out by hand. usage: diff_test.py ORIEL"""

import json
import pathlib
import struct
import subprocess
import sys
import tempfile
import unittest

ORIEL = sys.argv[1]


def run(*args):
    return subprocess.run([ORIEL, "diff", *map(str, args)], capture_output=True, text=True,
                          timeout=60, check=False)


def const(name, values):
    floats = " ".join(f"float_val: {v}" for v in values)
    return (f'node {{ name: "{name}" op: "Const" attr {{ key: "dtype" value {{ type: DT_FLOAT }} }}'
            f' attr {{ key: "value" value {{ tensor {{ dtype: DT_FLOAT {floats}'
            f' tensor_shape {{ dim {{ size: {len(values)} }} }} }} }} }} }}\n')


def node(name, op, *inputs):
    listed = " ".join(f'input: "{i}"' for i in inputs)
    return (f'node {{ name: "{name}" op: "{op}" {listed}'
            f' attr {{ key: "T" value {{ type: DT_FLOAT }} }} }}\n')


# x -> sum = x + b -> y = relu(sum)
def network(bias, extra="", activation="Relu"):
    return ('node { name: "x" op: "Placeholder" attr { key: "dtype" value { type: DT_FLOAT } }'
            ' attr { key: "shape" value { shape { dim { size: -1 } dim { size: 2 } } } } }\n'
            + const("b", bias) + node("sum", "AddV2", "x", "b") + node("y", activation, "sum")
            + extra)


class Diff(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = pathlib.Path(temporary.name)
        header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }"
        header += " " * (63 - (10 + len(header)) % 64) + "\n"
        self.x = self.folder / "x.npy"
        self.x.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) +
                           header.encode() + struct.pack("<2f", 3, -8))

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return path

    def test_the_same(self):
        a = self.write("a", network([1, 2]))
        for flags in ([], ["--input", self.x]):
            result = run(a, a, *flags)
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertIn("4 in both, 0 of them written differently", result.stdout)

    def test_values(self):
        a = self.write("a", network([1, 2]))
        b = self.write("b", network([1.5, 2]))
        result = run(a, b, "--input", self.x, "--json")
        self.assertEqual(result.returncode, 1, result.stderr)
        got = json.loads(result.stdout)
        self.assertFalse(got["same"])
        self.assertEqual(got["changed"], [
            {"node": "b", "what": "value differs by 0.5 at most, 1 of 2 elements"}])
        # a: 4, -6 and 4, 0; b: 4.5, -6 and 4.5, 0
        first, second = got["values"]
        self.assertEqual(first["name"], "sum")
        self.assertEqual(first["ops"], ["AddV2", "AddV2"])
        self.assertEqual((first["largest"], first["scale"], first["position"],
                          first["outside"]), (0.5, 6, 0, 1))
        self.assertAlmostEqual(first["rms"], (0.25 / 2) ** 0.5)
        self.assertEqual((second["name"], second["scale"]), ("y", 4))
        self.assertEqual([o["name"] for o in got["outputs"]], ["y"])
        table = run(a, b, "--input", f"x={self.x}")
        self.assertEqual(table.returncode, 1)
        self.assertIn("the first that differs: sum\n", table.stdout)
        self.assertIn("[0,0]: 4, 4.5", table.stdout)

    def test_tolerances(self):
        a = self.write("a", network([1, 2]))
        b = self.write("b", network([1.5, 2]))
        for flags in (["--absolute", "0.5"], ["--relative", "0.126", "--absolute", "0"]):
            self.assertEqual(run(a, b, "--input", self.x, *flags).returncode, 0, flags)
        for flags in (["--absolute", "0.49"], ["--relative", "0.124", "--absolute", "0"]):
            self.assertEqual(run(a, b, "--input", self.x, *flags).returncode, 1, flags)

    def test_what_only_the_inside_differs_in_is_no_difference(self):
        # sum: -6 and -3, of which Relu makes 0
        a = self.write("a", network([1, 2], node("z", "Relu", "y")))
        b = self.write("b", network([1, 5], node("z", "Relu", "y")))
        result = run(a, b, "--input", self.x)
        self.assertEqual(result.returncode, 0, result.stdout)
        self.assertIn("the first that differs: sum\n", result.stdout)
        self.assertEqual(run(a, b).returncode, 1)

    def test_structure(self):
        a = self.write("a", network([1, 2]))
        b = self.write("b", network([1, 2], node("more", "Relu", "y"), activation="Relu6"))
        result = run(a, b)
        self.assertEqual(result.returncode, 1)
        self.assertIn("y: op Relu, Relu6", result.stdout)
        self.assertIn(f"only in {b}: 1\n  more\n", result.stdout)
        self.assertEqual(run(a, b, "--input", self.x).returncode, 2)  # no output of one name
        self.assertEqual(run(a, b, "--input", self.x, "--output", "y").returncode, 0)

    def test_long_lists_are_cut(self):
        a = self.write("a", network([1, 2]))
        b = self.write("b", network([1, 2], "".join(const(f"c{i}", [i]) for i in range(25))))
        self.assertIn("... and 15 more (--all)", run(a, b).stdout)
        whole = run(a, b, "--all").stdout
        self.assertNotIn("more (--all)", whole)
        self.assertIn("c24", whole)

    def test_errors_exit_with_2(self):
        a = self.write("a", network([1, 2]))
        bad = self.write("bad", "neither")
        unknown = self.write("unknown", network([1, 2], activation="Perceive"))
        for args, message in [
                ((a, bad), "is no GraphDef, neither binary nor text"),
                ((a, self.folder / "missing"), "No such file"),
                ((a, unknown, "--input", self.x),
                 "second graph: the engine does not support: Perceive (node 'y')"),
                ((a, a, "--input", f"q={self.x}"), "input 'q' is not in the graph"),
                ((a, a, "--input", self.x, "--output", "q"), "output 'q' is not in the graph"),
                ((a, a, "--absolute", "-1"), "--absolute"),
        ]:
            with self.subTest(args=args):
                result = run(*args)
                self.assertEqual(result.returncode, 2, result.stdout)
                self.assertIn(message, result.stderr + result.stdout)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
