"""Detects in images from everywhere and gives what is found to outputs."""

import sys
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import rich.console
import rich.progress

from object_detection.inference import (
    detection_outputs,
    detector,
    image_sources,
)


class Summary(NamedTuple):
    """What was done.

    Attributes:
        num_images: that were detected in.
        num_detections: that were written.
        images_per_second: from the second batch on, outputs included; 0 if
            there was one alone.
        bad_images: path and reason of each that could not be read.
    """

    num_images: int
    num_detections: int
    images_per_second: float
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
    images_per_second = 0.0
    if first_batch_seconds is not None:
        seconds = time.perf_counter() - first_batch_seconds
        images_per_second = (num_images - model.batch_size) / seconds
    return Summary(num_images, num_detections, images_per_second, bad_images)


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
