"""A linear detector of one class, for tests of training that need a model."""

from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from object_detection.core.containers import Groundtruth
from object_detection.core.standard_fields import InputDataFields, LossFields

SIDE_PX = 4
NUM_PIXELS = SIDE_PX * SIDE_PX * 3

Tensor = Any


class TinyDetector:
    """Regresses the first box of an image from its pixels, all at once."""

    num_classes = 1
    is_training = True

    def __init__(
        self, seed: int = 0, depth: int = 4, compute_dtype: str = "float32"
    ) -> None:
        keras.utils.set_random_seed(seed)
        self._dtype = compute_dtype
        self._variables = {
            name: keras.Variable(
                keras.initializers.RandomNormal(stddev=0.1), shape=shape
            )
            for name, shape in {
                "FeatureExtractor/net/weights": (NUM_PIXELS, depth),
                "FeatureExtractor/net/BatchNorm/beta": (depth,),
                "BoxPredictor/weights": (depth, 4),
                "BoxPredictor/biases": (4,),
            }.items()
        }
        self._moving_mean = keras.Variable(
            keras.ops.zeros(depth), trainable=False
        )

    def checkpoint_variables(self) -> dict[str, keras.Variable]:
        """Returns the variables by checkpoint name."""
        return {
            **self._variables,
            "FeatureExtractor/net/BatchNorm/moving_mean": self._moving_mean,
        }

    def normalize(self, images: Tensor) -> Tensor:
        """Maps 0..255 to -0.5..0.5."""
        return images / 255.0 - 0.5

    def predict(
        self, images: Tensor, true_shapes: Tensor, training: bool | None = None
    ) -> dict[str, Tensor]:
        """Returns one box an image; moves a running mean in training."""
        del true_shapes
        weights, beta, head, biases = self._variables.values()
        pixels = ops.reshape(images, (-1, NUM_PIXELS))
        cast = lambda x: ops.cast(x, self._dtype)  # noqa: E731
        hidden = ops.matmul(cast(pixels), cast(weights)) + cast(beta)
        if training:
            batch_mean = ops.mean(ops.cast(hidden, "float32"), axis=0)
            self._moving_mean.assign(0.9 * self._moving_mean + 0.1 * batch_mean)
        boxes = ops.matmul(hidden, cast(head)) + cast(biases)
        return {"boxes": ops.cast(boxes, "float32"), "hidden": hidden}

    def loss(
        self,
        predictions: Mapping[str, Tensor],
        true_shapes: Tensor,
        groundtruth: Groundtruth,
    ) -> dict[str, Tensor]:
        """Returns the squared and the absolute error of the boxes."""
        del true_shapes
        error = predictions["boxes"] - groundtruth.boxes[:, 0]
        return {
            LossFields.localization_loss: ops.mean(ops.square(error)),
            LossFields.classification_loss: ops.mean(ops.abs(error)),
        }

    def loss_and_summaries(
        self,
        predictions: Mapping[str, Tensor],
        true_shapes: Tensor,
        groundtruth: Groundtruth,
        training: bool | None = None,
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Returns the result of `loss`, and a number to show."""
        del training
        losses = self.loss(predictions, true_shapes, groundtruth)
        num_boxes = ops.cast(groundtruth.num_boxes, "float32")
        return losses, {"NumBoxes": ops.sum(num_boxes)}

    def regularization_loss(self) -> Tensor:
        """Returns the L2 norm of the backbone's weights."""
        weights = self._variables["FeatureExtractor/net/weights"]
        return 1e-3 * ops.sum(ops.square(weights)) / 2.0

    def assignment_summaries(
        self, groundtruth: Groundtruth
    ) -> dict[str, Tensor]:
        """Returns a number to show in TensorBoard."""
        return {"AvgNumGroundtruthBoxes": groundtruth.num_boxes[0]}


def groundtruth_from_labels(labels: Mapping[str, Tensor]) -> Groundtruth:
    """Returns the boxes of the labels, all of the one class."""
    boxes = labels[InputDataFields.groundtruth_boxes]
    return Groundtruth(
        boxes=boxes,
        classes=tf.ones_like(boxes[..., :1]),
        weights=tf.ones_like(boxes[..., 0]),
        num_boxes=tf.ones_like(boxes[:, 0, 0], tf.int32),
    )


def input_fn_with(
    batch_size: int = 2,
    bad_step: int | None = None,
    end_step: int | None = None,
) -> Callable[[int], tf.data.Dataset]:
    """Returns an input whose batch is a function of the step alone.

    Args:
        bad_step: the step, from 1, whose pixels hold a NaN.
        end_step: the input ends after this step.
    """

    def batch(
        step: Tensor,
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        seeds = tf.stack([step, tf.constant(7, tf.int64)])
        images = tf.random.stateless_uniform(
            [batch_size, SIDE_PX, SIDE_PX, 3], seeds, 0.0, 255.0
        )
        boxes = tf.random.stateless_uniform([batch_size, 1, 4], seeds + 1)
        if bad_step is not None:
            is_bad = tf.equal(step, bad_step - 1)
            images = tf.where(is_bad, images * float("nan"), images)
        ids = tf.strings.join(
            ["s", tf.as_string(step), "-", tf.as_string(tf.range(batch_size))]
        )
        features = {
            InputDataFields.image: images,
            InputDataFields.true_image_shape: tf.ones(
                [batch_size, 3], tf.int32
            ),
            InputDataFields.source_id: ids,
        }
        return features, {InputDataFields.groundtruth_boxes: boxes}

    def input_fn(start_step: int = 0) -> tf.data.Dataset:
        steps = tf.data.Dataset.range(start_step, end_step or 2**40)
        return steps.map(batch)

    return input_fn
