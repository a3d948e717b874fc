#!/usr/bin/env python3
"""Writes ../timm_inception_resnet_v2.{txt,npy} with timm (and PyTorch)."""

import pathlib
import sys

import numpy as np
import timm
import torch

NETS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(NETS.parents[1] / "tests" / "tensorflow"))
import formula

SIZE = 75

model = timm.create_model("inception_resnet_v2", num_classes=1000).eval()
shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
with open(NETS / "timm_inception_resnet_v2.txt", "w") as file:
    for name, value in model.state_dict().items():
        print(name, str(value.dtype).removeprefix("torch."), list(value.shape), sep="\t", file=file)
weights = formula.pytorch_weights(shapes)
model.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in weights.items()})
images = torch.from_numpy(formula.images(SIZE).transpose(0, 3, 1, 2).copy())
with torch.no_grad():
    np.save(NETS / "timm_inception_resnet_v2.npy", model(images).numpy())
