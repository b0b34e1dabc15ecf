"""A detector for use: images in, boxes with classes and scores out.

    detector = Detector.from_checkpoint("runs/ssd320/model.ckpt-100000")
    found = detector(["street.jpg", array_HW3])
    found[0].best(min_score=0.5).boxes_px()

Images are decoded and resized on other threads, ahead of the network, which
gets batches of one size.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from object_detection.core import errors
from object_detection.core.standard_fields import (
    DetectionResultFields as Fields,
)
from object_detection.inference import (
    ahead,
    detection_functions,
    image_files,
    model_loading,
)
from object_detection.utils import label_map_util

DEFAULT_BATCH_SIZE = 8

CategoryIndex = Mapping[int, Mapping[str, Any]]
Image = np.ndarray | bytes | str | os.PathLike[str]


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


class Detector:
    """Detects objects in images; make one by the class methods.

    Args:
        functions: of a model.
        category_index: class id to a mapping with its 'name'; empty where
            they are not known.
        batch_size: images that the network gets at a time.

    Attributes:
        category_index: as given.
        batch_size: as given.
    """

    def __init__(
        self,
        functions: detection_functions.DetectionFunctions,
        category_index: CategoryIndex,
        batch_size: int = DEFAULT_BATCH_SIZE,
    ) -> None:
        if batch_size < 1:
            raise errors.ConfigError(
                f"batch_size: must be at least 1, got {batch_size}"
            )
        self.category_index = category_index
        self.batch_size = batch_size
        self._functions = functions

    @classmethod
    def from_checkpoint(
        cls,
        checkpoint: str,
        pipeline_config_path: str | None = None,
        *,
        label_map_path: str | None = None,
        hparams_overrides: str | None = None,
        compute_dtype: str = "float32",
        batch_size: int = DEFAULT_BATCH_SIZE,
    ) -> "Detector":
        """Builds the detector of a config, with weights of a checkpoint.

        Args:
            checkpoint: a checkpoint, or a directory for its newest.
            pipeline_config_path: None for the one beside the checkpoint.
            label_map_path: in place of that of the config.
            hparams_overrides: see `model_hparams`.
            compute_dtype: a key of `amp.POLICIES`.
            batch_size: images that the network gets at a time.

        Raises:
            ConfigError: names the flag or field that cannot work.
            CheckpointError: there is no checkpoint, or it does not fit.
        """
        if pipeline_config_path is None:
            pipeline_config_path = (
                checkpoint
                if os.path.isdir(checkpoint)
                else os.path.dirname(checkpoint) or "."
            )
        configs = model_loading.read_configs(
            pipeline_config_path, hparams_overrides=hparams_overrides
        )
        return cls.from_configs(
            configs,
            checkpoint,
            label_map_path=label_map_path,
            compute_dtype=compute_dtype,
            batch_size=batch_size,
        )

    @classmethod
    def from_configs(
        cls,
        configs: dict[str, Any],
        checkpoint: str | None,
        *,
        label_map_path: str | None = None,
        compute_dtype: str = "float32",
        batch_size: int = DEFAULT_BATCH_SIZE,
    ) -> "Detector":
        """Does the work of `from_checkpoint` for a config that was read.

        Args:
            configs: from `model_loading.read_configs`.
            checkpoint: None for random weights; as the rest of
                `from_checkpoint`.
        """
        if label_map_path is None:
            label_map_path = model_loading.find_label_map(configs)
        else:
            label_map_util.check_num_classes(
                label_map_path, configs["model"].ssd.num_classes
            )
        loaded = model_loading.build(
            configs, checkpoint, compute_dtype=compute_dtype
        )
        return cls(
            detection_functions.of_module(loaded.module),
            _category_index(label_map_path),
            batch_size,
        )

    @classmethod
    def from_saved_model(
        cls,
        path: str,
        *,
        label_map_path: str | None = None,
        batch_size: int = DEFAULT_BATCH_SIZE,
    ) -> "Detector":
        """Loads a SavedModel, or a frozen graph of TensorFlow 1.

        Args:
            path: the directory of a SavedModel, or one that holds it as
                `saved_model`, or a `.pb` file; exported here or elsewhere.
            label_map_path: in place of the one in it.
            batch_size: images that the network gets at a time.

        Raises:
            CheckpointError: it cannot be loaded, or takes no images.
            ConfigError: the label map cannot be read.
        """
        functions, label_map_found = detection_functions.load(path)
        categories = _category_index(label_map_path or label_map_found)
        return cls(functions, categories, batch_size)

    def class_name(self, class_id: int) -> str:
        """Returns the name of a class, or a text with its number."""
        category = self.category_index.get(int(class_id))
        return str(category["name"]) if category else f"class {class_id}"

    def __call__(self, images: Sequence[Image]) -> list[Detections]:
        """Detects in images.

        Args:
            images: uint8 arrays [H, W, 3], bytes of image files, paths or
                http addresses; of any sizes.

        Raises:
            DataError: names the first image that cannot be read.
            ValueError: an array is no image.
        """
        jobs = [
            Job(number, _loader(image)) for number, image in enumerate(images)
        ]
        found = []
        for outcome in self.stream(jobs):
            if outcome.fault is not None:
                image = images[outcome.source]
                name = (
                    f"image {outcome.source}"
                    if isinstance(image, bytes)
                    else os.fspath(image)
                )
                raise errors.DataError(f"{name}: {outcome.fault}")
            found.append(outcome.detections)
        return found

    def stream(
        self,
        jobs: Iterable[Job],
        *,
        keeps_images: bool = False,
        with_raw: bool = False,
    ) -> Iterator[Outcome]:
        """Yields what becomes of each job, in their order.

        A few batches are in memory at a time, so there may be any number of
        jobs, made as they are asked for.

        Args:
            jobs: the images.
            keeps_images: whether outcomes have the image.
            with_raw: whether outcomes have what the network said of every
                anchor; the network runs a second time for it.

        Raises:
            ConfigError: `with_raw` is asked of a model that cannot.
        """
        if with_raw and self._functions.raw is None:
            raise errors.ConfigError(
                "raw predictions: this model does not give them; expected a "
                "checkpoint, or a SavedModel exported here"
            )
        loaded = ahead.run(
            lambda job: self._load(job, keeps_images),
            jobs,
            num_threads=ahead.NUM_THREADS,
            num_ahead=2 * self.batch_size + ahead.NUM_THREADS,
        )
        # While what was found in a batch is used, the next is computed.
        for outcomes in ahead.run(
            lambda batch: self._detect(batch, with_raw),
            self._batches(loaded),
            num_threads=1,
            num_ahead=1,
        ):
            yield from outcomes

    def _load(self, job: Job, keeps_image: bool) -> _Loaded:
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
            image if keeps_image else None,
        )

    def _batches(self, loaded: Iterable[_Loaded]) -> Iterator[list[_Loaded]]:
        """Yields images until a batch is full; faults go with them."""
        batch: list[_Loaded] = []
        num_images = 0
        for one in loaded:
            batch.append(one)
            num_images += one.fault is None
            if num_images == self.batch_size:
                yield batch
                batch, num_images = [], 0
        if batch:
            yield batch

    def _detect(self, batch: list[_Loaded], with_raw: bool) -> list[Outcome]:
        rows_of_size: dict[tuple[int, ...], list[int]] = {}
        for row, one in enumerate(batch):
            if one.fault is None:
                rows_of_size.setdefault(one.resized.shape, []).append(row)
        outcomes = [Outcome(one.source, None, one.fault) for one in batch]
        for rows in rows_of_size.values():
            resized = self._stacked([batch[row].resized for row in rows])
            shapes = self._stacked([batch[row].true_shape for row in rows])
            found = self._functions.detect(resized, shapes)
            raw = self._functions.raw(resized, shapes) if with_raw else None
            for place, row in enumerate(rows):
                outcomes[row] = outcomes[row]._replace(
                    detections=_of_image(found, place, batch[row].size_px),
                    image=batch[row].image,
                    raw=None if raw is None else raw[place],
                )
        return outcomes

    def _stacked(self, arrays: list[np.ndarray]) -> np.ndarray:
        """Joins arrays; a last batch is filled up, to be traced only once."""
        missing = self.batch_size - len(arrays)
        if self._functions.has_static_size and missing > 0:
            arrays = arrays + [arrays[-1]] * missing
        return np.stack(arrays)


def _category_index(label_map_path: str | None) -> CategoryIndex:
    if label_map_path is None:
        return {}
    return label_map_util.create_category_index_from_labelmap(label_map_path)


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


def _loader(image: Image) -> Callable[[], np.ndarray]:
    if isinstance(image, bytes):
        return lambda: image_files.decode(image)
    if isinstance(image, str | os.PathLike):
        return lambda: image_files.load(image)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(
            "images: expected uint8 arrays [height, width, 3], got "
            f"{image.dtype} {list(image.shape)}"
        )
    return lambda: image
