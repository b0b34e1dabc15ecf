"""A detector for use: images in, boxes with classes and scores out.

detector = Detector.from_checkpoint("runs/ssd320/model.ckpt-100000")
found = detector(["street.jpg", array_HW3])
found[0].best(min_score=0.5).boxes_px()
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from object_detection.core import errors
from object_detection.inference import (
    detection_functions,
    detection_stream,
    image_files,
    model_loading,
)
from object_detection.utils import label_map_util

DEFAULT_BATCH_SIZE = 8

# What outside code gets from here, and gives.
Detections = detection_stream.Detections
Job = detection_stream.Job
Outcome = detection_stream.Outcome
Image = np.ndarray | bytes | str | os.PathLike[str]


class Detector:
    """Detects objects in images; make one by the class methods.

    Args:
        functions: of a model.
        label_map_path: None where classes have no names.
        batch_size: images that the network gets at a time.

    Attributes:
        label_map_path: as given.
        batch_size: as given.
        category_index: class id to a mapping with its 'name'; empty where
            they have none.

    Raises:
        ConfigError: the label map cannot be read, or there is no batch.
    """

    def __init__(
        self,
        functions: detection_functions.DetectionFunctions,
        label_map_path: str | None = None,
        batch_size: int = DEFAULT_BATCH_SIZE,
    ) -> None:
        if batch_size < 1:
            raise errors.ConfigError(
                f"batch_size: must be at least 1, got {batch_size}"
            )
        self.batch_size = batch_size
        self.label_map_path = label_map_path
        self.category_index: Mapping[int, Mapping[str, Any]] = {}
        if label_map_path is not None:
            self.category_index = (
                label_map_util.create_category_index_from_labelmap(
                    label_map_path
                )
            )
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
            label_map_path,
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
        return cls(functions, label_map_path or label_map_found, batch_size)

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
        stream = detection_stream.DetectionStream(
            self._functions, self.batch_size, keeps_images, with_raw
        )
        return stream.run(jobs)


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
