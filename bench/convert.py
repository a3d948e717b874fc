#!/usr/bin/env python3
"""Makes of an exported model what the peers read. Runs in the peers' environment.

usage: convert.py TARGET JSON

JSON: {"graph", "input", "output", "size", "dir", "images": [files] or [], "inputs"}.
Targets, files that they make in dir:
    inputs     inputs.npy: the photos as EfficientNet-Lite wants them
    graph      graph.pb: of the frozen graph what the logits need
    openvino   openvino.xml, .bin and openvino_b1.xml, .bin for one image
    openvino_int8   openvino_int8.xml, ... (NNCF)
    onnx       model.onnx, NCHW input    ncnn            ncnn.param, ncnn.bin (pnnx)
    tflite     model.tflite              tflite_int8     model_int8.tflite
    torch      torch.json, torch.npz: the ONNX graph's nodes and weights
"""

import json
import os
import pathlib
import subprocess
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import numpy


def make_inputs(job, to):
    """The middle of each photo, size/(size+32) of the short side, bicubic, (x-127)/128."""
    import tensorflow
    size = job["size"]
    rows = []
    for path in job["images"]:
        data = pathlib.Path(path).read_bytes()
        image = tensorflow.io.decode_image(data, channels=3, expand_animations=False)
        height, width = image.shape[:2]
        side = int(size / (size + 32) * min(height, width))
        image = tensorflow.image.crop_to_bounding_box(
            image, (height - side + 1) // 2, (width - side + 1) // 2, side, side)
        image = tensorflow.image.resize(image, [size, size], method="bicubic")
        rows.append((image.numpy() - 127) / 128)
    numpy.save(to / "inputs.npy", numpy.stack(rows).astype("f4"))


def make_graph(job, to):
    import tensorflow
    definition = tensorflow.compat.v1.GraphDef()
    definition.ParseFromString(pathlib.Path(job["graph"]).read_bytes())
    needed = tensorflow.compat.v1.graph_util.extract_sub_graph(definition, [job["output"]])
    (to / "graph.pb").write_bytes(needed.SerializeToString())


def save_openvino(model, job, to, name):
    """For any batch, and for one image."""
    import openvino
    for batch, suffix in ((-1, ""), (1, "_b1")):
        model.reshape([batch, job["size"], job["size"], 3])
        openvino.save_model(model, to / f"{name}{suffix}.xml", compress_to_fp16=False)


def make_openvino(job, to):
    import openvino
    save_openvino(openvino.convert_model(to / "graph.pb"), job, to, "openvino")


def make_openvino_int8(job, to):
    import nncf
    import openvino
    images = numpy.load(job["inputs"])
    model = openvino.Core().read_model(to / "openvino.xml")
    model.reshape([1, job["size"], job["size"], 3])
    quantized = nncf.quantize(model, nncf.Dataset([image[None] for image in images]),
                              subset_size=len(images),
                              preset=nncf.QuantizationPreset.PERFORMANCE)
    save_openvino(quantized, job, to, "openvino_int8")


def make_onnx(job, to):
    import onnx
    import tensorflow
    import tf2onnx
    definition = tensorflow.compat.v1.GraphDef()
    definition.ParseFromString((to / "graph.pb").read_bytes())
    name = job["input"] + ":0"
    model, _ = tf2onnx.convert.from_graph_def(
        definition, input_names=[name], output_names=[job["output"] + ":0"],
        inputs_as_nchw=[name], opset=17,
        shape_override={name: [None, job["size"], job["size"], 3]})
    onnx.save(model, to / "model.onnx")


def make_ncnn(job, to):
    import importlib.util
    package = importlib.util.find_spec("pnnx").submodule_search_locations[0]
    program = pathlib.Path(package) / "pnnx"
    program.chmod(0o755)
    work = to / "pnnx"
    work.mkdir(exist_ok=True)
    # pnnx writes beside the file that it reads.
    link = work / "model.onnx"
    link.unlink(missing_ok=True)
    link.symlink_to(to / "model.onnx")
    subprocess.run([program, "model.onnx", f"inputshape=[1,3,{job['size']},{job['size']}]f32",
                    "fp16=0"], cwd=work, check=True)
    for kind in ("param", "bin"):
        (work / f"model.ncnn.{kind}").replace(to / f"ncnn.{kind}")
    for rest in work.iterdir():
        rest.unlink()
    work.rmdir()


def tflite_converter(job, to):
    import tensorflow
    return tensorflow.compat.v1.lite.TFLiteConverter.from_frozen_graph(
        str(to / "graph.pb"), [job["input"]], [job["output"]],
        input_shapes={job["input"]: [1, job["size"], job["size"], 3]})


def make_tflite(job, to):
    (to / "model.tflite").write_bytes(tflite_converter(job, to).convert())


def make_tflite_int8(job, to):
    import tensorflow
    converter = tflite_converter(job, to)
    converter.optimizations = [tensorflow.lite.Optimize.DEFAULT]
    images = numpy.load(job["inputs"])
    converter.representative_dataset = lambda: ([image[None]] for image in images)
    converter.target_spec.supported_ops = [tensorflow.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tensorflow.float32
    converter.inference_output_type = tensorflow.float32
    (to / "model_int8.tflite").write_bytes(converter.convert())


def make_torch(job, to):
    import onnx
    from onnx import helper, numpy_helper
    graph = onnx.load(to / "model.onnx").graph
    arrays = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
    nodes = []
    for node in graph.node:
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        if node.op_type == "Constant":
            arrays[node.output[0]] = numpy_helper.to_array(attributes["value"])
            continue
        attributes = {k: v.decode() if isinstance(v, bytes) else v
                      for k, v in attributes.items()}
        nodes.append({"op": node.op_type, "inputs": list(node.input),
                      "outputs": list(node.output), "attributes": attributes})
    constants = sorted(arrays)
    numpy.savez(to / "torch.npz", **{str(i): arrays[name] for i, name in enumerate(constants)})
    (to / "torch.json").write_text(json.dumps({
        "input": graph.input[0].name, "output": graph.output[0].name,
        "constants": constants, "nodes": nodes}))


def main():
    target, job = sys.argv[1], json.loads(sys.argv[2])
    globals()[f"make_{target}"](job, pathlib.Path(job["dir"]))


if __name__ == "__main__":
    main()
