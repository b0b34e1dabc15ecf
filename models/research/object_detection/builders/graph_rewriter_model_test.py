"""Tests of which parts of real detectors a graph_rewriter quantizes."""

import pathlib

import numpy as np
import pytest
from google.protobuf import text_format

from object_detection.builders import model_builder
from object_detection.core import quantization
from object_detection.core.standard_fields import PredictionFields
from object_detection.protos import graph_rewriter_pb2
from object_detection.utils import config_overrides, config_util

CONFIG = (
    pathlib.Path(__file__).parents[4]
    / "configs"
    / "ssd_mobilenet_v1_fpn_shapes.config"
)
PREDICTOR = "model.ssd.box_predictor.weight_shared_convolutional_box_predictor"
SMALL = {
    "model.ssd.image_resizer.fixed_shape_resizer.height": 64,
    "model.ssd.image_resizer.fixed_shape_resizer.width": 96,
    "model.ssd.feature_extractor.depth_multiplier": 0.25,
    "model.ssd.feature_extractor.min_depth": 4,
    f"{PREDICTOR}.depth": 8,
    # Beside a large bias the outputs of an untrained network are all alike.
    f"{PREDICTOR}.class_prediction_bias_init": 0.0,
}
CONVOLUTIONAL_PREDICTOR = """
convolutional_box_predictor { kernel_size: 1 conv_hyperparams {
  initializer { random_normal_initializer { stddev: 0.3 } } } }
"""


def build(kind="ssd_mobilenet_v1_fpn", delay=0, predictor=""):
    configs = config_overrides.apply_overrides(
        config_util.get_configs_from_pipeline_file(CONFIG), SMALL
    )
    config = configs["model"]
    config.ssd.feature_extractor.type = kind
    if kind.startswith("ssd_resnet"):
        config.ssd.feature_extractor.depth_multiplier = 1.0
        config.ssd.image_resizer.fixed_shape_resizer.height = 160
        config.ssd.image_resizer.fixed_shape_resizer.width = 192
    if predictor:
        config.ssd.ClearField("box_predictor")
        text_format.Parse(predictor, config.ssd.box_predictor)
    rewriter = None
    if delay is not None:
        rewriter = graph_rewriter_pb2.GraphRewriter()
        rewriter.quantization.delay = delay
    return model_builder.build(config, False, graph_rewriter_config=rewriter)


def scopes_of(model, leaf):
    return {
        name.removesuffix(leaf)
        for name in model.checkpoint_variables()
        if name.endswith(leaf)
    }


@pytest.mark.parametrize(
    ("kind", "predictor", "sums"),
    [
        (
            "ssd_mobilenet_v1_fpn",
            "",
            {"FeatureExtractor/MobilenetV1/fpn/projection_1"},
        ),
        (
            "ssd_mobilenet_v2_fpn",
            CONVOLUTIONAL_PREDICTOR,
            {
                "FeatureExtractor/MobilenetV2/fpn/projection_1",
                # Of 8 channels before and after at this multiplier.
                "FeatureExtractor/MobilenetV2/expanded_conv",
                *(
                    f"FeatureExtractor/MobilenetV2/expanded_conv_{i}"
                    for i in (2, 4, 5, 7, 8, 9, 11, 12, 14, 15)
                ),
            },
        ),
        (
            "ssd_resnet50_v1_fpn",
            "",
            {
                "FeatureExtractor/resnet_v1_50/fpn/projection_1",
                *(
                    f"FeatureExtractor/resnet_v1_50/block{block}/unit_{unit}"
                    "/bottleneck_v1"
                    for block, num_units in enumerate((3, 4, 6, 3), start=1)
                    for unit in range(1, num_units + 1)
                ),
            },
        ),
    ],
)
def test_every_convolution_and_sum_is_quantized(kind, predictor, sums):
    model = build(kind, predictor=predictor)
    convolved = scopes_of(model, "/weights") | scopes_of(
        model, "/depthwise_weights"
    )
    assert any("BoxPredictor" in scope for scope in convolved)
    assert scopes_of(model, "/act_quant/max") == convolved
    weights = scopes_of(model, "/weights_quant/min") | scopes_of(
        model, "/weights_quant/feature_1/min"
    )
    assert weights == convolved
    assert scopes_of(model, "/add_quant/min") == sums
    variables = model.checkpoint_variables()
    plain = build(kind, delay=None, predictor=predictor).checkpoint_variables()
    assert plain.keys() == {
        name
        for name in variables
        if not quantization.is_range_name(name) and name != "global_step"
    }


def test_predictions_are_rounded_from_the_delay_on():
    model = build(delay=5)
    images = np.random.default_rng(0).uniform(0, 255, (2, 64, 96, 3))
    inputs = model.preprocess(images.astype(np.float32))
    model.predict(*inputs, training=True)  # The ranges follow.
    num_different = []
    for step in (4, 5):
        model.checkpoint_variables()["global_step"].assign(step)
        predictions = model.predict(*inputs)
        num_different.append(
            [
                len(np.unique(np.asarray(predictions[name])))
                for name in (
                    PredictionFields.box_encodings,
                    PredictionFields.class_predictions_with_background,
                )
            ]
        )
    before, after = num_different
    assert min(before) > 256 >= max(after)
