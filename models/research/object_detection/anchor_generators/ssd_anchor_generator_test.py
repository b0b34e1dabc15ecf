import pathlib

import keras
import numpy as np
import pytest

from object_detection.anchor_generators import ssd_anchor_generator
from object_detection.core import box_ops

# What the original made of 300 x 300 px for ssd_mobilenet_v2 and for
# ssd_inception_v2.
GOLDEN = pathlib.Path(__file__).parent / "testdata" / "ssd300.npz"
SCALES = (0.2, 0.45)


def make_generator(**changes):
    defaults = dict(
        scales=SCALES,
        aspect_ratios=(1.0, 4.0),
        interpolated_scale_aspect_ratio=0.0,
        reduce_boxes_in_lowest_layer=False,
    )
    return ssd_anchor_generator.SsdAnchorGenerator(**{**defaults, **changes})


def cyxhw(anchors):
    return np.asarray(box_ops.yxyx_to_cyxhw(anchors))


def make_golden_generator():
    scales = ssd_anchor_generator.linear_scales(0.2, 0.95, 6)
    ratios = (1.0, 2.0, 0.5, 3.0, 0.3333)
    return ssd_anchor_generator.SsdAnchorGenerator(scales, ratios)


def test_anchors_of_the_original():
    maps = [(side, side) for side in (19, 10, 5, 3, 2, 1)]
    anchors = make_golden_generator().generate(maps, (300, 300))
    expected = np.load(GOLDEN)["anchors"]
    assert anchors.dtype == np.float32
    np.testing.assert_allclose(anchors, expected, rtol=0, atol=1e-6)


def test_anchors_by_hand():
    # 100 x 200 px, grids 2 x 4 and 1 x 2: a scale is a share of 100 px.
    anchors = make_generator().generate([(2, 4), (1, 2)], (100, 200))
    assert len(anchors) == (8 + 2) * 2
    found = cyxhw(anchors)
    np.testing.assert_allclose(
        found[:4],
        [
            [0.25, 0.125, 0.2, 0.1],
            [0.25, 0.125, 0.1, 0.2],
            [0.25, 0.375, 0.2, 0.1],  # x before y
            [0.25, 0.375, 0.1, 0.2],
        ],
        atol=1e-6,
    )
    np.testing.assert_allclose(found[8, :2], [0.75, 0.125])
    np.testing.assert_allclose(
        found[-2:],
        [[0.5, 0.75, 0.45, 0.225], [0.5, 0.75, 0.225, 0.45]],
        rtol=1e-5,
    )


def test_interpolated_anchor_comes_last_and_the_last_scale_meets_one():
    generator = make_generator(interpolated_scale_aspect_ratio=4.0)
    assert generator.num_anchors_per_location == [3, 3]
    found = cyxhw(generator.generate([(1, 1), (1, 1)], (50, 50)))[:, 2:]
    between, last = np.sqrt(0.2 * 0.45), np.sqrt(0.45)
    np.testing.assert_allclose(found[2], [between / 2, between * 2], rtol=1e-5)
    np.testing.assert_allclose(found[5], [last / 2, last * 2], rtol=1e-5)


def test_reduced_first_map():
    generator = make_generator(
        reduce_boxes_in_lowest_layer=True, interpolated_scale_aspect_ratio=1.0
    )
    assert generator.num_anchors_per_location == [3, 3]
    found = cyxhw(generator.generate([(1, 1), (1, 1)], (50, 50)))[:3, 2:]
    root = np.sqrt(2.0)
    np.testing.assert_allclose(
        found,
        [[0.1, 0.1], [0.2 / root, 0.2 * root], [0.2 * root, 0.2 / root]],
        rtol=1e-5,
    )


def test_without_aspect_ratios_the_interpolated_anchor_remains():
    generator = make_generator(
        aspect_ratios=(), interpolated_scale_aspect_ratio=1.0
    )
    assert generator.num_anchors_per_location == [1, 1]
    found = cyxhw(generator.generate([(1, 1), (1, 1)], (50, 50)))
    np.testing.assert_allclose(found[0, 2:], 0.3, rtol=1e-5)


def test_base_anchor_size_is_height_then_width():
    generator = make_generator(base_anchor_size=(0.5, 2.0))
    plain = cyxhw(make_generator().generate([(2, 4), (1, 2)], (100, 200)))
    found = cyxhw(generator.generate([(2, 4), (1, 2)], (100, 200)))
    np.testing.assert_allclose(found, plain * [1, 1, 0.5, 2.0], atol=1e-6)


def test_strides_and_offsets_are_pixels_of_each_map():
    generator = make_generator(
        aspect_ratios=(1.0,), strides_px=((10, 20), (30, 50))
    )
    sizes = [(2, 2), (1, 2)]
    found = cyxhw(generator.generate(sizes, (100, 200)))[:, :2] * [100, 200]
    # Half a stride is the first centre.
    np.testing.assert_allclose(
        found, [[5, 10], [5, 30], [15, 10], [15, 30], [15, 25], [15, 75]]
    )
    generator = make_generator(
        aspect_ratios=(1.0,),
        strides_px=((10, 20), (30, 50)),
        offsets_px=((1, 2), (3, 0)),
    )
    found = cyxhw(generator.generate(sizes, (100, 200)))[:, :2] * [100, 200]
    np.testing.assert_allclose(
        found,
        [[1, 2], [1, 22], [11, 2], [11, 22], [3, 0], [3, 50]],
        atol=1e-5,
    )


def test_sizes_known_only_when_run_give_the_same():
    generator = make_golden_generator()
    height, width = 300, 517
    maps = [(19, 33), (10, 17), (5, 9), (3, 5), (2, 3), (1, 2)]
    known = generator.generate(maps, (height, width))
    height = keras.ops.convert_to_tensor(height)
    maps[0] = (height // 16 + 1, 33)
    unknown = generator.generate(maps, (height, width))
    assert not isinstance(unknown, np.ndarray)
    np.testing.assert_allclose(unknown, known, atol=1e-6)


def test_linear_scales():
    np.testing.assert_allclose(
        ssd_anchor_generator.linear_scales(0.2, 0.95, 4),
        [0.2, 0.45, 0.7, 0.95],
    )
    assert ssd_anchor_generator.linear_scales(0.2, 0.95, 1) == (0.2,)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"scales": ()}, "^scales: .* got none$"),
        ({"scales": (0.2, 0.0)}, "^scales: .* got 0.2, 0$"),
        ({"aspect_ratios": (1.0, -1.0)}, "^aspect_ratios: .* got 1, -1"),
        ({"aspect_ratios": ()}, "got neither"),
        ({"base_anchor_size": (1.0, 0.0)}, "^base_anchor_width: .* got 0"),
        ({"strides_px": ((8, 8),)}, "^height_stride: .* 2 layers, got 1"),
        ({"offsets_px": ((8, 8),) * 3}, "^height_offset: .* 2 layers, got 3"),
        ({"strides_px": ((8, 8), (8, 0))}, "^width_stride: .* got 8, 0"),
    ],
)
def test_bad_values_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        make_generator(**changes)


def test_another_number_of_maps_is_refused():
    with pytest.raises(ValueError, match="2 layers .* got 1"):
        make_generator().generate([(2, 6)], (16, 48))
