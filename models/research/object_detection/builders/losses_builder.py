"""Builds the losses that a config names."""

import functools
from collections.abc import Callable
from typing import Any

import keras

from object_detection.builders import oneof
from object_detection.core import detection_loss, errors, losses, sampling
from object_detection.protos import losses_pb2

Tensor = Any
_LossFunction = Callable[[Tensor, Tensor, Tensor], Tensor]

_PATH = "model.ssd.loss"


def build(
    config: losses_pb2.Loss,
    *,
    normalize_by_num_matches: bool,
    normalize_by_code_size: bool,
) -> detection_loss.DetectionLoss:
    """Builds the losses, and what chooses the anchors that they are of.

    Args:
        config: the `loss` message.
        normalize_by_num_matches: see `detection_loss.DetectionLoss`.
        normalize_by_code_size: the same.

    Raises:
        errors.ConfigError: a kind that is not supported, or none; a number
            out of range; parts that do not go together.
    """
    if config.expected_loss_weights != losses_pb2.Loss.NONE:
        raise errors.ConfigError(
            f"{_PATH}.expected_loss_weights: is not supported, nor was it in "
            "the original, which had no code for it; use NONE"
        )
    _check_combination(config)
    is_by_image = config.normalization == losses_pb2.Loss.BY_IMAGE
    if is_by_image and not normalize_by_num_matches:
        raise errors.ConfigError(
            f"{_PATH}.normalization: BY_IMAGE needs "
            "model.ssd.normalize_loss_by_num_matches: true, got false; set "
            "it, or leave normalization away"
        )
    return detection_loss.DetectionLoss(
        localization=_build_localization(config.localization_loss),
        classification=_build_classification(config.classification_loss),
        localization_weight=config.localization_weight,
        classification_weight=config.classification_weight,
        normalize_by_num_matches=normalize_by_num_matches,
        normalize_by_image=is_by_image,
        normalize_by_code_size=normalize_by_code_size,
        compares_boxes=config.localization_loss.HasField("weighted_iou"),
        sampler=_build_sampler(config),
        miner=_build_miner(config),
        negative_miner=_build_negative_miner(config),
    )


def _check_combination(config: losses_pb2.Loss) -> None:
    """Refuses two parts that would both choose the anchors."""
    if config.HasField("hard_negative_miner"):
        for other in ("hard_example_miner", "random_example_sampler"):
            if config.HasField(other):
                raise errors.ConfigError(
                    f"{_PATH}.hard_negative_miner: does not go with {other}, "
                    "which limits the negatives too; remove one of them"
                )
    for miner in ("hard_example_miner", "hard_negative_miner"):
        if config.HasField(miner) and config.classification_loss.HasField(
            "weighted_sigmoid_focal"
        ):
            raise errors.ConfigError(
                f"{_PATH}.{miner}: does not go with "
                "classification_loss.weighted_sigmoid_focal, which discounts "
                "easy examples itself; remove one of them"
            )


def _build_localization(config: losses_pb2.LocalizationLoss) -> _LossFunction:
    kind = oneof.require(
        config,
        "localization_loss",
        f"{_PATH}.localization_loss",
        ["weighted_smooth_l1", "weighted_l2", "weighted_iou"],
    )
    if kind == "weighted_l2":
        return losses.l2_loss
    if kind == "weighted_iou":
        return losses.iou_loss
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
        [
            "weighted_sigmoid",
            "weighted_sigmoid_focal",
            "weighted_softmax",
            "weighted_logits_softmax",
            "bootstrapped_sigmoid",
        ],
    )
    if kind == "weighted_sigmoid":
        return losses.sigmoid_cross_entropy_loss
    if kind == "weighted_softmax":
        return functools.partial(
            losses.softmax_cross_entropy_loss,
            logit_scale=config.weighted_softmax.logit_scale,
        )
    if kind == "weighted_logits_softmax":
        return functools.partial(
            losses.softmax_cross_entropy_against_logits_loss,
            logit_scale=config.weighted_logits_softmax.logit_scale,
        )
    if kind == "bootstrapped_sigmoid":
        return functools.partial(
            losses.bootstrapped_sigmoid_cross_entropy_loss,
            alpha=config.bootstrapped_sigmoid.alpha,
            is_hard=config.bootstrapped_sigmoid.hard_bootstrap,
        )
    focal = config.weighted_sigmoid_focal
    return functools.partial(
        losses.sigmoid_focal_loss,
        gamma=focal.gamma,
        alpha=focal.alpha if focal.HasField("alpha") else None,
    )


def _build_sampler(
    config: losses_pb2.Loss,
) -> sampling.RandomExampleSampler | None:
    if not config.HasField("random_example_sampler"):
        return None
    try:
        return sampling.RandomExampleSampler(
            config.random_example_sampler.positive_sample_fraction,
            keras.random.SeedGenerator(),
        )
    except ValueError as error:
        raise errors.ConfigError(
            f"{_PATH}.random_example_sampler.{error}"
        ) from error


def _build_miner(config: losses_pb2.Loss) -> sampling.HardExampleMiner | None:
    if not config.HasField("hard_example_miner"):
        return None
    miner = config.hard_example_miner
    kind = losses_pb2.HardExampleMiner
    localization_weight, classification_weight = {
        kind.BOTH: (config.localization_weight, config.classification_weight),
        kind.LOCALIZATION: (1.0, 0.0),
        kind.CLASSIFICATION: (0.0, 1.0),
    }[miner.loss_type]
    try:
        return sampling.HardExampleMiner(
            num_hard_examples=miner.num_hard_examples,
            iou_threshold=miner.iou_threshold,
            localization_weight=localization_weight,
            classification_weight=classification_weight,
            max_negatives_per_positive=miner.max_negatives_per_positive,
            min_negatives=miner.min_negatives_per_image,
        )
    except ValueError as error:
        raise errors.ConfigError(
            f"{_PATH}.hard_example_miner.{error}"
        ) from error


def _build_negative_miner(
    config: losses_pb2.Loss,
) -> sampling.HardNegativeMiner | None:
    if not config.HasField("hard_negative_miner"):
        return None
    try:
        return sampling.HardNegativeMiner(
            config.hard_negative_miner.max_negatives_per_positive
        )
    except ValueError as error:
        raise errors.ConfigError(
            f"{_PATH}.hard_negative_miner.{error}"
        ) from error
