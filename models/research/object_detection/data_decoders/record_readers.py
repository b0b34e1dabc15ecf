"""Reads the records of one file as a dataset.

Each element is path, index in the file, and payload.
"""

from collections.abc import Callable, Sequence

import tensorflow as tf
from google.protobuf import message

from object_detection.data_decoders import record_files

# From path, first and end of the records to path, index and payload of each.
FileReader = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.data.Dataset]

# Stands for a damaged record; no tf.Example.
DAMAGED = b"damaged record"

_BOX_KEY = "image/object/bbox/ymin"
_ENDLESS = 2**62

# Big enough for sequential reading; a stream holds one for each reader.
_READ_BUFFER_BYTES = 2**20


def make_reader(stride: int | None) -> FileReader:
    """Returns what reads a file up to the first damage, which stops it.

    Args:
        stride: of so many records one is taken; None for all of the file,
            whatever the first and the end are.
    """

    def read_file(
        path: tf.Tensor, start: tf.Tensor, stop: tf.Tensor
    ) -> tf.data.Dataset:
        records = tf.data.Dataset.zip(
            (
                tf.data.Dataset.from_tensors(path).repeat(),
                tf.data.Dataset.range(_ENDLESS),
                tf.data.TFRecordDataset(path, buffer_size=_READ_BUFFER_BYTES),
            )
        )
        if stride is None:
            return records
        return records.take(stop).skip(start).shard(stride, 0)

    return read_file


def make_reader_past_damage(files: Sequence[str], stride: int) -> FileReader:
    """Returns what finds each record by its offset; damaged are DAMAGED.

    Args:
        files: that will be read.
        stride: of so many records one is taken.

    Raises:
        DataError: a file is cut, or a length is damaged, so that what comes
            after cannot be found.
    """
    offsets = tf.ragged.constant(
        [[h.offset for h in record_files.scan(path)] for path in files],
        tf.int64,
        inner_shape=(),
    )
    number_of_file = tf.constant(files)

    def read_file(
        path: tf.Tensor, start: tf.Tensor, stop: tf.Tensor
    ) -> tf.data.Dataset:
        number = tf.argmax(tf.cast(number_of_file == path, tf.int32))
        own_offsets = offsets[number][start:stop:stride]
        indices = start + stride * tf.range(tf.size(own_offsets, tf.int64))
        return tf.data.Dataset.from_tensor_slices(
            (indices, own_offsets)
        ).flat_map(
            lambda index, offset: tf.data.Dataset.zip(
                (
                    tf.data.Dataset.from_tensors(path),
                    tf.data.Dataset.from_tensors(index),
                    _record_at(path, offset),
                )
            )
        )

    return read_file


def make_box_filter(reads_past_damage: bool) -> Callable[..., tf.Tensor]:
    """Returns what says of an element whether its record has a box.

    Args:
        reads_past_damage: whether it is true, too, of what is no record, for
            the decoder to refuse; else that fails.
    """

    def has_boxes(
        path: tf.Tensor, index: tf.Tensor, serialized: tf.Tensor
    ) -> tf.Tensor:
        del path, index
        if reads_past_damage:
            found = tf.numpy_function(_may_have_boxes, [serialized], tf.bool)
            return tf.ensure_shape(found, [])
        record = tf.io.parse_single_example(
            serialized, {_BOX_KEY: tf.io.VarLenFeature(tf.float32)}
        )
        return tf.size(record[_BOX_KEY]) > 0

    return has_boxes


def _may_have_boxes(serialized: bytes) -> bool:
    try:
        feature = tf.train.Example.FromString(serialized).features.feature
    except message.DecodeError:
        return True
    return len(feature[_BOX_KEY].float_list.value) > 0


def _record_at(path: tf.Tensor, offset: tf.Tensor) -> tf.data.Dataset:
    """One element: the record at a byte offset, or DAMAGED."""
    variant = tf.raw_ops.TFRecordDatasetV2(
        filenames=path[tf.newaxis],
        compression_type="",
        buffer_size=0,
        byte_offsets=offset[tf.newaxis],
    )
    record = tf.data.experimental.from_variant(
        variant, tf.TensorSpec([], tf.string)
    )
    damaged = tf.data.Dataset.from_tensors(tf.constant(DAMAGED))
    return record.take(1).ignore_errors().concatenate(damaged).take(1)
