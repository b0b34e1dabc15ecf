import numpy as np
import pytest
from google.protobuf import text_format

from object_detection.builders import anchor_generator_builder
from object_detection.core import box_ops, errors
from object_detection.protos import anchor_generator_pb2

PATH = "model.ssd.anchor_generator"


def build(*texts):
    """Builds what the texts say, each merged on top of those before."""
    config = anchor_generator_pb2.AnchorGenerator()
    for text in texts:
        text_format.Merge(text, config)
    return anchor_generator_builder.build(config)


def build_ssd(fields):
    return build(
        "ssd_anchor_generator { num_layers: 2 "
        "reduce_boxes_in_lowest_layer: false aspect_ratios: 4 }",
        f"ssd_anchor_generator {{ {fields} }}",
    )


def ssd_anchors(fields):
    """Returns centre and size in px of 100 x 200, maps 1 x 2 and 1 x 1."""
    anchors = build_ssd(fields).generate([(1, 2), (1, 1)], (100, 200))
    return np.asarray(box_ops.yxyx_to_cyxhw(anchors)) * [100, 200, 100, 200]


def test_ssd_defaults_are_those_of_the_message():
    found = ssd_anchors("")
    # A ratio of 4 and the interpolated square, at two places and at one.
    between = 100 * np.sqrt(0.2 * 0.95)
    last = 100 * np.sqrt(0.95)
    np.testing.assert_allclose(
        found,
        [
            [50, 50, 10, 40],
            [50, 50, between, between],
            [50, 150, 10, 40],
            [50, 150, between, between],
            [50, 100, 47.5, 190],
            [50, 100, last, last],
        ],
        rtol=1e-5,
    )


@pytest.mark.parametrize(
    ("fields", "row", "expected"),
    [
        ("min_scale: 0.1", 0, [50, 50, 5, 20]),
        ("max_scale: 0.5", 4, [50, 100, 25, 100]),
        ("scales: [0.3, 0.4]", 4, [50, 100, 20, 80]),
        ("interpolated_scale_aspect_ratio: 0", 1, [50, 150, 10, 40]),
        ("reduce_boxes_in_lowest_layer: true", 0, [50, 50, 10, 10]),
        ("base_anchor_height: 0.5", 0, [50, 50, 5, 40]),
        ("base_anchor_width: 0.5", 0, [50, 50, 10, 20]),
        (
            "height_stride: [10, 20] width_stride: [30, 40]",
            2,
            [5, 45, 10, 40],
        ),
        (
            "height_offset: [7, 8] width_offset: [9, 11]",
            0,
            [7, 9, 10, 40],
        ),
    ],
)
def test_each_ssd_field_has_its_effect(fields, row, expected):
    np.testing.assert_allclose(ssd_anchors(fields)[row], expected, rtol=1e-5)


def test_aspect_ratios_and_layers_count():
    generator = build_ssd("aspect_ratios: [1, 2] num_layers: 3")
    assert generator.num_anchors_per_location == [4, 4, 4]
    # Without num_layers, the scales say how many layers there are.
    generator = build("ssd_anchor_generator { scales: [0.2, 0.3, 0.4] }")
    assert generator.num_anchors_per_location == [3, 1, 1]
    assert build("ssd_anchor_generator {}").num_anchors_per_location == [
        3, 1, 1, 1, 1, 1
    ]  # fmt: skip


def test_one_layer_has_the_least_scale():
    generator = build("ssd_anchor_generator { num_layers: 1 min_scale: 0.3 }")
    anchors = generator.generate([(1, 1)], (64, 64))
    found = np.asarray(box_ops.yxyx_to_cyxhw(anchors))[1, 2:]
    np.testing.assert_allclose(found, [0.3 / 2**0.5, 0.3 * 2**0.5], rtol=1e-5)


@pytest.mark.parametrize(
    ("fields", "row", "expected"),
    [
        ("", 0, [0, 0, 256, 256]),
        ("height: 32", 0, [0, 0, 32, 256]),
        ("width: 32", 0, [0, 0, 256, 32]),
        ("height_stride: 4", 2, [4, 0, 256, 256]),
        ("width_stride: 4", 1, [0, 4, 256, 256]),
        ("height_offset: 3", 0, [3, 0, 256, 256]),
        ("width_offset: 3", 0, [0, 3, 256, 256]),
        ("scales: 2", 1, [0, 0, 512, 512]),
        ("aspect_ratios: 4", 1, [0, 0, 128, 512]),
    ],
)
def test_each_grid_field_has_its_effect(fields, row, expected):
    generator = build(
        f"grid_anchor_generator {{ scales: 1 aspect_ratios: 1 {fields} }}"
    )
    anchors = generator.generate([(2, 2)], (100, 200))
    found = np.asarray(box_ops.yxyx_to_cyxhw(anchors))
    np.testing.assert_allclose(
        found[row] * [100, 200, 100, 200], expected, rtol=1e-5, atol=1e-4
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", f"{PATH}: expected grid_anchor_generator or"),
        (
            "ssd_anchor_generator { num_layers: 0 }",
            f"{PATH}.ssd_anchor_generator.num_layers: .* got 0",
        ),
        (
            "ssd_anchor_generator { num_layers: 3 scales: [0.2, 0.3] }",
            "scales: expected one for each of the 3 layers .* got 2",
        ),
        (
            "ssd_anchor_generator { height_stride: 3 }",
            "height_stride: .* of width_stride, got 1 and 0",
        ),
        (
            "ssd_anchor_generator { height_offset: 3 width_offset: 3 }",
            "height_offset: .* 6 layers, got 1",
        ),
        ("grid_anchor_generator { scales: 1 }", "aspect_ratios"),
        ("multiscale_anchor_generator {}", "aspect_ratios"),
    ],
)
def test_what_cannot_be_is_refused(text, message):
    with pytest.raises(errors.ConfigError, match=message):
        build(text)
