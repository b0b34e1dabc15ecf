"""Overrides that change more than one field, or the value given.

Each function takes a pipeline config, which it changes, and a value as a
number or its text. The rules are those of the TF Object Detection API.
"""

from typing import Any

from google.protobuf import message

from object_detection.core import errors
from object_detection.protos import losses_pb2, pipeline_pb2, train_pb2
from object_detection.utils import config_paths

Pipeline = pipeline_pb2.TrainEvalPipelineConfig


def set_batch_size(pipeline: Pipeline, value: Any) -> None:
    """Sets the training batch size, rounded and at least 1."""
    batch_size = max(1, round(_number(value, "batch_size")))
    config_paths.set_by_path(pipeline, "train_config.batch_size", batch_size)


def set_learning_rate(pipeline: Pipeline, value: Any) -> None:
    """Sets the initial or base rate, and scales the schedule's other rates.

    The steps of a manual schedule and the rates at both ends of a cosine
    schedule keep their ratio to it; the other schedules have no other rate,
    or one that stays (the burn-in rate of an exponential schedule).
    """
    rate = _number(value, "learning_rate")
    schedule = _schedule(pipeline.train_config)
    kind = schedule.DESCRIPTOR.name
    if kind == "ConstantLearningRate":
        schedule.learning_rate = rate
    elif kind == "ExponentialDecayLearningRate":
        schedule.initial_learning_rate = rate
    elif kind == "ManualStepLearningRate":
        ratio = _ratio(rate, schedule.initial_learning_rate)
        schedule.initial_learning_rate = rate
        for step in schedule.schedule:
            step.learning_rate *= ratio
    else:
        ratio = _ratio(rate, schedule.learning_rate_base)
        schedule.learning_rate_base = rate
        schedule.warmup_learning_rate *= ratio


def scale_learning_rates(
    train_config: train_pb2.TrainConfig, factor: float
) -> None:
    """Multiplies every rate of the schedule, bounds included.

    What is a share of another rate stays.

    Goyal et al., "Accurate, Large Minibatch SGD" (2017), section 2.1.

    Raises:
        ConfigError: there is no optimizer or no schedule.
    """
    schedule = _schedule(train_config)
    for part in (schedule, *getattr(schedule, "schedule", ())):
        for field in part.DESCRIPTOR.fields:
            is_ratio = field.name.endswith("_ratio")
            if "learning_rate" in field.name and not is_ratio:
                rate = getattr(part, field.name)
                setattr(part, field.name, rate * factor)


def set_momentum(pipeline: Pipeline, value: Any) -> None:
    """Sets the momentum of the optimizer, clamped to [0, 1]."""
    momentum = _number(value, "momentum_optimizer_value")
    optimizer = _optimizer(pipeline.train_config, "momentum_optimizer_value")
    if "momentum_optimizer_value" not in optimizer.DESCRIPTOR.fields_by_name:
        raise errors.ConfigError(
            f"momentum_optimizer_value: {optimizer.DESCRIPTOR.name} has no "
            "momentum"
        )
    optimizer.momentum_optimizer_value = min(max(momentum, 0.0), 1.0)


def set_loss_weight_ratio(pipeline: Pipeline, value: Any) -> None:
    """Sets the localization weight to 1 and the classification weight to it."""
    key = "classification_localization_weight_ratio"
    ratio = _number(value, key)
    loss = _loss(pipeline, key)
    loss.localization_weight = 1.0
    loss.classification_weight = ratio


def set_focal_loss_gamma(pipeline: Pipeline, value: Any) -> None:
    """Sets the exponent of the sigmoid focal loss."""
    gamma = _number(value, "focal_loss_gamma")
    _focal_loss(pipeline, "focal_loss_gamma").gamma = gamma


def set_focal_loss_alpha(pipeline: Pipeline, value: Any) -> None:
    """Sets the weight that the sigmoid focal loss gives to positives."""
    alpha = _number(value, "focal_loss_alpha")
    _focal_loss(pipeline, "focal_loss_alpha").alpha = alpha


def set_load_pretrained(pipeline: Pipeline, value: Any) -> None:
    """Drops `fine_tune_checkpoint` when false; changes nothing when true."""
    bool_field = pipeline.train_config.DESCRIPTOR.fields_by_name[
        "add_regularization_loss"
    ]
    if not config_paths.convert(bool_field, value, "load_pretrained"):
        pipeline.train_config.ClearField("fine_tune_checkpoint")


def _number(value: Any, key: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if number != number or number in (float("inf"), float("-inf")):
        raise errors.ConfigError(f"{key}: expected a number, got {value!r}")
    return number


def _ratio(new_rate: float, old_rate: float) -> float:
    if old_rate == 0:
        raise errors.ConfigError(
            "learning_rate: the config's rate is 0, so the other rates of the "
            "schedule cannot be scaled with it; set each by its dotted path"
        )
    return new_rate / old_rate


def _optimizer(config: train_pb2.TrainConfig, key: str) -> message.Message:
    optimizer = config.optimizer
    kind = optimizer.WhichOneof("optimizer")
    if kind is None:
        raise errors.ConfigError(f"{key}: train_config has no optimizer")
    return getattr(optimizer, kind)


def _schedule(config: train_pb2.TrainConfig) -> message.Message:
    learning_rate = _optimizer(config, "learning_rate").learning_rate
    kind = learning_rate.WhichOneof("learning_rate")
    if kind is None:
        raise errors.ConfigError(
            "learning_rate: the optimizer has no learning rate schedule"
        )
    return getattr(learning_rate, kind)


def _loss(pipeline: Pipeline, key: str) -> losses_pb2.Loss:
    kind = pipeline.model.WhichOneof("model")
    if kind != "ssd":
        raise errors.ConfigError(f"{key}: needs an ssd model, got {kind}")
    return pipeline.model.ssd.loss


def _focal_loss(
    pipeline: Pipeline, key: str
) -> losses_pb2.SigmoidFocalClassificationLoss:
    loss = _loss(pipeline, key).classification_loss
    kind = loss.WhichOneof("classification_loss")
    if kind != "weighted_sigmoid_focal":
        raise errors.ConfigError(
            f"{key}: the classification loss is {kind}, not "
            "weighted_sigmoid_focal"
        )
    return loss.weighted_sigmoid_focal
