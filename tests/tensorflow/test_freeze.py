"""The original freeze_graph and `oriel freeze-graph` with the same flags: exit codes,
messages, graphs node by node, and what the graphs compute."""

import contextlib
import io
import json
import sys
from unittest import mock

import numpy as np
import tensorflow as tf2
from tensorflow.python.eager import context
from tensorflow.python.tools import freeze_graph

import harness
from harness import FLAGS, read_graph, run_graph, tf

tf.disable_control_flow_v2()
RANDOM = np.random.default_rng(20170130)


def normal(*shape):
    return RANDOM.standard_normal(shape).astype(np.float32)


class Outcome:
    def __init__(self, code, message, path):
        self.code, self.message = code, message
        self.bytes = path.read_bytes() if path.exists() else None
        self.graph = read_graph(path) if path.exists() else None


def original(path, arguments):
    """TensorFlow's tool by its own main, in a graph of its own."""
    path.unlink(missing_ok=True)
    output, code = io.StringIO(), 0
    with tf.Graph().as_default(), \
            mock.patch.object(sys, "argv", ["freeze_graph", *arguments]), \
            contextlib.redirect_stderr(output), contextlib.redirect_stdout(output):
        try:
            freeze_graph.run_main()
        except SystemExit as end:
            code = end.code or 0
        except Exception as error:  # Python's exit code for it
            code = 1
            print(error, file=output)
    return Outcome(code, output.getvalue(), path)


def ours(path, arguments):
    path.unlink(missing_ok=True)
    done = harness.run(FLAGS.oriel, "freeze-graph", *arguments)
    return Outcome(done.returncode, done.stdout + done.stderr, path)


def variable(name, value, resource=False, **flags):
    return tf.get_variable(name, initializer=value, use_resource=resource, **flags)


def references():
    """y = relu(x * a + b); outputs of other types as well."""
    x = tf.placeholder(tf.float32, [None, 3], name="x")
    with tf.device("/device:CPU:0"):
        a = variable("a", normal(3))
        b = variable("scope/b", normal(1))
    tf.nn.relu(x * a + b, name="y")
    for name, value in (("int", np.int64([[1, -2], [3, 4]])), ("bool", np.array([True, False])),
                        ("scalar", np.float64(0.1)), ("half", np.float16([1.5, 2.5, -3])),
                        ("empty", np.zeros([0, 3], np.float32)), ("bytes", np.uint8([7])),
                        ("complex", np.complex64([1 + 2j, 3]))):
        tf.identity(variable(name, value), name=f"{name}_out")
    text = tf.get_variable("text", initializer=tf.constant([b"one", b"", b"\xff\0three"]),
                           use_resource=False)
    tf.identity(text, name="text_out")


TYPED = "int_out,bool_out,scalar_out,half_out,empty_out,bytes_out,complex_out,text_out"


def resources():
    x = tf.placeholder(tf.float32, [None, 3], name="x")
    a, b = variable("a", normal(3), True), variable("scope/b", normal(1), True)
    with tf.control_dependencies([tf.identity(x, name="before")]):
        read = a.read_value()
    with tf.colocate_with(a.handle):
        product = tf.multiply(x, read, name="product")
    tf.nn.relu(product + b, name="y")
    table = variable("table", normal(5, 3), True)
    rows = tf.gather(table, tf.constant([[4, 0], [1, 1]], tf.int64))
    tf.reduce_sum(rows, axis=1, name="rows")
    tf.gather_nd(table, [[0, 1], [4, 2]], name="cells")
    raw = tf.raw_ops.ResourceGatherNd(resource=table.handle, indices=[[1, 1], [2, 0]],
                                      dtype=tf.float32)
    tf.identity(raw, name="raw_cells")


def control_flow(resource):
    def build():
        x = tf.placeholder(tf.float32, [3], name="x")
        a, b = variable("a", normal(3), resource), variable("b", normal(3), resource)
        branch = tf.cond(tf.reduce_sum(x) > 0, lambda: x * tf.identity(a), lambda: x - b)
        loop = tf.while_loop(lambda i, v: i < 3, lambda i, v: (i + 1, v + a),
                             [tf.constant(0), branch])
        tf.identity(loop[1], name="y")
    return build


def partitioned(resource):
    def build():
        x = tf.placeholder(tf.float32, [None, 5], name="x")
        first = tf.get_variable("first", [5, 4], use_resource=resource,
                                partitioner=tf.fixed_size_partitioner(3))
        second = tf.get_variable("second", [4, 6], use_resource=resource,
                                 partitioner=tf.fixed_size_partitioner(2, axis=1))
        tf.matmul(tf.matmul(x, first), second, name="y")
    return build


class Network(tf2.Module):
    """Convolutions with batch norm in a function of their own, as TensorFlow 2 keeps them."""

    def __init__(self):
        super().__init__()
        self.kernels = [tf2.Variable(normal(3, 3, 3, 3)) for _ in range(2)]
        self.statistics = [[tf2.Variable(np.abs(normal(3)) + 0.5) for _ in range(4)]
                           for _ in range(2)]
        self.dense = tf2.Variable(normal(3, 7))

    @tf2.function(autograph=False)
    def block(self, x, i):
        x = tf2.nn.conv2d(x, self.kernels[i], 1, "SAME")
        gamma, beta, mean, variance = self.statistics[i]
        return tf2.nn.relu(tf.nn.fused_batch_norm(x, gamma, beta, mean, variance,
                                                  is_training=False)[0])

    @tf2.function(autograph=False,
                  input_signature=[tf2.TensorSpec([None, 6, 6, 3], tf2.float32, "images")])
    def logits(self, images):
        x = self.block(self.block(images, 0), 1)
        return tf2.matmul(tf2.reduce_mean(x, [1, 2]), self.dense)


class Freeze(harness.TestCase):
    # Building what is frozen.

    def save(self, build, names=None, version=tf.train.SaverDef.V2, name="model", **flags):
        """Writes graph.pb[txt], saver.pb[txt], meta.pb[txt] and a checkpoint to a folder,
        whose path it returns."""
        folder = self.directory / f"{self._testMethodName}_{name}"
        folder.mkdir()
        graph = tf.Graph()
        with graph.as_default():
            build()
            by_name = {v.op.name: v for v in tf.global_variables()}
            variables = names and {new: by_name[old] for old, new in names.items()}
            saver = tf.train.Saver(variables, write_version=version, **flags)
            with harness.session(graph) as s:
                s.run(tf.global_variables_initializer())
                saver.save(s, str(folder / "model"), write_meta_graph=False, write_state=False)
            for suffix, text in ((".pb", False), (".pbtxt", True)):
                tf.train.write_graph(graph, str(folder), "graph" + suffix, as_text=text)
                tf.io.write_graph(saver.as_saver_def(), str(folder), "saver" + suffix,
                                  as_text=text)
                tf.train.export_meta_graph(str(folder / ("meta" + suffix)), as_text=text,
                                           saver_def=saver.as_saver_def())
                tf.train.export_meta_graph(str(folder / ("no_saver" + suffix)), as_text=text)
        return folder

    def saved_model(self, build, text=False, tags=("serve",), name="saved", **flags):
        folder = self.directory / f"{self._testMethodName}_{name}"
        graph = tf.Graph()
        with graph.as_default(), harness.session(graph) as s:
            build()
            main_op = flags.pop("main_op", lambda: None)()
            if tf.global_variables():
                s.run(tf.global_variables_initializer())
            builder = tf.saved_model.Builder(str(folder))
            builder.add_meta_graph_and_variables(s, list(tags), main_op=main_op, **flags)
            builder.save(as_text=text)
        return folder

    # Running both.

    def both(self, *flags):
        arguments = [str(f) for f in flags]
        outcomes = []
        for tool, name in ((original, "original.pb"), (ours, "ours.pb")):
            path = self.directory / name
            outcomes.append(tool(path, [*arguments, f"--output_graph={path}"]))
        return outcomes

    def assert_same(self, *flags, fetches="y", feeds=None):
        """Both succeed, with the same graph, which computes the same."""
        theirs, got = self.both(f"--output_node_names={fetches}", *flags)
        self.assertEqual((theirs.code, got.code), (0, 0), theirs.message + got.message)
        for want, node in zip(theirs.graph.node, got.graph.node):
            self.assertEqual(node, want)
        self.assertEqual(got.graph, theirs.graph)
        self.assertIn(f"{len(got.graph.node)} ops in the final graph.", got.message)
        if feeds is not None:
            names = [f.strip() for f in fetches.split(",")]
            for a, b in zip(run_graph(theirs.graph, names, feeds),
                            run_graph(got.graph, names, feeds)):
                np.testing.assert_array_equal(a, b)
        return got.graph

    def assert_both_fail(self, message, *flags, other=None, codes=(1, 1)):
        """`message` is in what both say, or `other` in what Oriel says."""
        theirs, got = self.both(*flags)
        self.assertEqual((theirs.code, got.code), codes, theirs.message + got.message)
        self.assertIn(message, theirs.message)
        self.assertIn(other or message, got.message)
        self.assertIsNone(theirs.bytes)
        self.assertIsNone(got.bytes)

    def assert_ours_alone(self, message, *flags, fetches="y", feeds=None):
        """The original fails with `message`; the graph that Oriel makes has no variables."""
        theirs, got = self.both(f"--output_node_names={fetches}", *flags)
        self.assertEqual((theirs.code, got.code), (1, 0), theirs.message + got.message)
        self.assertIn(message, theirs.message)
        self.assertFalse([n.op for n in got.graph.node if n.op.startswith("Var")])
        return run_graph(got.graph, fetches.split(","), feeds or {})

    # Graphs and checkpoints.

    def test_text_and_binary_graphs(self):
        folder = self.save(references)
        feeds = {"x": normal(2, 3)}
        for flags in ([f"--input_graph={folder}/graph.pbtxt"],
                      [f"--input_graph={folder}/graph.pb", "--input_binary"],
                      ["--input_graph", f"{folder}/graph.pb", "--input_binary", "TRUE"],
                      [f"--input_graph={folder}/graph.pbtxt", "--input_binary=false"]):
            self.assert_same(*flags, f"--input_checkpoint={folder}/model", feeds=feeds)

    def test_old_checkpoints(self):
        folder = self.save(references, version=tf.train.SaverDef.V1)
        for version in (1, 2):
            self.assert_same(f"--input_graph={folder}/graph.pbtxt", "--input_checkpoint",
                             f"{folder}/model", f"--checkpoint_version={version}",
                             feeds={"x": normal(2, 3)})

    def test_types_and_several_outputs(self):
        folder = self.save(references)
        written = set()
        for _ in range(3):
            path = self.directory / "again.pb"
            written.add(ours(path, [f"--input_graph={folder}/graph.pbtxt",
                                    f"--input_checkpoint={folder}/model",
                                    f"--output_node_names={TYPED}",
                                    f"--output_graph={path}"]).bytes)
        self.assertEqual(len(written), 1)
        graph = self.assert_same(
            f"--input_graph={folder}/graph.pbtxt", f"--input_checkpoint={folder}/model",
            fetches=TYPED.replace(",", " , "), feeds={})
        self.assertEqual(len(graph.node), 24)

    def test_devices(self):
        folder = self.save(references)
        for clear in ("true", "false", "False", "no"):
            graph = self.assert_same(f"--input_graph={folder}/graph.pbtxt",
                                     f"--input_checkpoint={folder}/model",
                                     f"--clear_devices={clear}")
            devices = {n.name for n in graph.node if n.device}
            self.assertEqual(devices, set() if clear == "true" else {"a/read", "scope/b/read"})

    def test_which_variables(self):
        folder = self.save(references)
        for flags in (["--variable_names_whitelist=a"], ["--variable_names_whitelist=a, scope/b"],
                      ["--variable_names_denylist=a"], ["--variable_names_denylist", "scope/b,q"],
                      ["--variable_names_whitelist=a", "--variable_names_denylist=a"]):
            self.assert_same(f"--input_graph={folder}/graph.pbtxt",
                             f"--input_checkpoint={folder}/model", *flags)
        folder = self.save(resources, name="resources")
        for name in ("table", "a"):
            self.assert_same(f"--input_meta_graph={folder}/meta.pb", "--input_binary",
                             f"--input_checkpoint={folder}/model",
                             f"--variable_names_denylist={name}",
                             fetches="y,rows,raw_cells")

    def test_old_and_new_spellings(self):
        folder = self.save(references)
        common = [f"--input_graph={folder}/graph.pbtxt", f"--input_checkpoint={folder}/model",
                  "--output_node_names=y"]
        want = original(self.directory / "want.pb",
                        [*common, "--variable_names_denylist=a", "--clear_devices=false",
                         f"--output_graph={self.directory}/want.pb"])
        for flag in ("--variable_names_denylist=a", "--variable_names_blacklist=a",
                     "--variable-names-blacklist=a", "--variable-names-denylist=a",
                     "--variable_names_whitelist=scope/b", "--variable_names_allowlist=scope/b"):
            got = ours(self.directory / "got.pb",
                       [*(c.replace("input_", "input-") for c in common), flag,
                        "--clear-devices", "false", f"--output-graph={self.directory}/got.pb"])
            self.assertEqual(got.code, 0, got.message)
            self.assertEqual(got.graph, want.graph)

    # Savers and meta graphs.

    def test_savers(self):
        names = {"a": "renamed/a", "scope/b": "b"}
        folder = self.save(references, names)
        feeds = {"x": normal(2, 3)}
        for suffix, binary in (("pb", "true"), ("pbtxt", "false")):
            flags = [f"--input_binary={binary}", f"--input_checkpoint={folder}/model"]
            self.assert_same(*flags, f"--input_graph={folder}/graph.{suffix}",
                             f"--input_saver={folder}/saver.{suffix}", feeds=feeds)
            self.assert_same(*flags, f"--input_meta_graph={folder}/meta.{suffix}", feeds=feeds)
        # By their own names they are not there.
        self.assert_both_fail("No variables to save", "--output_node_names=y",
                              f"--input_graph={folder}/graph.pbtxt",
                              f"--input_checkpoint={folder}/model")

    def test_sharded_and_reshaping_savers(self):
        folder = self.save(references, sharded=True)
        self.assert_same(f"--input_meta_graph={folder}/meta.pb", "--input_binary",
                         f"--input_checkpoint={folder}/model", feeds={"x": normal(2, 3)})
        narrow = self.save(lambda: variable("w", normal(2, 3)), name="narrow")
        wide = self.save(lambda: tf.identity(variable("w", normal(3, 2)), name="y"),
                         name="wide", reshape=True)
        self.assert_same(f"--input_meta_graph={wide}/meta.pb", "--input_binary",
                         f"--input_checkpoint={narrow}/model", feeds={})

    def test_resources(self):
        folder = self.save(resources)
        fetches = "y,rows,cells,raw_cells"
        feeds = {"x": normal(2, 3)}
        flags = ["--input_binary", f"--input_checkpoint={folder}/model"]
        for graph in ("meta.pb", "no_saver.pb"):
            self.assert_same(*flags, f"--input_meta_graph={folder}/{graph}", fetches=fetches,
                             feeds=feeds)
        self.assert_same(*flags, "--input_meta_graph", f"{folder}/meta.pb", "--clear_devices",
                         "false", fetches=fetches)
        with_saver = self.assert_same(*flags, f"--input_graph={folder}/graph.pb",
                                      f"--input_saver={folder}/saver.pb", fetches=fetches)
        # By name the original looks at handles as if they were values.
        got = self.assert_ours_alone("tuple index out of range", *flags,
                                     f"--input_graph={folder}/graph.pb", fetches=fetches,
                                     feeds=feeds)
        for a, b in zip(got, run_graph(with_saver, fetches.split(","), feeds)):
            np.testing.assert_array_equal(a, b)

    def test_control_flow(self):
        for resource in (False, True):
            folder = self.save(control_flow(resource), name=str(resource))
            for sign in (1, -1):
                self.assert_same(f"--input_meta_graph={folder}/meta.pb", "--input_binary",
                                 f"--input_checkpoint={folder}/model",
                                 feeds={"x": sign * np.abs(normal(3))})

    def test_partitioned_variables(self):
        for resource in (False, True):
            folder = self.save(partitioned(resource), name=str(resource))
            feeds = {"x": normal(2, 5)}
            flags = ["--input_binary", f"--input_checkpoint={folder}/model"]
            for graph in ("meta.pb", "no_saver.pb"):
                graph = self.assert_same(*flags, f"--input_meta_graph={folder}/{graph}",
                                         feeds=feeds)
            want, = run_graph(graph, ["y"], feeds)
            got, = self.assert_ours_alone(
                "Models containing partition variables cannot be converted from checkpoint",
                *flags, f"--input_graph={folder}/graph.pb", feeds=feeds)
            np.testing.assert_array_equal(got, want)

    # SavedModels.

    def test_saved_models(self):
        feeds = {"x": normal(2, 3)}
        for text in (False, True):
            folder = self.saved_model(references, text, name=f"saved_{text}")
            self.assert_same(f"--input_saved_model_dir={folder}", feeds=feeds)
        folder = self.saved_model(resources, tags=("serve", "gpu"), name="tags")
        self.assert_same(f"--input_saved_model_dir={folder}", "--saved_model_tags=serve,gpu",
                         fetches="y,rows", feeds=feeds)
        self.assert_same(f"--input_saved_model_dir={folder}", "--saved_model_tags=gpu,serve",
                         "--variable_names_denylist=scope/b")
        self.assert_both_fail("MetaGraphDef associated with tag-set serve could not be found in "
                              "the SavedModel. Please use one of the following tag-sets:",
                              f"--input_saved_model_dir={folder}", "--output_node_names=y")
        folder = self.saved_model(partitioned(False), name="parts")
        self.assert_same(f"--input_saved_model_dir={folder}", feeds={"x": normal(2, 5)})
        folder = self.saved_model(lambda: tf.add(tf.placeholder(tf.float32, name="x"), 1., "y"),
                                  name="plain")
        self.assert_same(f"--input_saved_model_dir={folder}", feeds={"x": normal(2)})

    def test_saved_models_are_initialized(self):
        def build():
            self.value = variable("a", normal(2), resource)
            tf.identity(self.value, name="y")

        for resource in (False, True):
            folder = self.saved_model(
                build, name=str(resource),
                main_op=lambda: tf.group(tf.assign(self.value, [5., 6.]), tf.no_op()))
            graph = self.assert_same(f"--input_saved_model_dir={folder}", feeds={})
            np.testing.assert_array_equal(run_graph(graph, ["y"], {})[0], [5, 6])

    def test_saved_models_of_tensorflow_2(self):
        """The original leaves calls of functions; Oriel puts the functions in their place."""
        folder = self.directory / "tensorflow_2"
        images = normal(2, 6, 6, 3)
        with context.eager_mode():
            module = Network()
            want = module.logits(tf2.constant(images)).numpy()
            tf2.saved_model.save(module, str(folder), signatures=module.logits)
        flags = [f"--input_saved_model_dir={folder}",
                 "--output_node_names=StatefulPartitionedCall"]
        theirs, got = self.both(*flags)
        self.assertEqual((theirs.code, got.code), (0, 0), theirs.message + got.message)
        for graph in (theirs.graph, got.graph):
            logits, = run_graph(graph, ["StatefulPartitionedCall"],
                                {"serving_default_images": images})
            np.testing.assert_allclose(logits, want, rtol=1e-5, atol=1e-5)
        self.assertTrue(theirs.graph.library.function)
        self.assertFalse(got.graph.library.function)
        ops = harness.histogram(got.graph)
        self.assertEqual((ops["Conv2D"], ops["FusedBatchNormV3"], ops["MatMul"]), (2, 2, 1))
        self.assertFalse(set(ops) & {"VarHandleOp", "ReadVariableOp", "StatefulPartitionedCall"})
        # What it computes can be told before it is frozen.
        told = json.loads(harness.run_program(FLAGS.oriel, "inspect", "--json", folder))
        self.assertEqual(told["inputs"], [{"name": "serving_default_images",
                                           "dtype": "float32", "shape": "[?,6,6,3]"}])
        self.assertEqual(told["outputs"], ["StatefulPartitionedCall"])
        self.assertEqual(told["parameters"], 2 * 3 * 3 * 3 * 3 + 2 * 4 * 3 + 3 * 7)
        cost = {layer["op"]: layer["multiply_adds"] for layer in told["layers"]
                if layer["op"] in ("Conv2D", "MatMul")}
        self.assertEqual(cost, {"Conv2D": 6 * 6 * 3 * 3 * 3 * 3, "MatMul": 3 * 7})

    def test_branches_that_read_variables(self):
        """And a counter, which is written for the next call."""
        folder = self.directory / "branches"
        feeds = [normal(2, 4), -np.abs(normal(2, 4))]
        with context.eager_mode():
            module = tf2.Module()
            module.weights, module.rows = tf2.Variable(normal(4, 5)), tf2.Variable(normal(3, 5))
            module.calls = tf2.Variable(np.int64(0))

            @tf2.function(autograph=False,
                          input_signature=[tf2.TensorSpec([None, 4], tf2.float32, "images")])
            def call(images):
                module.calls.assign_add(1)
                scores, count = tf2.cond(
                    tf2.reduce_sum(images) > 0,
                    lambda: (tf2.matmul(images, module.weights), tf2.constant(3)),
                    lambda: (tf2.cond(tf2.shape(images)[0] > 1,
                                      lambda: tf2.gather(module.rows, [1, 0]),
                                      lambda: module.rows + 1.0), tf2.shape(images)[0]))
                return {"a": scores, "b": count * 2}

            want = [[v.numpy() for _, v in sorted(call(tf2.constant(x)).items())] for x in feeds]
            tf2.saved_model.save(module, str(folder), signatures=call)
        theirs, got = self.both(f"--input_saved_model_dir={folder}",
                                "--output_node_names=StatefulPartitionedCall")
        self.assertEqual(got.code, 0, got.message)
        self.assertFalse([n.name for n in got.graph.node if "Variable" in n.op or "Var" in n.op])
        optimized = self.directory / "branches.pb"
        harness.oriel("optimize-for-inference", input=self.directory / "ours.pb",
                      output=optimized, input_names="serving_default_images",
                      output_names="StatefulPartitionedCall")
        for graph in (got.graph, read_graph(optimized)):
            with harness.session(harness.load(graph)) as s:
                for x, values in zip(feeds, want):
                    results = s.run([f"StatefulPartitionedCall:{k}" for k in range(2)],
                                    {"serving_default_images:0": x})
                    for result, value in zip(results, values):
                        np.testing.assert_allclose(result, value, rtol=1e-5, atol=1e-6)

    def test_counters_that_are_read(self):
        """What a call writes and then reads is no constant."""
        folder = self.directory / "counter"
        with context.eager_mode():
            module = tf2.Module()
            module.calls = tf2.Variable(1.0)

            @tf2.function(autograph=False, input_signature=[tf2.TensorSpec([2], tf2.float32)])
            def call(x):
                return x * module.calls.assign_add(1.0).read_value()

            tf2.saved_model.save(module, str(folder), signatures=call)
        theirs, got = self.both(f"--input_saved_model_dir={folder}",
                                "--output_node_names=StatefulPartitionedCall")
        self.assertEqual(got.code, 1, got.message)
        self.assertIn("(AssignAddVariableOp) writes the variable", got.message)
        if theirs.graph is not None:
            with self.assertRaises((ValueError, tf.errors.OpError)):
                run_graph(theirs.graph, ["StatefulPartitionedCall"], {"serving_default_x": [1, 2]})

    def test_several_results(self):
        """As TensorFlow names them: by the number behind the call."""
        folder = self.directory / "several"
        images = normal(2, 4)
        with context.eager_mode():
            module = tf2.Module()
            module.weights = tf2.Variable(normal(4, 5))

            @tf2.function(autograph=False,
                          input_signature=[tf2.TensorSpec([None, 4], tf2.float32, "images")])
            def call(images):
                logits = tf2.matmul(images, module.weights)
                top = tf2.math.top_k(logits, 2)
                return {"a": logits, "b": top.values, "c": top.indices}

            want = [value.numpy() for _, value in sorted(call(tf2.constant(images)).items())]
            tf2.saved_model.save(module, str(folder), signatures=call)
        theirs, got = self.both(f"--input_saved_model_dir={folder}",
                                "--output_node_names=StatefulPartitionedCall")
        self.assertEqual((theirs.code, got.code), (0, 0), theirs.message + got.message)
        optimized = self.directory / "several.pb"
        harness.oriel("optimize-for-inference", input=self.directory / "ours.pb",
                      output=optimized, input_names="serving_default_images",
                      output_names="StatefulPartitionedCall")
        for graph in (theirs.graph, got.graph, read_graph(optimized)):
            with harness.session(harness.load(graph)) as s:
                results = s.run([f"StatefulPartitionedCall:{k}" for k in range(3)],
                                {"serving_default_images:0": images})
            for result, value in zip(results, want):
                np.testing.assert_allclose(result, value, rtol=1e-5, atol=1e-6)

    # Initializers.

    def test_initializer_nodes(self):
        def build():
            a, b, c = (variable(n, normal(2), n == "c") for n in "abc")
            big = tf.get_variable("big", [3000], initializer=tf.zeros_initializer(),
                                  use_resource=True)
            tf.add(a * b, c, name="sum")
            tf.add(tf.reduce_sum(big), tf.identity(c), name="y")
            tf.group(tf.assign(a, [1., 2.]), tf.assign(c, tf.identity(tf.ones([2]))),
                     big.initializer, name="set")
            tf.assign(b, a, name="copy")
            with tf.control_dependencies([tf.assign(a, [7., 8.], name="early")]):
                tf.assign(b, a.read_value(), name="late")
            tf.assign(b, tf.random_normal([2]), name="dice")
            tf.assign_add(a, [1., 1.], name="more")
            table = tf.lookup.StaticHashTable(
                tf.lookup.KeyValueTensorInitializer(["k"], [1]), -1)
            tf.group(tf.tables_initializer(), b.initializer, name="tables")
            tf.placeholder(tf.float32, [2], name="fed")
            tf.assign(a, tf.get_default_graph().get_tensor_by_name("fed:0"), name="from_feed")

        folder = self.save(build)
        graph = ["--input_binary", f"--input_checkpoint={folder}/model",
                 f"--input_meta_graph={folder}/meta.pb"]
        for nodes in ("set", "copy", "late", " set , tables", "a/Assign,b/Assign", "c/Assign",
                      "init", "a"):
            self.assert_same(*graph, f"--initializer_nodes={nodes}", fetches="sum,y", feeds={})
        # An initializer that cannot be followed matters where its variable does.
        for nodes, node in (("more", "node 'more' (AssignAdd): is no plain assignment"),
                            ("dice", "node 'random_normal' (AddV2): is no constant")):
            got = ours(self.directory / "ours.pb",
                       [*graph, "--output_node_names=sum", f"--initializer_nodes={nodes}",
                        f"--output_graph={self.directory}/ours.pb"])
            self.assertEqual(got.code, 1, got.message)
            self.assertIn(node, got.message)
        self.assert_same(*graph, "--initializer_nodes=more", fetches="y", feeds={})
        self.assert_both_fail("The name 'nowhere' refers to an Operation not in the graph.",
                              *graph, "--output_node_names=y", "--initializer_nodes=nowhere")
        self.assert_both_fail("You must feed a value for placeholder tensor 'fed'",
                              *graph, "--output_node_names=y", "--initializer_nodes=from_feed")

    def test_initializer_nodes_with_a_plain_graph(self):
        folder = self.save(references)
        graph = self.assert_same(f"--input_graph={folder}/graph.pbtxt",
                                 f"--input_checkpoint={folder}/model",
                                 "--initializer_nodes=a/Assign,scope/b/Assign",
                                 feeds={"x": normal(2, 3)})
        self.assertNotIn("VariableV2", harness.histogram(graph))

    # Failing.

    def test_missing_files_and_names(self):
        folder = self.save(references)
        graph, model = f"--input_graph={folder}/graph.pbtxt", f"--input_checkpoint={folder}/model"
        y = "--output_node_names=y"
        for message, flags in (
                ("Input graph file '/q' does not exist!", ["--input_graph=/q", model, y]),
                ("Input saver file '/q' does not exist!", [graph, model, y, "--input_saver=/q"]),
                ("Input meta graph file '/q' does not exist!",
                 ["--input_meta_graph=/q", model, y]),
                ("SavedModel file does not exist at: /q", ["--input_saved_model_dir=/q", y]),
                ("Input checkpoint '/q' doesn't exist!", [graph, "--input_checkpoint=/q", y]),
                ("Input checkpoint '' doesn't exist!", [graph, y]),
                ("Input checkpoint '' doesn't exist!", []),
                ("You need to supply the name of a node to --output_node_names.", [graph, model]),
                ("q is not in graph", [graph, model, "--output_node_names=y,q"]),
                ("y:0 is not in graph", [graph, model, "--output_node_names=y:0"]),
                ("Invalid checkpoint version (must be '1' or '2'): 3",
                 [graph, model, y, "--checkpoint_version=3"]),
                ("No variables to save", [model, y])):
            with self.subTest(message):
                self.assert_both_fail(message, *flags)

    def test_flags_that_do_not_parse(self):
        self.assert_both_fail("invalid int value: 'two'", "--checkpoint_version=two",
                              other="--checkpoint_version", codes=(2, 2))
        # The original leaves what it does not know to Abseil's flags.
        for flag in ("--no_such_flag=1", "--no_such_flag"):
            self.assert_both_fail("Unknown command line flag 'no_such_flag'", flag)
        folder = self.save(references)
        self.assert_same(f"--input_graph={folder}/graph.pb", "--input_binary", "true", "word",
                         f"--input_checkpoint={folder}/model", "another")

    def test_freezing_twice(self):
        folder = self.save(references)
        model = f"--input_checkpoint={folder}/model"
        graph = self.assert_same(f"--input_graph={folder}/graph.pbtxt", model)
        frozen = folder / "frozen.pb"
        frozen.write_bytes(graph.SerializeToString())
        self.assert_both_fail("No variables were found in this model. It is likely the model was "
                              "frozen previously. You cannot freeze a graph twice.",
                              f"--input_graph={frozen}", "--input_binary", model,
                              "--output_node_names=y")

    def test_checkpoints_that_do_not_fit(self):
        def one(value):
            return lambda: tf.identity(variable("w", value), name="y")

        folder = self.save(one(np.float32([1, 2])), name="saved")
        model = f"--input_checkpoint={folder}/model"
        y = "--output_node_names=y"
        for name, value, message, other in (
                ("shape", np.float32([1, 2, 3]), "lhs shape= [3] rhs shape= [2]",
                 "variable 'w': the graph has shape [3], the checkpoint [2]"),
                ("dtype", np.float64([1, 2]), "expected dtype double does not equal original",
                 "variable 'w': the graph has float64, the checkpoint float32")):
            other_folder = self.save(one(value), name=name)
            for flags in ([f"--input_graph={other_folder}/graph.pb"],
                          [f"--input_meta_graph={other_folder}/meta.pb"]):
                self.assert_both_fail(message, *flags, "--input_binary", model, y, other=other)

        def two():
            tf.add(variable("w", np.float32([1, 2])), variable("v", np.float32([3])), name="y")

        larger = self.save(two, name="larger")
        self.assert_both_fail("Attempting to use uninitialized value v",
                              f"--input_graph={larger}/graph.pbtxt", model, y)
        self.assert_both_fail("Key v not found in checkpoint",
                              f"--input_meta_graph={larger}/meta.pbtxt", model, y)
        self.assert_same(f"--input_graph={larger}/graph.pbtxt", model, fetches="w/read", feeds={})

    def test_savers_of_other_graphs(self):
        folder = self.save(references)
        saver = folder / "other.pbtxt"
        common = [f"--input_graph={folder}/graph.pbtxt", f"--input_checkpoint={folder}/model",
                  "--output_node_names=y", f"--input_saver={saver}"]
        saver.write_text('filename_tensor_name: "save/Const:0" restore_op_name: "q/restore_all" '
                         'save_tensor_name: "save/control_dependency:0"')
        self.assert_both_fail("The name 'q/restore_all' refers to an Operation not in the graph.",
                              *common)
        saver.write_text('filename_tensor_name: "q:0" restore_op_name: "save/restore_all" '
                         'save_tensor_name: "save/control_dependency:0"')
        self.assert_both_fail("The name 'q:0' refers to a Tensor which does not exist. The "
                              "operation, 'q', does not exist in the graph.", *common)

    # Files and graphs that are not what they should be.

    def test_malformed_files(self):
        folder = self.save(references)
        model, y = f"--input_checkpoint={folder}/model", "--output_node_names=y"
        bad = folder / "bad.pbtxt"
        for text, message, line in (
                ('node { name: "a"\n op: "Const"\n  foo: 3 }',
                 'Message type "tensorflow.NodeDef" has no field named "foo".', 3),
                ('node { name: "a"\n op: 3 }', "", 2),
                ('node { name: "a"', "", 1),
                ('node { name: "a" attr { key: "k" value { type: DT_NONE } } }', "DT_NONE", 1)):
            bad.write_text(text)
            self.assert_both_fail(message, f"--input_graph={bad}", model, y,
                                  other=f"{bad}: is not a text GraphDef: line {line}, column")
        binary = (folder / "graph.pb").read_bytes()
        bad.write_bytes(binary[:-1])
        self.assert_both_fail("Error parsing message", "--input_binary", f"--input_graph={bad}",
                              model, y, other=f"{bad}: is not a binary GraphDef")
        self.assert_both_fail("Error parsing message", "--input_binary",
                              f"--input_graph={folder}/graph.pbtxt", model, y,
                              other="(the file looks like text)")
        self.assert_both_fail("", f"--input_graph={folder}/graph.pb", model, y,
                              other="(the file looks binary)")
        saved = self.saved_model(references)
        (saved / "saved_model.pb").write_bytes(b"\x12\x05ab")
        self.assert_both_fail("Cannot parse proto file", f"--input_saved_model_dir={saved}", y,
                              other=f"{saved}/saved_model.pb: is not a binary SavedModel")

    def test_hostile_graphs(self):
        folder = self.save(references)
        graph = read_graph(folder / "graph.pb")
        path = folder / "hostile.pb"
        index = {node.name: i for i, node in enumerate(graph.node)}

        def hostile(change, message, other):
            changed = tf.GraphDef()
            changed.CopyFrom(graph)
            change(changed.node, changed.node[index["mul"]])
            path.write_bytes(changed.SerializeToString())
            with self.subTest(other):
                self.assert_both_fail(message, f"--input_graph={path}", "--input_binary",
                                      f"--input_checkpoint={folder}/model",
                                      "--output_node_names=y", other=other)

        def set_type(node, dtype):
            node.attr["T"].type = dtype.as_datatype_enum

        def huge(nodes, mul):
            nodes[index["x"]].attr["shape"].shape.dim[0].size = 1 << 62

        def huge_const(nodes, mul):
            const = nodes[index["a/initial_value"]]
            del const.attr["value"].tensor.tensor_shape.dim[:]
            for _ in range(4):
                const.attr["value"].tensor.tensor_shape.dim.add(size=1 << 40)
            mul.input[1] = const.name

        hostile(lambda nodes, mul: nodes.add().CopyFrom(mul), "Node 'mul' is not unique",
                "Duplicate node names detected for mul")
        hostile(lambda nodes, mul: mul.input.__setitem__(0, "q"),
                "Node 'mul': Unknown input node 'q'", "Input for mul not found: q")
        hostile(lambda nodes, mul: mul.input.__setitem__(0, "y"), "nodes in a cycle",
                "is part of a cycle")
        hostile(lambda nodes, mul: set_type(mul, tf.float64),
                "passed float from x:0 incompatible with expected double",
                "node 'mul' (Mul): input 0 ('x') is float32, want float64")
        hostile(lambda nodes, mul: mul.input.__setitem__(0, "x:3"),
                "Connecting to invalid output 3 of source node x",
                "node 'mul' (Mul): input 0 is 'x:3', but Placeholder has 1 outputs")
        hostile(lambda nodes, mul: mul.input.pop(), "{{node mul}}",
                "node 'mul' (Mul): has 1 inputs, want 2")
        hostile(lambda nodes, mul: setattr(mul, "name", ""),
                "Node name contains invalid characters", "has no name")
        hostile(huge, "", "node 'x' (Placeholder)")
        hostile(huge_const, "", "node 'a/initial_value'")


if __name__ == "__main__":
    harness.main()
