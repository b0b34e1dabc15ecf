"""What was wrong with the records that a run read, and went on without."""

import collections
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging

from object_detection.core import errors
from object_detection.data_decoders import record_stream

# From a record to the tensors made of it.
ToRow = Callable[[record_stream.Record], Any]

# From path, index and payload of a record to what is wrong with it and where.
Describe = Callable[[str, int, bytes], str | None]

_MAX_FILES_SHOWN = 20


class ReadingReport:
    """Counts the records that were skipped and the sizes that were wrong.

    Args:
        max_bad_records: so many records that cannot be read are left out;
            0 stops at the first one. A record counts once, however often it
            is met.

    Attributes:
        max_bad_records: the same.
        refusal: why the reading was stopped, None as long as it goes on.
        num_missized: scalar int64 variable, how often an image was read whose
            record states another height or width than it has.
    """

    def __init__(self, max_bad_records: int = 0) -> None:
        self.max_bad_records = max_bad_records
        self.refusal: errors.DataError | None = None
        with tf.device("CPU:0"):
            self.num_missized = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._bad: set[tuple[str, int]] = set()

    def rows(
        self,
        records: tf.data.Dataset,
        to_row: ToRow,
        describe: Describe,
    ) -> tf.data.Dataset:
        """Returns a dataset of what `to_row` makes of each record, in order.

        Args:
            records: a dataset of `Record`.
            to_row: fails for a record that cannot be read.
            describe: says what is wrong with a record and where it is.
        """
        rows = records.map(to_row, num_parallel_calls=tf.data.AUTOTUNE)
        if not self.max_bad_records:
            return rows
        nothing = tf.nest.map_structure(_zeros, rows.element_spec)

        def try_record(record: record_stream.Record) -> tf.data.Dataset:
            good = tf.data.Dataset.from_tensors(record).map(
                lambda record: (True, to_row(record))
            )
            bad = tf.data.Dataset.from_tensors((False, nothing))
            first = good.ignore_errors().concatenate(bad).take(1)
            return tf.data.Dataset.zip(
                (tf.data.Dataset.from_tensors(record), first)
            )

        note = self._make_note(describe)

        def is_good(record: record_stream.Record, row: tuple) -> tf.Tensor:
            return tf.cond(row[0], lambda: True, lambda: note(record))

        # One element of each in turn: the order is that of the records.
        return (
            records.interleave(
                try_record,
                num_parallel_calls=tf.data.AUTOTUNE,
                deterministic=True,
            )
            .filter(is_good)
            .map(lambda _, row: row[1])
        )

    def log(self) -> None:
        """Logs what there is to say, if anything, as one line each."""
        if self._bad:
            counts = collections.Counter(path for path, _ in self._bad)
            listed = ", ".join(
                f"{path}: {count}"
                for path, count in sorted(counts.items())[:_MAX_FILES_SHOWN]
            )
            more = ", ..." if len(counts) > _MAX_FILES_SHOWN else ""
            logging.warning(
                "%d bad records were skipped (%s%s); what was measured or "
                "trained is without them",
                len(self._bad),
                listed,
                more,
            )
        num_missized = int(self.num_missized.numpy())
        if num_missized:
            logging.warning(
                "%d images that were read have another size than image/height "
                "and image/width of their records state; the size of the image "
                "itself was used",
                num_missized,
            )

    def _make_note(
        self, describe: Describe
    ) -> Callable[[record_stream.Record], tf.Tensor]:
        """Makes what counts a bad record, and returns False, when it runs."""
        last_position, num_in_a_row = -2, 0

        def note(
            position: np.int64, path: bytes, index: np.int64, serialized: bytes
        ) -> bool:
            nonlocal last_position, num_in_a_row
            is_next = position == last_position + 1
            num_in_a_row = num_in_a_row + 1 if is_next else 1
            last_position = position
            self._add(path.decode(), int(index), serialized, describe)
            # More than the end of one epoch and the beginning of the next.
            if num_in_a_row > 2 * self.max_bad_records:
                self._refuse(f"{path.decode()}: none of the records is good")
            return False

        def noted(record: record_stream.Record) -> tf.Tensor:
            is_good = tf.numpy_function(note, [*record], tf.bool)
            return tf.ensure_shape(is_good, [])

        return noted

    def _refuse(self, reason: str) -> None:
        self.refusal = errors.DataError(
            f"{reason}; found {len(self._bad)} bad records, --max_bad_records "
            f"is {self.max_bad_records}: mend the records, or allow more"
        )
        raise self.refusal

    def _add(
        self, path: str, index: int, serialized: bytes, describe: Describe
    ) -> None:
        if (path, index) in self._bad:
            return
        self._bad.add((path, index))
        where = (
            describe(path, index, serialized)
            or f"{path}: record {index}: cannot be decoded"
        )
        if len(self._bad) > self.max_bad_records:
            self._refuse(where)
        logging.warning(
            "Skipped bad record %d of at most %d: %s",
            len(self._bad),
            self.max_bad_records,
            where,
        )


def _zeros(spec: tf.TensorSpec) -> tf.Tensor:
    """A tensor of this type, with sides of 1 where they are not known."""
    shape = [1 if side is None else side for side in spec.shape.as_list()]
    return tf.zeros(shape, spec.dtype)
