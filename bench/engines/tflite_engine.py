"""TensorFlow Lite (LiteRT) with XNNPACK, its default on CPUs."""

import ai_edge_litert
import images
from ai_edge_litert.interpreter import Interpreter


class Engine:
    version = ai_edge_litert.__version__

    def __init__(self, config):
        int8 = config["precision"] == "int8"
        self.images = images.Images(config["inputs"])
        self.path = config["files"]["tflite_int8" if int8 else "tflite"]
        self.threads = config["threads"]
        self.streams = config["streams"]
        self.settings = {"interpreters": self.streams, "num_threads": self.threads,
                         "delegate": "XNNPACK"}

    def interpreter(self, batch):
        interpreter = Interpreter(self.path, num_threads=self.threads)
        entry = interpreter.get_input_details()[0]
        interpreter.resize_tensor_input(entry["index"], [batch, *entry["shape"][1:]])
        interpreter.allocate_tensors()
        return interpreter

    def runners(self, batch):
        feed = self.images.batch(batch)

        def runner(interpreter):
            interpreter.set_tensor(interpreter.get_input_details()[0]["index"], feed)
            return interpreter.invoke

        return [runner(self.interpreter(batch)) for _ in range(self.streams)]

    def logits(self):
        interpreter = self.interpreter(1)
        entry, result = (d[0]["index"] for d in (interpreter.get_input_details(),
                                                 interpreter.get_output_details()))
        rows = []
        for image in self.images.each():
            interpreter.set_tensor(entry, image)
            interpreter.invoke()
            rows.append(images.flat(interpreter.get_tensor(result)))
        return rows
