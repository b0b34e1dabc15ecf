"""Records of many files as one stream that can be taken up anywhere.

The order of the stream is a pure function of its seed: each epoch shuffles
the files and then the records with seeds of its own. So the stream from
position p on is the stream from 0 on without its first p records, and whole
epochs are skipped without reading them.
"""

import dataclasses
from collections.abc import Iterator
from typing import ClassVar, NamedTuple

import tensorflow as tf

from object_detection.core import errors
from object_detection.data_decoders import (
    fixed_parallelism,
    record_check,
    record_files,
    record_readers,
    tf_example_decoder,
)

_ENDLESS = 2**62
_GRAPH_SEED = 1

DAMAGED = record_readers.DAMAGED


# Path, index and payload of each.
Records = Iterator[tuple[str, int, bytes]]


class Record(NamedTuple):
    """One record and where it comes from.

    Attributes:
        position: int64, in the stream, from 0 over all epochs.
        path: string, its file.
        index: int64, which record of its file, from 0.
        serialized: string, a tf.Example.
    """

    position: tf.Tensor
    path: tf.Tensor
    index: tf.Tensor
    serialized: tf.Tensor


class _Slice(NamedTuple):
    """The records of one file that a stream has: [start:stop:stride]."""

    path: str
    start: int
    stop: int


@dataclasses.dataclass(frozen=True)
class RecordStream:
    """The records that one process reads, and in which order.

    Records are numbered through all files. Every
    `sample_1_of_n_examples`-th is taken, the first one included. Each shard
    has a range of them: no two shards overlap, their sizes differ by one at
    most, and few files are read by two.

    Attributes:
        files: paths, in a fixed order.
        num_readers: so many files are read alternately.
        read_block_length: records read from a file before the next has its
            turn.
        sample_1_of_n_examples: 1 takes every record.
        num_shards: how many processes share the records.
        shard_index: which of them this one is.
        is_shuffled: whether files and records are shuffled.
        filenames_shuffle_buffer_size: files to choose the next from.
        shuffle_buffer_size: records to choose the next from.
        seed: of the shuffles; not negative.
        num_epochs: how often each record is read; 0 for ever.
        reads_past_damage: whether a record of which the checksum is wrong is
            replaced by DAMAGED, else reading fails. Reading is slower then,
            by about one opening of a file a record.
        skips_without_boxes: whether records without boxes are left out. Where
            records are numbered or counted then, all of them are read.
        has_record_files: whether `files` are TFRecord files.
    """

    has_record_files: ClassVar[bool] = True

    files: tuple[str, ...]
    num_readers: int = 1
    read_block_length: int = 32
    sample_1_of_n_examples: int = 1
    num_shards: int = 1
    shard_index: int = 0
    is_shuffled: bool = False
    filenames_shuffle_buffer_size: int = 100
    shuffle_buffer_size: int = 2048
    seed: int = 0
    num_epochs: int = 1
    reads_past_damage: bool = False
    skips_without_boxes: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.shard_index < self.num_shards:
            raise ValueError(
                f"shard_index must be in [0, {self.num_shards}), got "
                f"{self.shard_index}"
            )

    def dataset(
        self, start: int = 0, every: int = 1, offset: int = 0
    ) -> tf.data.Dataset:
        """Returns a dataset of `Record` from a position of the stream on.

        Args:
            start: position of the first record; one beyond the end gives no
                record.
            every: of so many records that follow each other one is taken,
            offset: the first of them, or the next, and so on.

        Raises:
            DataError: epochs are endless and this shard has no record, or
                records have to be counted and a file is damaged.
        """
        if not self.num_epochs:
            self.require_records()
        first_epoch, num_skipped = 0, 0
        if start:
            first_epoch, num_skipped = divmod(start, max(self.num_records(), 1))
        last_epoch = self.num_epochs or _ENDLESS
        records = self._epochs(min(first_epoch, last_epoch), last_epoch)
        records = records.skip(num_skipped).enumerate(start).map(_flatten)
        return fixed_parallelism.with_fixed_parallelism(
            records.shard(every, offset)
        )

    def num_records(self) -> int:
        """Counts the records of one epoch of this shard."""
        if self.skips_without_boxes:
            records = self._in_order()
            return int(records.reduce(0, lambda count, _: count + 1).numpy())
        stride = self.sample_1_of_n_examples
        return sum(
            len(range(one.start, one.stop, stride))
            for one in self._slices(are_counted=True)
        )

    def require_records(self, max_bad_records: int = 0) -> None:
        """Makes sure that this shard has a record, reading little.

        Endless epochs of no record would never give anything.

        Args:
            max_bad_records: so many may be bad; here where that is known
                without reading them.

        Raises:
            DataError: there is none.
        """
        del max_bad_records
        record_files.require_records(self.files)
        if self.num_shards > 1 and not self._slices(are_counted=True):
            raise errors.DataError(
                f"input_path: {len(self.files)} file(s), first "
                f"{self.files[0]}, hold too few records for "
                f"{self.num_shards} processes: start fewer"
            )
        if self.skips_without_boxes:
            self._require_boxes()

    def describe_fault(
        self,
        path: str,
        index: int,
        serialized: bytes,
        options: tf_example_decoder.DecoderOptions,
    ) -> str | None:
        """Says in a line which record is bad, and why; None if it is not.

        Args:
            path: of a `Record` of this stream.
            index: of the same.
            serialized: of the same.
            options: those that it is decoded with.
        """
        if serialized == DAMAGED:
            fault, source_id = "is damaged (checksum mismatch)", ""
        else:
            fault = record_check.find_fault(serialized, options)
            source_id = record_check.name_record(serialized)
        named = f" (source id {source_id})" if source_id else ""
        return f"{path}: record {index}{named}: {fault}" if fault else None

    def all_records(self) -> Records:
        """Yields path, index and payload of every record of every file."""
        for path in self.files:
            records = fixed_parallelism.with_fixed_parallelism(
                tf.data.TFRecordDataset(path)
            )
            for index, serialized in enumerate(records):
                yield path, index, serialized.numpy()

    def _require_boxes(self) -> None:
        try:
            is_empty = not list(self._in_order().take(1))
        except tf.errors.OpError:
            return  # Reading names the record that is damaged.
        if is_empty:
            raise errors.DataError(
                f"input_path: {len(self.files)} file(s), first "
                f"{self.files[0]}, hold no record with a box, and "
                "skip_images_without_boxes leaves out the others"
            )

    def _in_order(self) -> tf.data.Dataset:
        """The records of one epoch, not shuffled."""
        stream = dataclasses.replace(self, is_shuffled=False, num_epochs=1)
        return fixed_parallelism.with_fixed_parallelism(stream._epochs(0, 1))

    def _epochs(self, first: int, end: int) -> tf.data.Dataset:
        return tf.data.Dataset.range(first, end).flat_map(self._epoch)

    @tf.autograph.experimental.do_not_convert
    def _epoch(self, epoch: tf.Tensor) -> tf.data.Dataset:
        slices = self._slices()
        files = tf.data.Dataset.from_tensor_slices(
            (
                tf.constant([one.path for one in slices], tf.string),
                tf.constant([one.start for one in slices], tf.int64),
                tf.constant([one.stop for one in slices], tf.int64),
            )
        )
        seed = (self.seed % 2**31) * 2**32 + 2 * epoch
        # Of the graph that is being traced: the order depends on the stream's
        # seed alone, and TensorFlow's shuffle cannot take a seed from a
        # tensor where the global one is 0.
        tf.compat.v1.set_random_seed(_GRAPH_SEED)
        if self.is_shuffled:
            files = files.shuffle(
                max(self.filenames_shuffle_buffer_size, 1), seed
            )
        # Blocks are taken in turn by one thread: the order is fixed, memory
        # stays at one buffer a reader, and reading is far from being what
        # holds the stream up.
        records = files.interleave(
            self._make_file_reader(),
            cycle_length=max(self.num_readers, 1),
            block_length=max(self.read_block_length, 1),
        )
        if self.skips_without_boxes:
            records = records.filter(
                record_readers.make_box_filter(self.reads_past_damage)
            )
        if self.is_shuffled:
            records = records.shuffle(
                max(self.shuffle_buffer_size, 1), seed + 1
            )
        return records

    def _make_file_reader(self) -> record_readers.FileReader:
        stride = self.sample_1_of_n_examples
        if self.reads_past_damage:
            files = [one.path for one in self._slices()]
            return record_readers.make_reader_past_damage(files, stride)
        return record_readers.make_reader(
            None if self._has_all_records() else stride
        )

    def _has_all_records(self) -> bool:
        return self.num_shards == 1 and self.sample_1_of_n_examples == 1

    def _counts(self) -> list[int]:
        """Returns the number of records in each file."""
        return record_files.count_records(self.files)

    def _slices(self, are_counted: bool = False) -> list[_Slice]:
        """Returns the part of each file that this shard has any of.

        Args:
            are_counted: whether `stop` has to be right where a whole file is
                taken, which needs a look into it.
        """
        if self._has_all_records() and not are_counted:
            return [_Slice(path, 0, _ENDLESS) for path in self.files]
        counts = self._counts()
        stride = self.sample_1_of_n_examples
        num_taken = len(range(0, sum(counts), stride))
        first, end = (
            stride * (num_taken * (self.shard_index + i) // self.num_shards)
            for i in (0, 1)
        )
        slices = []
        num_before = 0
        for path, count in zip(self.files, counts, strict=True):
            begin = max(first, num_before)
            # On to the next record that is taken.
            start = begin + -begin % stride - num_before
            stop = min(end - num_before, count)
            if start < stop:
                slices.append(_Slice(path, start, stop))
            num_before += count
        return slices


def _flatten(
    position: tf.Tensor, record: tuple[tf.Tensor, tf.Tensor, tf.Tensor]
) -> Record:
    return Record(position, *record)
