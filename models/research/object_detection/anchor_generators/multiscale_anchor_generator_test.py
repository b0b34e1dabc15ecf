import keras
import numpy as np
import pytest

from object_detection.anchor_generators import multiscale_anchor_generator
from object_detection.core import box_ops


def make_generator(**changes):
    defaults = dict(
        min_level=3,
        max_level=4,
        anchor_scale=2.0,
        aspect_ratios=(1.0, 4.0),
        scales_per_octave=2,
        normalize_coordinates=False,
    )
    return multiscale_anchor_generator.MultiscaleAnchorGenerator(
        **{**defaults, **changes}
    )


def test_anchors_by_hand():
    # 16 x 48 px: strides 8 and 16, grids 2 x 6 and 1 x 3.
    anchors = make_generator().generate([(2, 6), (1, 3)], (16, 48))
    assert anchors.dtype == np.float32 and len(anchors) == (12 + 3) * 4
    found = np.asarray(box_ops.yxyx_to_cyxhw(anchors))
    root = 2**0.5
    # At a location: ratio by ratio, octave by octave. 16 px are 2 strides.
    np.testing.assert_allclose(
        found[:4],
        [
            [4, 4, 16, 16],
            [4, 4, 16 * root, 16 * root],
            [4, 4, 8, 32],
            [4, 4, 8 * root, 32 * root],
        ],
        rtol=1e-5,
    )
    np.testing.assert_allclose(found[4, :2], [4, 12])  # x before y
    np.testing.assert_allclose(found[4 * 6, :2], [12, 4])
    np.testing.assert_allclose(found[4 * 12], [8, 8, 32, 32], rtol=1e-5)
    np.testing.assert_allclose(found[-4], [8, 40, 32, 32], rtol=1e-5)


def test_coordinates_are_divided_by_height_and_width():
    sizes = [(2, 6), (1, 3)]
    pixels = make_generator().generate(sizes, (16, 48))
    normalized = make_generator(normalize_coordinates=True).generate(
        sizes, (16, 48)
    )
    np.testing.assert_allclose(normalized * [16, 48, 16, 48], pixels, rtol=1e-5)


def test_an_axis_that_is_no_multiple_of_the_stride_has_no_offset():
    anchors = make_generator(max_level=3).generate([(3, 2)], (20, 16))
    centers = np.asarray(box_ops.yxyx_to_cyxhw(anchors))[::4, :2]
    np.testing.assert_allclose(
        centers, [[0, 4], [0, 12], [8, 4], [8, 12], [16, 4], [16, 12]]
    )


def test_sizes_known_only_when_run_give_no_offset():
    generator = make_generator(max_level=3)
    height = keras.ops.convert_to_tensor(16)
    anchors = generator.generate([(height // 8, 2)], (height, 16))
    centers = np.asarray(box_ops.yxyx_to_cyxhw(anchors))[::4, :2]
    np.testing.assert_allclose(centers, [[0, 4], [0, 12], [8, 4], [8, 12]])


def test_counts_of_each_location():
    assert make_generator().num_anchors_per_location == [4, 4]


def test_ssd320_has_12804_anchors():
    generator = make_generator(
        max_level=7, aspect_ratios=(1.0, 2.0, 0.5), anchor_scale=4.0
    )
    sides = (40, 20, 10, 5, 3)
    anchors = generator.generate([(side, side) for side in sides], (320, 320))
    assert anchors.shape == (12804, 4)
    # 320 is no multiple of 128: the last level starts at 0.
    last = np.asarray(box_ops.yxyx_to_cyxhw(anchors))[-54::6, 0]
    np.testing.assert_allclose(last, np.repeat([0.0, 128.0, 256.0], 3))


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"min_level": 5}, "^min_level: .* got 5$"),
        ({"aspect_ratios": ()}, "^aspect_ratios: .* got none$"),
        ({"aspect_ratios": (1.0, -1.0)}, "^aspect_ratios: .* got 1, -1$"),
        ({"scales_per_octave": 0}, "^scales_per_octave: .* got 0$"),
        ({"anchor_scale": 0.0}, "^anchor_scale: .* got 0$"),
    ],
)
def test_bad_values_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        make_generator(**changes)


def test_another_number_of_maps_is_refused():
    with pytest.raises(ValueError, match="need 2 feature maps, got 1"):
        make_generator().generate([(2, 6)], (16, 48))


def test_an_image_of_one_pixel_is_not_normalised_by():
    generator = make_generator(max_level=3, normalize_coordinates=True)
    with pytest.raises(ValueError, match="normalise"):
        generator.generate([(1, 2)], (1, 16))
