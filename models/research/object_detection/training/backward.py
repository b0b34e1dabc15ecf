"""The losses and gradients of a batch: of its parts, and of all processes.

Dimensions: B image, H W pixel, G groundtruth box.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from object_detection.core.containers import Groundtruth
from object_detection.core.standard_fields import LossFields
from object_detection.training import amp, distributed, optimizers
from object_detection.training.options import TrainOptions

Tensor = Any


class Backward(NamedTuple):
    """What a batch says about the weights; each part is a dict by name.

    Attributes:
        losses: float32 scalars by the keys of `LossFields`, the total among
            them.
        gradients: of the trained variables that the loss reaches.
        summaries: float32 scalars, what the detector says of its loss.
        statistics: how far the batch moves each running statistic of a
            normalisation or of a quantization.
    """

    losses: dict[str, Tensor]
    gradients: dict[str, Tensor]
    summaries: dict[str, Tensor]
    statistics: dict[str, Tensor]


BackwardFn = Callable[[Tensor, Tensor, Groundtruth], Backward]


def make_backward(
    model: Any,
    variables: optimizers.Variables,
    options: TrainOptions,
    loss_scale: amp.LossScale | None,
) -> BackwardFn:
    """Returns the function that gives a batch's `Backward`, in a graph.

    The function takes images_BHW3 (0..255, resized), their
    true_image_shapes_B3 and their Groundtruth. With `options.num_parts` the
    batch is taken in as many parts, one after the other, and everything is
    the mean over them, as over so many processes. Gradients are multiplied by
    the loss scale.

    Running statistics move at once where there is one part and one process,
    and `statistics` is empty; else they are left to `move_statistics`.
    """
    statistics = {}
    if options.num_parts > 1 or distributed.size() > 1:
        statistics = running_statistics(model)

    def backward_of_part(
        images_BHW3: Tensor, true_image_shapes_B3: Tensor, gt: Groundtruth
    ) -> Backward:
        before = {n: tf.identity(v.value) for n, v in statistics.items()}
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
        scale = 1.0 if loss_scale is None else loss_scale.scale.value
        grads = _gradients(total_loss * scale, variables)
        moved = {n: v.value - before[n] for n, v in statistics.items()}
        # Every part, and every process, moves them from the same values.
        for name, variable in statistics.items():
            variable.assign(before[name])
        return Backward(
            losses={**losses, LossFields.total_loss: total_loss},
            # A variable that the loss does not reach is left alone.
            gradients={n: g for n, g in grads.items() if g is not None},
            summaries={n: tf.cast(v, tf.float32) for n, v in summaries.items()},
            statistics=moved,
        )

    if options.jit_compile or options.num_parts > 1:
        backward_of_part = tf.function(
            backward_of_part, autograph=False, jit_compile=options.jit_compile
        )
    if options.num_parts == 1:
        return backward_of_part
    return _mean_over_parts(backward_of_part, options.num_parts)


def mean_over_processes(found: Backward, compress: bool = False) -> Backward:
    """Returns the mean of the processes' `Backward`, in a graph.

    Args:
        found: of this process.
        compress: whether gradients travel as float16.
    """
    if distributed.size() == 1:
        return found
    gradients = distributed.average(found.gradients, compress=compress)
    others = {
        (place, name): tensor
        for place, part in enumerate(found._replace(gradients={}))
        for name, tensor in part.items()
    }
    parts: list[dict[str, Tensor]] = [{} for _ in found]
    for (place, name), tensor in distributed.average(others).items():
        parts[place][name] = tensor
    return Backward(*parts)._replace(gradients=gradients)


def running_statistics(model: Any) -> dict[str, keras.Variable]:
    """Returns what a training step moves without a gradient, by name."""
    return {
        name: variable
        for name, variable in model.checkpoint_variables().items()
        if not variable.trainable and variable.dtype == "float32"
    }


def move_statistics(model: Any, changes: Mapping[str, Tensor]) -> None:
    """Adds changes to the running statistics of a model."""
    if changes:
        variables = running_statistics(model)
        for name, change in changes.items():
            variables[name].assign(variables[name].value + change)


def _mean_over_parts(
    backward_of_part: BackwardFn, num_parts: int
) -> BackwardFn:
    def backward(*batch: Any) -> Backward:
        parts = _map(
            lambda t: tf.reshape(t, [num_parts, -1, *t.shape[1:]]), batch
        )

        def of_part(number: Any) -> Backward:
            return backward_of_part(*_map(lambda t: t[number], parts))

        def add_part(number: Tensor, total: Backward) -> tuple:
            return number + 1, tf.nest.map_structure(
                tf.add, total, of_part(number)
            )

        # One after the other, so that memory holds one part.
        _, total = tf.while_loop(
            lambda number, _: number < num_parts,
            add_part,
            (tf.constant(1), of_part(0)),
            parallel_iterations=1,
        )
        return tf.nest.map_structure(lambda t: t / num_parts, total)

    return backward


def _map(function: Callable[[Tensor], Tensor], structure: Any) -> Any:
    """Maps tensors; what a Groundtruth does not have stays None."""
    return tf.nest.map_structure(
        lambda t: None if t is None else function(t), structure
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
