"""Images through a detector: decoded ahead, in batches, faults set apart.

Images are loaded and resized on other threads, ahead of the network, which
gets batches of one size.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from object_detection.core import errors
from object_detection.core.standard_fields import (
    DetectionResultFields as Fields,
)
from object_detection.inference import ahead, detection_functions


class Detections(NamedTuple):
    """What was found in one image, best first.

    Attributes:
        boxes: float32 [N, 4] yxyx, normalised to the image.
        scores: float32 [N].
        classes: int64 [N], ids of the label map, from 1.
        size_px: height and width of the image.
    """

    boxes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray
    size_px: tuple[int, int]

    def boxes_px(self) -> np.ndarray:
        """Returns float32 [N, 4], the boxes in pixels of the image."""
        return self.boxes * np.float32(np.tile(self.size_px, 2))

    def best(
        self, min_score: float = 0.0, max_boxes: int | None = None
    ) -> "Detections":
        """Returns those that score at least so much, and so many at most."""
        rows = np.flatnonzero(self.scores >= min_score)[:max_boxes]
        return Detections(
            self.boxes[rows],
            self.scores[rows],
            self.classes[rows],
            self.size_px,
        )


class Job(NamedTuple):
    """An image to detect in.

    Attributes:
        source: what it is; handed back.
        load: gives its pixels, uint8 [H, W, 3]; called on another thread. It
            raises DataError for an image that cannot be read.
    """

    source: Any
    load: Callable[[], np.ndarray]


class Outcome(NamedTuple):
    """What became of a job.

    Attributes:
        source: of the job.
        detections: what was found, None after a fault.
        fault: why the image could not be read, or None.
        image: uint8 [H, W, 3], where images are kept.
        raw: float32 [A, K + code size], where it was asked for: see
            `DetectionModule.raw`.
    """

    source: Any
    detections: Detections | None
    fault: str | None
    image: np.ndarray | None = None
    raw: np.ndarray | None = None


class _Loaded(NamedTuple):
    """An image on its way to the network."""

    source: Any
    fault: str | None
    size_px: tuple[int, int] = (0, 0)
    resized: np.ndarray | None = None
    true_shape: np.ndarray | None = None
    image: np.ndarray | None = None


class DetectionStream:
    """Detects in any number of images.

    Args:
        functions: of a model.
        batch_size: images that the network gets at a time.
        keeps_images: whether outcomes have the image.
        with_raw: whether outcomes have what the network said of every anchor;
            the network runs a second time for it.

    Raises:
        ConfigError: `with_raw` is asked of a model that cannot.
    """

    def __init__(
        self,
        functions: detection_functions.DetectionFunctions,
        batch_size: int,
        keeps_images: bool = False,
        with_raw: bool = False,
    ) -> None:
        if with_raw and functions.raw is None:
            raise errors.ConfigError(
                "raw predictions: this model does not give them; expected a "
                "checkpoint, or a SavedModel exported here"
            )
        self._functions = functions
        self._batch_size = batch_size
        self._keeps_images = keeps_images
        self._with_raw = with_raw

    def run(self, jobs: Iterable[Job]) -> Iterator[Outcome]:
        """Yields what becomes of each job, in their order.

        A few batches are in memory at a time, so there may be any number of
        jobs, made as they are asked for.
        """
        loaded = ahead.run(
            self._load,
            jobs,
            num_threads=ahead.NUM_THREADS,
            num_ahead=2 * self._batch_size + ahead.NUM_THREADS,
        )
        # While what was found in a batch is used, the next is computed.
        for outcomes in ahead.run(
            self._detect, self._batches(loaded), num_threads=1, num_ahead=1
        ):
            yield from outcomes

    def _load(self, job: Job) -> _Loaded:
        try:
            image = job.load()
        except errors.DataError as error:
            return _Loaded(job.source, str(error))
        resized, true_shape = self._functions.resize(image)
        return _Loaded(
            job.source,
            None,
            image.shape[:2],
            resized,
            true_shape,
            image if self._keeps_images else None,
        )

    def _batches(self, loaded: Iterable[_Loaded]) -> Iterator[list[_Loaded]]:
        """Yields images until a batch is full; faults go with them."""
        batch: list[_Loaded] = []
        num_images = 0
        for one in loaded:
            batch.append(one)
            num_images += one.fault is None
            if num_images == self._batch_size:
                yield batch
                batch, num_images = [], 0
        if batch:
            yield batch

    def _detect(self, batch: list[_Loaded]) -> list[Outcome]:
        rows_of_size: dict[tuple[int, ...], list[int]] = {}
        for row, one in enumerate(batch):
            if one.fault is None:
                rows_of_size.setdefault(one.resized.shape, []).append(row)
        outcomes = [Outcome(one.source, None, one.fault) for one in batch]
        for rows in rows_of_size.values():
            resized = self._stacked([batch[row].resized for row in rows])
            shapes = self._stacked([batch[row].true_shape for row in rows])
            found = self._functions.detect(resized, shapes)
            raw = None
            if self._with_raw:
                raw = self._functions.raw(resized, shapes)
            for place, row in enumerate(rows):
                outcomes[row] = outcomes[row]._replace(
                    detections=_of_image(found, place, batch[row].size_px),
                    image=batch[row].image,
                    raw=None if raw is None else raw[place],
                )
        return outcomes

    def _stacked(self, arrays: list[np.ndarray]) -> np.ndarray:
        """Joins arrays; a last batch is filled up, to be traced only once."""
        missing = self._batch_size - len(arrays)
        if self._functions.has_static_size and missing > 0:
            arrays = arrays + [arrays[-1]] * missing
        return np.stack(arrays)


def _of_image(
    found: Mapping[str, np.ndarray], place: int, size_px: tuple[int, int]
) -> Detections:
    num = int(found[Fields.num_detections][place])
    return Detections(
        boxes=found[Fields.detection_boxes][place, :num],
        scores=found[Fields.detection_scores][place, :num],
        classes=found[Fields.detection_classes][place, :num].astype(np.int64),
        size_px=size_px,
    )
