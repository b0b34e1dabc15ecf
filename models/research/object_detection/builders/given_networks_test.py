"""Tests of the extractors whose layers are given to the last one."""

import keras
import numpy as np
import pytest
from google.protobuf import text_format

from object_detection.builders import (
    box_predictor_builder,
    feature_extractor_builder,
)
from object_detection.core import errors, naming
from object_detection.protos import box_predictor_pb2, ssd_pb2

XAVIER = """initializer {
  variance_scaling_initializer { factor: 1 uniform: true mode: FAN_AVG }
}"""
WITH_NORMS = f"{XAVIER} batch_norm {{ scale: true }}"
RELU_6 = f"{WITH_NORMS} activation: RELU_6"


def build(kind, hyperparams, extra="", **arguments):
    config = text_format.Parse(
        f"""type: '{kind}' conv_hyperparams {{ {hyperparams} }}
        override_base_feature_extractor_hyperparams: true {extra}""",
        ssd_pb2.SsdFeatureExtractor(),
    )
    return feature_extractor_builder.build(config, True, **arguments)


def num_trained(*layers):
    return sum(
        np.prod(variable.shape)
        for variable in naming.checkpoint_variables(*layers).values()
        if variable.trainable
    )


class Detector:
    """An extractor and heads on all its maps."""

    def __init__(self, kind, hyperparams, num_boxes, num_slots, extra=""):
        self.extractor = build(kind, hyperparams, extra)
        config = text_format.Parse(
            f"""convolutional_box_predictor {{
              kernel_size: 3 use_dropout: false {extra}
              conv_hyperparams {{ {hyperparams} }}
            }}""",
            box_predictor_pb2.BoxPredictor(),
        )
        self.predictor = box_predictor_builder.build(
            config,
            True,
            num_channels=self.extractor.feature_map_channels,
            num_anchors_per_location=num_boxes,
            num_class_slots=num_slots,
        )

    def num_of_heads(self, name):
        variables = naming.checkpoint_variables(self.predictor)
        return sum(
            np.prod(v.shape) for n, v in variables.items() if f"/{name}/" in n
        )

    def outputs_of(self, side_px):
        images = keras.KerasTensor((1, side_px, side_px, 3))
        maps = self.extractor.compute_output_spec(images, training=False)
        boxes, classes = self.predictor(
            [np.zeros(m.shape, "float32") for m in maps]
        )
        sizes = [m.shape[1] for m in maps]
        return sizes, tuple(boxes.shape), tuple(classes.shape)


# Numbers of parameters are those of the systems that these networks are of.
def test_ssd300_resnet50():
    detector = Detector("ssd300_resnet50", WITH_NORMS, [4, 6, 6, 6, 4, 4], 81)
    extractor = detector.extractor
    assert num_trained(extractor._backbone) == 8_543_296
    assert num_trained(extractor._neck) == 3_773_696
    assert detector.num_of_heads("BoxEncodingPredictor") == 497_784
    assert detector.num_of_heads("ClassPredictor") == 10_080_126
    assert num_trained(extractor, detector.predictor) == 22_894_902
    assert detector.outputs_of(300) == (
        [38, 19, 10, 5, 3, 1],
        (1, 8732, 4),
        (1, 8732, 81),
    )


def test_ssd300_mobilenet_v2():
    detector = Detector(
        "ssd300_mobilenet_v2",
        RELU_6,
        [3, 6, 6, 6, 6, 6],
        81,
        "use_depthwise: true",
    )
    extractor = detector.extractor
    assert num_trained(extractor, detector.predictor) == 4_393_461
    assert detector.outputs_of(300) == (
        [19, 10, 5, 3, 2, 1],
        (1, 1917, 4),
        (1, 1917, 81),
    )


@pytest.mark.parametrize(
    ("kind", "side_px", "sizes", "num_boxes", "num_parameters"),
    [
        (
            "ssd300_vgg16",
            300,
            [38, 19, 10, 5, 3, 1],
            [4, 6, 6, 6, 4, 4],
            26_285_486,
        ),
        (
            "ssd512_vgg16",
            512,
            [64, 32, 16, 8, 4, 2, 1],
            [4, 6, 6, 6, 6, 4, 4],
            26_959_300,
        ),
    ],
)
def test_vgg16(kind, side_px, sizes, num_boxes, num_parameters):
    regularizer = "regularizer { l2_regularizer { weight: 0.5 } }"
    detector = Detector(kind, f"{XAVIER} {regularizer}", num_boxes, 21)
    total = sum(s * s * n for s, n in zip(sizes, num_boxes, strict=True))
    assert total == (8732 if side_px == 300 else 24564)
    assert detector.outputs_of(side_px) == (
        sizes,
        (1, total, 4),
        (1, total, 21),
    )
    assert num_trained(detector.extractor, detector.predictor) == num_parameters
    # Every kernel, and neither biases nor the scale, is regularised.
    variables = naming.checkpoint_variables(
        detector.extractor, detector.predictor
    )
    regularized = {n for n, v in variables.items() if v.regularizer is not None}
    assert regularized == {n for n in variables if n.endswith("/weights")}
    assert any(n.startswith("BoxPredictor_0/Class") for n in regularized)


def test_initializer_of_the_config_is_of_every_layer():
    extractor = build("ssd300_vgg16", XAVIER)
    for name, variable in naming.checkpoint_variables(extractor).items():
        value = np.asarray(variable.value)
        if name.endswith("/weights"):
            side, _, before, after = value.shape
            limit = (6 / (side * side * (before + after))) ** 0.5
            assert 0.95 * limit < np.abs(value).max() <= limit, name
        elif name.endswith("/scale"):
            np.testing.assert_array_equal(value, 20)
        else:
            np.testing.assert_array_equal(value, 0)


def test_the_first_map_of_mobilenet_has_a_convolution_of_its_own():
    extractor = build("ssd300_mobilenet_v2", RELU_6, "use_depthwise: true")
    images = np.random.default_rng(0).normal(size=(1, 65, 97, 3)).astype("f4")
    endpoint = np.asarray(extractor._backbone(images)["layer_14"])
    assert endpoint.shape == (1, 5, 7, 96)
    scope = "FeatureExtractor/MobilenetV2/expand_layer_conv_13"
    kernel = naming.checkpoint_variables(extractor)[f"{scope}/weights"]
    assert kernel.shape == (1, 1, 96, 576)
    # Fresh moving statistics divide by the root of 1 + epsilon.
    expected = np.clip(endpoint @ kernel.numpy()[0, 0] / 1.001**0.5, 0, 6)
    maps = extractor(images)
    assert expected.max() > 0
    np.testing.assert_allclose(maps[0], expected, rtol=1e-3, atol=1e-5)
    # Beyond the network, the last convolution of a map is rectified, too.
    assert all(np.min(m) >= 0 and np.max(m) <= 6 for m in maps)


@pytest.mark.parametrize(
    ("kind", "least", "maps"),
    [
        ("ssd300_resnet18", 257, 6),
        ("ssd300_vgg16", 257, 6),
        ("ssd512_vgg16", 385, 7),
    ],
)
def test_the_least_image(kind, least, maps):
    extractor = build(kind, XAVIER if "vgg" in kind else WITH_NORMS)

    def shapes(height, width):
        images = keras.KerasTensor((1, height, width, 3))
        return [
            tuple(m.shape[1:3])
            for m in extractor.compute_output_spec(images, training=False)
        ]

    found = shapes(least, least + 64)
    assert len(found) == maps and found[-1][0] == 1
    with pytest.raises(ValueError, match=f"at least {least} px"):
        shapes(least + 64, least - 1)


@pytest.mark.parametrize(
    ("kind", "hyperparams", "extra", "message"),
    [
        ("ssd300_vgg16", WITH_NORMS, "", "batch_norm: ssd300_vgg16 has biases"),
        ("ssd300_resnet50", XAVIER, "", "batch_norm: ssd300_resnet50 needs it"),
        ("ssd300_resnet18", RELU_6, "", "activation: .* only RELU, got RELU_6"),
        (
            "ssd300_mobilenet_v2",
            WITH_NORMS,
            "use_depthwise: true",
            "activation: .* only RELU_6, got RELU$",
        ),
        (
            "ssd300_resnet50",
            f"{XAVIER} batch_norm {{}}",
            "",
            "batch_norm.scale: ssd300_resnet50 takes only true, got false",
        ),
        (
            "ssd300_resnet50",
            f"{XAVIER} batch_norm {{ scale: true center: false }}",
            "",
            "batch_norm.center: ssd300_resnet50 takes only true, got false",
        ),
        ("ssd300_mobilenet_v2", RELU_6, "", "use_depthwise: .* only true"),
        ("ssd300_vgg16", XAVIER, "use_depthwise: true", "use_depthwise: .*"),
        ("ssd300_vgg16", XAVIER, "min_depth: 8", "min_depth: .* only 16"),
        (
            "ssd300_vgg16",
            XAVIER,
            "depth_multiplier: 0.5",
            "depth_multiplier: ssd300_vgg16 takes only 1.0, got 0.5",
        ),
        ("ssd300_resnet50", WITH_NORMS, "pad_to_multiple: 32", "only 1, got"),
        ("ssd512_vgg16", XAVIER, "fpn {}", "has no feature pyramid"),
    ],
)
def test_what_would_be_another_network_is_refused(
    kind, hyperparams, extra, message
):
    with pytest.raises(errors.ConfigError, match=message) as info:
        build(kind, hyperparams, extra)
    assert str(info.value).startswith("model.ssd.feature_extractor.")
    assert "\n" not in str(info.value)


def test_hyperparameters_of_a_config_are_a_must():
    config = text_format.Parse(
        f"type: 'ssd300_vgg16' conv_hyperparams {{ {XAVIER} }}",
        ssd_pb2.SsdFeatureExtractor(),
    )
    with pytest.raises(errors.ConfigError, match="override_base_feature_ext"):
        feature_extractor_builder.build(config, True)
