"""Builds the losses that a config names."""

import functools
from collections.abc import Callable
from typing import Any

from object_detection.builders import oneof
from object_detection.core import errors, losses
from object_detection.protos import losses_pb2

Tensor = Any
_LossFunction = Callable[[Tensor, Tensor, Tensor], Tensor]

_PATH = "model.ssd.loss"
_UNSUPPORTED_MESSAGES = ("hard_example_miner", "random_example_sampler")


def build(
    config: losses_pb2.Loss,
    *,
    normalize_by_num_matches: bool,
    normalize_by_code_size: bool,
) -> losses.DetectionLoss:
    """Builds the losses.

    Args:
        config: the `loss` message.
        normalize_by_num_matches: see `losses.DetectionLoss`.
        normalize_by_code_size: the same.

    Raises:
        errors.ConfigError: a kind that is not supported, or none.
    """
    for name in _UNSUPPORTED_MESSAGES:
        if config.HasField(name):
            raise errors.ConfigError(
                f"{_PATH}.{name}: is not supported; remove it"
            )
    if config.expected_loss_weights != losses_pb2.Loss.NONE:
        raise errors.ConfigError(
            f"{_PATH}.expected_loss_weights: is not supported; use NONE"
        )
    return losses.DetectionLoss(
        localization=_build_localization(config.localization_loss),
        classification=_build_classification(config.classification_loss),
        localization_weight=config.localization_weight,
        classification_weight=config.classification_weight,
        normalize_by_num_matches=normalize_by_num_matches,
        normalize_by_code_size=normalize_by_code_size,
    )


def _build_localization(config: losses_pb2.LocalizationLoss) -> _LossFunction:
    kind = oneof.require(
        config,
        "localization_loss",
        f"{_PATH}.localization_loss",
        ["weighted_smooth_l1", "weighted_l2"],
    )
    if kind == "weighted_l2":
        return losses.l2_loss
    return functools.partial(
        losses.smooth_l1_loss, delta=config.weighted_smooth_l1.delta
    )


def _build_classification(
    config: losses_pb2.ClassificationLoss,
) -> _LossFunction:
    kind = oneof.require(
        config,
        "classification_loss",
        f"{_PATH}.classification_loss",
        ["weighted_sigmoid_focal", "weighted_sigmoid", "weighted_softmax"],
    )
    if kind == "weighted_sigmoid":
        return losses.sigmoid_cross_entropy_loss
    if kind == "weighted_softmax":
        return functools.partial(
            losses.softmax_cross_entropy_loss,
            logit_scale=config.weighted_softmax.logit_scale,
        )
    focal = config.weighted_sigmoid_focal
    return functools.partial(
        losses.sigmoid_focal_loss,
        gamma=focal.gamma,
        alpha=focal.alpha if focal.HasField("alpha") else None,
    )
