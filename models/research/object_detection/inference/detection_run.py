"""Detects in images from everywhere and gives what is found to outputs."""

import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import rich.console
import rich.progress

from object_detection.core import errors
from object_detection.inference import (
    detection_outputs,
    detector,
    image_sources,
)
from object_detection.utils import atomic_file

BAD_IMAGES_NAME = "bad_images.json"

_MAX_NAMED_IMAGES = 20


class Summary(NamedTuple):
    """What was done.

    Attributes:
        num_images: that were detected in.
        num_detections: that were written.
        images_per_second: from the second batch on, outputs included; None
            if there was one alone.
        bad_images: path and reason of each that could not be read.
    """

    num_images: int
    num_detections: int
    images_per_second: float | None
    bad_images: list[tuple[str, str]]


def detect(
    model: detector.Detector,
    sources: Sequence[image_sources.ImageSource],
    outputs: Sequence[detection_outputs.Add],
    *,
    min_score: float = 0.0,
    max_boxes: int | None = None,
    keeps_images: bool = False,
    with_raw: bool = False,
) -> Summary:
    """Detects in all images and gives what was found to the outputs.

    Args:
        model: the detector.
        sources: the images.
        outputs: from `detection_outputs` and `drawn_images`.
        min_score: only detections that score at least so much.
        max_boxes: at most so many boxes an image.
        keeps_images: whether outputs need the images.
        with_raw: whether outputs need what the network said of every anchor.
    """
    bad_images: list[tuple[str, str]] = []
    num_images = num_detections = 0
    first_batch_seconds = None
    for outcome in model.stream(
        _jobs(sources, bad_images), keeps_images=keeps_images, with_raw=with_raw
    ):
        item: image_sources.ImageItem = outcome.source
        if outcome.fault is not None:
            bad_images.append((item.path, outcome.fault))
            continue
        best = outcome.detections.best(min_score, max_boxes)
        for add in outputs:
            add(item, outcome._replace(detections=best))
        num_images += 1
        num_detections += len(best.scores)
        if num_images == model.batch_size:
            first_batch_seconds = time.perf_counter()
    images_per_second = None
    if first_batch_seconds is not None and num_images > model.batch_size:
        seconds = time.perf_counter() - first_batch_seconds
        images_per_second = (num_images - model.batch_size) / seconds
    return Summary(num_images, num_detections, images_per_second, bad_images)


def report_bad_images(summary: Summary, output_dir: str | None) -> None:
    """Names what could not be read.

    Args:
        summary: of `detect`.
        output_dir: gets a list of all; None for no list.

    Raises:
        DataError: there is such an image, or there was no image at all.
    """
    bad_images: list[Any] = summary.bad_images
    if not bad_images:
        if not summary.num_images:
            raise errors.DataError("--input: holds no image")
        return
    where = ""
    if output_dir is not None:
        path = os.path.join(output_dir, BAD_IMAGES_NAME)
        rows = [
            {"path": path_, "reason": reason} for path_, reason in bad_images
        ]
        with (
            atomic_file.replacing(path) as temporary,
            open(temporary, "w", encoding="utf-8") as file,
        ):
            json.dump(rows, file, indent=1)
        where = f"; all are in {path}"
    for path, reason in bad_images[:_MAX_NAMED_IMAGES]:
        print(f"{path}: {reason}", file=sys.stderr)
    raise errors.DataError(
        f"{len(bad_images)} of {len(bad_images) + summary.num_images} images "
        f"could not be used, named above{where}"
    )


def _jobs(
    sources: Sequence[image_sources.ImageSource],
    bad_images: list[tuple[str, str]],
) -> Iterator[detector.Job]:
    """Yields the images behind a progress bar; an id may appear once."""
    counts = [source.num_images for source in sources]
    path_of_id: dict[str, str] = {}
    console = rich.console.Console(file=sys.stderr)
    items = (item for source in sources for item in source.items())
    for item in rich.progress.track(
        items,
        description="detecting",
        total=None if None in counts else sum(counts),
        console=console,
        disable=not console.is_terminal,
    ):
        first_path = path_of_id.get(item.image_id)
        if first_path is None:
            path_of_id[item.image_id] = item.path
            yield detector.Job(item, item.load)
        elif first_path != item.path:  # Else it is given twice.
            reason = (
                f"has the name of {first_path}, {item.image_id!r}: detect in "
                "it apart"
            )
            bad_images.append((item.path, reason))
