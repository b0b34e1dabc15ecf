"""Builds how a model is trained from a `TrainConfig`."""

from absl import logging

from object_detection.builders import (
    feature_extractor_builder,
    optimizer_builder,
)
from object_detection.core import errors
from object_detection.protos import train_pb2
from object_detection.training import options
from object_detection.utils import config_hints


def build(
    config: train_pb2.TrainConfig,
    compute_dtype: str,
    allow_xla: bool,
    feature_extractor_type: str,
    num_parts: int = 1,
    compress_gradients: bool = False,
    takes_bgr: bool = False,
) -> options.TrainOptions:
    """Builds how a model is trained.

    Args:
        config: the `train_config` message of a pipeline config.
        compute_dtype: the type that the networks compute in; float16 needs
            a loss scale.
        allow_xla: whether XLA compiles the training step.
        feature_extractor_type: `type` of the feature extractor; decides how
            the backbone's own checkpoint is read.
        num_parts: how many batches make one update.
        compress_gradients: whether gradients travel between processes as
            float16.
        takes_bgr: whether the network is given blue, green and red.

    Raises:
        errors.ConfigError: names the field that is missing or cannot work.
    """
    optimizer = optimizer_builder.build(config.optimizer)
    return options.TrainOptions(
        make_optimizer=optimizer.make_optimizer,
        learning_rate=optimizer.learning_rate,
        clip_norm=config.gradient_clipping_by_norm,
        # The default 0 means that there is no multiplier.
        bias_gradient_factor=config.bias_grad_multiplier or 1.0,
        add_regularization_loss=config.add_regularization_loss,
        weight_decay=config.weight_decay.weight,
        no_decay_patterns=tuple(config.weight_decay.exclude_variables),
        update_patterns=tuple(config.update_trainable_variables),
        freeze_patterns=tuple(config.freeze_variables),
        fine_tune=_fine_tune(config, feature_extractor_type, takes_bgr),
        use_loss_scale=compute_dtype == "float16",
        loss_scale=_loss_scale(config, compute_dtype),
        jit_compile=allow_xla,
        num_parts=num_parts,
        compress_gradients=compress_gradients,
        summarize_gradients=config.summarize_gradients,
    )


def _loss_scale(
    config: train_pb2.TrainConfig, compute_dtype: str
) -> options.LossScaleOptions:
    scale = config.loss_scale
    if config.HasField("loss_scale") and compute_dtype != "float16":
        logging.info(
            "train_config.loss_scale: has no effect in %s, whose gradients do "
            "not underflow",
            compute_dtype,
        )
    for field in ("growth_steps", "overflows_before_shrink"):
        if scale.is_static and scale.HasField(field):
            raise errors.ConfigError(
                f"train_config.loss_scale.{field}: has no effect with "
                "is_static: true; remove one of them"
            )
    return options.LossScaleOptions(
        initial=scale.initial_scale,
        is_static=scale.is_static,
        growth_steps=scale.growth_steps,
        overflows_before_shrink=scale.overflows_before_shrink,
    )


def _fine_tune(
    config: train_pb2.TrainConfig, feature_extractor_type: str, takes_bgr: bool
) -> options.FineTune | None:
    if not config.fine_tune_checkpoint:
        return None
    # The older field decides where the newer one is not set.
    checkpoint_type = config.fine_tune_checkpoint_type or (
        options.DETECTION
        if config.from_detection_checkpoint
        else options.CLASSIFICATION
    )
    known = (options.CLASSIFICATION, options.DETECTION)
    if checkpoint_type not in known:
        raise errors.ConfigError(
            "train_config.fine_tune_checkpoint_type: unknown "
            f"{checkpoint_type!r}; "
            f"{config_hints.nearest_name(checkpoint_type, known)}"
        )
    return options.FineTune(
        config.fine_tune_checkpoint,
        checkpoint_type,
        config.load_all_detection_checkpoint_vars,
        prefers_averages=feature_extractor_builder.starts_from_averages(
            feature_extractor_type
        ),
        takes_bgr=takes_bgr,
    )
