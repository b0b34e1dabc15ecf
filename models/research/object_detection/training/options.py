"""How a model is trained, as plain values."""

import dataclasses
from collections.abc import Callable

from object_detection.training import learning_schedules, optimizers

CLASSIFICATION = "classification"
DETECTION = "detection"


@dataclasses.dataclass(frozen=True)
class FineTune:
    """Where the first weights come from.

    Attributes:
        path: a checkpoint of any step, format V2 or V1, or a weight file as
            of `weight_files`.
        checkpoint_type: CLASSIFICATION reads a backbone's own checkpoint,
            which names `FeatureExtractor/x` as `x`; DETECTION reads a
            detector's, under the same names.
        load_all_variables: with DETECTION, whether to take the predictor's
            variables too.
        prefers_averages: with CLASSIFICATION, whether to start from the
            moving average of a variable where the checkpoint has one; else
            averages are taken only of what it does not hold itself.
        takes_bgr: whether the network is given blue, green and red, for
            which the weights in a weight file are turned.
    """

    path: str
    checkpoint_type: str
    load_all_variables: bool = False
    prefers_averages: bool = False
    takes_bgr: bool = False


@dataclasses.dataclass(frozen=True)
class LossScaleOptions:
    """The factor that keeps float16 gradients from underflow.

    Attributes:
        initial: the first one.
        is_static: whether it stays as it is.
        growth_steps: updates without overflow after which it doubles.
        overflows_before_shrink: updates with overflow, since it last changed,
            after which it halves.
    """

    initial: float = 2.0**15
    is_static: bool = False
    growth_steps: int = 2000
    overflows_before_shrink: int = 1


@dataclasses.dataclass(frozen=True)
class TrainOptions:
    """How a model is trained.

    Attributes:
        make_optimizer: makes the optimizer of the named variables.
        learning_rate: the rate as a function of the step.
        clip_norm: largest global gradient norm; 0 for no limit.
        bias_gradient_factor: multiplies the gradients of biases, before their
            norm is taken and limited.
        add_regularization_loss: whether it is part of the total loss.
        weight_decay: what is added to the gradient of a weight, as a share of
            the weight, before the norm is taken and limited.
        no_decay_patterns: see `gradients.select_decayed`.
        update_patterns: see `gradients.select_variables`.
        freeze_patterns: the same.
        fine_tune: where the weights of step 0 come from, or None.
        use_loss_scale: whether to scale the loss, as float16 needs.
        loss_scale: by what.
        jit_compile: whether XLA compiles the step.
        num_parts: how many parts a batch is taken in, one after the other; the
            update is the mean over them, as over so many processes.
        compress_gradients: whether gradients travel between processes as
            float16.
        summarize_gradients: whether the norm of each gradient is recorded.
    """

    make_optimizer: Callable[[optimizers.Variables], optimizers.Optimizer]
    learning_rate: learning_schedules.Schedule
    clip_norm: float = 0.0
    bias_gradient_factor: float = 1.0
    add_regularization_loss: bool = True
    weight_decay: float = 0.0
    no_decay_patterns: tuple[str, ...] = ()
    update_patterns: tuple[str, ...] = ()
    freeze_patterns: tuple[str, ...] = ()
    fine_tune: FineTune | None = None
    use_loss_scale: bool = False
    loss_scale: LossScaleOptions = LossScaleOptions()
    jit_compile: bool = False
    num_parts: int = 1
    compress_gradients: bool = False
    summarize_gradients: bool = False
