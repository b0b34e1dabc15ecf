"""One training step, and the state that it changes.

Dimensions: B image, H W pixel, G groundtruth box.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, NoReturn

import keras
import tensorflow as tf
from absl import logging

from object_detection.core import errors
from object_detection.core.containers import Groundtruth
from object_detection.core.standard_fields import LossFields
from object_detection.training import (
    amp,
    backward,
    checkpoints,
    distributed,
    gradients,
    optimizers,
)
from object_detection.training.options import TrainOptions

Tensor = Any


class StepResult(NamedTuple):
    """What one step reports; every value is a scalar tensor.

    All processes report the same, but for `own_losses`.

    Attributes:
        losses: float32 by the keys of `LossFields`, mean over processes.
        own_losses: the same, of this process's images.
        learning_rate: float32, the one that the update used.
        gradient_norm: float32, over all gradients, before clipping.
        is_applied: bool, whether the weights were updated. They are not when
            the loss or a gradient is NaN or infinite.
        is_fatal: bool, whether the run must stop: not applied, and not an
            overflow that a smaller loss scale mends.
        gradient_norms: float32 by variable name, when they are asked for.
        loss_scale: float32, what the loss was multiplied by, or None.
        summaries: float32 by name, what the detector says of its loss.
        wants_stop: bool, whether any process wants to stop.
    """

    losses: dict[str, Tensor]
    own_losses: dict[str, Tensor]
    learning_rate: Tensor
    gradient_norm: Tensor
    is_applied: Tensor
    is_fatal: Tensor
    gradient_norms: dict[str, Tensor]
    loss_scale: Tensor | None
    summaries: dict[str, Tensor]
    wants_stop: Tensor


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
            self.decayed_variables = {}
            if options.weight_decay:
                self.decayed_variables = gradients.select_decayed(
                    self.trained_variables, options.no_decay_patterns
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
        self.loss_scale: amp.LossScale | None = None
        if options.use_loss_scale:
            self.loss_scale = amp.make_loss_scale(options.loss_scale)
            logging.info(
                "Loss scale: %g, %s",
                options.loss_scale.initial,
                "static" if options.loss_scale.is_static else "dynamic",
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


TrainStep = Callable[..., StepResult]


def make_train_step(state: TrainState) -> TrainStep:
    """Returns the compiled function that makes one update of `state`.

    The function takes images_BHW3 (0..255, resized), their
    true_image_shapes_B3, their Groundtruth and, of several processes, whether
    this one wants to stop (bool tensor). All processes make the same update.
    """
    options = state.options
    # It would join the sums that a gradient keeps apart.
    tf.config.optimizer.set_experimental_options(
        {"arithmetic_optimization": False}
    )
    compute = backward.make_backward(
        state.model, state.trained_variables, options, state.loss_scale
    )

    def update(found: backward.Backward) -> dict[str, Tensor]:
        return _update(state, found)

    if options.jit_compile:
        update = tf.function(update, autograph=False, jit_compile=True)

    def train_step(
        images_BHW3: Tensor,
        true_image_shapes_B3: Tensor,
        gt: Groundtruth,
        wants_stop: Tensor | bool = False,
    ) -> StepResult:
        own = compute(images_BHW3, true_image_shapes_B3, gt)
        # Between what is compiled: Horovod's operations are not.
        found = backward.mean_over_processes(own, options.compress_gradients)
        stops = distributed.average({"stops": tf.cast(wants_stop, tf.float32)})
        return StepResult(
            losses=found.losses,
            own_losses=own.losses,
            summaries=found.summaries,
            wants_stop=stops["stops"] > 0.0,
            **update(found),
        )

    # Every branch on a tensor is explicit, so there is nothing to convert.
    return tf.function(train_step, autograph=False)


def _update(state: TrainState, found: backward.Backward) -> dict[str, Tensor]:
    """Updates the weights; returns what `StepResult` says of it."""
    options = state.options
    learning_rate = options.learning_rate(state.global_step.value)
    loss_scale = None
    if state.loss_scale is not None:
        # Before it is changed.
        loss_scale = tf.identity(state.loss_scale.scale.value)
    grads = _unscaled(found.gradients, loss_scale)
    grads = gradients.multiply_biases(grads, options.bias_gradient_factor)
    grads = gradients.add_weight_decay(
        grads, state.decayed_variables, options.weight_decay
    )
    gradient_norm = tf.linalg.global_norm(list(grads.values()))
    clipped = gradients.clip_by_global_norm(
        grads, options.clip_norm, gradient_norm
    )
    is_loss_finite = tf.math.is_finite(found.losses[LossFields.total_loss])
    is_applied = is_loss_finite & tf.math.is_finite(gradient_norm)
    tf.cond(
        is_applied,
        lambda: _apply(state.optimizer, clipped, learning_rate),
        lambda: tf.constant(False),
    )
    backward.move_statistics(state.model, found.statistics)
    state.global_step.assign_add(1)

    may_continue = is_applied
    if state.loss_scale is not None:
        may_continue = is_loss_finite & state.loss_scale.update(is_applied)
    return {
        "learning_rate": learning_rate,
        "gradient_norm": gradient_norm,
        "is_applied": is_applied,
        "is_fatal": ~may_continue,
        "gradient_norms": _norms(grads, options.summarize_gradients),
        "loss_scale": loss_scale,
    }


def raise_numerics_error(
    step: int, result: StepResult, source_ids: list[str]
) -> NoReturn:
    """Raises the error that names what became NaN or infinite, and where.

    Args:
        step: number of the step that failed, from 1.
        result: what it returned.
        source_ids: the images of this process's batch.

    Raises:
        NumericsError: in all processes, of the first whose loss it is.
    """
    own_loss = None
    for name, loss in result.own_losses.items():
        if not tf.math.is_finite(loss):
            own_loss = f"{name} is {float(loss)}", source_ids
            break
    norm = float(result.gradient_norm)
    of_norm = f"every loss is finite but the gradient norm is {norm}"
    found = distributed.gather_objects(own_loss)
    what, images = next(filter(None, found), (of_norm, source_ids))
    distributed.raise_together(
        errors.NumericsError(
            f"step {step}: {what}, learning rate "
            f"{float(result.learning_rate):g}, images "
            f"{', '.join(map(repr, images))}; the weights were not updated. "
            "Lower the learning rate, set train_config."
            "gradient_clipping_by_norm, or look at the boxes of these images"
        )
    )


def _unscaled(
    grads: Mapping[str, Tensor], loss_scale: Tensor | None
) -> dict[str, Tensor]:
    if loss_scale is None:
        return dict(grads)
    factor = 1.0 / loss_scale
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
