"""Pillow on a pool of threads (it lets go of Python's lock while it decodes and resizes), NumPy
at the end. Colours are changed by ImageEnhance, on bytes."""

import concurrent.futures
import random

import numpy as np
import PIL
from PIL import Image, ImageEnhance

SIZE = 299
METHODS = (Image.BILINEAR, Image.NEAREST, Image.BICUBIC, Image.BOX)


def to_signed(image):
    return np.asarray(image, np.float32) / 127.5 - 1.0


def evaluate(path):
    image = Image.open(path).convert("RGB")
    width, height = image.size
    box = (width / 16, height / 16, width * 15 / 16, height * 15 / 16)
    return to_signed(image.resize((SIZE, SIZE), Image.BILINEAR, box=box))


def random_box(width, height):
    for _ in range(100):
        area = random.uniform(0.05, 1) * width * height
        ratio = random.uniform(0.75, 1.33)
        w, h = round((area * ratio) ** 0.5), round((area / ratio) ** 0.5)
        if 0 < w <= width and 0 < h <= height:
            left, top = random.randint(0, width - w), random.randint(0, height - h)
            return left, top, left + w, top + h
    return 0, 0, width, height


def turn_hue(image, delta):
    hue, saturation, value = image.convert("HSV").split()
    turned = (np.asarray(hue, np.int16) + round(delta * 255)) % 256
    hue = Image.fromarray(turned.astype(np.uint8), "L")
    return Image.merge("HSV", (hue, saturation, value)).convert("RGB")


def train(path, fast):
    image = Image.open(path).convert("RGB")
    method = METHODS[0 if fast else random.randrange(4)]
    image = image.resize((SIZE, SIZE), method, box=random_box(*image.size))
    if random.random() < 0.5:
        image = image.transpose(Image.FLIP_LEFT_RIGHT)
    steps = [lambda x: ImageEnhance.Brightness(x).enhance(random.uniform(0.87, 1.13)),
             lambda x: ImageEnhance.Color(x).enhance(random.uniform(0.5, 1.5))]
    if not fast:
        steps += [lambda x: turn_hue(x, random.uniform(-0.2, 0.2)),
                  lambda x: ImageEnhance.Contrast(x).enhance(random.uniform(0.5, 1.5))]
        random.shuffle(steps)
    for step in steps:
        image = step(image)
    return to_signed(image)


class Pipeline:
    version = f"{PIL.__version__}, NumPy {np.__version__}"

    def __init__(self, mode, threads, files):
        self.settings = {"threads": threads}
        self.files = files
        self.pool = concurrent.futures.ThreadPoolExecutor(threads)
        self.work = {"eval": evaluate, "train": lambda f: train(f, True),
                     "train_slow": lambda f: train(f, False)}[mode]

    def run(self):
        return sum(x.shape == (SIZE, SIZE, 3) for x in self.pool.map(self.work, self.files))
