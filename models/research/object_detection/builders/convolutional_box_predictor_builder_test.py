import logging

import numpy as np
import pytest
from google.protobuf import text_format

from object_detection.builders import box_predictor_builder
from object_detection.core import errors, naming
from object_detection.protos import box_predictor_pb2

PATH = "model.ssd.box_predictor.convolutional_box_predictor"
HYPERPARAMS = """
    conv_hyperparams {
      initializer { random_normal_initializer { stddev: 0.5 } }
      batch_norm { scale: true }
    }
"""


def build(fields="", hyperparams=HYPERPARAMS, is_training=True, **arguments):
    config = text_format.Parse(
        f"convolutional_box_predictor {{ {hyperparams} {fields} }}",
        box_predictor_pb2.BoxPredictor(),
    )
    arguments = {
        "num_channels": [3, 4],
        "num_anchors_per_location": [2, 5],
        "num_class_slots": 7,
        **arguments,
    }
    return box_predictor_builder.build(config, is_training, **arguments)


def variables(predictor):
    return {
        name: np.asarray(variable.value)
        for name, variable in naming.checkpoint_variables(predictor).items()
    }


def shapes(fields):
    return {k: v.shape for k, v in variables(build(fields)).items()}


def maps():
    random = np.random.RandomState(0)
    return [
        random.normal(size=(2, side, 2, channels)).astype(np.float32)
        for side, channels in ((3, 3), (1, 4))
    ]


def test_defaults_are_heads_of_kernel_one():
    found = shapes("")
    assert found["BoxPredictor_0/BoxEncodingPredictor/weights"] == (
        1, 1, 3, 2 * 4
    )  # fmt: skip
    assert found["BoxPredictor_1/ClassPredictor/weights"] == (1, 1, 4, 5 * 7)
    assert len(found) == 8


@pytest.mark.parametrize(
    ("fields", "name", "shape"),
    [
        ("kernel_size: 3", "BoxEncodingPredictor/weights", (3, 3, 4, 20)),
        ("box_code_size: 6", "BoxEncodingPredictor/weights", (1, 1, 4, 30)),
        (
            "num_layers_before_predictor: 2 max_depth: 2",
            "Conv2d_1_1x1_2/weights",
            (1, 1, 2, 2),
        ),
        (
            "num_layers_before_predictor: 1 min_depth: 9",
            "Conv2d_0_1x1_9/BatchNorm/gamma",
            (9,),
        ),
        (
            "use_depthwise: true kernel_size: 3",
            "ClassPredictor_depthwise/depthwise_weights",
            (3, 3, 4, 1),
        ),
    ],
)
def test_shapes_follow_the_fields(fields, name, shape):
    assert shapes(fields)[f"BoxPredictor_1/{name}"] == shape


@pytest.mark.parametrize(("is_depthwise", "bias"), [("false", -3), ("true", 0)])
def test_class_prediction_bias_init(is_depthwise, bias, caplog):
    with caplog.at_level(logging.WARNING):
        found = variables(
            build(
                f"class_prediction_bias_init: -3 use_depthwise: {is_depthwise}"
            )
        )
    np.testing.assert_array_equal(
        found["BoxPredictor_0/ClassPredictor/biases"], np.full(14, bias)
    )
    is_said = f"{PATH}.class_prediction_bias_init: has no effect" in caplog.text
    assert is_said == (bias == 0)


@pytest.mark.parametrize(
    ("fields", "drops"),
    [
        ("", True),  # dropout is on by default, and keeps 0.8
        ("use_dropout: false", False),
        ("dropout_keep_probability: 1", False),
    ],
)
def test_dropout(fields, drops):
    predictor = build(fields)
    large = [np.tile(level, (1, 8, 8, 1)) for level in maps()]
    _, kept = predictor(large, training=False)
    _, dropped = predictor(large, training=True)
    assert (np.abs(np.asarray(kept) - dropped).max() > 0) == drops


def test_apply_sigmoid_to_scores(caplog):
    _, logits = build()(maps())
    assert np.min(logits) < 0
    with caplog.at_level(logging.WARNING):
        _, scores = build("apply_sigmoid_to_scores: true")(maps())
    assert 0 < np.min(scores) and np.max(scores) < 1
    assert f"{PATH}.apply_sigmoid_to_scores: true also" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "moves"),
    [
        ({}, True),
        ({"is_training": False}, False),
        ({"enforce_freeze_batchnorm": True}, False),
    ],
)
def test_what_freezes_the_normalisations(arguments, moves):
    predictor = build(
        "num_layers_before_predictor: 1 max_depth: 5", **arguments
    )
    predictor(maps(), training=True)
    moved = [
        bool(np.any(value))
        for name, value in variables(predictor).items()
        if name.endswith("moving_mean")
    ]
    assert moved == [moves] * 2


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ("kernel_size: 0", "kernel_size: expected at least 1, got 0"),
        ("box_code_size: 0", "box_code_size: expected at least 1, got 0"),
        ("min_depth: -1", "min_depth: expected at least 0, got -1"),
        ("max_depth: -1", "max_depth: expected at least 0, got -1"),
        ("num_layers_before_predictor: -1", "expected at least 0, got -1"),
        (
            "dropout_keep_probability: 0",
            "dropout_keep_probability: expected more than 0",
        ),
    ],
)
def test_impossible_values_are_refused(fields, message):
    with pytest.raises(errors.ConfigError, match=f"^{PATH}.*{message}"):
        build(fields)


@pytest.mark.parametrize(
    ("fields", "is_refused"),
    [
        ("", False),
        ("num_layers_before_predictor: 1", False),
        ("num_layers_before_predictor: 1 max_depth: 5", True),
        ("use_depthwise: true", True),
    ],
)
def test_group_norm_is_refused_where_it_would_act(fields, is_refused):
    hyperparams = HYPERPARAMS.replace(
        "batch_norm { scale: true }", "group_norm {}"
    )
    if not is_refused:
        build(fields, hyperparams)
        return
    with pytest.raises(errors.ConfigError, match="group_norm: not supported"):
        build(fields, hyperparams)
