import logging

import numpy as np
import pytest
from google.protobuf import text_format

from object_detection.builders import box_predictor_builder
from object_detection.core import errors, naming
from object_detection.protos import box_predictor_pb2

SCOPE = "WeightSharedConvolutionalBoxPredictor"
HYPERPARAMS = """
    conv_hyperparams {
      activation: RELU_6
      initializer { random_normal_initializer { stddev: 0.5 } }
      batch_norm { scale: true }
    }
"""


def build(fields="", hyperparams=HYPERPARAMS, is_training=True, **arguments):
    config = text_format.Parse(
        "weight_shared_convolutional_box_predictor { depth: 5 "
        f"num_layers_before_predictor: 1 {hyperparams} }}",
        box_predictor_pb2.BoxPredictor(),
    )
    text_format.Merge(
        f"weight_shared_convolutional_box_predictor {{ {fields} }}", config
    )
    arguments = {
        "num_channels": [3, 3],
        "num_anchors_per_location": [2, 2],
        "num_class_slots": 7,
        **arguments,
    }
    return box_predictor_builder.build(config, is_training, **arguments)


def shapes(predictor):
    return {
        name.removeprefix(f"{SCOPE}/"): tuple(variable.shape)
        for name, variable in naming.checkpoint_variables(predictor).items()
    }


def maps():
    random = np.random.RandomState(0)
    return [
        random.normal(size=(2, side, 2, 3)).astype(np.float32)
        for side in (3, 1)
    ]


def test_shapes_follow_the_fields():
    found = shapes(
        build(
            "depth: 9 kernel_size: 5 box_code_size: 6 "
            "num_layers_before_predictor: 2"
        )
    )
    assert found["ClassPredictionTower/conv2d_0/weights"] == (5, 5, 3, 9)
    assert found["ClassPredictionTower/conv2d_1/weights"] == (5, 5, 9, 9)
    assert found["BoxPredictor/weights"] == (5, 5, 9, 2 * 6)
    assert found["ClassPredictor/weights"] == (5, 5, 9, 2 * 7)
    assert "ClassPredictionTower/conv2d_2/weights" not in found


def test_no_tower_leaves_the_heads():
    found = shapes(build("num_layers_before_predictor: 0 depth: 0"))
    assert set(found) == {
        f"{head}/{leaf}"
        for head in ("BoxPredictor", "ClassPredictor")
        for leaf in ("weights", "biases")
    }
    assert found["BoxPredictor/weights"] == (3, 3, 3, 8)


def test_class_prediction_bias_init():
    predictor = build("class_prediction_bias_init: -4.6")
    variables = naming.checkpoint_variables(predictor)
    biases = variables[f"{SCOPE}/ClassPredictor/biases"]
    np.testing.assert_allclose(biases.value, -4.6, rtol=1e-6)


def test_share_prediction_tower():
    assert "PredictionTower/conv2d_0/weights" in shapes(
        build("share_prediction_tower: true")
    )


def test_use_depthwise():
    found = shapes(build("use_depthwise: true"))
    assert found["BoxPredictor/depthwise_weights"] == (3, 3, 5, 1)


def test_score_converter():
    _, scores = build("score_converter: SIGMOID")(maps())
    assert 0 < np.min(scores) and np.max(scores) < 1
    _, logits = build()(maps())
    assert np.min(logits) < 0


def test_box_encodings_clip_range():
    boxes, _ = build("box_encodings_clip_range { min: -0.5 max: 0.25 }")(maps())
    assert np.min(boxes) == -0.5
    assert np.max(boxes) == 0.25


@pytest.mark.parametrize(
    ("fields", "drops"),
    [
        ("", False),
        ("dropout_keep_probability: 0.5", False),
        ("use_dropout: true dropout_keep_probability: 0.5", True),
        ("use_dropout: true dropout_keep_probability: 1", False),
    ],
)
def test_dropout(fields, drops):
    predictor = build(fields, HYPERPARAMS.replace("batch_norm", "#"))
    _, kept = predictor(maps(), training=False)
    _, dropped = predictor(maps(), training=True)
    assert (np.abs(np.asarray(kept) - dropped).max() > 0) == drops


@pytest.mark.parametrize(
    ("arguments", "moves"),
    [
        ({}, True),
        ({"is_training": False}, False),
        ({"enforce_freeze_batchnorm": True}, False),
    ],
)
def test_what_freezes_the_normalisations(arguments, moves):
    predictor = build(**arguments)
    predictor(maps(), training=True)
    moved = [
        bool(np.any(np.asarray(variable.value)))
        for name, variable in naming.checkpoint_variables(predictor).items()
        if name.endswith("moving_mean")
    ]
    # Two towers, two levels.
    assert moved == [moves] * 4


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ("kernel_size: 0", "kernel_size: expected at least 1, got 0"),
        ("depth: 0", "depth: expected at least 1, got 0"),
        ("box_code_size: 0", "box_code_size: expected at least 1"),
        ("num_layers_before_predictor: -1", "expected at least 0, got -1"),
        (
            "use_dropout: true dropout_keep_probability: 0",
            "dropout_keep_probability: expected more than 0",
        ),
        (
            "box_encodings_clip_range { min: 1 max: -1 }",
            "box_encodings_clip_range: .* got 1 and -1",
        ),
    ],
)
def test_impossible_values_are_refused(fields, message):
    with pytest.raises(errors.ConfigError, match=message):
        build(fields)


def test_unequal_numbers_of_anchors_are_refused():
    with pytest.raises(errors.ConfigError, match=r"\[2, 3\].*anchor_generator"):
        build(num_anchors_per_location=[2, 3])


def test_anchors_by_shape_are_refused():
    with pytest.raises(errors.ConfigError, match="box_order is SHAPE_MAJOR"):
        build(is_shape_major=True)


@pytest.mark.parametrize(
    "text",
    ["", "rfcn_box_predictor {}", "mask_rcnn_box_predictor {}"],
)
def test_other_predictors_are_refused(text):
    config = text_format.Parse(text, box_predictor_pb2.BoxPredictor())
    with pytest.raises(errors.ConfigError, match="or weight_shared_conv"):
        box_predictor_builder.build(
            config,
            True,
            num_channels=[3],
            num_anchors_per_location=[2],
            num_class_slots=7,
        )


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("RELU_6", "RELU", "conv_hyperparams.activation: has no effect"),
        (
            "batch_norm { scale: true }",
            "group_norm {}",
            "conv_hyperparams.group_norm: has no effect",
        ),
        ("RELU_6", "RELU_6", None),
    ],
)
def test_fields_without_effect_are_said(old, new, field, caplog):
    with caplog.at_level(logging.WARNING):
        build(hyperparams=HYPERPARAMS.replace(old, new))
    assert (field in caplog.text) if field else not caplog.text
