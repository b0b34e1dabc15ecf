"""A detector that reads its answer from the pixels, and images that tell it.

For tests of evaluation, which can so say what is detected.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from object_detection.core.containers import Groundtruth

CATEGORIES = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
HEIGHT, WIDTH, MAX_BOXES = 20, 30, 3

Tensor = Any
Example = tuple[dict[str, Any], dict[str, np.ndarray]]


class PixelDetector:
    """Detects boxes whose numbers are the first pixels of the image.

    Row d of the image is detection d: ymin, xmin, ymax, xmax, score, each
    divided by 255, then the class.
    """

    def __init__(self) -> None:
        self.num_traces = 0

    def normalize(self, images: Tensor) -> Tensor:
        return images / 255.0

    def predict(
        self, images: Tensor, true_shapes: Tensor, training: bool | None = None
    ) -> dict[str, Tensor]:
        assert training is False
        self.num_traces += 1
        return {
            "box_encodings": images[:, :MAX_BOXES, :4, 0],
            "class_predictions_with_background": images[:, :MAX_BOXES, 4:6, 0],
            "anchors": keras.ops.zeros([MAX_BOXES, 4]),
            "image_size": keras.ops.ones([2]),
        }

    def loss(
        self,
        predictions: Mapping[str, Tensor],
        true_shapes: Tensor,
        groundtruth: Groundtruth,
        training: bool | None = None,
    ) -> dict[str, Tensor]:
        assert training is False
        # Normalised over the batch, so that it would depend on its size.
        error = predictions["box_encodings"] - groundtruth.boxes
        num_boxes = tf.reduce_sum(tf.cast(groundtruth.num_boxes, tf.float32))
        return {
            "Loss/localization_loss": tf.reduce_sum(tf.abs(error))
            / tf.maximum(num_boxes, 1.0),
            "Loss/classification_loss": tf.reduce_mean(
                predictions["class_predictions_with_background"]
            ),
        }

    def postprocess(
        self, predictions: Mapping[str, Tensor], true_shapes: Tensor
    ) -> dict[str, Tensor]:
        scores = predictions["class_predictions_with_background"]
        return {
            "detection_boxes": predictions["box_encodings"],
            "detection_scores": scores[..., 0],
            "detection_classes": tf.round(scores[..., 1] * 255.0),
            "num_detections": tf.reduce_sum(
                tf.cast(scores[..., 0] > 0, tf.float32), axis=1
            ),
        }

    def regularization_loss(self) -> Tensor:
        return tf.constant(0.25)


def groundtruth_from_labels(labels: Mapping[str, Tensor]) -> Groundtruth:
    """Returns what the detector's loss needs."""
    boxes = labels["groundtruth_boxes"]
    return Groundtruth(
        boxes=boxes,
        classes=labels["groundtruth_classes"],
        weights=tf.ones_like(boxes[..., 0]),
        num_boxes=labels["num_groundtruth_boxes"],
    )


def example(
    source_id: str = "7",
    found: Sequence[Sequence[float]] = (),
    boxes: Sequence[Sequence[float]] = (),
    classes: Sequence[int] = (),
    size: Sequence[int] = (200, 600),
    **optional: Sequence[float],
) -> Example:
    """Returns features and labels of one image.

    Args:
        source_id: of the image.
        found: rows of (ymin, xmin, ymax, xmax, score, class from 0), the
            first five in 0..255.
        boxes: groundtruth in 0..255 of the padded image.
        classes: of the groundtruth, from 0.
        size: height and width of the original image.
        **optional: one value a box of `groundtruth_<name>`.
    """
    image = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    for row, values in enumerate(found):
        image[row, :6] = np.array(values, np.float32)[:, np.newaxis]
    padded = np.zeros((MAX_BOXES, 4), np.float32)
    padded[: len(boxes)] = np.array(boxes, np.float32).reshape(-1, 4) / 255
    one_hot = np.zeros((MAX_BOXES, 2), np.float32)
    one_hot[np.arange(len(classes)), list(classes)] = 1
    features = {
        "image": image,
        "true_image_shape": np.array([HEIGHT, WIDTH, 3], np.int32),
        "original_image_spatial_shape": np.array(size, np.int32),
        "source_id": source_id,
    }
    labels = {
        "num_groundtruth_boxes": np.int32(len(boxes)),
        "groundtruth_boxes": padded,
        "groundtruth_classes": one_hot,
        "groundtruth_area": np.full(MAX_BOXES, -1, np.float32),
    }
    for name, values in optional.items():
        column = np.zeros(MAX_BOXES, np.asarray(values).dtype)
        column[: len(values)] = values
        labels[f"groundtruth_{name}"] = column
    return features, labels


def dataset_of(
    examples: Sequence[Example], batch_size: int = 1
) -> tf.data.Dataset:
    """Returns batches of the examples."""
    stacked = tf.nest.map_structure(lambda *x: np.stack(x), *examples)
    return tf.data.Dataset.from_tensor_slices(stacked).batch(batch_size)


def random_examples(count: int, seed: int = 3) -> list[Example]:
    """Returns images of any size, with boxes and detections near them."""
    rng = np.random.default_rng(seed)
    examples = []
    for number in range(count):
        corners = rng.integers(0, 120, (MAX_BOXES, 2))
        boxes = np.hstack([corners, corners + rng.integers(20, 130, (3, 2))])
        classes = rng.integers(0, 2, MAX_BOXES)
        num_boxes = rng.integers(0, MAX_BOXES + 1)
        found = [
            (*(box + rng.integers(-3, 4, 4)).clip(0, 255), score, class_id)
            for box, score, class_id in zip(
                boxes, rng.integers(0, 255, MAX_BOXES), classes, strict=True
            )
        ]
        examples.append(
            example(
                f"image {number}",
                found,
                boxes[:num_boxes],
                classes[:num_boxes],
                size=rng.integers(30, 900, 2),
                is_crowd=rng.random(num_boxes) < 0.2,
            )
        )
    return examples
