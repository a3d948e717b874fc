"""OpenVINO's CPU plugin."""

import images
import openvino


class Engine:
    version = openvino.get_version()

    def __init__(self, config):
        files = config["files"]
        self.images = images.Images(config["inputs"])
        self.core = openvino.Core()
        int8 = config["precision"] == "int8"
        self.model = self.core.read_model(files["openvino_int8" if int8 else "openvino"])
        self.streams = config["streams"]
        self.properties = {
            "PERFORMANCE_HINT": "LATENCY" if self.streams == 1 else "THROUGHPUT",
            "NUM_STREAMS": self.streams,
            "INFERENCE_NUM_THREADS": config["threads"] * self.streams,
            # An int8 model computes what is not quantized in this.
            "INFERENCE_PRECISION_HINT": "f32" if int8 else config["precision"],
        }
        self.settings = dict(self.properties)

    def compile(self, batch):
        model = self.model.clone()
        height, width = self.images.images.shape[1:3]
        model.reshape([batch, height, width, 3])
        compiled = self.core.compile_model(model, "CPU", self.properties)
        for key in self.properties:
            self.settings[key] = str(compiled.get_property(key))
        return compiled

    def runners(self, batch):
        compiled = self.compile(batch)
        feed = self.images.batch(batch)

        def runner(request):
            return lambda: request.infer([feed], share_inputs=True, share_outputs=True)

        return [runner(compiled.create_infer_request()) for _ in range(self.streams)]

    def logits(self):
        request = self.compile(1).create_infer_request()
        return [images.flat(request.infer([image])[0]) for image in self.images.each()]
