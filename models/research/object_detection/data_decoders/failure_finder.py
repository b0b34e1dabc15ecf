"""Finds the record that stopped a stream.

TensorFlow reports what failed but not in which record. A `Watch` notes how
far its stream came, so the records of the batch after that are looked at
first.
"""

import collections
import dataclasses
import itertools
import re
import weakref
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import tensorflow as tf

from object_detection.core import errors
from object_detection.data_decoders import (
    reading_report,
    record_check_images,
    record_files,
    record_stream,
    tf_example_decoder,
)

_FROM_INPUT = "IteratorGetNext"
_OFFSET_IN_MESSAGE = re.compile(r"record at (\d+)")


class Watch(NamedTuple):
    """A stream and how far it came.

    Attributes:
        stream: RecordStream.
        decoder_options: with which its records are read.
        batch_size: records a batch.
        last_position: scalar int64 variable, position of the last record
            handed out; -1 before the first.
        report: ReadingReport, which may have stopped the reading.
    """

    stream: record_stream.RecordStream
    decoder_options: tf_example_decoder.DecoderOptions
    batch_size: int
    last_position: tf.Variable
    report: reading_report.ReadingReport


# Streams are forgotten with their datasets, which iterators keep alive.
_watches: "weakref.WeakKeyDictionary[tf.data.Dataset, Watch]" = (
    weakref.WeakKeyDictionary()
)


def make_watch(
    stream: record_stream.RecordStream,
    decoder_options: tf_example_decoder.DecoderOptions,
    batch_size: int,
    start: int,
    report: reading_report.ReadingReport,
) -> Watch:
    """Makes a watch of a stream that starts at position `start`."""
    with tf.device("CPU:0"):
        last_position = tf.Variable(start - 1, dtype=tf.int64, trainable=False)
    return Watch(stream, decoder_options, batch_size, last_position, report)


def watch(dataset: tf.data.Dataset, watched: Watch) -> None:
    """Lets `explain` look into the stream that a dataset is made of."""
    _watches[dataset] = watched


def explain(error: BaseException) -> errors.DetectionError | None:
    """Names the file and the record that made a watched stream fail.

    Args:
        error: what came out of the iterator of a dataset.

    Returns:
        An error of one line; None when `error` did not come out of a
        dataset. When no record can be blamed the error quotes TensorFlow.
    """
    if isinstance(error, errors.DetectionError):
        return error
    # TensorFlow fails to word an error that quotes a record of other bytes
    # than text.
    is_wordless = isinstance(error, UnicodeDecodeError)
    if not is_wordless and not (
        isinstance(error, tf.errors.OpError) and _FROM_INPUT in str(error)
    ):
        return None
    is_of_file = isinstance(
        error, tf.errors.NotFoundError | tf.errors.PermissionDeniedError
    )
    watches = [
        watched
        for watched in list(_watches.values())[::-1]
        # That record files are gone or closed is said well enough.
        if not (is_of_file and watched.stream.has_record_files)
    ]
    for watched in watches:
        refusal = watched.report.refusal
        if refusal is not None and str(refusal) in str(error):
            return refusal
    for is_thorough in (False, True):
        for watched in watches:
            found = _find(watched, error, is_thorough)
            if found is not None:
                return found
    if is_wordless:
        return None
    if isinstance(error, tf.errors.ResourceExhaustedError):
        return errors.ResourceError(
            f"reading records: {record_check_images.describe_error(error)}"
        )
    return errors.DataError(
        f"reading records: {record_check_images.describe_error(error)}"
    )


def _find(
    watched: Watch, error: BaseException, is_thorough: bool
) -> errors.DataError | None:
    stream = watched.stream
    if stream.has_record_files:
        if isinstance(error, tf.errors.DataLossError):
            if is_thorough:
                return _find_damaged_file(stream.files, error.message)
            return None
    else:
        stream = dataclasses.replace(stream, reads_past_damage=True)
    if is_thorough:
        return _first_fault(stream.all_records(), watched)
    # A second pass over the same dataset begins where the first did.
    for start in {int(watched.last_position.numpy()) + 1, 0}:
        records = stream.dataset(start).take(watched.batch_size)
        found = _first_fault(
            (
                (record.path.numpy().decode(), *_numpy(record))
                for record in records
            ),
            watched,
        )
        if found is not None:
            return found
    return None


def _numpy(record: record_stream.Record) -> tuple[int, bytes]:
    return int(record.index.numpy()), record.serialized.numpy()


def _first_fault(
    records: Iterable[tuple[str, int, bytes]], watched: Watch
) -> errors.DataError | None:
    try:
        for record in records:
            fault = watched.stream.describe_fault(
                *record, watched.decoder_options
            )
            if fault:
                return errors.DataError(fault)
    except (tf.errors.OpError, errors.DataError):
        # Another damage than the one looked for: the thorough search for
        # damaged files, or TensorFlow's own words, will name it.
        return None
    return None


def _find_damaged_file(
    files: Sequence[str], message: str
) -> errors.DataError | None:
    """Finds a cut file, a damaged length or a damaged payload."""
    offset_found = _OFFSET_IN_MESSAGE.search(message)
    damaged_offset = int(offset_found.group(1)) if offset_found else None
    at_offset: list[tuple[str, record_files.RecordHeader]] = []
    for path in files:
        try:
            at_offset += [
                (path, header)
                for header in record_files.scan(path)
                if damaged_offset in (header.offset, header.payload_offset)
            ]
        except errors.DataError as found:
            return found
    for path, header in at_offset:
        records = tf.data.TFRecordDataset(path)
        try:
            collections.deque(
                itertools.islice(records, header.index + 1), maxlen=0
            )
        except tf.errors.DataLossError:
            return errors.DataError(
                f"{path}: record {header.index} at byte {header.offset} is "
                "damaged (checksum mismatch): write or copy the file again"
            )
    return None
