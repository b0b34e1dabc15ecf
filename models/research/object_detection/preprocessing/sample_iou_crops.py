"""Many crops by IoU of one image, for tests."""

from typing import Any

import numpy as np
import tensorflow as tf

from object_detection.core import standard_fields
from object_detection.preprocessing import examples, iou_crop, sample_examples

Fields = standard_fields.InputDataFields

SIZE_PX = (120, 200)


def make_example(
    boxes: np.ndarray, size_px: tuple[int, int] = SIZE_PX
) -> examples.Example:
    """Returns an image that tells the row and the column of each pixel."""
    rows, columns = np.mgrid[: size_px[0], : size_px[1]]
    image = np.stack([rows, columns, rows], axis=2).astype(np.uint8)
    return {
        Fields.image: tf.constant(image),
        Fields.groundtruth_boxes: tf.constant(np.reshape(boxes, [-1, 4])),
        Fields.groundtruth_classes: tf.range(len(boxes), dtype=tf.int64),
    }


def draw(
    count: int,
    boxes: np.ndarray,
    size_px: tuple[int, int] = SIZE_PX,
    **parameters: Any,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns windows and boxes of `count` crops.

    Args:
        count: number of draws.
        boxes: float32 [n, 4], normalised.
        size_px: of the image.
        parameters: of `IouCrop`.

    Returns:
        float32 [count, 4] yxyx in pixels and float32 [count, n, 4], NaN for
        the boxes that were dropped.
    """
    step = iou_crop.make_ssd_iou_crop(iou_crop.IouCrop(**parameters))

    def read(result: examples.Example) -> tf.Tensor:
        image = result[Fields.image]
        first = tf.cast(image[0, 0, :2], tf.int32)
        window = tf.concat([first, first + tf.shape(image)[:2]], axis=0)
        found = tf.tensor_scatter_nd_update(
            tf.fill([len(boxes), 4], float("nan")),
            result[Fields.groundtruth_classes][:, tf.newaxis],
            result[Fields.groundtruth_boxes],
        )
        return tf.concat(
            [tf.cast(window, tf.float32), tf.reshape(found, [-1])], axis=0
        )

    drawn = sample_examples.draw_many(
        step, make_example(boxes, size_px), count, read
    )
    return drawn[:, :4], drawn[:, 4:].reshape(count, -1, 4)


def is_whole(
    windows: np.ndarray, size_px: tuple[int, int] = SIZE_PX
) -> np.ndarray:
    """Returns bool [count], true for the whole image."""
    return (windows == [0, 0, *size_px]).all(axis=1)
