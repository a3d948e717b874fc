"""What schemathesis cannot make up for the server's OpenAPI document: pictures, and the name
of a model that is there. Loaded by SCHEMATHESIS_HOOKS."""

import base64
import os
import pathlib

import schemathesis
from hypothesis import strategies

PHOTO = pathlib.Path(os.environ["ORIEL_TEST_PHOTO"]).read_bytes()
MODEL = os.environ["ORIEL_TEST_MODEL"]

for media_type in ("image/bmp", "image/gif", "image/jpeg", "image/png", "image/webp",
                   "application/octet-stream"):
    schemathesis.openapi.media_type(media_type, strategies.just(PHOTO))
schemathesis.openapi.format("image-base64",
                            strategies.just(base64.b64encode(PHOTO).decode()))


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    """The model that is there, every other time."""
    if path_parameters and len(str(path_parameters.get("model", "."))) % 2 == 0:
        path_parameters["model"] = MODEL
    return path_parameters

