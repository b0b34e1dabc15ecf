"""One training step, and the state that it changes.

Dimensions: B image, H W pixel, G groundtruth box.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from object_detection.core import errors
from object_detection.core.containers import Groundtruth
from object_detection.core.standard_fields import LossFields
from object_detection.training import (
    amp,
    checkpoints,
    distributed,
    gradients,
    optimizers,
)
from object_detection.training.options import TrainOptions

Tensor = Any


class StepResult(NamedTuple):
    """What one step reports; every value is a scalar tensor.

    Attributes:
        losses: float32 by the keys of `LossFields`, of this process's images.
        learning_rate: float32, the one that the update used.
        gradient_norm: float32, over all gradients, before clipping.
        is_applied: bool, whether the weights were updated. They are not when
            the loss or a gradient is NaN or infinite.
        is_fatal: bool, whether the run must stop: not applied, and not an
            overflow that a smaller loss scale mends.
        gradient_norms: float32 by variable name, when they are asked for.
        summaries: float32 by name, what the detector says of its loss.
    """

    losses: dict[str, Tensor]
    learning_rate: Tensor
    gradient_norm: Tensor
    is_applied: Tensor
    is_fatal: Tensor
    gradient_norms: dict[str, Tensor]
    summaries: dict[str, Tensor]


class TrainState:
    """Everything that a checkpoint holds: weights, slots, step, loss scale.

    Args:
        model: has `checkpoint_variables()` and the methods of a detector.
        options: how to train it.

    Raises:
        ConfigError: no variable is left to train.
    """

    def __init__(self, model: Any, options: TrainOptions) -> None:
        self.model = model
        self.options = options
        named = model.checkpoint_variables()
        try:
            self.trained_variables = gradients.select_variables(
                {n: v for n, v in named.items() if v.trainable},
                options.update_patterns,
                options.freeze_patterns,
            )
        except ValueError as error:
            raise errors.ConfigError(f"train_config: {error}") from error
        # A quantized model counts the steps itself.
        self.global_step = named.get(
            checkpoints.GLOBAL_STEP,
            keras.Variable(0, trainable=False, dtype="int64"),
        )
        self.global_step.assign(0)
        self.optimizer = options.make_optimizer(self.trained_variables)
        self.loss_scale = (
            amp.DynamicLossScale() if options.use_loss_scale else None
        )

    def checkpoint_variables(self) -> dict[str, keras.Variable]:
        """Returns every variable by checkpoint name."""
        return {
            **self.model.checkpoint_variables(),
            checkpoints.GLOBAL_STEP: self.global_step,
            **self._training_variables(),
        }

    def restore(self, path: str) -> list[str]:
        """Continues from a checkpoint, exactly.

        Returns:
            Names of the slots and quantization ranges that the checkpoint
            does not have, because it was trained with another optimizer,
            other frozen variables or without quantization; they keep their
            first values, and moving averages start at the weights.

        Raises:
            CheckpointError: it is damaged or of another model; nothing was
                changed.
        """
        reader = checkpoints.Reader(path)
        slots = self._training_variables()
        missing = checkpoints.load(
            self.checkpoint_variables(), reader, optional=slots
        )
        for name in missing:
            average_of = name.removesuffix(checkpoints.MOVING_AVERAGE_SUFFIX)
            if average_of in self.trained_variables:
                slots[name].assign(self.trained_variables[average_of].value)
        return missing

    def _training_variables(self) -> dict[str, keras.Variable]:
        variables = self.optimizer.checkpoint_variables()
        if self.loss_scale is not None:
            variables = {
                **variables,
                **self.loss_scale.checkpoint_variables(),
            }
        return variables


TrainStep = Callable[[Tensor, Tensor, Groundtruth], StepResult]


def make_train_step(state: TrainState) -> TrainStep:
    """Returns the compiled function that makes one update of `state`.

    The function takes images_BHW3 (0..255, resized), their
    true_image_shapes_B3 and their Groundtruth.
    """
    model, options = state.model, state.options
    variables = state.trained_variables
    # It would join the sums that `_gradients` keeps apart.
    tf.config.optimizer.set_experimental_options(
        {"arithmetic_optimization": False}
    )

    def train_step(
        images_BHW3: Tensor, true_image_shapes_B3: Tensor, gt: Groundtruth
    ) -> StepResult:
        learning_rate = options.learning_rate(state.global_step.value)
        predictions = model.predict(
            model.normalize(tf.cast(images_BHW3, tf.float32)),
            true_image_shapes_B3,
            training=True,
        )
        losses, summaries = model.loss_and_summaries(
            predictions, true_image_shapes_B3, gt, training=True
        )
        if options.add_regularization_loss:
            losses[LossFields.regularization_loss] = tf.cast(
                model.regularization_loss(), tf.float32
            )
        total_loss = sum(losses.values())
        grads = _gradients(_scaled(total_loss, state.loss_scale), variables)
        # A variable that the loss does not reach is left alone, slots too.
        grads = {n: g for n, g in grads.items() if g is not None}
        grads = _unscaled(grads, state.loss_scale)
        grads = distributed.average_gradients(grads)
        grads = gradients.multiply_biases(grads, options.bias_gradient_factor)

        gradient_norm = tf.linalg.global_norm(list(grads.values()))
        clipped = gradients.clip_by_global_norm(
            grads, options.clip_norm, gradient_norm
        )
        is_loss_finite = tf.math.is_finite(total_loss)
        is_applied = is_loss_finite & tf.math.is_finite(gradient_norm)
        tf.cond(
            is_applied,
            lambda: _apply(state.optimizer, clipped, learning_rate),
            lambda: tf.constant(False),
        )
        state.global_step.assign_add(1)

        may_continue = is_applied
        if state.loss_scale is not None:
            may_continue = is_loss_finite & state.loss_scale.update(is_applied)
        return StepResult(
            losses={**losses, LossFields.total_loss: total_loss},
            learning_rate=learning_rate,
            gradient_norm=gradient_norm,
            is_applied=is_applied,
            is_fatal=~may_continue,
            gradient_norms=_norms(grads, options.summarize_gradients),
            summaries=summaries,
        )

    # Every branch on a tensor is explicit, so there is nothing to convert.
    return tf.function(
        train_step, autograph=False, jit_compile=options.jit_compile
    )


def numerics_error(
    step: int, result: StepResult, source_ids: list[str]
) -> errors.NumericsError:
    """Returns the error that names what became NaN or infinite, and where.

    Args:
        step: number of the step that failed, from 1.
        result: what it returned.
        source_ids: the images of its batch.
    """
    learning_rate = float(result.learning_rate)
    for name, loss in result.losses.items():
        if not tf.math.is_finite(loss):
            what = f"{name} is {float(loss)}"
            break
    else:
        what = (
            "every loss is finite but the gradient norm is "
            f"{float(result.gradient_norm)}"
        )
    return errors.NumericsError(
        f"step {step}: {what}, learning rate {learning_rate:g}, images "
        f"{', '.join(map(repr, source_ids))}; the weights were not updated. "
        "Lower the learning rate, set train_config.gradient_clipping_by_norm, "
        "or look at the boxes of these images"
    )


def _gradients(
    loss: Tensor, variables: optimizers.Variables
) -> dict[str, Tensor | None]:
    """Returns the gradient of each variable, None where the loss has none.

    A weight used at several levels has a gradient from each. Added up at once
    (AddN, as by a GradientTape), their order depends on which buffer happens
    to be free; added one by one the sum is the same in every run.
    """
    grads = tf.gradients(
        loss,
        [v.value for v in variables.values()],
        aggregation_method=tf.AggregationMethod.EXPERIMENTAL_TREE,
    )
    return dict(zip(variables, grads, strict=True))


def _scaled(loss: Tensor, scale: amp.DynamicLossScale | None) -> Tensor:
    return loss if scale is None else loss * scale.scale.value


def _unscaled(
    grads: Mapping[str, Tensor], scale: amp.DynamicLossScale | None
) -> dict[str, Tensor]:
    if scale is None:
        return dict(grads)
    factor = 1.0 / scale.scale.value
    return {name: gradient * factor for name, gradient in grads.items()}


def _apply(
    optimizer: optimizers.Optimizer,
    grads: Mapping[str, Tensor],
    learning_rate: Tensor,
) -> Tensor:
    optimizer.apply(grads, learning_rate)
    return tf.constant(True)


def _norms(
    grads: Mapping[str, Tensor], is_asked_for: bool
) -> dict[str, Tensor]:
    if not is_asked_for:
        return {}
    return {name: tf.norm(gradient) for name, gradient in grads.items()}
