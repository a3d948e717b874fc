"""tf.data with slim's inception_preprocessing in TensorFlow's ops. Calls in parallel, prefetch
and buffers are AUTOTUNE's, order does not matter, and images are counted inside the graph, so
that Python has no part in a pass."""

import tensorflow as tf

SIZE = (299, 299)
METHODS = ("bilinear", "nearest", "bicubic", "area")


def decode(path):
    image = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)
    return tf.image.convert_image_dtype(image, tf.float32)


def to_signed(image):
    return tf.multiply(tf.subtract(image, 0.5), 2.0)


def evaluate(path):
    image = tf.image.central_crop(decode(path), 0.875)
    return to_signed(tf.compat.v1.image.resize_bilinear(image[None], SIZE)[0])


def pick(count, make):
    """slim's apply_with_random_selector: only the drawn case is computed."""
    if count == 1:
        return make(0)
    drawn = tf.random.uniform([], maxval=count, dtype=tf.int32)
    return tf.switch_case(drawn, [lambda i=i: make(i) for i in range(count)])


def distort(image, ordering, fast):
    def brightness(x):
        return tf.image.random_brightness(x, 32 / 255)

    def saturation(x):
        return tf.image.random_saturation(x, 0.5, 1.5)

    def hue(x):
        return tf.image.random_hue(x, 0.2)

    def contrast(x):
        return tf.image.random_contrast(x, 0.5, 1.5)

    orders = [(brightness, saturation)] if fast else [
        (brightness, saturation, hue, contrast), (saturation, brightness, contrast, hue),
        (contrast, hue, brightness, saturation), (hue, saturation, contrast, brightness)]
    for step in orders[ordering]:
        image = step(image)
    return tf.clip_by_value(image, 0.0, 1.0)


def train(path, fast):
    image = decode(path)
    begin, size, _ = tf.image.sample_distorted_bounding_box(
        tf.shape(image), bounding_boxes=[[[0.0, 0.0, 1.0, 1.0]]], min_object_covered=0.1,
        aspect_ratio_range=(0.75, 1.33), area_range=(0.05, 1.0), max_attempts=100)
    image = tf.slice(image, begin, size)
    image.set_shape([None, None, 3])
    image = pick(1 if fast else 4,
                 lambda i: tf.compat.v1.image.resize_images(image, SIZE, METHODS[i]))
    image.set_shape([*SIZE, 3])
    image = tf.image.random_flip_left_right(image)
    return to_signed(pick(1 if fast else 4, lambda i: distort(image, i, fast)))


class Pipeline:
    version = tf.__version__
    settings = {"num_parallel_calls": "AUTOTUNE", "prefetch": "AUTOTUNE", "deterministic": False}

    def __init__(self, mode, threads, files):
        del threads  # AUTOTUNE has all CPUs that the process may use
        work = {"eval": evaluate, "train": lambda f: train(f, True),
                "train_slow": lambda f: train(f, False)}[mode]
        data = tf.data.Dataset.from_tensor_slices(list(files)).map(
            work, num_parallel_calls=tf.data.AUTOTUNE, deterministic=False)
        data = data.prefetch(tf.data.AUTOTUNE)

        @tf.function
        def count():
            # Looks at each image, so that none can be left out.
            return data.reduce(0, lambda n, x: n + tf.where(tf.reduce_max(x[0, 0]) <= 1.0, 1, 0))

        self.count = count

    def run(self):
        return int(self.count())
