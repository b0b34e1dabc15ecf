"""Runs a detector over a data set and measures what it finds.

    evaluation = eval_util.evaluate(
        model, input_fn(), evaluators, categories,
        inputs.groundtruth_from_labels)
    eval_util.write(evaluation, os.path.join(model_dir, "eval"), step)

Every example counts once, and the numbers are the same for every batch size:
losses are those of the single image, as at batch size 1.
"""

import hashlib
import itertools
import re
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from absl import logging

from object_detection.core import errors
from object_detection.core.standard_fields import LossFields
from object_detection.metrics.evaluator import CategoryResult, Evaluator
from object_detection.training import distributed, signals, summaries
from object_detection.utils import (
    detection_results,
    evaluation_files,
    label_map_util,
)
from object_detection.utils import visualization_utils as vis

# Gets the results of the images of an evaluation, and in how many seconds they
# were predicted, the first (compiled) batch included.
LookAt = Callable[[Sequence[detection_results.ImageResult], float], None]

PICTURE_TAG = "Detections_Left_Groundtruth_Right"

# An integer of more digits is hashed like any other text.
_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,17}")
# Above all integers of 18 digits, so that a hash never meets one.
_FIRST_HASH = 2**62


class Evaluation(NamedTuple):
    """What is known of a detector on a data set.

    Attributes:
        metrics: name in TensorBoard to value, losses included.
        categories: one entry a category, of the first evaluator.
        table: lines for people, of all evaluators.
        pictures: uint8 [H, W, 3] each, of the first images.
        num_images: how many images were seen.
        seconds: how long it took, the first (compiled) batch included.
    """

    metrics: dict[str, float]
    categories: tuple[CategoryResult, ...]
    table: str
    pictures: list[np.ndarray]
    num_images: int
    seconds: float


def evaluate(
    model: Any,
    dataset: Iterable[
        tuple[detection_results.Features, detection_results.Labels]
    ],
    evaluators: Sequence[Evaluator],
    categories: Sequence[label_map_util.Category],
    groundtruth_from_labels: detection_results.GroundtruthFromLabels,
    *,
    visualization: vis.VisualizationOptions | None = None,
    add_regularization_loss: bool = True,
    skip_images_with_crowds: bool = False,
    look_at: LookAt | None = None,
    stop: signals.StopRequest | None = None,
) -> Evaluation | None:
    """Detects in every image of a finite data set once, and measures.

    Prints the tables of the evaluators, such as pycocotools' twelve lines. Of
    several processes each detects in its share of the images, and the main
    one measures all: process r has the images r, r + size, r + 2 size, ... of
    the set.

    Args:
        model: a detector.
        dataset: batches of (features, labels), of any size.
        evaluators: empty ones; they are empty again afterwards.
        categories: the label map, for the names in pictures.
        groundtruth_from_labels: turns the labels of a batch into the
            detector's Groundtruth.
        visualization: what is drawn; None for the defaults.
        add_regularization_loss: whether it is part of the total loss.
        skip_images_with_crowds: whether an image with a box that is marked as
            a crowd is left out, its losses too.
        look_at: called in the main process with all images that count, in
            their order, and the seconds since the start, before they are
            measured.
        stop: looked at between batches; a stop ends the process.

    Returns:
        None in all processes but the main one.

    Raises:
        DataError: there is no image, or two images have one source id.
        SystemExit: after a signal.
    """
    stop = stop or signals.StopRequest()
    start_seconds = time.monotonic()
    if visualization is None:
        visualization = vis.VisualizationOptions()
    category_index = label_map_util.create_category_index(list(categories))
    results = list(
        detection_results.detect(
            model,
            stop.watch(dataset),
            groundtruth_from_labels,
            category_index,
            visualization,
        )
    )
    stop.exit_together()
    results = _in_order(distributed.gather_objects(results))
    if skip_images_with_crowds:
        results = _without_crowds(results)
    if not results:
        distributed.raise_together(
            errors.DataError(
                "evaluation set: no image was read, or none is left to "
                "measure; expected one or more: look at eval_input_reader and "
                "eval_config.skip_images_with_crowds"
            )
        )
    if not distributed.is_main_process():
        return None
    if look_at is not None:
        look_at(results, time.monotonic() - start_seconds)
    losses = {
        name: float(np.mean([result.losses[name] for result in results]))
        for name in results[0].losses
    }
    if add_regularization_loss:
        losses[LossFields.regularization_loss] = float(
            model.regularization_loss()
        )
    losses[LossFields.total_loss] = sum(losses.values())
    with distributed.taking_long():
        metrics, categories_found, table = _measure(results, evaluators)
    _print(table)
    return Evaluation(
        metrics={**metrics, **losses},
        categories=categories_found,
        table=table,
        pictures=[r.picture for r in results if r.picture is not None][
            : visualization.num_visualizations
        ],
        num_images=len(results),
        seconds=time.monotonic() - start_seconds,
    )


def write(
    evaluation: Evaluation,
    directory: str,
    step: int,
    summary_dir: str | None = None,
) -> None:
    """Leaves an evaluation in a directory and in the log.

    Writes TensorBoard events, `evaluation-<step>.json`, and the pictures as
    PNG files, which replace those of the evaluation before.

    Args:
        evaluation: what `evaluate` returned.
        directory: `<model_dir>/eval`, made when it does not exist.
        step: number of training steps of the weights.
        summary_dir: where the events go; None for `directory`.
    """
    writer = summaries.SummaryWriter(summary_dir or directory)
    writer.scalars(step, evaluation.metrics)
    writer.images(
        step,
        {
            f"{PICTURE_TAG}/{number}": picture
            for number, picture in enumerate(evaluation.pictures)
        },
    )
    writer.flush()
    evaluation_files.write(
        directory,
        evaluation_files.EvaluationRecord(
            step=step,
            num_images=evaluation.num_images,
            seconds=evaluation.seconds,
            metrics=evaluation.metrics,
            categories=evaluation.categories,
            table=evaluation.table,
        ),
        evaluation.pictures,
    )
    values = {
        **evaluation.metrics,
        "loss": evaluation.metrics[LossFields.total_loss],
        "global_step": step,
    }
    listed = ", ".join(f"{name} = {values[name]}" for name in sorted(values))
    logging.info("Saving dict for global step %d: %s", step, listed)


def image_ids(source_ids: Sequence[str]) -> list[int]:
    """Numbers images by their source ids, the same in every run.

    An integer stays what it is, other text is hashed; images without a
    source id are numbered by their place.

    Raises:
        DataError: two images have the same source id.
    """
    ids = []
    id_to_source: dict[int, str] = {}
    for place, source_id in enumerate(source_ids):
        image_id = _image_id(source_id or f"\0image {place}")
        if image_id in id_to_source:
            raise errors.DataError(
                "evaluation set: two images have the image id of "
                f"{id_to_source[image_id][:80]!r} and {source_id[:80]!r}; "
                "expected every image once: give each record a source id of "
                "its own"
            )
        id_to_source[image_id] = source_id
        ids.append(image_id)
    return ids


def _image_id(source_id: str) -> int:
    # '007' is another image than '7', so it is no integer.
    if _INTEGER.fullmatch(source_id):
        return int(source_id)
    digest = hashlib.sha256(source_id.encode()).digest()
    return _FIRST_HASH + int.from_bytes(digest[:8], "big") % _FIRST_HASH


def _in_order(
    shares: Sequence[Sequence[detection_results.ImageResult]],
) -> list[detection_results.ImageResult]:
    """Returns the images of all processes as one process has them."""
    rounds = itertools.zip_longest(*shares)
    return [result for one in rounds for result in one if result is not None]


def _without_crowds(
    results: Sequence[detection_results.ImageResult],
) -> list[detection_results.ImageResult]:
    kept = [result for result in results if not result.has_crowd]
    if distributed.is_main_process():
        logging.info(
            "Evaluation of %d of %d images: %d have a box that is marked as a "
            "crowd (eval_config.skip_images_with_crowds)",
            len(kept),
            len(results),
            len(results) - len(kept),
        )
    return kept


def _print(table: str) -> None:
    """Prints; what stdout cannot show of a class's name is escaped."""
    encoding = sys.stdout.encoding or "utf-8"
    shown = table.encode(encoding, "backslashreplace").decode(encoding)
    print(shown, flush=True)


def _measure(
    results: Sequence[detection_results.ImageResult],
    evaluators: Sequence[Evaluator],
) -> tuple[dict[str, float], tuple[CategoryResult, ...], str]:
    """Returns metrics, categories and table of what was detected."""
    ids = image_ids([result.source_id for result in results])
    found = []
    for evaluator in evaluators:
        for image_id, result in zip(ids, results, strict=True):
            evaluator.add_single_ground_truth_image_info(
                image_id, result.groundtruth
            )
            evaluator.add_single_detected_image_info(
                image_id, result.detections
            )
        found.append(evaluator.compute())
        evaluator.clear()
    metrics = {
        name: value for one in found for name, value in one.metrics.items()
    }
    categories = found[0].categories if found else ()
    return metrics, categories, "\n".join(one.table for one in found)
