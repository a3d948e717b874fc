#!/usr/bin/env python3
"""What TensorFlow makes of colours and random boxes, for the tests of training preprocessing.

usage: make_train.py OUTPUT [SAMPLE_DISTORTED_BBOX_JSON]

Writes
- color_input.npy: a float image [24,20,3] with dark, bright, gray and saturated parts;
- color.tsv: steps (b brightness, s saturation, h hue, c contrast, | clip), SHA-256 of the
  float32 result of tf.image.adjust_* (a fused graph makes the same bits as single steps);
- boxes.tsv: SampleDistortedBoundingBoxV2 with explicit seeds: seed, seed2, height, width,
  min_object_covered, aspect ratios, areas, max_attempts, objects ("ymin,xmin,ymax,xmax;..."),
  then top, left, height, width of the result;
- train.tsv: the steps of slim's preprocess_for_train after its draws, on the picture of
  image/test_pattern.h: its height, width, those of the result, box (top, left, height, width),
  resize method, flip, fast mode, color_ordering, brightness, saturation, hue, contrast; then the
  SHA-256 of the float32 result, and 12 places with their values;
- box_statistics.tsv, from a JSON file with counts over 10,000 draws that TensorFlow made by
  tf.image.sample_distorted_bounding_box: name, height, width, object, kind, numbers.
"""

import hashlib
import json
import pathlib
import sys

import numpy as np
import tensorflow as tf

OUT = pathlib.Path(sys.argv[1])
RANDOM = np.random.default_rng(20161030)


def image():
    pixels = RANDOM.uniform(0.15, 0.85, (24, 20, 3)).astype(np.float32)
    pixels[:4] = np.clip(pixels[:4] * 1.6 - 0.2, 0, 1)
    pixels[4, :6], pixels[4, 6:12], pixels[4, 12:18] = 0.5, 0, 1
    pixels[5, :6] = [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [0, 1, 1], [1, 0, 1]]
    pixels[5, 6:12] = [[.5, .5, .2], [.5, .2, .5], [.2, .5, .5], [.7, .2, .2], [.2, .7, .2], [.2, .2, .7]]
    return pixels


ADJUST = {"b": tf.image.adjust_brightness, "s": tf.image.adjust_saturation,
          "h": tf.image.adjust_hue, "c": tf.image.adjust_contrast}


def adjusted(pixels, steps):
    for step in steps:
        if step == "|":
            pixels = tf.clip_by_value(pixels, 0.0, 1.0)
        else:
            pixels = ADJUST[step[0]](pixels, np.float32(step[1:]))
    return pixels.numpy()


def colors():
    pixels = image()
    np.save(OUT / "color_input.npy", pixels)
    rows = []
    singles = {"b": (-1.5, -0.1, 0, 0.07, 0.125), "s": (0, 0.5, 0.6, 1, 1.3, 1.5, 3),
               "h": (-1, -0.75, -0.5, -0.2, -0.08, 0, 0.12, 0.2, 1 / 3, 0.5, 1),
               "c": (0, 0.5, 0.7, 1, 1.25, 1.5, 4)}
    for step, amounts in singles.items():
        rows += [[f"{step}{np.float32(amount)!s}"] for amount in amounts]
    for _ in range(10):
        drawn = {"b": RANDOM.uniform(-32 / 255, 32 / 255), "s": RANDOM.uniform(0.5, 1.5),
                 "h": RANDOM.uniform(-0.2, 0.2), "c": RANDOM.uniform(0.5, 1.5)}
        text = {step: f"{step}{np.float32(amount)!s}" for step, amount in drawn.items()}
        for order in ("bshc", "sbch", "chbs", "hscb", "bs", "sb"):
            rows.append([text[step] for step in order] + ["|"])
    with open(OUT / "color.tsv", "w") as file:
        for steps in rows:
            digest = hashlib.sha256(adjusted(pixels, steps).tobytes()).hexdigest()
            print(" ".join(steps), digest, sep="\t", file=file)


def boxes():
    cases = [(375, 500, .1, .75, 1.33, .05, 1, 100, []),
             (300, 200, .1, .75, 1.33, .05, 1, 100, [[.2, .3, .7, .8]]),
             (400, 40, .1, .75, 1.33, .05, 1, 100, []),
             (224, 224, .1, .75, 1.33, .05, 1, 100, [[.45, .45, .55, .55]]),
             (224, 224, .9, .5, 2, .1, .6, 10, [[.1, .1, .4, .5], [.6, .6, .9, .9]]),
             (1, 1, .1, .75, 1.33, .05, 1, 100, []), (1, 500, .1, .75, 1.33, .05, 1, 20, []),
             (7, 9, .1, .75, 1.33, .05, 1, 100, []), (3000, 4000, .1, .75, 1.33, .08, 1, 100, []),
             (480, 640, 1, .75, 1.33, .05, 1, 3, [[.2, .2, .3, .3]]),
             (480, 640, 0, 1, 1, .25, .25, 100, [[0, 0, 0, 0]]),
             (33, 47, .5, .1, 10, .01, .99, 50, [[0, 0, .5, .5], [.5, .5, 1, 1], [.2, .2, .21, .21]])]
    with open(OUT / "boxes.tsv", "w") as file:
        for height, width, covered, low, high, small, large, attempts, objects in cases:
            for _ in range(40):
                seed, seed2 = (int(v) for v in RANDOM.integers(1, 2 ** 62, 2))
                begin, size, _ = tf.raw_ops.SampleDistortedBoundingBoxV2(
                    image_size=[height, width, 3],
                    bounding_boxes=np.array(objects, np.float32).reshape(1, -1, 4),
                    min_object_covered=covered, aspect_ratio_range=[low, high],
                    area_range=[small, large], max_attempts=attempts, seed=seed, seed2=seed2,
                    use_image_if_no_bounding_boxes=True)
                print(seed, seed2, height, width, covered, low, high, small, large, attempts,
                      ";".join(",".join(map(str, box)) for box in objects),
                      *begin.numpy()[:2], *size.numpy()[:2], sep="\t", file=file)


def pattern(height, width):
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    return (((x * x * 3 + y * y * 5 + x * y * 7 + c * 85 + ((x * 13) ^ (y * 29))) >> 3) & 255).astype(np.uint8)


def train():
    methods = ["bilinear", "nearest", "bicubic", "area"]
    with open(OUT / "train.tsv", "w") as file:
        for number in range(64):
            height, width, to_height, to_width = (int(v) for v in RANDOM.integers(20, 130, 4))
            box_height, box_width = (int(RANDOM.integers(5, v + 1)) for v in (height, width))
            top, left = (int(RANDOM.integers(0, v + 1))
                         for v in (height - box_height, width - box_width))
            method, flip = number % 4, bool(RANDOM.integers(2))
            fast, ordering = number % 3 == 0, number // 4 % 4
            amounts = {"b": RANDOM.uniform(-32 / 255, 32 / 255), "s": RANDOM.uniform(0.5, 1.5),
                       "h": RANDOM.uniform(-0.2, 0.2), "c": RANDOM.uniform(0.5, 1.5)}
            amounts = {step: np.float32(amount) for step, amount in amounts.items()}
            order = ("bs" if ordering == 0 else "sb") if fast else ("bshc", "sbch", "chbs", "hscb")[ordering]
            pixels = tf.image.convert_image_dtype(tf.constant(pattern(height, width)), tf.float32)
            pixels = pixels[top:top + box_height, left:left + box_width]
            pixels = tf.compat.v1.image.resize_images(pixels, [to_height, to_width], method)
            pixels = tf.image.flip_left_right(pixels) if flip else pixels
            pixels = adjusted(pixels, [f"{step}{amounts[step]!s}" for step in order] + ["|"])
            pixels = tf.multiply(tf.subtract(pixels, 0.5), 2.0).numpy()
            places = RANDOM.integers(0, pixels.size, 12)
            print(height, width, to_height, to_width, top, left, box_height, box_width,
                  methods[method], int(flip), int(fast), ordering, *(str(amounts[s]) for s in "bshc"),
                  hashlib.sha256(pixels.tobytes()).hexdigest(),
                  *(f"{place}\t{pixels.ravel()[place]!s}" for place in places), sep="\t", file=file)


def statistics(path):
    with open(OUT / "box_statistics.tsv", "w") as file:
        for name, row in json.loads(pathlib.Path(path).read_text()).items():
            begin = [name, row["h"], row["w"], ",".join(map(str, row["bbox"]))]
            for kind in ("area_hist", "aspect_hist_20bins_0p70_1p40", "y_quantiles", "h_quantiles"):
                print(*begin, kind, *row[kind], sep="\t", file=file)
            print(*begin, "full_image", row["full_image"], sep="\t", file=file)
            print(*begin, "center", *row["mean_center"], *row["std_center"], sep="\t", file=file)


colors()
boxes()
train()
if len(sys.argv) > 2:
    statistics(sys.argv[2])
