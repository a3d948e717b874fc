#!/usr/bin/env python3
"""usage: make_records.py OUTPUT

three.tfrecord: by tf.io.TFRecordWriter, an empty record, "TensorFlow", and a tf.Example with one
feature of each kind.
"""

import pathlib
import sys

import tensorflow as tf

example = tf.train.Example(features=tf.train.Features(feature={
    "image/height": tf.train.Feature(int64_list=tf.train.Int64List(value=[299])),
    "image/filename": tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"cat.jpg"])),
    "image/data": tf.train.Feature(float_list=tf.train.FloatList(value=[-1, 0.25, 1])),
}))
with tf.io.TFRecordWriter(str(pathlib.Path(sys.argv[1]) / "three.tfrecord")) as writer:
    for record in (b"", b"TensorFlow", example.SerializeToString(deterministic=True)):
        writer.write(record)
