"""Tables of the boxes of an evaluation set, one row a box.

Boxes are in absolute pixels of the original image, corners (ymin, xmin, ymax,
xmax). Dimensions: G groundtruth box, D detection, N row of a table.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from object_detection.core import standard_fields as fields

_INPUT = fields.InputDataFields
_RESULT = fields.DetectionResultFields


class GroundtruthRows(NamedTuple):
    """Groundtruth boxes.

    Attributes:
        image_index: int64 [N], position of the image, from 0.
        category_id: int64 [N].
        boxes_yxyx: float64 [N, 4].
        area: float64 [N], square pixels.
        is_crowd: bool [N].
        is_difficult: bool [N].
        is_group_of: bool [N], one box around several objects.
    """

    image_index: np.ndarray
    category_id: np.ndarray
    boxes_yxyx: np.ndarray
    area: np.ndarray
    is_crowd: np.ndarray
    is_difficult: np.ndarray
    is_group_of: np.ndarray


class DetectionRows(NamedTuple):
    """Detected boxes.

    Attributes:
        image_index: int64 [N], position of the image, from 0.
        category_id: int64 [N].
        boxes_yxyx: float64 [N, 4].
        scores: float64 [N].
    """

    image_index: np.ndarray
    category_id: np.ndarray
    boxes_yxyx: np.ndarray
    scores: np.ndarray


class ImageLabelRows(NamedTuple):
    """Image-level labels: the classes that an image was checked for.

    Attributes:
        image_index: int64 [N], position of the image, from 0.
        category_id: int64 [N].
    """

    image_index: np.ndarray
    category_id: np.ndarray


Rows = TypeVar("Rows", GroundtruthRows, DetectionRows, ImageLabelRows)


def groundtruth_of_image(values: Mapping[str, np.ndarray]) -> GroundtruthRows:
    """Checks and converts what `add_single_ground_truth_image_info` takes."""
    boxes = _boxes(values[_INPUT.groundtruth_boxes])

    def column(
        name: str, dtype: type, default: float | None = None
    ) -> np.ndarray:
        return _column(values.get(name), name, dtype, len(boxes), default)

    given_area = column(_INPUT.groundtruth_area, np.float64, -1)
    return GroundtruthRows(
        image_index=np.zeros(len(boxes), np.int64),
        category_id=column(_INPUT.groundtruth_classes, np.int64),
        boxes_yxyx=boxes,
        area=np.where(given_area >= 0, given_area, area_of(boxes)),
        is_crowd=column(_INPUT.groundtruth_is_crowd, bool, False),
        is_difficult=column(_INPUT.groundtruth_difficult, bool, False),
        is_group_of=column(_INPUT.groundtruth_group_of, bool, False),
    )


def detections_of_image(values: Mapping[str, np.ndarray]) -> DetectionRows:
    """Checks and converts what `add_single_detected_image_info` takes."""
    boxes = _boxes(values[_RESULT.detection_boxes])

    def column(name: str, dtype: type) -> np.ndarray:
        return _column(values[name], name, dtype, len(boxes))

    return DetectionRows(
        image_index=np.zeros(len(boxes), np.int64),
        category_id=column(_RESULT.detection_classes, np.int64),
        boxes_yxyx=boxes,
        scores=column(_RESULT.detection_scores, np.float64),
    )


def image_labels(values: Mapping[str, np.ndarray]) -> ImageLabelRows:
    """Converts the image-level labels of one image, which may have none."""
    category_id = np.asarray(
        values.get(_INPUT.groundtruth_image_classes, ()), np.int64
    )
    return ImageLabelRows(np.zeros_like(category_id), category_id)


def area_of(boxes_yxyx: np.ndarray) -> np.ndarray:
    """Height times width of each box, as float64 [N] in square pixels."""
    height_width = boxes_yxyx[:, 2:] - boxes_yxyx[:, :2]
    return height_width[:, 0] * height_width[:, 1]


_NO_IDS = np.zeros(0, np.int64)
_NO_FLAGS = np.zeros(0, bool)
NO_GROUNDTRUTH = GroundtruthRows(
    *(_NO_IDS, _NO_IDS, np.zeros((0, 4)), np.zeros(0)),
    *(_NO_FLAGS, _NO_FLAGS, _NO_FLAGS),
)
NO_DETECTIONS = DetectionRows(_NO_IDS, _NO_IDS, np.zeros((0, 4)), np.zeros(0))
NO_IMAGE_LABELS = ImageLabelRows(_NO_IDS, _NO_IDS)


def join(images: Sequence[Rows], nothing: Rows) -> Rows:
    """Concatenates the rows of images, and numbers the images.

    Args:
        images: the rows of one image each.
        nothing: no rows, for the types where there is no image.
    """
    columns = map(np.concatenate, zip(nothing, *images, strict=True))
    num_rows = [len(image.category_id) for image in images]
    image_index = np.repeat(np.arange(len(images)), num_rows)
    return type(nothing)(*columns)._replace(image_index=image_index)


def select(rows: Rows, chosen: np.ndarray) -> Rows:
    """Returns the rows that a mask or a list of row numbers chooses."""
    return type(rows)(*(column[chosen] for column in rows))


def _boxes(values: np.ndarray) -> np.ndarray:
    boxes = np.asarray(values, np.float64)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"boxes must be [N, 4] yxyx, got {boxes.shape}")
    return boxes


def _column(
    values: np.ndarray | None,
    name: str,
    dtype: type,
    length: int,
    default: float | None = None,
) -> np.ndarray:
    if values is None and default is not None:
        return np.full(length, default, dtype)
    column = np.asarray(values).astype(dtype)
    if column.shape != (length,):
        raise ValueError(f"{name} must be [{length}], got {column.shape}")
    return column
