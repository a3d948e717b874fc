"""Small graphs for test_optimize.py, with the flags of the tools and what comes of them."""

import dataclasses
import typing

import numpy as np

from harness import tf

RANDOM = np.random.default_rng(20151005)
FLOAT, STRING, BOOL = 1, 7, 10


def normal(*shape):
    return RANDOM.standard_normal(shape).astype(np.float32)


def positive(*shape):
    return np.abs(normal(*shape)) + np.float32(0.2)


@dataclasses.dataclass
class Case:
    name: str
    build: typing.Callable
    outputs: tuple = ("y",)
    inputs: str = "x"
    flags: dict = dataclasses.field(default_factory=dict)
    feeds: dict = dataclasses.field(default_factory=dict)  # empty: values are not compared
    error: str = None  # part of both tools' text
    reference: object = None  # a graph to compare with instead of the one that goes in
    original_breaks: bool = False  # what the original makes cannot be run, or differs
    own_ops: dict = dataclasses.field(default_factory=dict)  # counts in Oriel's graph
    tolerance: float = 5e-6
    runs: bool = False  # Oriel's graph is run by Oriel's engine, too
    each_pass: bool = False  # alone, too

    def tool_flags(self):
        flags = {"input_names": self.inputs, "output_names": ",".join(self.outputs)}
        return {k: v for k, v in {**flags, **self.flags}.items() if v is not None}


def image(size=7, channels=3, batch=2):
    return {"x": normal(batch, size, size, channels)}


def graph_def_of(build, size=7, channels=3, batch=None):
    """The GraphDef of `build(x)`, whose result becomes the node y."""
    with tf.Graph().as_default() as graph:
        x = tf.placeholder(tf.float32, [batch, size, size, channels], name="x")
        result = build(x)
        if result is not None and result.op.name != "y":
            tf.identity(result, name="y")
    return graph.as_graph_def()


def conv(x, channels=4, size=3, stride=1, padding="SAME", name="conv", weights=None):
    if weights is None:
        weights = tf.constant(normal(size, size, x.shape[-1], channels), name=f"{name}/w")
    return tf.nn.conv2d(x, weights, [1, stride, stride, 1], padding, name=name)


def parameters(channels, name="norm"):
    return [tf.constant(v, name=f"{name}/{n}")
            for n, v in (("gamma", normal(channels)), ("beta", normal(channels)),
                         ("mean", normal(channels)), ("variance", positive(channels)))]


def fused(x, op=None, name="norm", channels=None, **attributes):
    gamma, beta, mean, variance = parameters(channels or x.shape[-1], name)
    op = op or tf.raw_ops.FusedBatchNormV3
    return op(x=x, scale=gamma, offset=beta, mean=mean, variance=variance, epsilon=0.01,
              is_training=False, name=name, **attributes)[0]


def plain(x):
    x = tf.stop_gradient(tf.identity(tf.identity(x)))
    x = tf.nn.bias_add(conv(x), tf.constant(normal(4)))
    return tf.identity(tf.nn.relu(tf.identity(x)))


def fused_norms(x):
    for i, op in enumerate((tf.raw_ops.FusedBatchNorm, tf.raw_ops.FusedBatchNormV3)):
        x = tf.nn.relu(fused(conv(x, name=f"conv{i}"), op, f"norm{i}"))
    return x


def depthwise_norm(x):
    weights = tf.constant(normal(3, 3, 3, 2))
    return fused(tf.nn.depthwise_conv2d_native(x, weights, [1, 1, 1, 1], "SAME", name="conv"))


def biases_between(x):
    x = fused(tf.nn.bias_add(conv(x, name="a"), tf.constant(normal(4))), name="na")
    x = fused(tf.raw_ops.Add(x=tf.constant(normal(4)), y=conv(x, name="b")), name="nb")
    return fused(tf.raw_ops.AddV2(x=conv(x, name="c"), y=tf.constant(normal(4))), name="nc")


def global_norm(scale):
    """TensorFlow builds this operation no more; the reference is its formula."""
    def build(x):
        y = conv(x)
        gamma, beta, mean, variance = parameters(4)
        return tf.nn.batch_normalization(y, mean, variance, beta, gamma if scale else None,
                                         0.01)

    reference = graph_def_of(build)
    graph_def = tf.GraphDef()
    graph_def.CopyFrom(reference)
    keep = [n for n in graph_def.node if n.op in ("Placeholder", "Const", "Conv2D")]
    graph_def.ClearField("node")
    graph_def.node.extend(keep)
    node = graph_def.node.add(name="y", op="BatchNormWithGlobalNormalization", input=[
        "conv", "norm/mean", "norm/variance", "norm/beta", "norm/gamma"])
    node.attr["T"].type = FLOAT
    node.attr["variance_epsilon"].f = 0.01
    node.attr["scale_after_normalization"].b = scale
    return graph_def, reference


def decomposed(x, add=tf.raw_ops.Add, gamma=True, data=None, name="norm", swapped=False):
    """What tf.nn.batch_normalization made when Add was the only addition."""
    scale, beta, mean, variance = parameters(4, name)
    with tf.name_scope(f"{name}/batchnorm"):
        factor = tf.rsqrt(add(x=variance, y=tf.constant(0.01)), name="Rsqrt")
        if gamma:
            factor = factor * scale
        data = conv(x, name=f"{name}/conv") if data is None else data
        terms = data * factor, beta - mean * factor
    return add(x=terms[swapped], y=terms[not swapped])


def resize(x, size, align=False, half=False):
    return tf.raw_ops.ResizeBilinear(images=x, size=tf.constant([size, size]),
                                     align_corners=align, half_pixel_centers=half)


def mirror(x, mode="REFLECT", by=1):
    return tf.pad(x, [[0, 0], [by, by], [by, by], [0, 0]], mode=mode)


def with_learning_phase(x, version=1):
    if version == 1:
        tf.disable_control_flow_v2()
    phase = tf.placeholder_with_default(False, [], name="keras_learning_phase")
    train = tf.placeholder(tf.bool, [], name="my/phase_train")
    y = tf.cond(phase, lambda: tf.nn.dropout(x, rate=0.5), lambda: tf.identity(x))
    y = tf.cond(train, lambda: y * 100.0, lambda: tf.cond(
        tf.logical_not(phase), lambda: tf.nn.relu(conv(y)), lambda: y[..., :1]))
    tf.enable_control_flow_v2()
    return y


def norm_by_phase(x):
    """As Keras writes a batch norm for training and inference at once."""
    tf.disable_control_flow_v2()
    phase = tf.placeholder_with_default(False, [], name="keras_learning_phase")
    x = conv(x)
    gamma, beta, mean, variance = parameters(4)
    nothing = tf.constant([], tf.float32)
    y = tf.cond(phase, lambda: tf.raw_ops.FusedBatchNormV3(
        x=x, scale=gamma, offset=beta, mean=nothing, variance=nothing, is_training=True)[0],
        lambda: tf.raw_ops.FusedBatchNormV3(
            x=x, scale=gamma, offset=beta, mean=mean, variance=variance, is_training=False)[0])
    tf.enable_control_flow_v2()
    return tf.nn.relu(tf.nn.dropout(y, rate=tf.cast(phase, tf.float32) * 0.5))


def two_inputs():
    with tf.Graph().as_default() as graph:
        a = tf.placeholder(tf.float32, [2, 3], name="a")
        text = tf.placeholder(tf.string, [2], name="text")
        lengths = tf.cast(tf.strings.length(text), tf.float32)
        b = tf.matmul(a, tf.constant(normal(3, 4)), name="inner")
        tf.identity(tf.nn.relu(b + lengths[:, None]), name="y")
    return graph.as_graph_def()


def checked(x):
    x = tf.nn.relu(tf.debugging.check_numerics(x, "bad"))
    return conv(x)


def controlled(x):
    with tf.control_dependencies([tf.identity(x, name="anchor")]):
        x = tf.identity(x, name="guarded")
    located = tf.identity(x, name="located")
    with tf.colocate_with(located):
        x = tf.nn.relu(located, name="near")
    return tf.stop_gradient(x)


def shared_weights(x):
    weights = tf.constant(normal(3, 3, 3, 4), name="shared")
    return fused(conv(x, name="a", weights=weights)) + conv(x, name="b", weights=weights)


def two_norms(x):
    x = conv(x)
    return fused(x, name="one") + fused(x, name="two")


def two_readers(x):
    """The original scales the convolution for both."""
    x = conv(x)
    tf.nn.relu(x, name="raw")
    return fused(x)


def left_alone(x):
    a = fused(tf.nn.relu(conv(x, name="a")), name="na")  # no convolution before it
    w = tf.reshape(tf.constant(normal(108)), [3, 3, 3, 4])
    b = fused(tf.nn.conv2d(x, w, [1, 1, 1, 1], "SAME", name="b"), name="nb")
    c = fused(tf.nn.bias_add(conv(x, name="c"), tf.reduce_mean(x, [0, 1, 2])[:1]
                             * tf.constant(normal(4))), name="nc")
    return a + b + c


def negative_variance(x):
    x = conv(x)
    return tf.raw_ops.FusedBatchNormV3(
        x=x, scale=normal(4), offset=normal(4), mean=normal(4), variance=-positive(4),
        is_training=False)[0]


def without_attributes():
    """Attributes that have their defaults, as other writers leave them out."""
    graph_def = graph_def_of(lambda x: fused(conv(resize(x, 9), name="c", padding="VALID")))
    for node in graph_def.node:
        for name in ("data_format", "dilations", "explicit_paddings", "use_cudnn_on_gpu",
                     "align_corners", "half_pixel_centers"):
            if name in node.attr:
                del node.attr[name]
    return graph_def


def duplicated():
    graph_def = graph_def_of(plain)
    graph_def.node.add().CopyFrom(graph_def.node[1])
    graph_def.node[-1].name = "x"
    return graph_def


def dangling():
    graph_def = graph_def_of(plain)
    graph_def.node[-1].input[0] = "nowhere:1"
    return graph_def


def with_function():
    with tf.Graph().as_default() as graph:
        x = tf.placeholder(tf.float32, [3], name="x")

        @tf.function
        def twice(v):
            return v * 2.0

        tf.identity(tf.nn.relu(twice(x)), name="y")
    return graph.as_graph_def()


def nested_functions(x):
    """Branches in functions in branches, beside nodes that have the functions' names."""
    phase = tf.placeholder_with_default(False, [], name="keras_learning_phase")

    @tf.function(autograph=False)
    def block(v):
        v = tf.cond(phase, lambda: tf.nn.dropout(v, rate=0.5), lambda: tf.identity(v))
        return v * 2.0, tf.shape(v), fused(conv(v), name="norm")

    product, shape, _ = block(x)
    tf.identity(tf.cast(shape, tf.float32) * tf.reduce_sum(product), name="sizes")
    return tf.cond(phase, lambda: x * 100.0, lambda: block(x)[2][..., :3] + 1.0)


def in_float64(x):
    x = tf.cast(x, tf.float64)
    x = tf.nn.conv2d(x, tf.constant(normal(3, 3, 3, 4).astype(np.float64)), [1, 1, 1, 1],
                     "SAME", name="conv")
    gamma, beta, mean, variance = (tf.constant(v.astype(np.float64)) for v in (
        normal(4), normal(4), normal(4), positive(4)))
    factor = tf.rsqrt(tf.raw_ops.Add(x=variance, y=tf.constant(0.01, tf.float64))) * gamma
    return tf.raw_ops.Add(x=x * factor, y=beta - mean * factor)


def norm_cases():
    feeds = image()
    yield Case("fused", lambda: graph_def_of(fused_norms), feeds=feeds,
               own_ops={"BiasAdd": 2, "FusedBatchNorm": 0, "FusedBatchNormV3": 0}, runs=True)
    yield Case("depthwise", lambda: graph_def_of(depthwise_norm), feeds=feeds,
               own_ops={"BiasAdd": 1})
    yield Case("biases_between", lambda: graph_def_of(biases_between), feeds=feeds,
               own_ops={"BiasAdd": 3, "Add": 0, "AddV2": 0}, tolerance=2e-5)
    for scale in (True, False):
        graph_def, reference = global_norm(scale)
        yield Case(f"global_{scale}", lambda g=graph_def: g, feeds=feeds,
                   reference=reference, own_ops={"BiasAdd": 1})
    yield Case("decomposed", lambda: graph_def_of(decomposed), feeds=feeds,
               own_ops={"BiasAdd": 1, "Mul": 0})
    yield Case("decomposed_no_gamma",
               lambda: graph_def_of(lambda x: decomposed(x, gamma=False, swapped=True)),
               feeds=feeds, own_ops={"BiasAdd": 1, "Mul": 0})
    yield Case("decomposed_behind_bias", lambda: graph_def_of(lambda x: decomposed(
        x, data=tf.nn.bias_add(conv(x), tf.constant(normal(4))))), feeds=feeds,
        own_ops={"BiasAdd": 1, "Mul": 0})
    yield Case("decomposed_add_v2",
               lambda: graph_def_of(lambda x: decomposed(x, add=tf.raw_ops.AddV2)),
               feeds=feeds, own_ops={"BiasAdd": 1, "Mul": 0})
    yield Case("decomposed_behind_relu", lambda: graph_def_of(lambda x: decomposed(
        x, data=tf.nn.relu(conv(x)))), feeds=feeds)
    yield Case("decomposed_float64", lambda: graph_def_of(in_float64), feeds=feeds)
    yield Case("left_alone", lambda: graph_def_of(left_alone), feeds=feeds)
    yield Case("shared_weights", lambda: graph_def_of(shared_weights), feeds=feeds,
               error="Input for b not found: shared", own_ops={"BiasAdd": 1})
    yield Case("two_norms", lambda: graph_def_of(two_norms), feeds=feeds,
               error="No node named 'conv_weights' found in map.")
    yield Case("two_readers", lambda: graph_def_of(two_readers), ("y", "raw"), feeds=feeds,
               original_breaks=True)
    yield Case("negative_variance", lambda: graph_def_of(negative_variance),
               error="math domain error")


def resize_cases():
    """One image: TensorFlow's kernels of the fused operations get others of a batch wrong."""
    def one(build):
        return lambda: graph_def_of(build, batch=1)

    feeds = image(batch=1)
    for name, build, op in (
            ("resize_pad", lambda x: conv(mirror(resize(x, 11), by=2), padding="VALID"),
             "FusedResizeAndPadConv2D"),
            ("resize_corners", lambda x: conv(mirror(resize(x, 4, align=True)), stride=2),
             "FusedResizeAndPadConv2D"),
            ("resize_only", lambda x: conv(resize(x, 9), padding="VALID"),
             "FusedResizeAndPadConv2D"),
            ("pad_reflect", lambda x: conv(mirror(x), stride=2, padding="VALID"),
             "FusedPadConv2D"),
            ("pad_symmetric", lambda x: conv(mirror(tf.nn.relu(x), "SYMMETRIC", 3)),
             "FusedPadConv2D")):
        yield Case(name, one(build), feeds=feeds, own_ops={op: 1}, runs=True)
    yield Case("resize_toco", one(lambda x: conv(mirror(resize(x, 9)), padding="VALID")),
               feeds=feeds, flags={"toco_compatible": "True"},
               own_ops={"FusedResizeAndPadConv2D": 0, "Conv2D": 1})
    yield Case("pad_two_readers", one(
        lambda x: (lambda p: conv(p, name="a", padding="VALID") + conv(
            p, name="b", padding="VALID"))(mirror(x))), feeds=feeds,
        own_ops={"FusedPadConv2D": 0})
    yield Case("resize_half_pixel", one(lambda x: conv(resize(x, 9, half=True))), feeds=feeds,
               original_breaks=True, own_ops={"FusedResizeAndPadConv2D": 0})
    yield Case("pad_dilated", one(lambda x: tf.nn.conv2d(
        mirror(x), normal(2, 2, 3, 4), [1, 1, 1, 1], "VALID", dilations=[1, 2, 2, 1])),
        feeds=feeds, original_breaks=True, own_ops={"FusedPadConv2D": 0})
    yield Case("pad_batch", lambda: graph_def_of(lambda x: conv(mirror(x))), feeds=image(),
               original_breaks=True, own_ops={"FusedPadConv2D": 0})


def training_cases():
    feeds = image()
    yield Case("plain", lambda: graph_def_of(plain), feeds=feeds, own_ops={"Identity": 1})
    yield Case("text", lambda: graph_def_of(fused_norms), feeds=feeds,
               flags={"frozen_graph": "false"})
    yield Case("learning_phase", lambda: graph_def_of(with_learning_phase),
               feeds={**feeds, "my/phase_train": np.bool_(False)},
               flags={"placeholder_to_const_names": "phase_train=False,nothing"},
               own_ops={"Switch": 0, "Merge": 0, "RandomUniform": 0, "Mul": 0, "Relu": 1,
                        "Identity": 1}, runs=True)
    yield Case("norm_by_phase", lambda: graph_def_of(norm_by_phase), feeds=feeds, runs=True,
               own_ops={"Switch": 0, "FusedBatchNormV3": 0, "BiasAdd": 1})
    yield Case("learning_phase_v2",
               lambda: graph_def_of(lambda x: with_learning_phase(x, version=2)),
               feeds={**feeds, "my/phase_train": np.bool_(False)}, original_breaks=True,
               own_ops={"If": 0, "StatelessIf": 0, "PartitionedCall": 0, "Switch": 0},
               runs=True,
               flags={"placeholder_to_const_names": "phase_train=False"})
    yield Case("checked", lambda: graph_def_of(checked), feeds=feeds, original_breaks=True,
               own_ops={"CheckNumerics": 0})
    yield Case("controlled", lambda: graph_def_of(controlled), feeds=feeds)
    yield Case("inner_input", two_inputs, inputs="inner", flags={"placeholder_type_enum": "1"},
               error=None, outputs=("y",))
    yield Case("type_list", two_inputs, inputs="text,a",
               flags={"placeholder_type_enum": f"{STRING}, {FLOAT}"},
               feeds={"a": normal(2, 3), "text": np.array([b"four", b""])})
    yield Case("function_library", with_function, original_breaks=True,
               feeds={"x": normal(3)})
    yield Case("nested_functions", lambda: graph_def_of(nested_functions), ("y", "sizes"),
               original_breaks=True, feeds=feeds, runs=True,
               own_ops={"If": 0, "StatelessIf": 0, "PartitionedCall": 0, "BiasAdd": 1,
                        "StatefulPartitionedCall": 0, "FusedBatchNormV3": 0})
    yield Case("call_is_output", with_function, ("PartitionedCall",), original_breaks=True,
               feeds={"x": normal(3)})
    yield Case("without_attributes", without_attributes, feeds=feeds, original_breaks=True)


def scaled(x):
    """Scales and offsets before and after convolutions, most of them constants."""
    x = conv((x * 0.5) / tf.constant([2.0, 3.0, 0.25]), name="a") * tf.constant(normal(4))
    x = tf.nn.bias_add(conv(x, name="b"), tf.constant(normal(4))) * 0.17
    x = (3.0 - tf.nn.relu(x)) * tf.reshape(tf.constant(normal(4)), [1, 1, 1, 4])
    weights = tf.reshape(tf.transpose(tf.constant(normal(5, 36))), [3, 3, 4, 5])
    x = conv(x, name="c", weights=tf.identity(weights) / 2.0, padding="VALID")
    x = 1.0 - tf.nn.bias_add(x, tf.constant(normal(5)))
    size = tf.stack([1, 2]) + tf.shape(tf.constant(normal(4, 3)))[:2]
    return tf.nn.avg_pool2d(x, [1, 2, 2, 1], [1, 1, 1, 1], "SAME")[:, :size[0] * 2 - 7, :size[1]]


def residual(x):
    """Readers and outputs in between, which must not change."""
    net = conv(x, 3, name="stem")
    up = tf.nn.bias_add(conv(net, 3, name="up"), tf.constant(normal(3)))
    scale = tf.multiply(up, 0.3, name="scaled")
    tf.nn.relu(up, name="raw")
    shared = net * 2.0
    return net + scale + conv(shared, 3, name="d") + conv(shared, 3, name="e")


def dropouts(x):
    """In training mode; with rate 0 they can be compared."""
    x = tf.nn.dropout(tf.nn.relu(x), rate=0.0, name="zero") + 0.0
    keep = tf.constant(1.0)
    noise = tf.floor(keep + tf.random_uniform(tf.shape(x)))  # TensorFlow 1.0
    x = (x / keep) * noise
    mask = tf.cast(tf.random_uniform(tf.shape(x)) >= 0.0, tf.float32)
    return conv((x * (1 / tf.constant(1.0))) * mask)


def own_cases():
    """What only Oriel's passes do."""
    feeds = image()
    yield Case("scaled", lambda: graph_def_of(scaled), feeds=feeds, runs=True, tolerance=2e-5,
               own_ops={"Conv2D": 3, "RealDiv": 0, "Reshape": 0, "Transpose": 0, "Pack": 0,
                        "Shape": 0, "AddV2": 0, "Sub": 1, "Mul": 1})
    yield Case("residual", lambda: graph_def_of(residual), ("y", "raw", "scaled", "stem"),
               feeds=feeds, own_ops={"Mul": 2})
    yield Case("dropouts", lambda: graph_def_of(dropouts), feeds=feeds,
               own_ops={"RandomUniform": 0, "Floor": 0, "GreaterEqual": 0})
    yield Case("one_by_one", lambda: graph_def_of(lambda x: scaled(fused(x))), feeds=feeds,
               tolerance=2e-5, each_pass=True)
    yield Case("one_by_one_training",
               lambda: graph_def_of(lambda x: controlled(with_learning_phase(x))), each_pass=True,
               feeds={**feeds, "my/phase_train": np.bool_(False)},
               flags={"placeholder_to_const_names": "phase_train=False"})


def failing_cases():
    yield Case("missing_file", lambda: None, error="in.pb' does not exist!")
    yield Case("missing_input", lambda: graph_def_of(plain), inputs="x,image",
               error="The following input nodes were not found: {'image'}.")
    yield Case("no_inputs", lambda: graph_def_of(plain), inputs="",
               error="The following input nodes were not found: {''}.")
    yield Case("tensor_name", lambda: graph_def_of(plain), inputs="x:0",
               error="Name 'x:0' appears to refer to a Tensor, not an Operation.")
    yield Case("missing_output", lambda: graph_def_of(plain), ("y", "z"),
               error="z is not in graph")
    yield Case("blank_output", lambda: graph_def_of(plain), ("y", " y"),
               error=" y is not in graph")
    yield Case("bad_type", lambda: graph_def_of(plain),
               flags={"placeholder_type_enum": "float"},
               error="invalid literal for int() with base 10: 'float'")
    yield Case("empty_type", lambda: graph_def_of(plain), flags={"placeholder_type_enum": ""},
               error="invalid literal for int() with base 10: ''")
    yield Case("short_type_list", two_inputs, inputs="a,text,inner",
               flags={"placeholder_type_enum": "1,7"}, error="list index out of range")
    yield Case("duplicated", duplicated, error="Duplicate node names detected for x")
    yield Case("dangling", dangling, error="Input for y not found: nowhere:1")


def all_cases():
    for cases in (norm_cases, resize_cases, training_cases, own_cases, failing_cases):
        yield from cases()
