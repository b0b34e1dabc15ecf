"""The images that SSD-VGG is measured on, and what is measured on them."""

import functools
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from absl import logging

from object_detection.builders import image_set_builder
from object_detection.core import errors
from object_detection.core.standard_fields import (
    DetectionResultFields,
    InputDataFields,
)
from object_detection.data_decoders import annotated_image, image_set
from object_detection.dataset_tools import data_sources
from object_detection.inference import detector, image_files, image_sources
from object_detection.metrics.evaluator import CategoryResult, Evaluator
from object_detection.protos import input_reader_pb2

TEST = "test"
TRAINVAL = "trainval"
NAMES = (TEST, TRAINVAL)

_PASCAL_VOC = "pascal_voc"


class Samples(NamedTuple):
    """Images with their boxes.

    Attributes:
        name: of the images, for the log.
        items: to detect in.
        annotations: of each, by its id.
        class_ids: class name to id, of the label map.
    """

    name: str
    items: Sequence[image_sources.ImageItem]
    annotations: Mapping[str, annotated_image.AnnotatedImage]
    class_ids: Mapping[str, int]

    def source(self) -> image_sources.ImageSource:
        """Returns the images as a detector takes them."""
        return image_sources.ImageSource(len(self.items), self._items)

    def _items(self) -> Iterator[image_sources.ImageItem]:
        return iter(self.items)


def find(
    source_name: str, data_dir: str, sample: str, label_map_path: str
) -> Samples:
    """Finds the images of a part of a data set; those without boxes are out.

    Args:
        source_name: see `data_sources.find`.
        data_dir: the same.
        sample: one of NAMES. `test` is the test images, else those to
            validate on; of VOC devkits those of 2007, else those that
            process_dataset validates on.
        label_map_path: of the run; "" for that of the format.

    Raises:
        ConfigError: an unknown format, or a folder that is not there.
        DataError: there is no such part, or a bad annotation in it.
    """
    source = data_sources.find(source_name, data_dir, label_map_path)
    images = source.train
    if sample == TEST:
        images = source.test
        if images is None and source_name == _PASCAL_VOC:
            images = _test_images_of_2007(data_dir, source.label_map_path)
        if images is None:
            images = source.validation
    if images is None:
        raise errors.DataError(
            f"--sample {sample}: {data_dir} has no test images with boxes, and "
            f"none to validate on; give --sample {TRAINVAL}"
        )
    return _with_boxes(images)


def _test_images_of_2007(
    data_dir: str, label_map_path: str
) -> image_set.ImageSet | None:
    folder = os.path.join(data_dir, "test", "VOCdevkit", "VOC2007")
    if not os.path.isdir(folder):
        return None
    logging.warning(
        "%s: process_dataset trains on these images; a model that it made the "
        "data for is measured on what it has learned",
        folder,
    )
    reader = input_reader_pb2.VocInputReader(
        input_dir=[folder], image_set="test"
    )
    return image_set_builder.build(
        input_reader_pb2.InputReader(
            label_map_path=label_map_path, voc_input_reader=reader
        ),
        "--data-dir",
    )


def _with_boxes(images: image_set.ImageSet) -> Samples:
    items, annotations = [], {}
    for item in images.items:
        found = images.read(item, is_whole=False)
        checked, _ = image_set.check(images, item, found)
        if not checked.objects:
            continue
        image_id = os.path.splitext(os.path.basename(item.path))[0]
        load = functools.partial(image_files.load, item.path)
        items.append(image_sources.ImageItem(image_id, item.path, load))
        annotations[image_id] = checked
    if not items:
        raise errors.DataError(f"{images.name}: no image has a box")
    return Samples(images.name, items, annotations, images.class_ids)


class Measuring:
    """Measures detections; its `add` is an output of `detection_run`.

    Args:
        samples: the images.
        evaluator: an empty one.
    """

    def __init__(self, samples: Samples, evaluator: Evaluator) -> None:
        self._samples = samples
        self._evaluator = evaluator
        self._num_images = 0

    def add(
        self, item: image_sources.ImageItem, outcome: detector.Outcome
    ) -> None:
        """Compares what was found in an image with its boxes."""
        annotation = self._samples.annotations.get(item.image_id)
        if annotation is None:  # It is not of the data set.
            return
        found = outcome.detections
        number, self._num_images = self._num_images, self._num_images + 1
        self._evaluator.add_single_ground_truth_image_info(
            number, self._groundtruth(annotation)
        )
        self._evaluator.add_single_detected_image_info(
            number,
            {
                DetectionResultFields.detection_boxes: found.boxes_px(),
                DetectionResultFields.detection_scores: found.scores,
                DetectionResultFields.detection_classes: found.classes,
            },
        )

    def compute(self) -> Sequence[CategoryResult]:
        """Returns what was measured of each class."""
        return self._evaluator.compute().categories

    def _groundtruth(
        self, annotation: annotated_image.AnnotatedImage
    ) -> dict[str, Any]:
        objects = annotation.objects
        return {
            InputDataFields.groundtruth_boxes: np.array(
                [one.box_yxyx_px for one in objects], np.float32
            ),
            InputDataFields.groundtruth_classes: np.array(
                [self._samples.class_ids[one.class_name] for one in objects]
            ),
            InputDataFields.groundtruth_difficult: np.array(
                [one.is_difficult for one in objects]
            ),
        }
