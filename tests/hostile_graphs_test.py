#!/usr/bin/env python3
"""Graphs that are wrong or want too much: each program that takes a graph ends in an error
that names the node, without a crash, with little memory, at once.

usage: hostile_graphs_test.py ORIEL
"""

import pathlib
import resource
import struct
import subprocess
import sys
import tempfile
import unittest

ORIEL = sys.argv[1]
MEMORY = 3 << 30
FLOAT, INT, STRING = "DT_FLOAT", "DT_INT32", "DT_STRING"


def attributes(values):
    return "".join(f' attr {{ key: "{k}" value {{ {v} }} }}' for k, v in values.items())


def node(name, op, *inputs, **values):
    values = {"T": f"type: {FLOAT}", **values}
    listed = "".join(f' input: "{i}"' for i in inputs)
    return f'node {{ name: "{name}" op: "{op}"{listed}{attributes(values)} }}\n'


def shape(sizes):
    return "shape { " + " ".join(f"dim {{ size: {s} }}" for s in sizes) + " }"


def placeholder(*sizes, name="x", dtype=FLOAT):
    return (f'node {{ name: "{name}" op: "Placeholder"'
            + attributes({"dtype": f"type: {dtype}", "shape": shape(sizes)}) + " }\n")


def const(name, sizes, values, dtype=FLOAT):
    tensor = f"tensor {{ dtype: {dtype} tensor_{shape(sizes)} {values} }}"
    return (f'node {{ name: "{name}" op: "Const"'
            + attributes({"dtype": f"type: {dtype}", "value": tensor}) + " }\n")


def ints(name, *numbers):
    return const(name, [len(numbers)], " ".join(f"int_val: {n}" for n in numbers), INT)


X = placeholder(1, 4, 4, 3)
STRIDES = {"strides": "list { i: 1 i: 1 i: 1 i: 1 }", "padding": 's: "SAME"'}
FILTER = const("w", [3, 3, 3, 2], "float_val: 1")

# name -> graph, what `run` says of it
GRAPHS = {
    "cycle": (X + node("a", "Add", "x", "b") + node("b", "Relu", "a") + node("y", "Abs", "b"),
              "node 'a' (Add) is part of a cycle"),
    "nothing but a cycle": (X + node("a", "Add", "x", "a"), "node 'a' (Add) is part of a cycle"),
    "cycle of control": (X + node("a", "Relu", "x", "^b") + node("b", "Relu", "a"),
                         "node 'a' (Relu) is part of a cycle"),
    "missing input": (X + node("a", "Add", "x", "nowhere"), "Input for a not found: nowhere"),
    "missing control": (X + node("a", "Relu", "x", "^no"), "Input for a not found: ^no"),
    "no such output": (X + node("a", "Relu", "x:99"), "node 'a' (Relu) reads 'x:99'"),
    "duplicates": (X + node("a", "Relu", "x") * 2, "Duplicate node names detected for a"),
    "no name": (X + node("", "Relu", "x"), "node number 1 (Relu) has no name"),
    "data after control": (X + node("n", "NoOp") + node("a", "Add", "^n", "x", "x"),
                           "node 'a' (Add)"),
    "too few inputs": (X + node("a", "Add", "x"), "node 'a' (Add): has 1 inputs"),
    "wrong type": (placeholder(4, dtype=INT) + node("a", "Relu", "x"), "(node 'a')"),
    "two types": (placeholder(1) + ints("c", 1) + node("a", "Add", "x", "c"), "node 'a' (Add)"),
    "unknown operation": (X + node("a", "Frobnicate", "x"), "Frobnicate (node 'a')"),
    "huge input": (placeholder(1 << 31, 1 << 31) + node("a", "Relu", "x"), "input 'x'"),
    "negative size": (placeholder(-5, 4) + node("a", "Relu", "x"), "node 'x'"),
    "many dimensions": (placeholder(*[1] * 300) + node("a", "Relu", "x"), "input 'x'"),
    "short constant": (X + const("c", [4, 4], 'tensor_content: "1234567"')
                       + node("a", "Add", "x", "c"), "node 'c'"),
    "negative constant": (X + const("c", [-2], "float_val: 1") + node("a", "Add", "x", "c"),
                          "node 'c'"),
    "overflowing constant": (X + const("c", [1 << 33, 1 << 33], "float_val: 1")
                             + node("a", "Add", "x", "c"), "node 'c'"),
    "no value": (X + 'node { name: "c" op: "Const" }' + node("a", "Add", "x", "c"), "node 'c'"),
    "no attributes": (X + FILTER + node("a", "Conv2D", "x", "w"), "node 'a' (Conv2D)"),
    "attribute of another type": (X + FILTER + node("a", "Conv2D", "x", "w", strides="i: 5"),
                                  "node 'a' (Conv2D)"),
    "huge strides": (X + FILTER + node("a", "Conv2D", "x", "w", padding='s: "SAME"',
                                       strides=f"list {{ i: 1 i: {1 << 62} i: 1 i: 1 }}"),
                     "node 'a' (Conv2D)"),
    "NCHW": (X + FILTER + node("a", "Conv2D", "x", "w", **STRIDES, data_format='s: "NCHW"'),
             "data_format 'NCHW' is not supported, want NHWC (node 'a')"),
    "not a number": (X + node("a", "LRN", "x", depth_radius="i: -5", bias="f: nan"),
                     "node 'a' (LRN)"),
    "large result": (ints("d", 1 << 20, 1 << 20) + const("v", [], "float_val: 1")
                     + node("a", "Fill", "d", "v"), "node 'a' (Fill): the result"),
    "growing results": (placeholder(4) + ints("m", 1 << 14) + node("a", "Tile", "x", "m")
                        + node("b", "Tile", "a", "m") + node("c", "Tile", "b", "m"),
                        "node 'c' (Tile): the result"),
    "no step": (placeholder(9) + ints("b", 0) + ints("s", 0)
                + node("a", "StridedSlice", "x", "b", "b", "s"), "node 'a' (StridedSlice)"),
    "recursion": (X + node("a", "f", "x") + 'library { function { signature { name: "f"'
                  ' input_arg { name: "i" type: DT_FLOAT } output_arg { name: "o" type: DT_FLOAT }'
                  ' } node_def { name: "c" op: "f" input: "i" }'
                  ' ret { key: "o" value: "c:o:0" } } }', "node 'a', which calls 'f'"),
}


def limit():
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


# AddressSanitizer wants more addresses than that.
LIMIT = limit if subprocess.run([ORIEL, "version"], capture_output=True,
                                preexec_fn=limit).returncode == 0 else None


class HostileGraphs(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix="oriel-hostile-")
        self.addCleanup(temporary.cleanup)
        self.folder = pathlib.Path(temporary.name)
        header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 4, 4, 3), }"
        header += " " * (117 - len(header)) + "\n"
        self.x = self.folder / "x.npy"
        self.x.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header))
                           + header.encode() + struct.pack("<48f", *range(48)))

    def run_oriel(self, *arguments):
        done = subprocess.run([ORIEL, *map(str, arguments)], capture_output=True, text=True,
                              timeout=20, preexec_fn=LIMIT)
        self.assertIn(done.returncode, (0, 1, 2), done.stderr)  # no signal
        return done

    def test_each_names_the_node(self):
        for name, (text, message) in GRAPHS.items():
            graph = self.folder / "graph.pbtxt"
            graph.write_text(text)
            for command in ("run", "bench"):
                with self.subTest(graph=name, command=command):
                    done = self.run_oriel(command, graph, "--text")
                    self.assertEqual(done.returncode, 1, done.stdout)
                    self.assertIn(message, done.stderr)
                    self.assertEqual(done.stderr.count("\n"), 1, done.stderr)

    def test_no_tool_crashes(self):
        for name, (text, _) in GRAPHS.items():
            graph, out = self.folder / "graph.pbtxt", self.folder / "out.pb"
            graph.write_text(text)
            optimize = ("optimize-for-inference", "--input", graph, "--frozen_graph=false",
                        "--output", out, "--input_names", "x", "--output_names", "a")
            for arguments in (("inspect", graph), ("inspect", graph, "--dot"),
                              ("diff", graph, graph), ("diff", graph, graph, "--input", self.x),
                              ("classify", "--model", graph, self.x),
                              optimize, (*optimize, "--compatible")):
                with self.subTest(graph=name, arguments=arguments):
                    done = self.run_oriel(*arguments)
                    # Graphs can be listed and compared as they are written.
                    if done.returncode != 0 and arguments[0] != "diff":
                        self.assertIn("oriel", done.stderr)

    def test_a_cycle_is_named_by_all(self):
        graph = self.folder / "graph.pbtxt"
        for name in ("cycle", "nothing but a cycle", "cycle of control"):
            graph.write_text(GRAPHS[name][0])
            done = self.run_oriel("diff", graph, graph, "--input", self.x)
            self.assertEqual(done.returncode, 2)
            self.assertIn(GRAPHS[name][1], done.stderr)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]], verbosity=1)
