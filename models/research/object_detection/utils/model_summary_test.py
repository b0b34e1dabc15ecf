import keras
import numpy as np

from object_detection.builders import small_detector
from object_detection.utils import (
    configured_detector,
    model_summary,
    network_layers,
)


class Part(keras.layers.Layer):
    """Only has variables."""

    def __init__(self, sizes):
        super().__init__()
        self.sizes = sizes
        self.held = {
            name: self.add_weight(
                shape=shape,
                initializer=keras.initializers.Constant(value),
                trainable="moving" not in name,
            )
            for name, (shape, value) in sizes.items()
        }

    def named_variables(self):
        return self.held


SIZES = {
    "net/block/conv/weights": ((3, 2, 4, 5), 0.25),
    "net/block/conv/BatchNorm/gamma": ((5,), 1),
    "net/block/conv/BatchNorm/moving_mean": ((5,), 0),
    "net/scale": ((1000,), 20),
}


def cells(lines):
    return [line.split() for line in lines]


def test_parameters_by_scope():
    networks = {"first": Part(SIZES), "second": Part({"head/w": ((7,), 0)})}
    assert cells(model_summary.describe_parameters(networks)) == [
        ["variables", "parameters", "trainable"],
        ["first", "4", "1,130", "1,125"],
        ["net", "1", "1,000", "1,000"],
        ["net/block/conv", "3", "130", "125"],
        ["second", "1", "7", "7"],
        ["head", "1", "7", "7"],
        ["total", "5", "1,137", "1,132"],
    ]


def test_columns_are_as_wide_as_they_must_be():
    lines = list(model_summary.describe_parameters({"a": Part(SIZES)}))
    assert lines[0] == "                  variables  parameters  trainable"
    assert lines[1] == "a                         4       1,130      1,125"
    assert lines[3] == "  net/block/conv          3         130        125"


def test_outputs_are_for_any_number_of_images():
    lines = model_summary.describe_outputs(
        [(3, 4, 8)], {"codes": (1, 24, 4), "anchors": (24, 4), "size": (2,)}
    )
    assert list(lines) == [
        "feature map 0: Bx3x4x8",
        "codes: Bx24x4",
        "anchors: 24x4",
        "size: 2",
    ]


def test_layers_and_variables():
    layers = [
        network_layers.Layer(
            "net/conv", "conv", (3, 2), (2, 1), (6, 6), (9, 8, 5),
            ("batch norm", "relu"),
        ),
        network_layers.Layer(
            "", "max pool", (3, 3), (1, 1), (1, 1), (9, 8, 5), ()
        ),
    ]  # fmt: skip
    assert cells(model_summary.describe_layers(layers))[1:] == [
        "net/conv conv 3x2 2x1 6x6 9x8x5 batch norm, relu".split(),
        "- max pool 3x3 1x1 1x1 9x8x5 -".split(),
    ]
    found = cells(model_summary.describe_variables(Part(SIZES).held))
    assert found[3] == [
        "net/block/conv/weights", "3x2x4x5", "yes", "0.25", "0.25"
    ]  # fmt: skip
    assert found[2][2:] == ["no", "0", "0"]
    assert found[4] == ["net/scale", "1000", "yes", "20", "20"]


def test_a_whole_detector():
    model = small_detector.build(is_training=True)
    lines = list(
        model_summary.describe(
            configured_detector.ConfiguredDetector(model, (64, 128)),
            has_layers=True,
            has_variables=False,
        )
    )
    rows = {line.split()[0]: line.split() for line in lines}
    sizes = [
        sum(int(np.prod(variable.shape)) for variable in variables)
        for variables in (model.variables, model.trainable_variables)
    ]
    assert sizes[1] < sizes[0]
    assert rows["total"][2:] == [f"{size:,}" for size in sizes]
    assert lines[0] == "image 64x128 px, 3 channels"
    assert "feature map 0: Bx4x8x8" in lines
    assert f"box_encodings: Bx{2 * (32 + 8 + 2)}x4" in lines
    assert rows["FeatureExtractor/MobilenetV1/Conv2d_0"][1:5] == [
        "conv", "3x3", "2x2", "1x1"
    ]  # fmt: skip
    assert not [line for line in lines if "BatchNorm/gamma" in line]
