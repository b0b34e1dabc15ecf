"""Builds convolution hyperparameters from their config message."""

import keras

from object_detection.core import errors
from object_detection.core import hyperparams as hyperparams_lib
from object_detection.protos import hyperparams_pb2

_ACTIVATIONS = {
    hyperparams_pb2.Hyperparams.NONE: None,
    hyperparams_pb2.Hyperparams.RELU: "relu",
    hyperparams_pb2.Hyperparams.RELU_6: "relu6",
}
_FAN_MODES = {
    hyperparams_pb2.VarianceScalingInitializer.FAN_IN: "fan_in",
    hyperparams_pb2.VarianceScalingInitializer.FAN_OUT: "fan_out",
    hyperparams_pb2.VarianceScalingInitializer.FAN_AVG: "fan_avg",
}


def build(
    config: hyperparams_pb2.Hyperparams, trains_batch_norm: bool, path: str
) -> hyperparams_lib.ConvHyperparams:
    """Builds the hyperparameters of convolutions.

    Args:
        config: of the part of the network; a `group_norm` gives biases.
        trains_batch_norm: False freezes every normalisation; True leaves it
            to `batch_norm.train`.
        path: of `config` in the pipeline config, for errors.

    Raises:
        errors.ConfigError: no initializer, an op other than CONV, or a
            batch_norm that cannot be.
    """
    if config.op != hyperparams_pb2.Hyperparams.CONV:
        raise errors.ConfigError(
            f"{path}.op: expected CONV, got "
            f"{hyperparams_pb2.Hyperparams.Op.Name(config.op)}; remove it"
        )
    batch_norm = None
    if config.HasField("batch_norm"):
        _check_batch_norm(config.batch_norm, f"{path}.batch_norm")
        batch_norm = hyperparams_lib.BatchNormParams(
            decay=config.batch_norm.decay,
            epsilon=config.batch_norm.epsilon,
            center=config.batch_norm.center,
            scale=config.batch_norm.scale,
            train=config.batch_norm.train and trains_batch_norm,
        )
    return hyperparams_lib.ConvHyperparams(
        initializer=_build_initializer(
            config.initializer, f"{path}.initializer"
        ),
        regularizer=_build_regularizer(config.regularizer),
        activation=_ACTIVATIONS[config.activation],
        batch_norm=batch_norm,
    )


def _check_batch_norm(config: hyperparams_pb2.BatchNorm, path: str) -> None:
    if not 0 <= config.decay <= 1:
        raise errors.ConfigError(
            f"{path}.decay: expected 0 to 1, got {config.decay:g}"
        )
    if config.epsilon < 0:
        raise errors.ConfigError(
            f"{path}.epsilon: expected 0 or more, got {config.epsilon:g}"
        )


def _build_regularizer(
    config: hyperparams_pb2.Regularizer,
) -> keras.regularizers.Regularizer | None:
    kind = config.WhichOneof("regularizer_oneof")
    if kind == "l1_regularizer":
        return keras.regularizers.L1(config.l1_regularizer.weight)
    if kind == "l2_regularizer":
        # The config's weight is of half the sum of squares.
        return keras.regularizers.L2(0.5 * config.l2_regularizer.weight)
    return None


def _build_initializer(
    config: hyperparams_pb2.Initializer, path: str
) -> keras.initializers.Initializer:
    kind = config.WhichOneof("initializer_oneof")
    if kind == "truncated_normal_initializer":
        normal = config.truncated_normal_initializer
        return keras.initializers.TruncatedNormal(normal.mean, normal.stddev)
    if kind == "random_normal_initializer":
        normal = config.random_normal_initializer
        return keras.initializers.RandomNormal(normal.mean, normal.stddev)
    if kind == "variance_scaling_initializer":
        scaling = config.variance_scaling_initializer
        return keras.initializers.VarianceScaling(
            scale=scaling.factor,
            mode=_FAN_MODES[scaling.mode],
            distribution="uniform" if scaling.uniform else "truncated_normal",
        )
    raise errors.ConfigError(
        f"{path}: expected one of truncated_normal_initializer, "
        "random_normal_initializer, variance_scaling_initializer, got none; "
        "add one"
    )
