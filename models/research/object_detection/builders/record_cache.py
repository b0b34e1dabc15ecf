"""Records that are made once of a data set's images, and read ever after.

They appear all or none: a folder is filled beside `record_dir` and takes its
name when it is complete.
"""

import contextlib
import functools
import json
import os
import shutil
import socket
from collections.abc import Sequence
from typing import NamedTuple

from absl import logging

from object_detection.builders import image_set_builder
from object_detection.core import errors
from object_detection.data_decoders import (
    image_set,
    image_stream,
    tf_record_writer,
)
from object_detection.protos import input_reader_pb2

_RECORDS_NAME = "images.record"
_RECORD_MARK = ".record"
_MADE_FROM_NAME = "made_from.json"
_MAKING = ".making-"


class Cache(NamedTuple):
    """Records that are there.

    Attributes:
        files: their paths, in order.
        is_without_empty: whether images without boxes were left out when they
            were made.
    """

    files: Sequence[str]
    is_without_empty: bool


def find(config: input_reader_pb2.InputReader, path: str) -> Cache | None:
    """Looks for records in `record_dir`.

    Args:
        config: an input reader with a `record_dir`.
        path: of it in the pipeline config, for errors.

    Raises:
        ConfigError: there are other files, but no records; or records
            without the images that the reader asks for.
    """
    where = f"{path}.record_dir"
    try:
        names = sorted(os.listdir(config.record_dir))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise errors.ConfigError(
            f"{where}: cannot read {config.record_dir}: {error.strerror}"
        ) from error
    files = [
        os.path.join(config.record_dir, name)
        for name in names
        if _RECORD_MARK in name
    ]
    if not files:
        if names:
            raise errors.ConfigError(
                f"{where}: {config.record_dir} has no records but other files, "
                f"such as {names[0]}: give an empty folder, or one that is not "
                "there yet"
            )
        return None
    is_without_empty = _read_made_from(config.record_dir)
    if is_without_empty and not config.skip_images_without_boxes:
        raise errors.ConfigError(
            f"{where}: the records of {config.record_dir} were made without "
            "images that have no boxes, which are to be read here: give "
            "another record_dir, or set skip_images_without_boxes"
        )
    return Cache(files, is_without_empty)


def make_if_missing(config: input_reader_pb2.InputReader, path: str) -> None:
    """Makes the records, or says in the log that they are there.

    Of several processes that share the folder one has to call this.

    Args:
        config: an input reader with a `record_dir`.
        path: of it in the pipeline config, for errors.

    Raises:
        ConfigError: a field is wrong or missing, see `find`, too.
        DataError: an annotation or an image is bad.
        ResourceError: the disk refuses.
    """
    record_dir = config.record_dir
    if find(config, path):
        _tell_of_records(record_dir, image_set_builder.name(config))
        return
    images = image_set_builder.build(config, path)
    entries, _ = image_set.make_entries(
        images, config.skip_images_without_boxes
    )
    for entry in entries:
        if entry.fault:
            raise errors.DataError(entry.fault)
    target = os.path.abspath(record_dir)
    _sweep(target)
    folder = f"{target}{_MAKING}{socket.gethostname()}-{os.getpid()}"
    try:
        summary = tf_record_writer.write_dataset(
            [entry.item for entry in entries],
            images.read,
            images.class_ids,
            os.path.join(folder, _RECORDS_NAME),
            num_shards=image_stream.num_files(len(entries)),
            num_workers=os.cpu_count() or 1,
            uses_threads=True,
            bad_boxes=images.bad_boxes,
            description=f"making {record_dir}",
        )
        _put_in_place(folder, target, images.name, config)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    logging.info("Made %d records in %s", summary.num_images, record_dir)


@functools.lru_cache
def _tell_of_records(record_dir: str, name: str) -> None:
    """Logs once in a process."""
    logging.info(
        "%s has records: they are read, and %s is not looked at",
        record_dir,
        name,
    )


def _put_in_place(
    folder: str,
    target: str,
    name: str,
    config: input_reader_pb2.InputReader,
) -> None:
    try:
        made_from = {
            "data": name,
            "skip_images_without_boxes": config.skip_images_without_boxes,
        }
        made_from_path = os.path.join(folder, _MADE_FROM_NAME)
        with open(made_from_path, "w", encoding="utf-8") as file:
            json.dump(made_from, file)
        # Over an empty folder, too.
        os.replace(folder, target)
    except OSError as error:
        if os.path.exists(os.path.join(target, _MADE_FROM_NAME)):
            return  # Another run was faster.
        raise errors.ResourceError(
            f"{target}: cannot write: {error.strerror}"
        ) from error


def _read_made_from(record_dir: str) -> bool:
    """Whether images without boxes were left out; records of others: no."""
    made_from_path = os.path.join(record_dir, _MADE_FROM_NAME)
    try:
        with open(made_from_path, encoding="utf-8") as file:
            return bool(json.load(file)["skip_images_without_boxes"])
    except FileNotFoundError:
        return False
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise errors.DataError(
            f"{made_from_path}: cannot be read ({error}): remove "
            f"{record_dir}, and its records are made again"
        ) from error


def _sweep(target: str) -> None:
    """Removes what killed processes of this host left."""
    parent, name = os.path.split(target)
    prefix = f"{name}{_MAKING}{socket.gethostname()}-"
    with contextlib.suppress(FileNotFoundError):
        for found in os.listdir(parent):
            number = found.removeprefix(prefix)
            if found.startswith(prefix) and number.isdigit():
                try:
                    os.kill(int(number), 0)
                except ProcessLookupError:
                    shutil.rmtree(os.path.join(parent, found))
                    logging.info("Removed %s, left by a killed process", found)
                except PermissionError:
                    pass  # It runs, for another user.
