"""Random graphs like those of classifiers: convolutions, batch norms in all their forms,
scales, branches, resizes and pads, with constants that several nodes share."""

import random

import numpy as np

from harness import tf


class RandomGraph:
    """Builds into the default graph; deterministic by its seed."""

    def __init__(self, seed):
        self.choose = random.Random(seed)
        self.numbers = np.random.default_rng(seed)
        self.kernels = []
        tf.disable_control_flow_v2()
        batch = self.choose.choice([1, 2, None])
        self.image = self.normal(batch or 2, 8, 8, 3)
        x = tf.placeholder(tf.float32, [batch, 8, 8, 3], name="x")
        outputs = []
        for _ in range(self.choose.randrange(4, 16)):
            x = self.step(x)
            if x.shape[-1] > 12:
                x = self.convolution(x)
            if self.chance(0.1):
                outputs.append(tf.nn.relu(x).op.name)
        self.outputs = [*outputs, tf.identity(x, name="y").op.name]

    def chance(self, probability):
        return self.choose.random() < probability

    def normal(self, *shape):
        return self.numbers.standard_normal(shape).astype(np.float32)

    def constant(self, value):
        value = np.asarray(value, np.float32)
        if value.ndim and self.chance(0.1):
            return tf.reshape(tf.constant(value.ravel()), value.shape)
        return tf.identity(tf.constant(value)) if self.chance(0.2) else tf.constant(value)

    def convolution(self, x):
        size, channels = self.choose.choice([1, 2, 3]), self.choose.randrange(1, 5)
        shape = (size, size, int(x.shape[-1]), channels)
        same = [w for s, w in self.kernels if s == shape]
        if same and self.chance(0.5):
            kernel = self.choose.choice(same)
        else:
            kernel = self.constant(self.normal(*shape) / np.sqrt(np.prod(shape[:3])))
            self.kernels.append((shape, kernel))
        if self.chance(0.1):
            return tf.nn.conv2d(x, kernel, 1, "SAME", dilations=2)
        padding = "VALID" if x.shape[1] >= 3 and x.shape[2] >= 3 and self.chance(0.3) else "SAME"
        return tf.nn.conv2d(x, kernel, self.choose.choice([1, 1, 2]), padding)

    def depthwise(self, x):
        kernel = self.normal(3, 3, x.shape[-1], self.choose.choice([1, 2])) / 3
        return tf.nn.depthwise_conv2d_native(x, self.constant(kernel), [1, 1, 1, 1], "SAME")

    def batch_norm(self, x):
        gamma, beta, mean = (self.normal(x.shape[-1]) for _ in range(3))
        if self.chance(0.3):  # as in a new network
            gamma, beta, mean = np.ones_like(gamma), 0 * beta, 0 * mean
        gamma, beta, mean = (self.constant(value) for value in (gamma, beta, mean))
        variance = self.constant(np.abs(self.normal(x.shape[-1])) + 0.3)
        form = self.choose.randrange(6)
        if form < 3:
            op = (tf.raw_ops.FusedBatchNorm, tf.raw_ops.FusedBatchNormV2,
                  tf.raw_ops.FusedBatchNormV3)[form]
            return op(x=x, scale=gamma, offset=beta, mean=mean, variance=variance,
                      epsilon=0.01, is_training=False)[0]
        if form == 3:
            return tf.nn.batch_normalization(x, mean, variance, beta,
                                             gamma if self.chance(0.5) else None, 0.001)
        add = self.choose.choice([tf.raw_ops.Add, tf.raw_ops.AddV2])
        factor = tf.rsqrt(add(x=variance, y=tf.constant(0.001)))
        factor = factor * gamma if self.chance(0.5) else gamma * factor
        if form == 4:
            terms = [x * factor, beta - mean * factor]
            self.choose.shuffle(terms)
            return add(x=terms[0], y=terms[1])
        return add(x=(x - mean) * factor, y=beta)

    def arithmetic(self, x):
        height, width, channels = (int(d) for d in x.shape[1:])
        shape = self.choose.choice([(), (1,), (channels,), (1, channels), (1, 1, 1, channels),
                                    (height, width, 1), (height, 1, channels)])
        other = np.abs(self.normal(*shape)) + np.float32(0.5)
        if self.chance(0.1):
            other = np.ones_like(other)
        if self.chance(0.1):
            zeros = self.constant(np.zeros_like(other))
            return self.choose.choice([lambda: x + zeros, lambda: x - zeros])()
        other = self.constant(other)
        return self.choose.choice([lambda: x * other, lambda: other * x, lambda: x / other,
                                   lambda: x + other, lambda: other - x, lambda: x - other])()

    def pass_on(self, x):
        for _ in range(self.choose.randrange(1, 4)):
            op = self.choose.choice([
                tf.identity, tf.stop_gradient, lambda t: tf.cast(t, tf.float32),
                lambda t: tf.raw_ops.IdentityN(input=[t])[0],
                lambda t: tf.debugging.check_numerics(t, "bad"),
                lambda t: tf.nn.dropout(t, rate=0.0)])
            x = op(x)
        return x

    def branches(self, x):
        """The side that runs is known; the other one is random."""
        taken = self.chance(0.5)
        predicate = tf.constant(taken)
        if self.chance(0.3):
            predicate = tf.logical_not(tf.logical_not(predicate))
        elif not taken and self.chance(0.5):
            predicate = tf.placeholder_with_default(False, [], name="keras_learning_phase")
        sides = [self.choose.choice([lambda: tf.nn.relu(x), lambda: x * 2.0,
                                     lambda: tf.identity(x), lambda: x + 1.0]),
                 lambda: tf.nn.dropout(x, rate=0.5)]
        if self.chance(0.4):
            tf.enable_control_flow_v2()
        y = tf.cond(predicate, *(sides if taken else sides[::-1]))
        tf.disable_control_flow_v2()
        y.set_shape(x.shape)
        return y

    def resize_and_pad(self, x):
        if self.chance(0.5):
            size = self.choose.randrange(3, 12)
            x = tf.raw_ops.ResizeBilinear(images=x, size=tf.constant([size, size + 1]),
                                          align_corners=self.chance(0.3))
        if x.shape[1] > 1 and x.shape[2] > 1 and self.chance(0.7):
            mode = self.choose.choice(["REFLECT", "SYMMETRIC", "CONSTANT"])
            x = tf.pad(x, [[0, 0], [1, 1], [0, 1], [0, 0]], mode)
        return self.convolution(x) if self.chance(0.7) else x

    def after(self, x):
        with tf.control_dependencies([tf.no_op() if self.chance(0.5) else tf.identity(x)]):
            return tf.identity(x) if self.chance(0.5) else x * 1.5

    def beside(self, x):
        """Something of the same size, made of x in a few steps."""
        y = x
        for _ in range(self.choose.randrange(1, 4)):
            following = self.step(y)
            if following.shape[1:3] == x.shape[1:3]:
                y = following
        return y

    def join(self, x):
        y = self.beside(x)
        if x.shape.as_list() == y.shape.as_list() and self.chance(0.7):
            return x + 0.3 * y
        return tf.concat([x, y], -1)

    def step(self, x):
        if x.shape[1] > 24:
            return tf.nn.avg_pool2d(x, 2, 2, "VALID")
        steps = {self.convolution: 6, self.depthwise: 1, self.batch_norm: 4, self.arithmetic: 4,
                 tf.nn.relu: 1, tf.nn.relu6: 1, self.pass_on: 2, self.branches: 2,
                 self.resize_and_pad: 3, self.after: 1, self.join: 2,
                 lambda t: tf.nn.max_pool2d(t, 2, 1, "SAME"): 1}
        return self.choose.choices(list(steps), list(steps.values()))[0](x)
