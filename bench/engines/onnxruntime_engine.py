"""ONNX Runtime's CPU provider."""

import images
import onnxruntime


class Engine:
    version = onnxruntime.__version__

    def __init__(self, config):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = config["threads"]
        options.inter_op_num_threads = 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        self.images = images.Images(config["inputs"], nchw=True)
        self.sessions = [
            onnxruntime.InferenceSession(config["files"]["onnx"], options,
                                         providers=["CPUExecutionProvider"])
            for _ in range(config["streams"])]
        self.input = self.sessions[0].get_inputs()[0].name
        self.settings = {"sessions": config["streams"], "intra_op_num_threads": config["threads"],
                         "graph_optimization_level": "ORT_ENABLE_ALL", "layout": "NCHW"}

    def runners(self, batch):
        feed = {self.input: self.images.batch(batch)}

        def runner(session):
            return lambda: session.run(None, feed)

        return [runner(session) for session in self.sessions]

    def logits(self):
        return [images.flat(self.sessions[0].run(None, {self.input: image})[0])
                for image in self.images.each()]
