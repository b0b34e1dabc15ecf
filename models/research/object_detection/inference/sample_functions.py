"""Functions of a detector that reads its answer from the pixels, for tests."""

import numpy as np

from object_detection.inference import detection_functions

# Rows of an image that tell a box each.
MAX_BOXES = 3


def make(
    has_static_size: bool = True,
) -> detection_functions.DetectionFunctions:
    """Returns functions that see a box in each of the first rows of an image.

    The red values of a row are ymin, xmin, ymax, xmax, in percent, the score
    in percent, 0 for no box, and the class, from 1.

    Args:
        has_static_size: whether all images are cut to the same size.
    """

    def resize(image_HW3: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        end = MAX_BOXES if has_static_size else None
        resized = image_HW3[:end, :6].astype(np.float32)
        return resized, np.int32(resized.shape)

    def detect(images: np.ndarray, _: np.ndarray) -> dict[str, np.ndarray]:
        rows = images[:, :MAX_BOXES, :6, 0]
        return {
            "detection_boxes": rows[:, :, :4] / 100,
            "detection_scores": rows[:, :, 4] / 100,
            "detection_classes": rows[:, :, 5],
            "num_detections": (rows[:, :, 4] > 0).sum(1).astype(np.float32),
        }

    return detection_functions.DetectionFunctions(
        resize=resize,
        detect=detect,
        has_static_size=has_static_size,
        raw=lambda images, _: images[:, :MAX_BOXES, :6, 0],
    )


def image(
    rows: list[tuple[int, ...]], size_px: tuple[int, int] = (8, 9)
) -> np.ndarray:
    """Returns uint8 [H, W, 3] that tells such boxes."""
    pixels = np.zeros((*size_px, 3), np.uint8)
    for number, row in enumerate(rows):
        pixels[number, :6, 0] = row
    return pixels
