"""Float32 .npy files of version 1, without NumPy."""

import array
import ast
import math
import pathlib

MAGIC = b"\x93NUMPY\x01\x00"


def read(path):
    """(shape, values in C order as an array of floats)."""
    data = pathlib.Path(path).read_bytes()
    size = int.from_bytes(data[8:10], "little")
    header = ast.literal_eval(data[10:10 + size].decode())
    if not data.startswith(MAGIC) or header["descr"] != "<f4" or header["fortran_order"]:
        raise ValueError(f"{path}: not a float32 array in C order: {header}")
    values = array.array("f")
    values.frombytes(data[10 + size:])
    if len(values) != math.prod(header["shape"]):
        raise ValueError(f"{path}: {len(values)} values for {header['shape']}")
    return header["shape"], values


def write(path, shape, values):
    header = repr({"descr": "<f4", "fortran_order": False, "shape": tuple(shape)})
    header += " " * (-(len(MAGIC) + 2 + len(header) + 1) % 64) + "\n"
    pathlib.Path(path).write_bytes(MAGIC + len(header).to_bytes(2, "little") + header.encode()
                                   + array.array("f", values).tobytes())


def rows(path):
    """Of an array of two dimensions: its rows as lists."""
    (count, columns), values = read(path)
    return [values[r * columns:(r + 1) * columns].tolist() for r in range(count)]


def first(path, to):
    """Writes the first image of [N,...] as [1,...]."""
    shape, values = read(path)
    write(to, (1, *shape[1:]), values[:math.prod(shape[1:])])
