"""Classifiers that Keras does not have, as TensorFlow 1 graphs with frozen variables.

Each function of NETWORKS takes Layers and the images and returns the logits. Layers and
widths are those of the papers and of TF-Slim's documentation; weights are random with
fixed seeds, statistics of batch norms are those of a random batch, so that numbers stay
of one size through all layers.
"""

import numpy as np
import tensorflow as tf2

tf = tf2.compat.v1

CLASSES = 1001


class Layers:
    """Adds layers to the default graph. With `training` batch norms take the statistics
    of the batch and keep them in `statistics`, by variable."""

    def __init__(self, training, seed=11):
        self.training = training
        self.seed = seed
        self.statistics = []

    def variable(self, name, shape, initializer):
        return tf.get_variable(name, shape, initializer=initializer, use_resource=False)

    def weights(self, shape, name="weights", gain=2.0):
        self.seed += 1
        return self.variable(name, shape, tf.variance_scaling_initializer(gain, seed=self.seed))

    def around(self, middle, channels, name):
        self.seed += 1
        return self.variable(name, [channels], tf.random_uniform_initializer(
            middle - 0.3, middle + 0.3, seed=self.seed))

    def batch_norm(self, x, scale=False, epsilon=0.001):
        channels = x.shape[-1]
        with tf.variable_scope("BatchNorm"):
            gamma = self.around(1, channels, "gamma") if scale else tf.ones([channels])
            beta = self.around(0, channels, "beta")
            mean = self.variable("moving_mean", [channels], tf.zeros_initializer())
            variance = self.variable("moving_variance", [channels], tf.ones_initializer())
            given = {} if self.training else dict(mean=mean, variance=variance)
            y, batch_mean, batch_variance = tf.nn.fused_batch_norm(
                x, gamma, beta, epsilon=epsilon, is_training=self.training, **given)
            if self.training:
                self.statistics += [(mean, batch_mean), (variance, batch_variance)]
            return y

    def conv(self, x, name, channels, kernel, stride=1, padding="SAME", norm=True,
             activation=True, **norm_options):
        """Convolution, batch norm or bias, ReLU."""
        kernel = kernel if isinstance(kernel, tuple) else (kernel, kernel)
        with tf.variable_scope(name):
            weights = self.weights([*kernel, int(x.shape[-1]), channels])
            x = tf.nn.conv2d(x, weights, [1, stride, stride, 1], padding)
            if norm:
                x = self.batch_norm(x, **norm_options)
            else:
                x = tf.nn.bias_add(x, self.around(0, channels, "biases"))
            return tf.nn.relu(x) if activation else x

    def chain(self, x, name, *steps):
        """Convolutions one after the other; a step is (channels, kernel[, stride, padding])."""
        with tf.variable_scope(name):
            for i, step in enumerate(steps):
                x = self.conv(x, f"Conv2d_0{chr(97 + i)}", *step)
        return x

    def max_pool(self, x, size=3, stride=2, padding="SAME"):
        return tf.nn.max_pool2d(x, size, stride, padding)

    def avg_pool(self, x, size=3, stride=1, padding="SAME"):
        return tf.nn.avg_pool2d(x, size, stride, padding)

    def pooled(self, x, name, pool, channels):
        return self.chain(pool(x), name, (channels, 1))

    def dense(self, x, name="Logits"):
        with tf.variable_scope(name):
            weights = self.weights([int(x.shape[-1]), CLASSES], gain=4.0)
            return tf.nn.bias_add(tf.matmul(x, weights), self.around(0, CLASSES, "biases"))

    def conv_head(self, x, window):
        """Slim's: pool, dropout (nothing at inference), 1x1 convolution, squeeze."""
        x = tf.identity(self.avg_pool(x, window, window, "VALID"), "Dropout_0b")
        x = self.conv(x, "Conv2d_0c_1x1", CLASSES, 1, norm=False, activation=False)
        return tf.squeeze(x, [1, 2], name="SpatialSqueeze")


def inception_v1(n, x):
    def mixed(x, name, a, b, c, d):
        with tf.variable_scope(name):
            return tf.concat([
                n.chain(x, "Branch_0", (a, 1)),
                n.chain(x, "Branch_1", (b[0], 1), (b[1], 3)),
                n.chain(x, "Branch_2", (c[0], 1), (c[1], 3)),
                n.pooled(x, "Branch_3", lambda x: n.max_pool(x, 3, 1), d)], 3)

    x = n.max_pool(n.conv(x, "Conv2d_1a_7x7", 64, 7, 2))
    x = n.max_pool(n.conv(n.conv(x, "Conv2d_2b_1x1", 64, 1), "Conv2d_2c_3x3", 192, 3))
    x = mixed(x, "Mixed_3b", 64, (96, 128), (16, 32), 32)
    x = n.max_pool(mixed(x, "Mixed_3c", 128, (128, 192), (32, 96), 64))
    x = mixed(x, "Mixed_4b", 192, (96, 208), (16, 48), 64)
    x = mixed(x, "Mixed_4c", 160, (112, 224), (24, 64), 64)
    x = mixed(x, "Mixed_4d", 128, (128, 256), (24, 64), 64)
    x = mixed(x, "Mixed_4e", 112, (144, 288), (32, 64), 64)
    x = n.max_pool(mixed(x, "Mixed_4f", 256, (160, 320), (32, 128), 128), 2, 2)
    x = mixed(x, "Mixed_5b", 256, (160, 320), (32, 128), 128)
    return n.conv_head(mixed(x, "Mixed_5c", 384, (192, 384), (48, 128), 128), 7)


def googlenet(n, x):
    """The Inception of 2014: no batch norm, local response normalization, 5x5 windows."""
    def lrn(x):
        return tf.nn.lrn(x, depth_radius=2, bias=1.0, alpha=2e-5, beta=0.75)

    def conv(x, name, channels, kernel, stride=1):
        return n.conv(x, name, channels, kernel, stride, norm=False)

    def mixed(x, name, a, b, c, d):
        with tf.variable_scope(name):
            return tf.concat([
                conv(x, "1x1", a, 1),
                conv(conv(x, "3x3_reduce", b[0], 1), "3x3", b[1], 3),
                conv(conv(x, "5x5_reduce", c[0], 1), "5x5", c[1], 5),
                conv(n.max_pool(x, 3, 1), "pool_reduce", d, 1)], 3)

    x = lrn(n.max_pool(conv(x, "conv2d0", 64, 7, 2)))
    x = n.max_pool(lrn(conv(conv(x, "conv2d1", 64, 1), "conv2d2", 192, 3)))
    x = mixed(x, "mixed3a", 64, (96, 128), (16, 32), 32)
    x = n.max_pool(mixed(x, "mixed3b", 128, (128, 192), (32, 96), 64))
    x = mixed(x, "mixed4a", 192, (96, 204), (16, 48), 64)
    x = mixed(x, "mixed4b", 160, (112, 224), (24, 64), 64)
    x = mixed(x, "mixed4c", 128, (128, 256), (24, 64), 64)
    x = mixed(x, "mixed4d", 112, (144, 288), (32, 64), 64)
    x = n.max_pool(mixed(x, "mixed4e", 256, (160, 320), (32, 128), 128))
    x = mixed(x, "mixed5a", 256, (160, 320), (48, 128), 128)
    x = n.avg_pool(mixed(x, "mixed5b", 384, (192, 384), (48, 128), 128), 7, 1, "VALID")
    return n.dense(tf.reshape(x, [-1, 1024]), "softmax2")


def inception_v2(n, x):
    def mixed(x, name, a, b, c, d, pool=None):
        with tf.variable_scope(name):
            return tf.concat([
                n.chain(x, "Branch_0", (a, 1)),
                n.chain(x, "Branch_1", (b[0], 1), (b[1], 3)),
                n.chain(x, "Branch_2", (c[0], 1), (c[1], 3), (c[1], 3)),
                n.pooled(x, "Branch_3", pool or n.avg_pool, d)], 3)

    def reduction(x, name, a, b):
        with tf.variable_scope(name):
            return tf.concat([
                n.chain(x, "Branch_0", (a[0], 1), (a[1], 3, 2)),
                n.chain(x, "Branch_1", (b[0], 1), (b[1], 3), (b[1], 3, 2)),
                n.max_pool(x)], 3)

    with tf.variable_scope("Conv2d_1a_7x7"):  # separable
        depthwise = n.weights([7, 7, 3, 8], "depthwise_weights")
        pointwise = n.weights([1, 1, 24, 64], "pointwise_weights")
        x = tf.nn.separable_conv2d(x, depthwise, pointwise, [1, 2, 2, 1], "SAME")
        x = tf.nn.relu(n.batch_norm(x))
    x = n.conv(n.max_pool(x), "Conv2d_2b_1x1", 64, 1)
    x = n.max_pool(n.conv(x, "Conv2d_2c_3x3", 192, 3))
    x = mixed(x, "Mixed_3b", 64, (64, 64), (64, 96), 32)
    x = mixed(x, "Mixed_3c", 64, (64, 96), (64, 96), 64)
    x = reduction(x, "Mixed_4a", (128, 160), (64, 96))
    x = mixed(x, "Mixed_4b", 224, (64, 96), (96, 128), 128)
    x = mixed(x, "Mixed_4c", 192, (96, 128), (96, 128), 128)
    x = mixed(x, "Mixed_4d", 160, (128, 160), (128, 160), 96)
    x = mixed(x, "Mixed_4e", 96, (128, 192), (160, 192), 96)
    x = reduction(x, "Mixed_5a", (128, 192), (192, 256))
    x = mixed(x, "Mixed_5b", 352, (192, 320), (160, 224), 128)
    x = mixed(x, "Mixed_5c", 352, (192, 320), (192, 224), 128, lambda x: n.max_pool(x, 3, 1))
    return n.conv_head(x, 7)


def inception_v4(n, x):
    def block_a(x, name):
        with tf.variable_scope(name):
            return tf.concat([
                n.chain(x, "Branch_0", (96, 1)),
                n.chain(x, "Branch_1", (64, 1), (96, 3)),
                n.chain(x, "Branch_2", (64, 1), (96, 3), (96, 3)),
                n.pooled(x, "Branch_3", n.avg_pool, 96)], 3)

    def block_b(x, name):
        with tf.variable_scope(name):
            return tf.concat([
                n.chain(x, "Branch_0", (384, 1)),
                n.chain(x, "Branch_1", (192, 1), (224, (1, 7)), (256, (7, 1))),
                n.chain(x, "Branch_2", (192, 1), (192, (7, 1)), (224, (1, 7)), (224, (7, 1)),
                        (256, (1, 7))),
                n.pooled(x, "Branch_3", n.avg_pool, 128)], 3)

    def fork(x, name):
        with tf.variable_scope(name):
            return [n.conv(x, "Conv2d_1x3", 256, (1, 3)), n.conv(x, "Conv2d_3x1", 256, (3, 1))]

    def block_c(x, name):
        with tf.variable_scope(name):
            b = n.chain(x, "Branch_1", (384, 1))
            c = n.chain(x, "Branch_2", (384, 1), (448, (3, 1)), (512, (1, 3)))
            return tf.concat([n.chain(x, "Branch_0", (256, 1)), *fork(b, "Branch_1"),
                              *fork(c, "Branch_2"),
                              n.pooled(x, "Branch_3", n.avg_pool, 256)], 3)

    def pool(x):
        return n.max_pool(x, 3, 2, "VALID")

    x = n.chain(x, "Stem", (32, 3, 2, "VALID"), (32, 3, 1, "VALID"), (64, 3))
    x = tf.concat([pool(x), n.chain(x, "Mixed_3a", (96, 3, 2, "VALID"))], 3)
    with tf.variable_scope("Mixed_4a"):
        x = tf.concat([
            n.chain(x, "Branch_0", (64, 1), (96, 3, 1, "VALID")),
            n.chain(x, "Branch_1", (64, 1), (64, (1, 7)), (64, (7, 1)), (96, 3, 1, "VALID"))], 3)
    x = tf.concat([n.chain(x, "Mixed_5a", (192, 3, 2, "VALID")), pool(x)], 3)
    for name in "bcde":
        x = block_a(x, f"Mixed_5{name}")
    with tf.variable_scope("Mixed_6a"):
        x = tf.concat([
            n.chain(x, "Branch_0", (384, 3, 2, "VALID")),
            n.chain(x, "Branch_1", (192, 1), (224, 3), (256, 3, 2, "VALID")), pool(x)], 3)
    for name in "bcdefgh":
        x = block_b(x, f"Mixed_6{name}")
    with tf.variable_scope("Mixed_7a"):
        x = tf.concat([
            n.chain(x, "Branch_0", (192, 1), (192, 3, 2, "VALID")),
            n.chain(x, "Branch_1", (256, 1), (256, (1, 7)), (320, (7, 1)),
                    (320, 3, 2, "VALID")), pool(x)], 3)
    for name in "bcd":
        x = block_c(x, f"Mixed_7{name}")
    x = n.avg_pool(x, 8, 1, "VALID")
    return n.dense(tf.reshape(x, [-1, 1536]))


def inception_resnet_v1(n, x):
    def residual(x, name, scale, branches, activation=True):
        with tf.variable_scope(name):
            mixed = tf.concat([n.chain(x, f"Branch_{i}", *steps)
                               for i, steps in enumerate(branches)], 3)
            up = n.conv(mixed, "Conv2d_1x1", int(x.shape[-1]), 1, norm=False, activation=False)
            x = x + scale * up
            return tf.nn.relu(x) if activation else x

    def pool(x):
        return n.max_pool(x, 3, 2, "VALID")

    x = n.chain(x, "Stem", (32, 3, 2, "VALID"), (32, 3, 1, "VALID"), (64, 3))
    x = n.chain(pool(x), "Stem_3", (80, 1), (192, 3, 1, "VALID"), (256, 3, 2, "VALID"))
    for i in range(5):
        x = residual(x, f"block35_{i + 1}", 0.17, [[(32, 1)], [(32, 1), (32, 3)],
                                                   [(32, 1), (32, 3), (32, 3)]])
    with tf.variable_scope("Mixed_6a"):
        x = tf.concat([n.chain(x, "Branch_0", (384, 3, 2, "VALID")),
                       n.chain(x, "Branch_1", (192, 1), (192, 3), (256, 3, 2, "VALID")),
                       pool(x)], 3)
    for i in range(10):
        x = residual(x, f"block17_{i + 1}", 0.10,
                     [[(128, 1)], [(128, 1), (128, (1, 7)), (128, (7, 1))]])
    with tf.variable_scope("Mixed_7a"):
        x = tf.concat([n.chain(x, "Branch_0", (256, 1), (384, 3, 2, "VALID")),
                       n.chain(x, "Branch_1", (256, 1), (256, 3, 2, "VALID")),
                       n.chain(x, "Branch_2", (256, 1), (256, 3), (256, 3, 2, "VALID")),
                       pool(x)], 3)
    for i in range(6):
        last = i == 5
        x = residual(x, f"block8_{i + 1}", 1.0 if last else 0.20,
                     [[(192, 1)], [(192, 1), (192, (1, 3)), (192, (3, 1))]], not last)
    return n.dense(tf.reduce_mean(x, [1, 2]))


def resnet_v1(n, x, units):
    """Slim's: strides in the last unit of a block, padding of its own before them."""
    def conv_same(x, name, channels, kernel, stride):
        if stride == 1:
            return n.conv(x, name, channels, kernel, scale=True, epsilon=1e-5)
        before = (kernel - 1) // 2
        pads = [before, kernel - 1 - before]
        x = tf.pad(x, [[0, 0], pads, pads, [0, 0]])
        return n.conv(x, name, channels, kernel, stride, "VALID", scale=True, epsilon=1e-5)

    def unit(x, name, depth, inner, stride):
        with tf.variable_scope(name):
            if int(x.shape[-1]) == depth:
                shortcut = x if stride == 1 else n.max_pool(x, 1, stride)
            else:
                shortcut = n.conv(x, "shortcut", depth, 1, stride, activation=False, scale=True)
            y = n.conv(x, "conv1", inner, 1, scale=True)
            y = conv_same(y, "conv2", inner, 3, stride)
            y = n.conv(y, "conv3", depth, 1, activation=False, scale=True)
            return tf.nn.relu(shortcut + y)

    x = n.max_pool(conv_same(x, "conv1", 64, 7, 2), 3, 2)
    for b, (count, inner) in enumerate(zip(units, (64, 128, 256, 512))):
        for i in range(count):
            stride = 2 if i == count - 1 and b < 3 else 1
            x = unit(x, f"block{b + 1}/unit_{i + 1}", 4 * inner, inner, stride)
    x = tf.reduce_mean(x, [1, 2], keepdims=True, name="pool5")
    x = n.conv(x, "logits", CLASSES, 1, norm=False, activation=False)
    return tf.squeeze(x, [1, 2], name="SpatialSqueeze")


def resnet_v1_50(n, x):
    return resnet_v1(n, x, (3, 4, 6, 3))


# name -> function, size of the images
NETWORKS = {
    "inception_v1": (inception_v1, 224),
    "googlenet": (googlenet, 224),
    "inception_v2": (inception_v2, 224),
    "inception_v4": (inception_v4, 299),
    "inception_resnet_v1": (inception_resnet_v1, 299),
    "resnet_v1_50_slim": (resnet_v1_50, 224),
}


def freeze(name, typical_images):
    """The network as a frozen GraphDef: input `input`, outputs `logits`, `predictions`.
    Batch norms get about the statistics of typical_images(size)."""
    build, size = NETWORKS[name]
    random = np.random.default_rng(20161)
    with tf.Graph().as_default(), tf.Session() as session:
        def add(training, images):
            layers = Layers(training)
            with tf.variable_scope("Net", reuse=tf.AUTO_REUSE):
                return layers, build(layers, images)

        batch = tf.constant(typical_images(size))
        layers, _ = add(True, batch)
        images = tf.placeholder(tf.float32, [None, size, size, 3], "input")
        _, logits = add(False, images)
        predictions = tf.nn.softmax(tf.identity(logits, "logits"), name="predictions")
        session.run(tf.global_variables_initializer())
        values = session.run([value for _, value in layers.statistics])
        for (variable, _), value in zip(layers.statistics, values):
            variable.load(value * random.uniform(0.9, 1.1, value.shape), session)
        return tf.graph_util.convert_variables_to_constants(
            session, session.graph_def, ["logits", predictions.op.name])
