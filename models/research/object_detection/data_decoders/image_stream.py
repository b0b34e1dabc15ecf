"""A stream of images that are read from their files, as if from records.

The order is that of the records which `record_cache` makes of the same
images: image i of n is in file i modulo the number of files. Only numbers of
images are shuffled, so images are read when the order is settled, in parallel,
and those that a position skips are not read at all.
"""

import dataclasses
import functools
from typing import ClassVar

import tensorflow as tf

from object_detection.core import errors
from object_detection.data_decoders import (
    image_codec,
    image_set,
    record_check,
    record_readers,
    record_stream,
    tf_example,
    tf_example_decoder,
)

# COCO's images come to 160 MB a file.
_MAX_IMAGES_PER_FILE = 1000


def num_files(num_images: int) -> int:
    """Returns to how many record files images are dealt."""
    return max(-(-num_images // _MAX_IMAGES_PER_FILE), 1)


class Images:
    """Images of a set, numbered from 0."""

    def __init__(self, entries: list[image_set.ImageEntry]) -> None:
        self.entries = tuple(entries)

    @functools.cached_property
    def _columns(self) -> tuple[tf.Tensor, ...]:
        """Path, annotations, size and whether there is no fault, of each."""
        # Outside of the graph of a dataset, which would keep a copy.
        with tf.init_scope(), tf.device("CPU:0"):
            entries = self.entries
            return (
                tf.constant([entry.item.path for entry in entries]),
                tf.constant([entry.annotations for entry in entries]),
                tf.constant([entry.size_px for entry in entries], tf.int32),
                tf.constant([not entry.fault for entry in entries]),
            )

    def path(self, number: tf.Tensor) -> tf.Tensor:
        """Returns the path of an image file, a scalar string."""
        return self._columns[0][number]

    def read(self, number: tf.Tensor) -> tf.Tensor:
        """Reads an image file.

        Args:
            number: scalar int64, of the image.

        Returns:
            Scalar string, a tf.Example. Running it fails when the file cannot
            be read, or its image has another size than its boxes are for.
        """
        paths, annotations, sizes_px, are_good = self._columns
        encoded = tf.io.read_file(paths[number])
        size_px = image_codec.open_image(
            encoded, tf.constant(""), sizes_px[number]
        ).size_px
        is_good = tf.raw_ops.Assert(
            condition=are_good[number]
            & tf.reduce_all(size_px == sizes_px[number]),
            data=["fault of an image, or another size", paths[number], size_px],
        )
        with tf.control_dependencies([is_good]):
            return tf_example.append_image(annotations[number], encoded)


@dataclasses.dataclass(frozen=True)
class ImageStream(record_stream.RecordStream):
    """As `RecordStream`, of records that are made while they are read.

    `Record.path` is that of the image file, and `Record.index` is the number
    of the image. With `reads_past_damage` an image that cannot be read is
    DAMAGED.

    Attributes:
        images: what is read.
    """

    has_record_files: ClassVar[bool] = False

    images: Images = Images([])

    def dataset(
        self, start: int = 0, every: int = 1, offset: int = 0
    ) -> tf.data.Dataset:
        """See `RecordStream.dataset`."""
        records = super().dataset(start, every, offset)
        if not self.reads_past_damage:
            return records.map(self._load, num_parallel_calls=tf.data.AUTOTUNE)
        return records.interleave(
            self._load_or_mark,
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )

    def require_records(self, max_bad_records: int = 0) -> None:
        """See `RecordStream.require_records`.

        Raises:
            DataError: more images than that are known to be bad, or there
                are fewer than processes.
        """
        faults = [e.fault for e in self.images.entries if e.fault]
        if len(faults) > max_bad_records:
            more = f"; {len(faults)} images are bad" if faults[1:] else ""
            raise errors.DataError(faults[0] + more)
        if not self.num_records():
            raise errors.DataError(
                f"{self.images.entries[0].item.place}: this and "
                f"{len(self.images.entries) - 1} more images are too few for "
                f"{self.num_shards} processes: start fewer"
            )

    def describe_fault(
        self,
        path: str,
        index: int,
        serialized: bytes,
        options: tf_example_decoder.DecoderOptions,
    ) -> str | None:
        """See `RecordStream.describe_fault`; looks at the file once more."""
        del serialized
        entry = self.images.entries[index]
        if entry.fault:
            return entry.fault
        where = f"{path} ({entry.item.place})"
        try:
            with open(path, "rb") as file:
                encoded = file.read()
        except OSError as error:
            return f"{where}: cannot read the image: {error.strerror}"
        serialized = tf_example.append_image(entry.annotations, encoded).numpy()
        fault = record_check.find_fault(serialized, options)
        if fault:
            return f"{where}: {fault}"
        size_px = image_codec.open_image(
            encoded, tf.constant(""), tf.constant(entry.size_px)
        ).size_px.numpy()
        if tuple(size_px) != entry.size_px:
            return (
                f"{where}: expected height {entry.size_px[0]} and width "
                f"{entry.size_px[1]}, found {size_px[0]} and {size_px[1]}"
            )
        return None

    def all_records(self) -> record_stream.Records:
        """See `RecordStream.all_records`; the payload is empty."""
        for index, entry in enumerate(self.images.entries):
            yield entry.item.path, index, b""

    def _load(self, record: record_stream.Record) -> record_stream.Record:
        return record._replace(
            path=self.images.path(record.index),
            serialized=self.images.read(record.index),
        )

    def _load_or_mark(self, record: record_stream.Record) -> tf.data.Dataset:
        damaged = record._replace(
            path=self.images.path(record.index),
            serialized=tf.constant(record_stream.DAMAGED),
        )
        loaded = tf.data.Dataset.from_tensors(record).map(self._load)
        return (
            loaded.ignore_errors()
            .concatenate(tf.data.Dataset.from_tensors(damaged))
            .take(1)
        )

    def _make_file_reader(self) -> record_readers.FileReader:
        num_of_files = len(self.files)
        counts = tf.constant(self._counts(), tf.int64)

        def read_file(
            path: tf.Tensor, start: tf.Tensor, stop: tf.Tensor
        ) -> tf.data.Dataset:
            file = tf.strings.to_number(path, tf.int64)
            indices = tf.data.Dataset.range(
                start,
                tf.minimum(stop, counts[file]),
                self.sample_1_of_n_examples,
            )
            return indices.map(
                lambda index: (path, file + index * num_of_files, b"")
            )

        return read_file

    def _counts(self) -> list[int]:
        numbers = range(len(self.images.entries))
        return [
            len(numbers[file :: len(self.files)])
            for file in range(len(self.files))
        ]


def file_names(num_images: int) -> tuple[str, ...]:
    """Returns the names of the files of an `ImageStream`."""
    return tuple(map(str, range(num_files(num_images))))
