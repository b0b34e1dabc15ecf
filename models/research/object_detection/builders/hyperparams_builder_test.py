import keras
import numpy as np
import pytest
from google.protobuf import text_format

from object_detection.builders import hyperparams_builder
from object_detection.core import errors
from object_detection.core import hyperparams as hyperparams_lib
from object_detection.protos import hyperparams_pb2

INITIALIZER = "initializer { truncated_normal_initializer {} } "


def build(text, trains_batch_norm=True):
    config = text_format.Parse(text, hyperparams_pb2.Hyperparams())
    return hyperparams_builder.build(config, trains_batch_norm, "a.path")


def draw(text, shape=(3, 3, 64, 128)):
    initializer = build(f"initializer {{ {text} }}").initializer
    return np.asarray(initializer.clone()(shape))


@pytest.mark.parametrize(
    ("text", "mean", "stddev"),
    [
        # Cut off at two deviations, a normal distribution keeps 0.8796.
        (
            "truncated_normal_initializer { mean: 1.5 stddev: 0.25 }",
            1.5,
            0.25 * 0.8796,
        ),
        ("random_normal_initializer { mean: -1 stddev: 0.5 }", -1.0, 0.5),
        ("variance_scaling_initializer {}", 0.0, (2.0 / 576) ** 0.5),
        (
            "variance_scaling_initializer { factor: 3 mode: FAN_OUT }",
            0.0,
            (3.0 / 1152) ** 0.5,
        ),
        (
            "variance_scaling_initializer { mode: FAN_AVG uniform: true }",
            0.0,
            (2.0 / 864) ** 0.5,
        ),
    ],
)
def test_initializers(text, mean, stddev):
    values = draw(text)
    assert values.mean() == pytest.approx(mean, abs=0.01)
    assert values.std() == pytest.approx(stddev, rel=0.02)


def test_uniform_has_hard_limits():
    values = draw("variance_scaling_initializer { uniform: true factor: 1 }")
    limit = (3.0 / 576) ** 0.5
    assert np.abs(values).max() == pytest.approx(limit, rel=0.01)


def test_truncated_normal_ends_at_two_deviations():
    values = draw("truncated_normal_initializer { stddev: 0.1 }")
    assert np.abs(values).max() <= 0.2


def test_missing_initializer_is_refused():
    with pytest.raises(
        errors.ConfigError, match="^a.path.initializer: expected"
    ):
        build("activation: RELU")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # 0.5 * (9 + 16) / 2 and 0.5 * (3 + 4).
        ("l2_regularizer { weight: 0.5 }", 6.25),
        ("l1_regularizer { weight: 0.5 }", 3.5),
        ("l2_regularizer {}", 12.5),
    ],
)
def test_regularizers(text, expected):
    regularizer = build(f"{INITIALIZER} regularizer {{ {text} }}").regularizer
    found = regularizer(keras.ops.convert_to_tensor([3.0, -4.0]))
    assert float(found) == pytest.approx(expected)


def test_regularizer_may_be_missing():
    assert build(INITIALIZER).regularizer is None
    assert build(INITIALIZER + "regularizer {}").regularizer is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "relu"),
        ("activation: NONE", None),
        ("activation: RELU", "relu"),
        ("activation: RELU_6", "relu6"),
    ],
)
def test_activations(text, expected):
    assert build(INITIALIZER + text).activation == expected


def test_batch_norm_has_the_configs_values():
    found = build(
        INITIALIZER
        + "batch_norm { decay: 0.75 epsilon: 0.5 center: false scale: true }"
    ).batch_norm
    assert found == hyperparams_lib.BatchNormParams(
        decay=0.75, epsilon=0.5, center=False, scale=True, train=True
    )


def test_batch_norm_has_the_messages_defaults():
    found = build(INITIALIZER + "batch_norm {}").batch_norm
    assert found.decay == pytest.approx(0.999)
    assert found.epsilon == pytest.approx(0.001)
    assert found.center and not found.scale and found.train


@pytest.mark.parametrize("text", ["", "group_norm {}"])
def test_no_batch_norm_leaves_biases(text):
    assert build(INITIALIZER + text).batch_norm is None


@pytest.mark.parametrize(
    ("text", "trains_batch_norm", "expected"),
    [
        ("train: true", True, True),
        ("train: true", False, False),
        ("train: false", True, False),
    ],
)
def test_batch_norm_trains_if_the_config_and_the_caller_agree(
    text, trains_batch_norm, expected
):
    hyperparams = build(
        f"{INITIALIZER} batch_norm {{ {text} }}", trains_batch_norm
    )
    assert hyperparams.batch_norm.train == expected


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("op: FC", "op: expected CONV, got FC"),
        (
            "batch_norm { decay: 1.5 }",
            "batch_norm.decay: expected 0 to 1, got 1.5",
        ),
        (
            "batch_norm { epsilon: -1 }",
            "batch_norm.epsilon: expected 0 or more, got -1",
        ),
    ],
)
def test_impossible_values_are_refused(text, field):
    with pytest.raises(errors.ConfigError, match=f"^a.path.{field}"):
        build(INITIALIZER + text)
