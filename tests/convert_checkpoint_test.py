#!/usr/bin/env python3
"""`oriel convert-checkpoint` by the command line: formats, maps, what it refuses.

usage: convert_checkpoint_test.py ORIEL TESTDATA
"""

import json
import pathlib
import struct
import subprocess
import sys
import tempfile
import unittest

ORIEL, TESTDATA = (pathlib.Path(path).resolve() for path in sys.argv[1:3])
FIXTURES = TESTDATA / "fixtures"


def run(*arguments):
    return subprocess.run([ORIEL, "convert-checkpoint", *map(str, arguments)],
                          capture_output=True, text=True)


def header(path):
    data = pathlib.Path(path).read_bytes()
    length, = struct.unpack_from("<Q", data)
    return json.loads(data[8:8 + length])


class ConvertCheckpoint(unittest.TestCase):
    def setUp(self):
        self._temporary = tempfile.TemporaryDirectory()
        self.directory = pathlib.Path(self._temporary.name)

    def tearDown(self):
        self._temporary.cleanup()

    def convert(self, *arguments):
        done = run(*arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def assert_refused(self, *arguments, says, code=1):
        done = run(*arguments)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertIn(says, done.stderr)
        self.assertEqual(list(self.directory.glob("out*")), [])

    def test_formats(self):
        out = self.directory / "out"
        for source in ("dtypes_v1.ckpt", "partitioned_v2.ckpt", "pytorch_views_zip.pth",
                       "all.safetensors"):
            text = self.convert(FIXTURES / source, out)
            self.assertIn(f"{out}: TensorFlow V2 checkpoint", text)
        # A checkpoint through the other formats and back is the same bytes.
        for target in ("tensorflow-v1", "safetensors"):
            self.convert(FIXTURES / "many_v2.ckpt", self.directory / target, "--to", target)
            self.convert(self.directory / target, out, "--quiet")
            for suffix in (".index", ".data-00000-of-00001"):
                self.assertEqual(pathlib.Path(f"{out}{suffix}").read_bytes(),
                                 pathlib.Path(f"{FIXTURES / 'many_v2.ckpt'}{suffix}").read_bytes())

    def test_a_map_of_ones_own(self):
        tensors = {"kernel": [2, 3], "bias": [3], "step": []}
        source, offset, entries = self.directory / "in.safetensors", 0, {}
        for name, shape in tensors.items():
            size = 4
            for d in shape:
                size *= d
            entries[name] = {"dtype": "F32", "shape": shape, "data_offsets": [offset, offset + size]}
            offset += size
        text = json.dumps(entries).encode()
        source.write_bytes(struct.pack("<Q", len(text)) + text +
                           struct.pack("<10f", *range(10)))
        rename = self.directory / "map.json"
        rename.write_text(json.dumps({"oriel_name_map": 1, "variables": [
            {"from": "kernel", "to": "fc.weight", "layout": "transpose"},
            {"from": "bias", "to": "fc.bias"}]}))
        out = self.directory / "out.safetensors"
        self.assert_refused(source, out, "--map", rename, says="1 of the checkpoint's 3 variables: 'step'")
        self.convert(source, out, "--map", rename, "--drop", "st*", "--metadata", "format=pt")
        got = header(out)
        self.assertEqual(got["__metadata__"], {"format": "pt"})
        self.assertEqual({n: e["shape"] for n, e in got.items() if n != "__metadata__"},
                         {"fc.weight": [3, 2], "fc.bias": [3]})
        values = struct.unpack("<9f", out.read_bytes()[-36:])
        begin = got["fc.weight"]["data_offsets"][0] // 4
        self.assertEqual(values[begin:begin + 6], (0, 3, 1, 4, 2, 5))

    def test_maps_are_listed_and_printed(self):
        listed = self.convert("--list-maps")
        for names in ("slim", "keras", "keras3", "timm", "cadene", "efficientnet_lite2"):
            self.assertIn(names, listed)
        printed = json.loads(self.convert("--print-map", "inception_resnet_v2:timm-to-slim"))
        by_name = {entry["to"]: entry for entry in printed["variables"]}
        self.assertEqual(len(by_name), 898)
        self.assertEqual(by_name["InceptionResnetV2/Conv2d_1a_3x3/weights"],
                         {"from": "conv2d_1a.conv.weight", "layout": "oihw_to_hwio",
                          "scale": {"by": "conv2d_1a.bn.weight", "axis": 3},
                          "to": "InceptionResnetV2/Conv2d_1a_3x3/weights"})
        dropped = json.loads(self.convert("--print-map", "inception_resnet_v2:slim-to-keras",
                                          "--background", "drop"))
        predictions, = (e for e in dropped["variables"] if e["to"] == "predictions/bias")
        self.assertEqual(predictions["slice"], {"axis": 0, "start": 1, "stop": 0})

    def test_refusals(self):
        out, source = self.directory / "out", FIXTURES / "dtypes_v2.ckpt"
        self.assert_refused(says="INPUT and OUTPUT are wanted")
        self.assert_refused(self.directory / "gone", out, says="gone")
        self.assert_refused(TESTDATA / "npy" / "README.md", out, says="is no checkpoint")
        self.assert_refused(source, out, "--to", "pytorch", says="--to", code=2)
        self.assert_refused(source, out, "--to", "5", says="5 not in", code=2)
        self.assert_refused(source, self.directory / "out.h5", says=".h5 files are not written")
        self.assert_refused(source, self.directory, says="is a directory")
        self.assert_refused(source, out, "--metadata", "a=b", says="safetensors only")
        self.assert_refused(source, out, "--map", "inception_resnet_v2:slim",
                            says="is not one of inception_resnet_v2")
        self.assert_refused(source, out, "--map", "inception_resnet_v2:caffe-to-slim",
                            says="has no names 'caffe'")
        self.assert_refused(source, out, "--map", self.directory / "gone.json", says="gone.json")
        self.assert_refused(source, out, "--to", "safetensors", says="safetensors files hold no")
        self.assert_refused(source, self.directory / "no_such_folder" / "out",
                            says="No such file or directory")
        self.assert_refused("--print-map", "inception_resnet_v2", says="--list-maps")
        self.assert_refused(source, out, "--metadata", "x", says="KEY=VALUE")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
