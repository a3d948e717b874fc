"""ncnn. It has no batches: a batch is its images one after the other."""

import images
import ncnn


class Engine:
    version = ncnn.__version__

    def __init__(self, config):
        self.images = images.Images(config["inputs"], nchw=True)
        self.streams = config["streams"]
        self.net = ncnn.Net()
        self.net.opt.num_threads = config["threads"]
        self.net.opt.use_vulkan_compute = False
        self.net.opt.use_fp16_packed = False
        self.net.opt.use_fp16_storage = False
        self.net.opt.use_fp16_arithmetic = False
        self.net.opt.use_bf16_storage = config["precision"] == "bf16"
        for load, key in ((self.net.load_param, "ncnn_param"), (self.net.load_model, "ncnn_bin")):
            if load(config["files"][key]) != 0:
                raise RuntimeError(f"cannot load {config['files'][key]}")
        self.settings = {"callers": self.streams, "num_threads": config["threads"],
                         "fp16": "off", "winograd": "on"}

    def run(self, image):
        extractor = self.net.create_extractor()
        extractor.input("in0", ncnn.Mat(image))
        code, out = extractor.extract("out0")
        if code != 0:
            raise RuntimeError(f"extract: {code}")
        return out

    def runners(self, batch):
        feed = list(self.images.batch(batch))
        return [lambda: [self.run(image) for image in feed]] * self.streams

    def logits(self):
        return [images.flat(self.run(image[0])) for image in self.images.each()]
