"""Weights and images by the formula of testdata/checkpoint/README.md: the same numbers for
whoever makes golden files and whoever compares with them. NumPy alone."""

import numpy as np


def uniform(name, shape):
    """Numbers in [0, 1) that a name stands for."""
    hashed = 0xCBF29CE484222325
    for byte in name.encode():
        hashed = (hashed ^ byte) * 0x100000001B3 % 2**64
    z = np.arange(1, int(np.prod(shape)) + 1, dtype=np.uint64)
    z = z * np.uint64(0x9E3779B97F4A7C15) + np.uint64(hashed)
    z = (z ^ z >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ z >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return ((z ^ z >> np.uint64(31)) >> np.uint64(40)).reshape(shape) / 2.0**24


def images(size):
    """[2,size,size,3] in [-1, 1]: noise, and a coarse pattern."""
    coarse = np.kron(uniform("coarse", (5, 5, 3)), np.ones((size // 5, size // 5, 1)))
    return (2 * np.stack([uniform("noise", coarse.shape), coarse]) - 1).astype(np.float32)


def pytorch_weights(shapes):
    """name -> value of a state_dict of convolutions, batch norms and a classifier, such that
    numbers keep their size through the layers and no two tensors are alike."""
    values = {}
    for name, shape in shapes.items():
        u = uniform(name, shape)
        if name.endswith("num_batches_tracked"):
            values[name] = np.array(0, np.int64)
            continue
        norm = name.rsplit(".", 2)[-2].startswith("bn") and len(shape) == 1
        if name.endswith("running_var") or norm and name.endswith("weight"):
            u = 0.5 + u
        elif len(shape) > 1:
            filters = u.reshape(shape[0], -1)  # each of zero mean, else all images look alike
            u = 2 * (filters - filters.mean(axis=1, keepdims=True)).reshape(shape)
            u *= np.sqrt(6 / filters.shape[1])
        else:
            u = 0.1 * (2 * u - 1)
        values[name] = u.astype(np.float32)
    return values
