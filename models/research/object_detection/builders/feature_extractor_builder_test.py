import json
import logging
import pathlib

import numpy as np
import pytest
from google.protobuf import text_format

from object_detection.builders import (
    box_predictor_builder,
    feature_extractor_builder,
)
from object_detection.core import errors, naming
from object_detection.protos import pipeline_pb2, ssd_pb2

ROOT = pathlib.Path(__file__).resolve().parents[4]
GOLDEN = ROOT / "qa" / "parity" / "testdata"

HYPERPARAMS = """
    conv_hyperparams {
      activation: RELU_6
      regularizer { l2_regularizer { weight: 0.5 } }
      initializer { truncated_normal_initializer { stddev: 0.03 } }
      batch_norm { scale: true decay: 0.75 epsilon: 0.25 }
    }
"""
SMALL = f"""
    type: 'ssd_mobilenet_v1_fpn' depth_multiplier: 0.25
    fpn {{ min_level: 4 max_level: 6 additional_layer_depth: 64 }}
    {HYPERPARAMS}
"""


def parse(text):
    return text_format.Parse(text, ssd_pb2.SsdFeatureExtractor())


def build(text, is_training=True, **arguments):
    return feature_extractor_builder.build(
        parse(text), is_training, **arguments
    )


@pytest.mark.parametrize(
    ("name", "num_anchors", "num_variables", "num_trained"),
    [
        ("ssd320_full_8gpus", 6, 463, 269),
        ("ssd_mobilenet_v1_fpn_640", 6, None, None),
    ],
)
def test_names_and_shapes_are_the_originals(
    name, num_anchors, num_variables, num_trained
):
    config = text_format.Parse(
        (GOLDEN / name / "pipeline.config").read_text(),
        pipeline_pb2.TrainEvalPipelineConfig(),
    ).model.ssd
    extractor = feature_extractor_builder.build(config.feature_extractor, True)
    num_channels = extractor.feature_map_channels
    predictor = box_predictor_builder.build(
        config.box_predictor,
        True,
        num_channels=num_channels,
        num_anchors_per_location=[num_anchors] * len(num_channels),
        num_class_slots=config.num_classes + 1,
    )
    variables = naming.checkpoint_variables(extractor, predictor)
    expected = json.loads((GOLDEN / name / "variables.json").read_text())
    assert {n: list(v.shape) for n, v in variables.items()} == expected
    if num_variables is not None:
        assert len(variables) == num_variables
        assert sum(v.trainable for v in variables.values()) == num_trained


def first_norm(extractor):
    return extractor._backbone._blocks_per_layer[0][0]._norms[0]


def pyramid_norm(extractor):
    return extractor._neck._smoothings[0]._norms[0]


# What design calls a deliberate likeness: where conv_hyperparams governs,
# freeze_batchnorm does nothing; enforce_freeze_batchnorm freezes all.
@pytest.mark.parametrize(
    ("overrides", "arguments", "backbone", "pyramid"),
    [
        (False, {}, True, True),
        (True, {}, True, True),
        (False, {"freeze_batchnorm": True}, False, True),
        (True, {"freeze_batchnorm": True}, True, True),
        (False, {"enforce_freeze_batchnorm": True}, False, False),
        (True, {"enforce_freeze_batchnorm": True}, False, False),
        (True, {"is_training": False}, False, False),
        (False, {"is_training": False}, False, False),
    ],
)
def test_what_freezes_which_normalisation(
    overrides, arguments, backbone, pyramid
):
    text = SMALL
    if overrides:
        text += "override_base_feature_extractor_hyperparams: true"
    extractor = build(text, **arguments)
    uses = [
        norm(extractor).uses_batch_statistics(training=True)
        for norm in (first_norm, pyramid_norm)
    ]
    assert uses == [backbone, pyramid]


def test_frozen_normalisation_keeps_its_statistics():
    extractor = build(SMALL, enforce_freeze_batchnorm=True)
    images = np.random.RandomState(0).uniform(-1, 1, (2, 64, 64, 3))
    extractor(images.astype(np.float32), training=True)
    for name, variable in naming.checkpoint_variables(extractor).items():
        if name.endswith("moving_mean"):
            assert not np.any(np.asarray(variable.value)), name


def test_override_gives_the_backbone_the_configs_hyperparameters():
    def moved(text):
        extractor = build(SMALL + text)
        images = np.ones((2, 64, 64, 3), np.float32)
        extractor(images, training=True)
        norm, conv = first_norm(extractor), extractor._backbone
        outputs = conv._blocks_per_layer[0][0]._conv(images)
        mean = np.asarray(outputs).mean((0, 1, 2))
        regularizer = conv.variables[0].regularizer
        return np.asarray(norm.moving_mean) / mean, regularizer.l2

    share, weight = moved("")
    np.testing.assert_allclose(share, 0.0003, rtol=1e-3)
    assert weight == pytest.approx(2e-5)
    share, weight = moved("override_base_feature_extractor_hyperparams: true")
    np.testing.assert_allclose(share, 0.25, rtol=1e-3)
    assert weight == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", (16, 64)),
        ("min_depth: 100", (100, 100)),
        ("min_depth: 8 depth_multiplier: 0.5", (16, 128)),
    ],
)
def test_depths_follow_multiplier_and_floor(text, expected):
    """Channels of the second layer and of the pyramid."""
    config = parse(
        SMALL.replace("additional_layer_depth: 64", "") + "min_depth: 16"
    )
    config.MergeFrom(parse(text))
    extractor = feature_extractor_builder.build(config, True)
    channels = extractor._backbone.endpoint_channels["Conv2d_0"]
    assert (channels, extractor.feature_map_channels[0]) == expected


def test_fields_reach_the_extractor():
    extractor = build(
        SMALL + "use_depthwise: true use_explicit_padding: true "
        "pad_to_multiple: 32",
        in_channels=1,
        dtype_policy="mixed_bfloat16",
    )
    names = naming.checkpoint_variables(extractor)
    scope = "FeatureExtractor/MobilenetV1"
    assert f"{scope}/fpn/smoothing_1/pointwise_weights" in names
    assert names[f"{scope}/Conv2d_0/weights"].shape[2] == 1
    assert extractor.pad_to_multiple == 32
    assert extractor._neck._pad_explicitly
    assert extractor.compute_dtype == "bfloat16"
    assert extractor.feature_map_channels == [16] * 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("type: 'ssd_mobilnet_v1'", "mean 'ssd_mobilenet_v1'"),
        ("conv_hyperparams { group_norm {} }", "group_norm: not supported"),
        ("fpn { min_level: 1 }", "min_level from 2 to 5.*got 1 and 6"),
        ("fpn { min_level: 6 }", "min_level from 2 to 5.*got 6 and 6"),
        ("fpn { max_level: 3 }", "got 4 and 3"),
        ("fpn { additional_layer_depth: 0 }", "additional_layer_depth"),
        ("depth_multiplier: 0", "depth_multiplier: expected more than 0"),
        ("min_depth: 0", "min_depth: expected at least 1"),
        ("pad_to_multiple: 0", "pad_to_multiple: expected at least 1"),
        (
            "type: 'ssd_resnet50_v1_fpn' depth_multiplier: 0.5",
            "depth_multiplier: ssd_resnet50_v1_fpn takes only 1.0, got 0.5",
        ),
        (
            "type: 'ssd_resnet101_v1_fpn' depth_multiplier: 1 "
            "use_explicit_padding: true",
            "use_explicit_padding: ssd_resnet101_v1_fpn takes only false",
        ),
    ],
)
def test_what_is_not_supported_is_refused(text, message):
    config = parse(SMALL)
    config.MergeFrom(parse(text))
    with pytest.raises(errors.ConfigError, match=message):
        feature_extractor_builder.build(config, True)


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("ssd_resnet50_v1_fpn", ["use_depthwise", "min_depth"]),
        ("ssd_mobilenet_v1_ppn", ["use_depthwise"]),
    ],
)
def test_fields_that_do_nothing_are_named(kind, fields, caplog):
    config = parse(SMALL + "use_depthwise: true min_depth: 32")
    config.MergeFrom(parse(f"type: '{kind}' depth_multiplier: 1"))
    if not kind.endswith("_fpn"):
        config.ClearField("fpn")
    with caplog.at_level(logging.WARNING):
        feature_extractor_builder.build(config, True)
    found = [record.getMessage() for record in caplog.records]
    assert sorted(found) == sorted(
        f"model.ssd.feature_extractor.{field}: has no effect on {kind}"
        for field in fields
    )


MOBILENET_V2 = """
    depth_multiplier: 0.35
    conv_hyperparams {
      activation: NONE
      initializer { random_normal_initializer { stddev: 0.3 } }
      batch_norm { center: false scale: false }
    }
    override_base_feature_extractor_hyperparams: true
"""


@pytest.mark.parametrize(
    ("kind", "leaves", "is_linear"),
    [
        ("ssd_mobilenet_v2", {"weights", "gamma", "beta"}, False),
        ("ssd_mobilenet_v2_fpn", {"weights", "gamma", "beta"}, False),
        ("ssd_mobilenet_v2_keras", {"weights"}, True),
    ],
)
def test_what_of_mobilenet_v2_a_config_overrides(kind, leaves, is_linear):
    extractor = build(f"type: '{kind}' {MOBILENET_V2}")
    first = "FeatureExtractor/MobilenetV2/Conv/"
    found = {
        name.rsplit("/", 1)[1]
        for name, variable in naming.checkpoint_variables(extractor).items()
        if name.startswith(first) and variable.trainable
    }
    assert found == leaves
    images = np.random.RandomState(0).uniform(-1, 1, (1, 33, 35, 3))
    outputs = extractor._backbone(images.astype(np.float32))["layer_1"]
    assert (np.min(outputs) < 0) == is_linear


@pytest.mark.parametrize("freezes", [False, True])
def test_mobilenet_v2_keeps_its_normalisation(freezes):
    """Without one in the config, freeze_batchnorm governs the network's."""
    config = parse(f"type: 'ssd_mobilenet_v2' {MOBILENET_V2}")
    config.conv_hyperparams.ClearField("batch_norm")
    extractor = feature_extractor_builder.build(
        config, True, freeze_batchnorm=freezes
    )
    norm = extractor._backbone._first._norms[0]
    assert norm.uses_batch_statistics(training=True) != freezes
    names = naming.checkpoint_variables(extractor)
    extra = "FeatureExtractor/MobilenetV2/layer_19_1_Conv2d_2_1x1_89"
    assert f"{extra}/biases" in names
