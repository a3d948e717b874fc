"""TensorFlow with oneDNN, as a frozen graph in a session: its fastest way to run one."""

import os

os.environ["TF_ENABLE_ONEDNN_OPTS"] = "1"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import images
import tensorflow

tf1 = tensorflow.compat.v1


class Engine:
    version = tensorflow.__version__

    def __init__(self, config):
        files = config["files"]
        self.images = images.Images(config["inputs"])
        self.streams = config["streams"]
        definition = tf1.GraphDef()
        with open(files["graph"], "rb") as f:
            definition.ParseFromString(f.read())
        graph = tensorflow.Graph()
        with graph.as_default():
            tf1.import_graph_def(definition, name="")
        options = tf1.ConfigProto(intra_op_parallelism_threads=config["threads"],
                                  inter_op_parallelism_threads=self.streams)
        if config["precision"] == "bf16":
            rewrites = options.graph_options.rewrite_options
            rewrites.auto_mixed_precision_onednn_bfloat16 = 1
        self.session = tf1.Session(graph=graph, config=options)
        self.call = self.session.make_callable(files["output"] + ":0", [files["input"] + ":0"])
        self.settings = {"oneDNN": "on", "intra_op_parallelism_threads": config["threads"],
                         "inter_op_parallelism_threads": self.streams,
                         "callers": self.streams, "grappler": "default"}

    def runners(self, batch):
        feed = self.images.batch(batch)
        return [lambda: self.call(feed)] * self.streams

    def logits(self):
        return [images.flat(self.call(image)) for image in self.images.each()]
