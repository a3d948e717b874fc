"""The networks that are measured, and the files that each engine reads, all with the
weights of Oriel's own export."""

import dataclasses
import json
import pathlib
import subprocess

BENCH = pathlib.Path(__file__).resolve().parent.parent
TEST_DATA = BENCH.parent / "build/test-data"

# Networks whose official weights may be out of reach.
MADE_UP = ("inception_resnet_v2",)

# Target of convert.py: the files that it makes, and those it reads of earlier targets.
TARGETS = {
    "graph": ({"graph": "graph.pb"}, ()),
    "openvino": ({"openvino": "openvino.xml", "openvino_b1": "openvino_b1.xml"}, ("graph",)),
    "openvino_int8": ({"openvino_int8": "openvino_int8.xml",
                       "openvino_int8_b1": "openvino_int8_b1.xml"}, ("openvino",)),
    "onnx": ({"onnx": "model.onnx"}, ("graph",)),
    "ncnn": ({"ncnn_param": "ncnn.param", "ncnn_bin": "ncnn.bin"}, ("onnx",)),
    "tflite": ({"tflite": "model.tflite"}, ("graph",)),
    "tflite_int8": ({"tflite_int8": "model_int8.tflite"}, ("graph",)),
    "torch": ({"torch_graph": "torch.json", "torch_weights": "torch.npz"}, ("onnx",)),
}


class ModelError(Exception):
    """A model could not be made; the text says what failed."""


@dataclasses.dataclass
class Model:
    name: str
    title: str
    directory: pathlib.Path  # of the export: model.pb, oriel.json
    files: dict  # what engines read, by the names above, and "input", "output"
    inputs: pathlib.Path  # .npy [N,H,W,3] f32
    size: int
    inputs_are: str  # in words


def run(command, log):
    """Runs a command; its output goes to the file `log`."""
    with open(log, "w") as output:
        code = subprocess.run([str(c) for c in command], stdout=output,
                              stderr=subprocess.STDOUT, check=False).returncode
    if code != 0:
        last = pathlib.Path(log).read_text(errors="replace").strip().splitlines()[-3:]
        raise ModelError(f"{command[0]} {command[1]} ended with {code} (log: {log}):\n  "
                         + "\n  ".join(last))


def newest(directory):
    """The newest version in an exported model's directory, or None."""
    versions = [p for p in directory.glob("[0-9]*") if (p / "oriel.json").exists()]
    return max(versions, key=lambda p: int(p.name), default=None)


def export(name, oriel, writer, work):
    """The exported model: its directory."""
    done = newest(work / "export" / name)
    if done:
        return done
    command = [oriel, "export", name, "--output-dir", work / "export"]
    if name in MADE_UP:
        # The official weights may be out of reach: made-up ones that keep every
        # layer's values within bounds, those of the golden tests.
        graph = work / "variables.pb"
        run([oriel, "export-inference-graph", "--model_name", name, "--output_file", graph],
            work / "graph.log")
        run([writer, graph, work, 299], work / "checkpoint.log")
        command += ["--checkpoint", work / "v1.ckpt"]
    else:
        weights = sorted((TEST_DATA / "weights").glob(name.replace("_", "-", 1) + "-*.pth"))
        if weights:  # as tools/fetch_test_data.sh leaves them
            command += ["--checkpoint", weights[0]]
    run(command, work / "export.log")
    for leftover in ("v1.ckpt", "v2.ckpt.index", "variables.pb"):
        (work / leftover).unlink(missing_ok=True)
    for leftover in work.glob("v2.ckpt.data-*"):
        leftover.unlink()
    return newest(work / "export" / name)


def make_inputs(name, size, writer, photos, work, convert):
    """(inputs.npy, what they are in words)."""
    if name not in MADE_UP and photos:
        convert("inputs", "photos")
        return work / "inputs.npy", f"{len(photos)} photos"
    if not (work / "inputs.npy").exists():
        run([writer, "-", work, size], work / "inputs.log")
    return work / "inputs.npy", "3 synthetic images"


def find_photos(folder):
    """The image files of a folder, or of the test data."""
    folder = folder or TEST_DATA / "photos"
    return sorted(p for p in pathlib.Path(folder).glob("*")
                  if p.suffix.lower() in (".jpg", ".jpeg", ".png"))


def prepare(name, *, oriel, writer, python, work, targets, photos, int8, tell):
    """Exports the model and makes what `targets` say, unless it was made already by the
    same converters. Returns (Model, {target: why it could not be made})."""
    work = pathlib.Path(work)
    work.mkdir(parents=True, exist_ok=True)
    tell(f"{name}: export")
    directory = export(name, oriel, writer, work)
    if int8 and photos and not (directory / "calibration.json").exists():
        tell(f"{name}: calibrate")
        try:  # for int8; without it Oriel says what is missing when it is asked for int8
            # Made-up weights agree with themselves on nothing: without a guard every
            # operation is int8, as in the peers' models.
            guard = ["--guard", 0] if name in MADE_UP else []
            run([oriel, "calibrate", directory, *photos, "--scan-images", 0, *guard],
                work / "calibrate.log")
        except ModelError as e:
            tell(str(e))
    about = json.loads((directory / "oriel.json").read_text())
    size = about["input"]["height"]
    job = {"graph": str(directory / "model.pb"), "input": about["input"]["node"],
           "output": about["outputs"]["logits"], "size": size, "dir": str(work),
           "images": [str(p) for p in photos], "inputs": str(work / "inputs.npy")}
    made_with = json.dumps([about["model_sha256"], (BENCH / "requirements.txt").read_text(),
                            (BENCH / "convert.py").read_text()])
    made_of_images = json.dumps([made_with, job["images"]])

    def convert(target, what):
        key = made_of_images if target == "inputs" or target.endswith("int8") else made_with
        stamp = work / f"{target}.stamp"
        if stamp.exists() and stamp.read_text() == key:
            return
        tell(f"{name}: {what}")
        stamp.unlink(missing_ok=True)
        run([python, BENCH / "convert.py", target, json.dumps(job)], work / f"{target}.log")
        stamp.write_text(key)

    inputs, inputs_are = make_inputs(name, size, writer, photos, work, convert)
    files = {"input": job["input"], "output": job["output"], "model": str(directory)}
    failed = {}

    def make(target):
        made, needs = TARGETS[target]
        for need in needs:
            make(need)
        bad = next((failed[n] for n in needs if n in failed), None)
        if bad or target in failed:
            failed.setdefault(target, bad)
            return
        try:
            convert(target, f"convert to {target}")
        except ModelError as e:
            failed[target] = str(e)
            return
        files.update({key: str(work / file) for key, file in made.items()})

    for target in targets:
        make(target)
    return Model(name, about["title"], directory, files, inputs, size, inputs_are), failed
