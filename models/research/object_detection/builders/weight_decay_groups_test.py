"""Which variables of SSD300's relatives decay, by their real names."""

import functools

import numpy as np
import pytest
from google.protobuf import text_format

from object_detection.builders import (
    box_predictor_builder,
    feature_extractor_builder,
)
from object_detection.core import naming
from object_detection.protos import box_predictor_pb2, ssd_pb2
from object_detection.training import gradients

# NVIDIA: what has more than one axis. MindSpore: all but normalisations.
NO_DECAY = {
    "ssd300_resnet18": [".*/BatchNorm/.*", ".*/biases"],
    "ssd300_mobilenet_v2": [".*/BatchNorm/.*"],
}
HYPERPARAMS = """conv_hyperparams {
  activation: RELU_6 initializer { random_normal_initializer {} }
  batch_norm { scale: true } }"""
LAYERS = {
    "ssd300_resnet18": HYPERPARAMS.replace("RELU_6", "RELU"),
    "ssd300_mobilenet_v2": f"use_depthwise: true {HYPERPARAMS}",
}


@functools.cache
def trained_variables(kind):
    extractor = feature_extractor_builder.build(
        text_format.Parse(
            f"type: '{kind}' {LAYERS[kind]} "
            "override_base_feature_extractor_hyperparams: true",
            ssd_pb2.SsdFeatureExtractor(),
        ),
        True,
    )
    predictor = box_predictor_builder.build(
        text_format.Parse(
            f"convolutional_box_predictor {{ {LAYERS[kind]} kernel_size: 3 }}",
            box_predictor_pb2.BoxPredictor(),
        ),
        True,
        num_channels=extractor.feature_map_channels,
        num_anchors_per_location=[4] * 6,
        num_class_slots=5,
    )
    named = naming.checkpoint_variables(extractor, predictor)
    return {name: v for name, v in named.items() if v.trainable}


def groups(kind):
    """Returns the variables that decay and those that do not."""
    variables = trained_variables(kind)
    decayed = gradients.select_decayed(variables, NO_DECAY[kind])
    others = {n: v for n, v in variables.items() if n not in decayed}
    return decayed, others


def endings(variables):
    return {name.rpartition("/")[2] for name in variables}


def test_in_nvidias_ssd300_what_has_more_than_one_axis_decays():
    decayed, others = groups("ssd300_resnet18")
    assert {len(v.shape) for v in decayed.values()} == {4}
    assert {len(v.shape) for v in others.values()} == {1}
    assert endings(decayed) == {"weights"}
    assert endings(others) == {"biases", "gamma", "beta"}
    # 15 convolutions of the backbone and 10 beyond it, each with a norm; two
    # heads for each of six maps.
    assert len(decayed) == 15 + 10 + 12
    assert len(others) == 2 * (15 + 10) + 12


def test_in_mindspores_ssd300_all_but_norms_decay():
    decayed, others = groups("ssd300_mobilenet_v2")
    assert endings(others) == {"gamma", "beta"}
    assert endings(decayed) == {"weights", "depthwise_weights", "biases"}
    names = {n for n in decayed if n.endswith("biases")}
    assert len(names) == 12
    assert all(name.startswith("BoxPredictor_") for name in names)


@pytest.mark.parametrize("kind", NO_DECAY)
def test_every_pattern_is_of_use(kind, caplog):
    groups(kind)
    assert not caplog.records
    assert sum(np.prod(v.shape) for v in groups(kind)[0].values()) > 1e6
