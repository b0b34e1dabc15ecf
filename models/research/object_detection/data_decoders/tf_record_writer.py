"""Writes annotated images to sharded TFRecords: checked, parallel, atomic.

Worker processes read or render and check images; this process writes. They
are spawned, which imports the main module once more in each: therefore
TensorFlow, slow to import and not needed there, is imported in functions.
"""

import collections
import concurrent.futures
import concurrent.futures.process
import contextlib
import dataclasses
import functools
import glob
import multiprocessing
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import rich.console
import rich.progress

from object_detection.core import errors
from object_detection.data_decoders import annotated_image

_Build = Callable[[Any], annotated_image.AnnotatedImage]


@dataclasses.dataclass
class Summary:
    """What was written.

    Attributes:
        paths: record files, in shard order.
        num_images: in all files together.
        num_objects: class name -> count, in the order of the label map.
        notes: one line for each object changed or left out.
        reasons: why, and how many of them, where the reader counts.
    """

    paths: list[str]
    num_images: int = 0
    num_objects: dict[str, int] = dataclasses.field(default_factory=dict)
    notes: list[str] = dataclasses.field(default_factory=list)
    reasons: dict[str, int] = dataclasses.field(default_factory=dict)

    def print(self) -> None:
        """Prints every note, then the counts."""
        for note in self.notes:
            print(note)
        counts = ", ".join(f"{k} {v}" for k, v in self.num_objects.items())
        total = sum(self.num_objects.values())
        files = self.paths[0]
        if len(self.paths) > 1:
            files = f"{len(self.paths)} files, {files} ..."
        print(f"{self.num_images} images, {total} objects ({counts}): {files}")
        if self.notes:
            reasons = "; ".join(f"{k}: {v}" for k, v in self.reasons.items())
            print(
                f"{len(self.notes)} objects dropped or clipped, named above"
                + (f" ({reasons})" if reasons else "")
            )


def shard_paths(output_path: str, num_shards: int) -> list[str]:
    """Returns `x.record`, or `x.record-00000-of-00010` and so on."""
    if num_shards < 1:
        raise errors.ConfigError(
            f"--num_shards: expected at least 1, got {num_shards}"
        )
    if num_shards == 1:
        return [output_path]
    return [
        f"{output_path}-{shard:05d}-of-{num_shards:05d}"
        for shard in range(num_shards)
    ]


def write_dataset(
    items: Sequence[Any],
    build: _Build,
    class_ids: Mapping[str, int],
    output_path: str,
    *,
    num_shards: int = 1,
    num_workers: int = 1,
    uses_threads: bool = False,
    bad_boxes: str = "drop",
    description: str = "writing",
) -> Summary:
    """Builds, checks and writes every item; the files appear all or none.

    Image i goes to shard i modulo `num_shards`, in the order of `items`, so
    the bytes written do not depend on the number of workers.

    Args:
        items: what `build` takes, one for each image; picklable.
        build: runs in a worker; picklable.
        class_ids: class name -> id, of the label map.
        output_path: the file, or the prefix of the shards.
        num_shards: number of files.
        num_workers: processes beside this one; up to 1 means none.
        uses_threads: whether the workers are threads, which start at once and
            gain where reading and decoding files is most of the work.
        bad_boxes: one of `annotated_image.BAD_BOX_POLICIES`.
        description: left of the progress bar.

    Raises:
        DataError: an image or object that must not be in a record, or two
            images of one source id.
        ConfigError: shards of another count are in the way.
        ResourceError: the disk refuses, or a worker was killed.
    """
    paths = shard_paths(output_path, num_shards)
    _refuse_stale_shards(output_path, paths)
    summary = Summary(paths, num_objects={name: 0 for name in class_ids})
    work = functools.partial(_build_and_check, build, class_ids, bad_boxes)
    seen_source_ids: set[str] = set()
    with _atomic_writers(paths) as writers:
        for image, notes, example in _progress(
            _serialized(
                _ordered_map(work, items, num_workers, uses_threads), class_ids
            ),
            len(items),
            description,
        ):
            if image.source_id in seen_source_ids:
                raise errors.DataError(
                    f"{image.filename}: source id {image.source_id!r} appears"
                    " twice; evaluation needs one id for each image"
                )
            seen_source_ids.add(image.source_id)
            writers[summary.num_images % num_shards].write(example)
            summary.num_images += 1
            summary.notes.extend(notes)
            for item in image.objects:
                summary.num_objects[item.class_name] += 1
    return summary


def _build_and_check(
    build: _Build, class_ids: Mapping[str, int], bad_boxes: str, item: Any
) -> tuple[annotated_image.AnnotatedImage, list[str]]:
    return annotated_image.check_objects(build(item), class_ids, bad_boxes)


def _serialized(
    checked: Iterator[tuple[annotated_image.AnnotatedImage, list[str]]],
    class_ids: Mapping[str, int],
) -> Iterator[tuple[annotated_image.AnnotatedImage, list[str], bytes]]:
    from object_detection.data_decoders import tf_example

    for image, notes in checked:
        yield image, notes, tf_example.serialize(image, class_ids)


def _ordered_map(
    function: Callable[[Any], Any],
    items: Sequence[Any],
    num_workers: int,
    uses_threads: bool,
) -> Iterator[Any]:
    """As `map`, by workers, with a bounded number of results ahead."""
    if num_workers <= 1:
        yield from map(function, items)
        return
    # Chunks make the hand-over between processes cheap; the window keeps a
    # slow disk from filling the memory with finished images.
    chunk_size, window = 8, 4 * num_workers
    chunks = (
        items[start : start + chunk_size]
        for start in range(0, len(items), chunk_size)
    )
    with _make_pool(num_workers, uses_threads) as pool:
        pending: collections.deque = collections.deque()
        try:
            for chunk in chunks:
                pending.append(pool.submit(_map_chunk, function, chunk))
                if len(pending) >= window:
                    yield from pending.popleft().result()
            while pending:
                yield from pending.popleft().result()
        except concurrent.futures.process.BrokenProcessPool as error:
            raise errors.ResourceError(
                "a worker process was ended from outside, for lack of memory"
                " perhaps; use a lower --num_workers"
            ) from error
        finally:
            for future in pending:
                future.cancel()


def _make_pool(
    num_workers: int, uses_threads: bool
) -> concurrent.futures.Executor:
    if uses_threads:
        return concurrent.futures.ThreadPoolExecutor(num_workers)
    context = multiprocessing.get_context("spawn")
    return concurrent.futures.ProcessPoolExecutor(num_workers, context)


def _map_chunk(
    function: Callable[[Any], Any], chunk: Sequence[Any]
) -> list[Any]:
    return [function(item) for item in chunk]


@contextlib.contextmanager
def _atomic_writers(paths: Sequence[str]) -> Iterator[list[Any]]:
    """Yields a TFRecordWriter a path; renames into place only on success."""
    import tensorflow as tf

    temporary_paths = [f"{path}.tmp-{os.getpid()}" for path in paths]
    writers: list[Any] = []
    try:
        with _disk_errors(paths[0], OSError):
            os.makedirs(os.path.dirname(paths[0]) or ".", exist_ok=True)
        with _disk_errors(paths[0], tf.errors.OpError):
            for path in temporary_paths:
                writers.append(tf.io.TFRecordWriter(path))
            yield writers
            for writer in writers:
                writer.close()
        with _disk_errors(paths[0], OSError):
            for temporary_path, path in zip(
                temporary_paths, paths, strict=True
            ):
                os.replace(temporary_path, path)
    finally:
        for path in temporary_paths:
            with contextlib.suppress(OSError):
                os.remove(path)


@contextlib.contextmanager
def _disk_errors(path: str, kind: type[Exception]) -> Iterator[None]:
    try:
        yield
    except kind as error:
        raise errors.ResourceError(
            f"{path}: cannot write: {' '.join(str(error).split())}"
        ) from error


def _refuse_stale_shards(output_path: str, paths: Sequence[str]) -> None:
    """Shards of another count would match the same pattern in a config."""
    shard_name = re.compile(r".*-\d{5}-of-\d{5}$")
    stale = sorted(
        path
        for path in glob.glob(glob.escape(output_path) + "-*-of-*")
        if shard_name.match(path) and path not in paths
    )
    if stale:
        raise errors.ConfigError(
            f"{stale[0]}: {len(stale)} shards of an earlier run are in the"
            f" way of {len(paths)} new; remove them or change --output_path"
        )


def _progress(
    iterator: Iterator[Any], total: int, description: str
) -> Iterator[Any]:
    console = rich.console.Console(file=sys.stderr)
    return iter(
        rich.progress.track(
            iterator,
            description=description,
            total=total,
            console=console,
            disable=not console.is_terminal,
        )
    )
