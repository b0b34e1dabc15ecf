import keras
import numpy as np
import pytest

from object_detection.anchor_generators import grid_anchor_generator
from object_detection.core import box_ops


def make_generator(**changes):
    defaults = dict(
        scales=(1.0, 3.0),
        aspect_ratios=(1.0, 4.0),
        base_size_px=(10, 20),
        stride_px=(16, 8),
        offset_px=(5, 1),
    )
    return grid_anchor_generator.GridAnchorGenerator(**{**defaults, **changes})


def test_anchors_by_hand():
    generator = make_generator()
    anchors = generator.generate([(2, 3)], (40, 80))
    assert anchors.dtype == np.float32
    assert generator.num_anchors_per_location == [4]
    found = np.asarray(box_ops.yxyx_to_cyxhw(anchors)) * [40, 80, 40, 80]
    assert found.shape == (2 * 3 * 4, 4)
    # Ratio by ratio, scale by scale.
    np.testing.assert_allclose(
        found[:5],
        [
            [5, 1, 10, 20],
            [5, 1, 30, 60],
            [5, 1, 5, 40],
            [5, 1, 15, 120],
            [5, 9, 10, 20],  # x before y
        ],
        rtol=1e-4,
    )
    np.testing.assert_allclose(found[-1], [21, 17, 15, 120], rtol=1e-4)


def test_sizes_known_only_when_run_give_the_same():
    known = make_generator().generate([(2, 3)], (40, 80))
    width = keras.ops.convert_to_tensor(80)
    unknown = make_generator().generate([(2, 3)], (40, width))
    assert not isinstance(unknown, np.ndarray)
    np.testing.assert_allclose(unknown, known, atol=1e-6)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"scales": ()}, "^scales: .* got none"),
        ({"aspect_ratios": (1.0, 0.0)}, "^aspect_ratios: .* got 1, 0"),
        ({"base_size_px": (0, 20)}, "^height: .* got 0"),
        ({"stride_px": (16, -8)}, "^width_stride: .* got -8"),
    ],
)
def test_bad_values_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        make_generator(**changes)


def test_two_maps_are_refused():
    with pytest.raises(ValueError, match="one feature map .* got 2"):
        make_generator().generate([(2, 3), (1, 1)], (40, 80))
