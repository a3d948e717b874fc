"""Checkpoints that Oriel writes, read by TensorFlow and the safetensors package; and
Keras's and timm's Inception-ResNet-v2 as TF-slim's, by `oriel convert-checkpoint`."""

import harness  # first: it makes TensorFlow quiet
from harness import FLAGS, GOLDEN, ROOT, oriel, read_graph, run_graph, tf

tf.enable_eager_execution()

import json

import formula
import h5py
import keras
import numpy as np
import safetensors.numpy

FIXTURES = ROOT / "testdata" / "fixtures"
NETWORK = "inception_resnet_v2"
LOGITS = "InceptionResnetV2/Logits/Logits/BiasAdd"


def convert(source, target, **flags):
    arguments = [f"--{k.replace('_', '-')}={v}" for k, v in flags.items()]
    return harness.run_program(FLAGS.oriel, "convert-checkpoint", source, target, "--quiet",
                               *arguments)


def read_checkpoint(path):
    """What TensorFlow reads: of V1 checkpoints its reader does not know all dtypes."""
    reader = tf.train.load_checkpoint(str(path))
    values = {}
    for name in reader.get_variable_to_shape_map():
        try:
            values[name] = reader.get_tensor(name)
        except tf.errors.UnimplementedError:
            continue
    return values


class Formats(harness.TestCase):
    def assert_same(self, got, want):
        self.assertEqual(sorted(got), sorted(want))
        for name, value in want.items():
            np.testing.assert_array_equal(got[name], value, name)
            self.assertEqual(np.asarray(got[name]).dtype, np.asarray(value).dtype, name)

    def test_tensorflow_reads_what_is_converted(self):
        source = FIXTURES / "dtypes_v1.ckpt"
        want = read_checkpoint(source)
        self.assertGreater(len(want), 10)
        for target in ("tensorflow-v1", "tensorflow-v2"):
            path = self.directory / target
            convert(source, path, to=target)
            got = read_checkpoint(path)
            self.assert_same({n: v for n, v in got.items() if n in want}, want)
            self.assertEqual(tf.train.list_variables(str(path)),
                             tf.train.list_variables(str(source)))

    def test_saver_restores_what_is_converted(self):
        convert(FIXTURES / "partitioned_v1.ckpt", self.directory / "whole")
        want = read_checkpoint(self.directory / "whole")
        with tf.Graph().as_default() as graph:
            variables = {n: tf.get_variable(n, v.shape, v.dtype) for n, v in want.items()}
            with harness.session(graph) as s:
                tf.train.Saver().restore(s, str(self.directory / "whole"))
                self.assert_same({n: s.run(v) for n, v in variables.items()}, want)

    def test_safetensors_package_reads_what_is_converted(self):
        path = self.directory / "all.safetensors"
        harness.run_program(FLAGS.oriel, "convert-checkpoint", FIXTURES / "dtypes_v2.ckpt", path,
                            "--drop", "*string", "--drop", "q/*", "--metadata", "origin=test")
        want = {n: v for n, v in read_checkpoint(FIXTURES / "dtypes_v2.ckpt").items()
                if "string" not in n and not n.startswith("q/")}
        self.assert_same(safetensors.numpy.load_file(path), want)
        with safetensors.safe_open(path, "np") as file:
            self.assertEqual(file.metadata(), {"origin": "test"})


def deterministic_weights(model):
    """Values that keep the activations of a deep network in range."""
    random = np.random.default_rng(7)
    for variable in model.weights:
        shape, name = variable.shape, variable.name
        value = random.normal(size=shape).astype(np.float32)
        if name == "kernel":
            value *= np.sqrt(2 / np.prod(shape[:-1]))
        elif name == "moving_variance":
            value = np.exp(0.2 * value) + 0.5
        else:
            value *= 0.1
        variable.assign(value)


def save_as_keras2(model, path):
    """The layout of the weights that are published: names end with the number of an output,
    layers are numbered from 1. Keras loads such files by the order of layers alone, so other
    names do as well."""
    with h5py.File(path, "w") as file:
        layers = [(f"layer_{i + 1}", layer.weights) for i, layer in enumerate(model.layers)]
        file.attrs["layer_names"] = np.array([name.encode() for name, _ in layers])
        for name, weights in layers:
            group = file.create_group(name)
            names = [f"{name}/{w.name}:0" for w in weights]
            group.attrs["weight_names"] = np.array([n.encode() for n in names])
            for weight_name, weight in zip(names, weights):
                group.create_dataset(weight_name, data=weight.numpy())


class InceptionResnetV2(harness.TestCase):
    SIZE = 75

    def model(self):
        keras.backend.clear_session()  # layers are numbered from 0 again
        model = keras.applications.InceptionResNetV2(
            weights=None, input_shape=(self.SIZE, self.SIZE, 3), classifier_activation=None)
        return model

    def freeze(self, checkpoint, tag):
        """The network with this checkpoint, whatever its names."""
        graph, frozen = self.directory / "graph.pb", self.directory / f"{tag}.pb"
        oriel("export-inference-graph", model_name=NETWORK, image_size=self.SIZE,
              num_classes=1000, create_aux_logits="false", output_file=graph)
        oriel("freeze-graph", input_graph=graph, input_binary="true", model_name=NETWORK,
              input_checkpoint=checkpoint, output_graph=frozen, output_node_names=LOGITS)
        return frozen

    def test_keras_to_slim_and_back(self):
        model = self.model()
        deterministic_weights(model)
        images = np.random.default_rng(8).uniform(-1, 1, (2, self.SIZE, self.SIZE, 3))
        images = images.astype(np.float32)
        want = model(images, training=False).numpy()

        files = {"keras2": self.directory / "keras2.h5", "keras3": self.directory / "k.weights.h5"}
        save_as_keras2(model, files["keras2"])
        model.save_weights(files["keras3"])
        # Both files are the same checkpoint under slim's names.
        for tag, file in files.items():
            convert(file, self.directory / tag, map=f"{NETWORK}:slim")
        for suffix in (".index", ".data-00000-of-00001"):
            self.assertEqual((self.directory / f"keras2{suffix}").read_bytes(),
                             (self.directory / f"keras3{suffix}").read_bytes())
        (self.directory / "keras3.data-00000-of-00001").unlink()

        # The network is the same function in TensorFlow; --model_name freezes the .h5 itself.
        frozen = self.freeze(self.directory / "keras2", "slim")
        self.assertEqual(self.freeze(files["keras3"], "h5").read_bytes(), frozen.read_bytes())
        got, = run_graph(read_graph(frozen), [LOGITS], {"input": images})
        np.testing.assert_allclose(got, want, atol=2e-4 * np.abs(want).max())

        # Back to Keras's names; 1001 classes once and 1000 again on the way.
        background, back = self.directory / "background", self.directory / "back.safetensors"
        convert(self.directory / "keras2", background, map=f"{NETWORK}:timm", background="add")
        self.assertEqual(dict(tf.train.list_variables(str(background)))["classif.bias"], [1001])
        convert(background, back, map=f"{NETWORK}:keras", background="drop")
        tensors = safetensors.numpy.load_file(back)
        self.assertEqual(len(tensors), len(model.weights))
        for weight in model.weights:
            layer, name = weight.path.split("/")[-2:]
            np.testing.assert_array_equal(tensors[f"{layer}/{name}"], weight.numpy(), weight.path)
        convert(background, back, map=f"{NETWORK}:keras3", background="drop")
        with h5py.File(files["keras3"]) as file:
            for name, value in safetensors.numpy.load_file(back).items():
                np.testing.assert_array_equal(file[name][()], value, name)

    def test_timm_to_slim_to_keras_and_back(self):
        """timm's own logits with weights of a formula (testdata/nets/README.md)."""
        want = np.load(GOLDEN / "timm_inception_resnet_v2.npy")
        listed = [line.split("\t") for line in
                  (GOLDEN / "timm_inception_resnet_v2.txt").read_text().splitlines()]
        shapes = {name: tuple(json.loads(shape)) for name, _, shape in listed}
        images, tolerance = formula.images(self.SIZE), 2e-4 * np.abs(want).max()
        timm, slim = self.directory / "timm.safetensors", self.directory / "from_timm"
        safetensors.numpy.save_file(formula.pytorch_weights(shapes), timm)

        # With the file as it is, and by its conversion to slim's names.
        convert(timm, slim, map=f"{NETWORK}:slim")
        frozen = self.freeze(slim, "slim")
        self.assertEqual(self.freeze(timm, "timm").read_bytes(), frozen.read_bytes())
        got, = run_graph(read_graph(frozen), [LOGITS], {"input": images})
        np.testing.assert_allclose(got, want, atol=tolerance)

        # Keras computes the same.
        convert(timm, self.directory / "keras.safetensors", map=f"{NETWORK}:keras")
        tensors = safetensors.numpy.load_file(self.directory / "keras.safetensors")
        model = self.model()
        for weight in model.weights:
            layer, name = weight.path.split("/")[-2:]
            weight.assign(tensors.pop(f"{layer}/{name}"))
        self.assertFalse(tensors)
        np.testing.assert_allclose(model(images, training=False), want, atol=tolerance)

        # What is written for timm has each tensor of its state_dict, and is the same network.
        back = self.directory / "back.safetensors"
        convert(slim, back, map=f"{NETWORK}:timm")
        with safetensors.safe_open(back, "np") as file:
            self.assertEqual({name: (str(file.get_tensor(name).dtype), file.get_tensor(name).shape)
                              for name in file.keys()},
                             {name: (dtype, shapes[name]) for name, dtype, _ in listed})
        convert(back, self.directory / "again", map=f"{NETWORK}:slim")
        for suffix in (".index", ".data-00000-of-00001"):
            self.assertEqual((self.directory / f"again{suffix}").read_bytes(),
                             slim.with_name(slim.name + suffix).read_bytes())


if __name__ == "__main__":
    harness.main()
