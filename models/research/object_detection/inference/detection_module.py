"""A detector as functions of TensorFlow that can be saved and served.

The same functions run in a process that has the detector and in one that
loaded them from a SavedModel, which needs TensorFlow alone.

Letters: B image, A anchor, K class including a background column, D detection.
"""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from object_detection.core.standard_fields import (
    DetectionResultFields,
    PredictionFields,
)
from object_detection.data_decoders import image_codec
from object_detection.preprocessing import image_resizer
from object_detection.utils import detection_results

Tensor = tf.Tensor
# Images of unknown number and size.
ANY_IMAGES = (None, None, None, 3)

# The names of the original's input types, which name the functions as well.
INPUT_TYPES = ("image_tensor", "encoded_image_string_tensor", "tf_example")
# Another signature, which gives what the network says of every anchor.
RAW = "raw"
RAW_RESULT = "result"

# Classes count from 1 as in label maps; the detector counts from 0.
_LABEL_ID_OFFSET = 1

_NUM_PARALLEL_DECODES = 16
_EXAMPLE_FEATURES = {
    "image/encoded": tf.io.FixedLenFeature([], tf.string),
    "image/format": tf.io.FixedLenFeature([], tf.string, "jpeg"),
    "image/height": tf.io.FixedLenFeature([], tf.int64, 1),
    "image/width": tf.io.FixedLenFeature([], tf.int64, 1),
}


class DetectionModule(tf.Module):
    """A detector's functions, from images to boxes.

    Each of the functions that INPUT_TYPES names takes a batch and returns, by
    the keys of `DetectionResultFields`: detection_boxes float32 [B, D, 4]
    yxyx, normalised to the image as it was given; detection_scores float32
    [B, D]; detection_classes float32 [B, D], counted from 1;
    num_detections float32 [B]; best first, and behind those numbers zeros as
    boxes and scores. Where the model has keypoints, also detection_keypoints
    float32 [B, D, k, 2].

    Args:
        model: a detector, with its weights.
        resizer: of its config.
        image_shape: of the batches that `image_tensor` takes, None for what
            may be of any size.

    Attributes:
        image_tensor: takes uint8 [B, H, W, 3].
        encoded_image_string_tensor: takes string [B], JPEG, PNG, GIF or BMP
            files. They may differ in size where the resizer gives all images
            one.
        tf_example: takes string [B], each a tf.Example with an image.
        raw: takes uint8 [B, H, W, 3]; returns `result` float32 [B, A, K +
            code size], the scores of all classes and the box code of every
            anchor, and `anchors` float32 [A, 4] yxyx, normalised to the
            resized image.
        resize: takes uint8 [H, W, 3]; returns the image as `detect_resized`
            takes it, float32 [h, w, C], and int32 [3], its size without
            padding. For users who decode ahead, on other threads.
        detect_resized: takes batches of both.
        raw_of_resized: the same, and returns what `raw` does.
    """

    def __init__(
        self,
        model: Any,
        resizer: image_resizer.Resizer,
        image_shape: Sequence[int | None] = ANY_IMAGES,
    ) -> None:
        super().__init__(name="detector")
        # SavedModels hold what is found here; a detector is no tf.Module.
        self.model_variables = [v.value for v in model.variables]
        self._detector = model
        self._resizer = resizer
        self._predict = detection_results.make_predict_function(model)
        num_channels = 1 if resizer.convert_to_grayscale else 3
        size_px = resizer.static_size_px or (None, None)
        resized = (
            tf.TensorSpec([None, *size_px, num_channels], tf.float32),
            tf.TensorSpec([None, 3], tf.int32),
        )
        images = tf.TensorSpec(image_shape, tf.uint8, "inputs")
        any_images = tf.TensorSpec(ANY_IMAGES, tf.uint8, "inputs")
        texts = tf.TensorSpec([None], tf.string, "inputs")
        self.detect_resized = _compiled(self._detect_resized, *resized)
        self.raw_of_resized = _compiled(self._raw_of_resized, *resized)
        self.resize = _compiled(
            self._resize, tf.TensorSpec([None, None, 3], tf.uint8)
        )
        self.image_tensor = _compiled(self._image_tensor, images)
        self.encoded_image_string_tensor = _compiled(self._encoded, texts)
        self.tf_example = _compiled(self._tf_example, texts)
        self.raw = _compiled(self._raw, any_images)

    @property
    def has_static_size(self) -> bool:
        """Whether all resized images have one size."""
        return self._resizer.static_size_px is not None

    def _detect_resized(
        self, images_BHWC: Tensor, true_shapes_B3: Tensor
    ) -> dict[str, Tensor]:
        detections = dict(self._predict(images_BHWC, true_shapes_B3))
        # The detector's boxes are normalised to the padded image.
        padded_2 = tf.cast(tf.shape(images_BHWC)[1:3], tf.float32)
        true_B2 = tf.cast(true_shapes_B3[:, :2], tf.float32)
        scale_B12 = (padded_2 / true_B2)[:, tf.newaxis]
        fields = DetectionResultFields
        detections[fields.detection_boxes] *= tf.tile(scale_B12, [1, 1, 2])
        if fields.detection_keypoints in detections:
            detections[fields.detection_keypoints] *= scale_B12[:, :, None]
        detections[fields.detection_classes] += _LABEL_ID_OFFSET
        return detections

    def _raw_of_resized(
        self, images_BHWC: Tensor, true_shapes_B3: Tensor
    ) -> dict[str, Tensor]:
        predictions = self._detector.predict(
            self._detector.normalize(images_BHWC),
            true_shapes_B3,
            training=False,
        )
        parts = [
            self._detector.class_scores(predictions),
            predictions[PredictionFields.box_encodings],
        ]
        return {
            RAW_RESULT: tf.concat(parts, axis=2),
            PredictionFields.anchors: predictions[PredictionFields.anchors],
        }

    def _resize(self, image_HW3: Tensor) -> tuple[Tensor, Tensor]:
        return self._resizer(image_HW3)

    def _image_tensor(self, inputs: Tensor) -> dict[str, Tensor]:
        return self.detect_resized(*self._resizer(inputs))

    def _raw(self, inputs: Tensor) -> dict[str, Tensor]:
        return self.raw_of_resized(*self._resizer(inputs))

    def _encoded(self, inputs: Tensor) -> dict[str, Tensor]:
        return self._detect_each(
            inputs,
            lambda encoded: image_codec.open_image(
                encoded, tf.constant(""), tf.constant([1, 1])
            ),
        )

    def _tf_example(self, inputs: Tensor) -> dict[str, Tensor]:
        return self._detect_each(inputs, open_example)

    def _detect_each(self, texts_B: Tensor, open_image: Any) -> dict:
        """Decodes and resizes image by image, then detects in all."""

        def decode_and_resize(text: Tensor) -> tuple[Tensor, Tensor]:
            return self._resizer(image_codec.decode_pixels(open_image(text)))

        images, true_shapes = self.detect_resized.input_signature
        resized = tf.map_fn(
            decode_and_resize,
            texts_B,
            fn_output_signature=tuple(
                tf.TensorSpec(spec.shape[1:], spec.dtype)
                for spec in (images, true_shapes)
            ),
            parallel_iterations=_NUM_PARALLEL_DECODES,
        )
        return self.detect_resized(*resized)


def open_example(serialized: Tensor) -> image_codec.EncodedImage:
    """Returns the image of a tf.Example, and nothing else of it.

    Args:
        serialized: scalar string.
    """
    record = tf.io.parse_single_example(serialized, _EXAMPLE_FEATURES)
    size_px = tf.stack([record["image/height"], record["image/width"]])
    return image_codec.open_image(
        record["image/encoded"],
        record["image/format"],
        tf.cast(size_px, tf.int32),
    )


def _compiled(function: Any, *signature: tf.TensorSpec) -> Any:
    return tf.function(function, input_signature=signature, autograph=False)
