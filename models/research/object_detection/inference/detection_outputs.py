"""The files that detections are written to.

Each output is a context manager that gives a function, to be called with each
image and what was found in it; the file is complete when the block ends.
"""

import contextlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from object_detection.core import errors
from object_detection.inference import detector, image_sources
from object_detection.metrics import coco_results
from object_detection.utils import atomic_file

Add = Callable[[image_sources.ImageItem, detector.Outcome], None]
ClassName = Callable[[int], str]

COCO_JSON_NAME = "detections.json"
VOC_NAME = "comp4_det_test_{}.txt"

_MAX_NAME_CHARACTERS = 150
_NOT_IN_NAMES = re.compile(r"[^\w .,+=@()-]")


def file_name(image_id: str) -> str:
    """Returns a relative path for an image's files that stays in its folder.

    Args:
        image_id: any text; slashes make folders.
    """
    parts = [
        _NOT_IN_NAMES.sub("_", part)[:_MAX_NAME_CHARACTERS]
        for part in image_id.split("/")
        if part not in ("", ".", "..")
    ]
    return os.path.join(*parts) if parts else "image"


@contextlib.contextmanager
def coco_json(path: str, category_ids: Mapping[int, int]) -> Iterator[Add]:
    """Writes COCO's result format, which pycocotools' loadRes reads.

    `image_id` is a number where the image's id is one, as 000000397133 is,
    else its text; boxes are x, y, width, height in pixels.

    Args:
        path: of the file.
        category_ids: what the file calls classes, where it is not their id.
    """
    with (
        atomic_file.replacing(path) as temporary,
        open(temporary, "w", encoding="utf-8") as file,
    ):
        file.write("[")
        separator = "\n"

        def add(
            item: image_sources.ImageItem, outcome: detector.Outcome
        ) -> None:
            nonlocal separator
            found = outcome.detections
            for row in coco_results.rows_of_image(
                coco_results.image_id_of(item.image_id),
                found.boxes_px(),
                found.scores,
                found.classes,
                category_ids,
            ):
                file.write(separator + json.dumps(row))
                separator = ",\n"

        yield add
        file.write("\n]\n")


@contextlib.contextmanager
def voc_files(
    directory: str, class_names: Mapping[int, str], class_name: ClassName
) -> Iterator[Add]:
    """Writes one file a class as the Pascal VOC development kit reads them.

    Lines are `id score left top right bottom`: the image's name, and pixels
    counted from 1, clipped to the image.

    Args:
        directory: of the files.
        class_names: class id to name; each has a file, empty perhaps.
        class_name: names the others.
    """
    lines: dict[str, list[str]] = {name: [] for name in class_names.values()}

    def add(item: image_sources.ImageItem, outcome: detector.Outcome) -> None:
        found = outcome.detections
        height, width = found.size_px
        limits = [height - 1, width - 1] * 2
        boxes = 1 + np.clip(found.boxes_px(), 0, limits)
        image_id = os.path.basename(item.image_id)
        for (ymin, xmin, ymax, xmax), score, class_id in zip(
            boxes, found.scores, found.classes, strict=True
        ):
            lines.setdefault(class_name(class_id), []).append(
                f"{image_id} {score:.6f} {xmin:.6f} {ymin:.6f} {xmax:.6f} "
                f"{ymax:.6f}\n"
            )

    yield add
    for name, of_class in lines.items():
        path = os.path.join(directory, VOC_NAME.format(file_name(name)))
        _write_text(path, "".join(of_class))


@contextlib.contextmanager
def label_texts(directory: str, class_name: ClassName) -> Iterator[Add]:
    """Writes a text file an image, with a line for each box.

    Lines are `label label_id cx cy w h`: the class's name and its number
    from 0; the box's centre and size as shares of the image.
    """

    def add(item: image_sources.ImageItem, outcome: detector.Outcome) -> None:
        found = outcome.detections
        lines = []
        for (ymin, xmin, ymax, xmax), class_id in zip(
            found.boxes, found.classes, strict=True
        ):
            centre_and_size = (
                (xmin + xmax) / 2,
                (ymin + ymax) / 2,
                xmax - xmin,
                ymax - ymin,
            )
            numbers = " ".join(f"{value:.6f}" for value in centre_and_size)
            lines.append(f"{class_name(class_id)} {class_id - 1} {numbers}\n")
        path = os.path.join(directory, f"{file_name(item.image_id)}.txt")
        _write_text(path, "".join(lines))

    yield add


@contextlib.contextmanager
def raw_arrays(directory: str) -> Iterator[Add]:
    """Writes what the network said of every anchor, a .npy file an image."""

    def add(item: image_sources.ImageItem, outcome: detector.Outcome) -> None:
        path = os.path.join(directory, f"{file_name(item.image_id)}.npy")
        with atomic_file.replacing(path) as temporary:
            np.save(temporary, outcome.raw, allow_pickle=False)

    yield add


@contextlib.contextmanager
def tf_records(path: str, discard_image_pixels: bool = False) -> Iterator[Add]:
    """Writes the records that images came from, with `image/detection/*`.

    Args:
        path: of the file.
        discard_image_pixels: whether the images themselves are left out.
    """
    with (
        atomic_file.replacing(path) as temporary,
        tf.io.TFRecordWriter(temporary) as writer,
    ):

        def add(
            item: image_sources.ImageItem, outcome: detector.Outcome
        ) -> None:
            if item.example is None:
                raise errors.ConfigError(
                    f"--output_tfrecord_path: {item.path} is no TFRecord; "
                    "records with detections are made of records alone"
                )
            example = tf.train.Example.FromString(item.example)
            feature = example.features.feature
            if discard_image_pixels:
                feature.pop("image/encoded", None)
            found = outcome.detections
            columns = ("ymin", "xmin", "ymax", "xmax")
            values: dict[str, Any] = {
                f"bbox/{name}": found.boxes[:, column]
                for column, name in enumerate(columns)
            }
            values["score"] = found.scores
            for name, column in values.items():
                target = feature[f"image/detection/{name}"]
                target.float_list.value[:] = column.tolist()
            target = feature["image/detection/label"]
            target.int64_list.value[:] = found.classes.tolist()
            writer.write(example.SerializeToString(deterministic=True))

        yield add


def _write_text(path: str, text: str) -> None:
    with (
        atomic_file.replacing(path) as temporary,
        open(temporary, "w", encoding="utf-8", errors="backslashreplace") as f,
    ):
        f.write(text)
