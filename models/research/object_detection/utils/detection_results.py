"""Runs a detector over batches of images, and hands out image by image.

Dimensions: B image, G groundtruth box, D detection, H W pixel.
"""

import functools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from absl import logging
from PIL import Image

from object_detection.core import standard_fields as fields
from object_detection.core.containers import Groundtruth
from object_detection.utils import visualization_utils as vis

Tensor = Any
Features = dict[str, Tensor]
Labels = dict[str, Tensor]
GroundtruthFromLabels = Callable[[Mapping[str, Tensor]], Groundtruth]

_INPUT = fields.InputDataFields
_RESULT = fields.DetectionResultFields
_PREDICTION = fields.PredictionFields
_LOSS = fields.LossFields

_SECONDS_BETWEEN_PROGRESS_LINES = 30.0

# The longer side of a picture: room enough for labels, not for a poster.
_MIN_PICTURE_PX = 320
_MAX_PICTURE_PX = 1024

_FEATURES_KEPT = (
    _INPUT.source_id,
    _INPUT.true_image_shape,
    _INPUT.original_image_spatial_shape,
)
# Of the groundtruth, what evaluators are told beside boxes and classes.
_OPTIONAL_GROUNDTRUTH = (
    _INPUT.groundtruth_area,
    _INPUT.groundtruth_is_crowd,
    _INPUT.groundtruth_difficult,
    _INPUT.groundtruth_group_of,
)


class ImageResult(NamedTuple):
    """What is known of one image; boxes are in pixels of the original image.

    Attributes:
        source_id: text of the record, may be empty.
        groundtruth: float32 `groundtruth_boxes` [G, 4] yxyx and int64
            `groundtruth_classes` [G], ids from 1; those of area, is_crowd,
            difficult and group_of [G] that the labels have, and int64
            `groundtruth_image_classes` [any], ids of the whole image.
        detections: float32 `detection_boxes` [D, 4] yxyx and
            `detection_scores` [D], int64 `detection_classes` [D].
        losses: by the keys of `LossFields`, without regularization.
        picture: uint8 [H, W, 3], detections beside groundtruth, or None.
        has_crowd: whether the image has a box that is marked as a crowd.
    """

    source_id: str
    groundtruth: dict[str, np.ndarray]
    detections: dict[str, np.ndarray]
    losses: dict[str, float]
    picture: np.ndarray | None
    has_crowd: bool


def detect(
    model: Any,
    dataset: Iterable[tuple[Features, Labels]],
    groundtruth_from_labels: GroundtruthFromLabels,
    category_index: Mapping[int, Mapping[str, Any]],
    visualization: vis.VisualizationOptions,
) -> Iterator[ImageResult]:
    """Yields what a detector makes of each image, in the data set's order.

    A smaller last batch is filled up, so that the model is traced once.

    Args:
        model: a detector.
        dataset: batches of (features, labels), the first of full size.
        groundtruth_from_labels: turns the labels of a batch into the
            detector's Groundtruth.
        category_index: class id to a mapping with its 'name'.
        visualization: what is drawn.
    """
    detect_batch = make_detect_function(model, groundtruth_from_labels)
    batch_size = None
    num_images = num_truncated_boxes = 0
    start_seconds = last_line_seconds = time.monotonic()
    for features, labels in dataset:
        num_in_batch = int(features[_INPUT.image].shape[0])
        batch_size = batch_size or num_in_batch
        detections, losses = detect_batch(
            *_filled_up(features, labels, num_in_batch, batch_size)
        )
        rows = _to_numpy(
            {name: features[name] for name in _FEATURES_KEPT},
            labels,
            detections,
            losses,
        )
        for row in range(num_in_batch):
            of_image = [{n: v[row] for n, v in part.items()} for part in rows]
            result = _image_result(
                *of_image, _padded_size(features[_INPUT.image])
            )
            if num_images < visualization.num_visualizations:
                picture = _picture(
                    features[_INPUT.image][row].numpy(),
                    of_image[0],
                    result,
                    category_index,
                    visualization,
                )
                result = result._replace(picture=picture)
            num_images += 1
            yield result
        num_truncated_boxes += np.sum(
            rows[1].get(_INPUT.num_truncated_boxes, 0)
        )
        now = time.monotonic()
        if now - last_line_seconds > _SECONDS_BETWEEN_PROGRESS_LINES:
            last_line_seconds = now
            rate = num_images / (now - start_seconds)
            logging.info("Evaluated %d images, %.1f/s", num_images, rate)
    if num_truncated_boxes:
        logging.warning(
            "%d groundtruth boxes are not evaluated, because their images have "
            "more than max_number_of_boxes: raise it in eval_input_reader",
            num_truncated_boxes,
        )


def make_predict_function(
    model: Any, *, allow_xla: bool = False
) -> Callable[[Tensor, Tensor], dict[str, Tensor]]:
    """Returns the compiled function from images to detections, without losses.

    It takes images (float32 or uint8 [B, H, W, 3], resized, 0..255) and
    true_image_shapes [B, 3], and returns what `postprocess` does.

    Args:
        model: a detector.
        allow_xla: whether XLA compiles it.
    """

    @tf.function(autograph=False, jit_compile=allow_xla or None)
    def predict(
        images_BHW3: Tensor, true_shapes_B3: Tensor
    ) -> dict[str, Tensor]:
        predictions = model.predict(
            model.normalize(tf.cast(images_BHW3, tf.float32)),
            true_shapes_B3,
            training=False,
        )
        return dict(model.postprocess(predictions, true_shapes_B3))

    return predict


# Evaluations between training steps are of one model: traced once for all.
@functools.lru_cache(maxsize=1)
def make_detect_function(
    model: Any, groundtruth_from_labels: GroundtruthFromLabels
) -> Callable[..., tuple[dict[str, Tensor], dict[str, Tensor]]]:
    """Returns the compiled function that detects in a batch.

    It takes images (float32 or uint8 [B, H, W, 3], resized, 0..255),
    true_image_shapes [B, 3] and the labels, and returns what `postprocess`
    does and the losses float32 [B] of each image.
    """

    def detect_batch(
        images_BHW3: Tensor, true_shapes_B3: Tensor, labels: Labels
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        predictions = model.predict(
            model.normalize(tf.cast(images_BHW3, tf.float32)),
            true_shapes_B3,
            training=False,
        )
        losses = _losses_of_images(
            model, predictions, true_shapes_B3, groundtruth_from_labels(labels)
        )
        return dict(model.postprocess(predictions, true_shapes_B3)), losses

    # Images of several sizes come one a batch: two traces serve them all.
    return tf.function(detect_batch, autograph=False, reduce_retracing=True)


def _losses_of_images(
    model: Any,
    predictions: Mapping[str, Tensor],
    true_shapes_B3: Tensor,
    groundtruth: Groundtruth,
) -> dict[str, Tensor]:
    """Returns the losses [B] that each image has as a batch of its own.

    The loss of a batch is normalised by the matches of all its images, so it
    depends on which images meet in a batch; these do not.
    """
    per_image = (
        _PREDICTION.box_encodings,
        _PREDICTION.class_predictions_with_background,
    )

    def losses_of_image(row: Tensor) -> dict[str, Tensor]:
        def only(tensor_B: Tensor | None) -> Tensor | None:
            return None if tensor_B is None else tensor_B[row : row + 1]

        own = {name: only(predictions[name]) for name in per_image}
        losses = model.loss(
            {**predictions, **own},
            only(true_shapes_B3),
            Groundtruth(*map(only, groundtruth)),
            training=False,
        )
        return {name: losses[name] for name in signature}

    signature = {
        name: tf.TensorSpec([], tf.float32)
        for name in (_LOSS.localization_loss, _LOSS.classification_loss)
    }
    return tf.map_fn(
        losses_of_image,
        tf.range(tf.shape(true_shapes_B3)[0]),
        fn_output_signature=signature,
    )


def _filled_up(
    features: Features, labels: Labels, num_in_batch: int, batch_size: int
) -> tuple[Tensor, Tensor, Labels]:
    """Repeats the last image until the batch is full."""
    parts = (
        features[_INPUT.image],
        features[_INPUT.true_image_shape],
        labels,
    )
    if num_in_batch == batch_size:
        return parts
    rows = np.minimum(np.arange(batch_size), num_in_batch - 1)
    return tf.nest.map_structure(lambda part: tf.gather(part, rows), parts)


def _to_numpy(*parts: Mapping[str, Tensor]) -> list[dict[str, np.ndarray]]:
    return [
        {name: np.asarray(tensor) for name, tensor in part.items()}
        for part in parts
    ]


def _padded_size(images_BHW3: Tensor) -> np.ndarray:
    return np.array(images_BHW3.shape[1:3], np.float64)


def _image_result(
    features: Mapping[str, np.ndarray],
    labels: Mapping[str, np.ndarray],
    detections: Mapping[str, np.ndarray],
    losses: Mapping[str, np.ndarray],
    padded_size: np.ndarray,
) -> ImageResult:
    """Takes the padding away and scales boxes to the original image.

    Boxes are normalised to the padded image, whose upper left part
    `true_image_shape` is the original image, resized.
    """
    original_size = features[_INPUT.original_image_spatial_shape]
    true_size = features[_INPUT.true_image_shape][:2]
    scale = np.tile(padded_size / true_size * original_size, 2)
    num_detections = int(detections[_RESULT.num_detections])
    classes = detections[_RESULT.detection_classes][:num_detections]
    return ImageResult(
        source_id=features[_INPUT.source_id].decode(errors="backslashreplace"),
        groundtruth=_groundtruth_of_image(labels, scale),
        detections={
            _RESULT.detection_boxes: _scaled(
                detections[_RESULT.detection_boxes][:num_detections], scale
            ),
            _RESULT.detection_scores: detections[_RESULT.detection_scores][
                :num_detections
            ],
            _RESULT.detection_classes: 1 + classes.astype(np.int64),
        },
        losses={name: float(loss) for name, loss in losses.items()},
        picture=None,
        has_crowd=bool(labels.get(_INPUT.num_crowd_boxes, 0)),
    )


def _groundtruth_of_image(
    labels: Mapping[str, np.ndarray], scale: np.ndarray
) -> dict[str, np.ndarray]:
    num_boxes = int(labels[_INPUT.num_groundtruth_boxes])
    groundtruth = {
        _INPUT.groundtruth_boxes: _scaled(
            labels[_INPUT.groundtruth_boxes][:num_boxes], scale
        ),
        _INPUT.groundtruth_classes: 1
        + np.argmax(labels[_INPUT.groundtruth_classes][:num_boxes], axis=-1),
    }
    for name in _OPTIONAL_GROUNDTRUTH:
        if name in labels:
            groundtruth[name] = labels[name][:num_boxes]
    if _INPUT.groundtruth_image_classes in labels:
        groundtruth[_INPUT.groundtruth_image_classes] = 1 + np.flatnonzero(
            labels[_INPUT.groundtruth_image_classes]
        )
    return groundtruth


def _scaled(boxes: np.ndarray, scale: np.ndarray) -> np.ndarray:
    return (boxes * scale).astype(np.float32)


def _colours(image_HWF: np.ndarray) -> np.ndarray:
    """Returns [H, W, 3]: a grey image three times, no additional channels."""
    if image_HWF.shape[-1] == 1:
        return np.repeat(image_HWF, 3, axis=-1)
    return image_HWF[..., :3]


def _picture(
    image_HWF: np.ndarray,
    features: Mapping[str, np.ndarray],
    result: ImageResult,
    category_index: Mapping[int, Mapping[str, Any]],
    options: vis.VisualizationOptions,
) -> np.ndarray:
    """Draws on the network's image, in the proportions of the original."""
    height, width = features[_INPUT.true_image_shape][:2]
    original_size = features[_INPUT.original_image_spatial_shape]
    longer_px = np.clip(original_size.max(), _MIN_PICTURE_PX, _MAX_PICTURE_PX)
    size = np.maximum(original_size * longer_px / original_size.max(), 1)
    size = np.round(size).astype(int)
    pixels = np.clip(np.round(_colours(image_HWF)[:height, :width]), 0, 255)
    image = Image.fromarray(pixels.astype(np.uint8)).resize(
        (size[1], size[0]), Image.Resampling.BICUBIC
    )
    scale = np.tile(size / original_size, 2)
    detections, groundtruth = (
        {**boxes, name: _scaled(boxes[name], scale)}
        for boxes, name in (
            (result.detections, _RESULT.detection_boxes),
            (result.groundtruth, _INPUT.groundtruth_boxes),
        )
    )
    return vis.draw_detections_beside_groundtruth(
        np.asarray(image),
        detections,
        groundtruth,
        category_index,
        min_score_threshold=options.min_score_threshold,
        max_num_boxes=options.max_num_boxes,
    )
