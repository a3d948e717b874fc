"""Writes the HDF5 fixtures beside this folder, and what is in them (expected.json).

    build/venv-tensorflow/bin/python testdata/hdf5/generators/make_hdf5.py
"""

import json
import os
import pathlib

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import h5py
import keras
import ml_dtypes
import numpy as np
from keras.src.legacy.saving import legacy_h5_format

HERE = pathlib.Path(__file__).resolve().parent.parent
REFUSED = HERE / "refused"
EXPECTED = {}
RANDOM = np.random.default_rng(5)


def values(*shape, dtype=np.float32):
    return RANDOM.normal(size=shape).astype(dtype)


def expect(file, name, array):
    array = np.asarray(array)
    flat = array.astype(np.float64) if array.dtype == ml_dtypes.bfloat16 else array
    EXPECTED.setdefault(file, {})[name] = {
        "dtype": array.dtype.name, "shape": list(array.shape), "values": flat.ravel().tolist()}


def keras2(file, name, parts=1, model=False):
    """The layout that Keras 1 and 2 write, published weights among them."""
    layers = {"input_1": {}, "conv2d_1": {"kernel:0": values(3, 3, 2, 4), "bias:0": values(4)},
              "batch_normalization_1": {"beta:0": values(4), "moving_mean:0": values(4)},
              "inner": {"dense/kernel:0": values(4, 2), "dense/bias:0": values(2)}}
    group = file.create_group("model_weights") if model else file
    if model:
        file.attrs["model_config"] = "{}" * 33000  # larger than a header may be
        file.create_group("optimizer_weights")["iterations:0"] = 7
    encoded = np.array([n.encode() for n in layers])
    if parts == 1:
        group.attrs["layer_names"] = encoded
    else:
        for i, part in enumerate(np.array_split(encoded, parts)):
            group.attrs[f"layer_names{i}"] = part
    group.attrs["backend"] = b"tensorflow"
    for layer, weights in layers.items():
        g = group.create_group(layer)
        g.attrs["weight_names"] = np.array([f"{layer}/{w}".encode() for w in weights])
        for weight, array in weights.items():
            g.create_dataset(f"{layer}/{weight}", data=array)
            expect(name, f"{layer}/{weight[:-2]}", array)


def write(name, fill, **options):
    with h5py.File(HERE / name, "w", **options) as file:
        fill(file, name)


def dtypes(file, name):
    for dtype in ("float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8",
                  "uint16", "uint32", "uint64"):
        array = (RANDOM.normal(size=(2, 3)) * 100).astype(dtype) if "f" in dtype else \
            np.array([np.iinfo(dtype).min, 7, np.iinfo(dtype).max], dtype)
        file[f"t/{dtype}"] = array
        expect(name, f"t/{dtype}", array)
    array = values(5, dtype=ml_dtypes.bfloat16)
    file["t/bfloat16"] = array
    file["t/bfloat16"].attrs["dtype"] = "bfloat16"
    expect(name, "t/bfloat16", array)
    for label, array in (("scalar", np.float32(1.5)), ("empty", np.zeros((0, 4), np.float32))):
        file[label] = array
        expect(name, label, array)
    file.create_group("no_datasets")


def compact(file, name):
    """A dataset inside its object's header: h5py's high-level interface has no way."""
    array = values(3)
    space = h5py.h5s.create_simple(array.shape)
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_layout(h5py.h5d.COMPACT)
    dataset = h5py.h5d.create(file.id, b"compact", h5py.h5t.IEEE_F32LE, space, properties)
    dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, array)
    expect(name, "compact", array)


def big_endian(file, name):
    for dtype in (">f2", ">f4", ">f8", ">i2", ">i4", ">i8", ">u2", ">u4", ">u8"):
        array = (np.arange(6) * 37 + 1).reshape(2, 3).astype(dtype)
        file.create_dataset(array.dtype.name, data=array)
        expect(name, array.dtype.name, array)
    file.create_dataset("packed", data=np.arange(300, dtype=">i4") * 70000, chunks=(64,),
                        compression="gzip", shuffle=True)
    expect(name, "packed", np.arange(300, dtype="i4") * 70000)


def chunks(file, name):
    for label, options in (("plain", {}), ("gzip", {"compression": "gzip"}),
                           ("shuffle", {"shuffle": True}),
                           ("both", {"compression": "gzip", "shuffle": True})):
        array = values(7, 5)
        file.create_dataset(label, data=array, chunks=(3, 4), **options)
        expect(name, label, array)
    array = values(2, 3, 4, 5)
    file.create_dataset("whole", data=array, chunks=array.shape, compression="gzip")
    expect(name, "whole", array)
    array = np.arange(1200, dtype=np.int16)
    file.create_dataset("many", data=array, chunks=(7,))  # a tree of two levels
    expect(name, "many", array)
    compact(file, name)


def latest(file, name):
    """The newer object headers and links, small enough to lie in the headers."""
    for label in ("a/b/c", "a/d"):
        array = values(2, 2)
        file[label] = array
        expect(name, label, array)
    file.attrs["layer_count"] = 3


def keras3():
    keras.utils.set_random_seed(1)
    model = keras.Sequential([
        keras.layers.Input((8, 8, 2)), keras.layers.Conv2D(3, 3, name="first"),
        keras.layers.BatchNormalization(scale=False), keras.layers.Conv2D(2, (1, 3)),
        keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2)])
    for weight in model.weights:
        weight.assign(values(*weight.shape))
    model.save_weights(HERE / "keras3.weights.h5")
    model.save(HERE / "keras3.keras")
    counts = {}
    for layer in model.layers:
        kind = keras.src.utils.naming.to_snake_case(type(layer).__name__)
        number = counts[kind] = counts.get(kind, -1) + 1
        for i, weight in enumerate(layer.weights):
            group = kind if number == 0 else f"{kind}_{number}"
            for file in ("keras3.weights.h5", "keras3.keras"):
                expect(file, f"layers/{group}/vars/{i}", weight.numpy())
            expect("keras3_legacy.h5", f"{layer.name}/{weight.name}", weight.numpy())
    with h5py.File(HERE / "keras3_legacy.h5", "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, model)


def refused(name, fill, **options):
    with h5py.File(REFUSED / name, "w", **options) as file:
        fill(file)


def virtual(file):
    layout = h5py.VirtualLayout(shape=(2, 3), dtype="f4")
    layout[0] = h5py.VirtualSource("other.h5", "b", shape=(3,))
    file.create_virtual_dataset("a", layout)


def missing_chunks(file):
    file.create_dataset("a", shape=(8,), chunks=(2,), dtype="f4")[2:4] = 1


def loop(file):
    a = file.create_group("a")
    a["b"] = a


def missing_weight(file):
    file.attrs["layer_names"] = [b"dense"]
    file.create_group("dense").attrs["weight_names"] = [b"kernel:0"]


def tiny(file, name):
    file.attrs["layer_names"] = [b"d"]
    group = file.create_group("d")
    group.attrs["weight_names"] = [b"d/kernel:0"]
    array = values(2, 2)
    group.create_dataset("d/kernel:0", data=array, chunks=(2, 2), compression="gzip")
    expect(name, "d/kernel", array)


def main():
    REFUSED.mkdir(exist_ok=True)
    write("keras2.h5", keras2)
    write("keras2_model.h5", lambda f, n: keras2(f, n, model=True))
    write("keras2_lists.h5", lambda f, n: keras2(f, n, parts=2))
    write("keras2_tiny.h5", tiny)
    write("dtypes.h5", dtypes)
    write("chunks.h5", chunks)
    write("big_endian.h5", big_endian)
    write("latest.h5", latest, libver="latest")
    keras3()
    refused("soft_link.h5", lambda f: f.__setitem__("soft", h5py.SoftLink("/elsewhere")))
    refused("external_link.h5",
            lambda f: f.__setitem__("external", h5py.ExternalLink("other.h5", "/a")))
    refused("external_data.h5", lambda f: f.create_dataset(
        "a", shape=(3,), dtype="f4", external=[("other.bin", 0, 12)]))
    refused("virtual.h5", virtual)
    refused("lzf.h5", lambda f: f.create_dataset("a", data=values(9), compression="lzf"))
    refused("compound.h5", lambda f: f.create_dataset(
        "a", data=np.zeros(2, [("x", "f4"), ("y", "i4")])))
    refused("dense.h5", lambda f: [f.create_group(f"g{i}") for i in range(20)], libver="latest")
    refused("unwritten.h5", lambda f: f.create_dataset("a", shape=(3,), dtype="f4"))
    refused("missing_chunks.h5", missing_chunks)
    refused("loop.h5", loop)
    refused("missing_weight.h5", missing_weight)
    (HERE / "expected.json").write_text(json.dumps(EXPECTED, indent=0) + "\n")


if __name__ == "__main__":
    main()
