import keras
import numpy as np
import pytest

from object_detection.anchor_generators import (
    default_box_generator,
    multiscale_anchor_generator,
)
from object_detection.core import box_ops

Level = default_box_generator.Level
Shape = default_box_generator.Shape

LEVELS = (
    Level(scale=0.2, aspect_ratios=(4.0,)),
    Level(scale=0.45, step_px=80.0),
)


def make_generator(**changes):
    defaults = dict(levels=LEVELS, extra_scale=0.8)
    return default_box_generator.DefaultBoxGenerator(**{**defaults, **changes})


def generate(maps=((2, 3), (1, 2)), image_size=(100, 200), **changes):
    """Returns centre and size of each box."""
    anchors = make_generator(**changes).generate(list(maps), image_size)
    assert isinstance(anchors, np.ndarray) and anchors.dtype == np.float32
    return np.asarray(box_ops.yxyx_to_cyxhw(anchors))


BETWEEN, LAST = np.sqrt(0.2 * 0.45), np.sqrt(0.45 * 0.8)
# Shares of the image's own height and width, whatever its form.
SHAPES = [[0.2, 0.2], [0.1, 0.4], [BETWEEN, BETWEEN]]
# y, then x, in cells of 1/2 and 1/3; then steps of 80 px in 100 x 200 px.
CENTERS = [(y, x) for y in (1 / 4, 3 / 4) for x in (1 / 6, 3 / 6, 5 / 6)]
LAST_CENTERS = [(0.4, 0.2), (0.4, 0.6)]
LAST_SHAPES = [[0.45, 0.45], [LAST, LAST]]


def test_boxes_by_hand():
    expected = [[*c, *s] for c in CENTERS for s in SHAPES]
    expected += [[*c, *s] for c in LAST_CENTERS for s in LAST_SHAPES]
    assert make_generator().num_anchors_per_location == [3, 2]
    np.testing.assert_allclose(generate(), expected, atol=1e-6)


def test_shape_major_goes_by_shape_then_row_then_column():
    expected = [[*c, *s] for s in SHAPES for c in CENTERS]
    expected += [[*c, *s] for s in LAST_SHAPES for c in LAST_CENTERS]
    np.testing.assert_allclose(
        generate(is_shape_major=True), expected, atol=1e-6
    )


def test_the_square_between_two_scales_may_come_second():
    found = generate(is_interpolated_second=True)[:3, 2:]
    np.testing.assert_allclose(found, np.take(SHAPES, [0, 2, 1], 0), atol=1e-6)


def test_shapes_are_all_the_boxes_of_a_level():
    levels = (Level(shapes=(Shape(0.1), Shape(0.2, 4.0))), LEVELS[1])
    generator = make_generator(levels=levels)
    assert generator.num_anchors_per_location == [2, 2]
    found = generate(levels=levels)
    np.testing.assert_allclose(
        found[:2, 2:], [[0.1, 0.1], [0.1, 0.4]], atol=1e-6
    )
    levels = (LEVELS[1], Level(shapes=(Shape(0.3),)))
    with pytest.raises(ValueError, match=r"^level\[1\].scale: .* level\[0\]"):
        make_generator(levels=levels, extra_scale=None)


def test_centres_and_sides_are_clamped_one_by_one():
    # The centres at 3/6 and 9/6 of 1 px, sides 0.5 and 2.
    levels = (Level(step_px=1.0, shapes=(Shape(1.0, 4.0),)),)
    changes = dict(levels=levels, extra_scale=None)
    maps, image_size = [(1, 2)], (1, 1)
    found = generate(maps, image_size, **changes)
    np.testing.assert_allclose(
        found, [[0.5, 0.5, 0.5, 2.0], [0.5, 1.5, 0.5, 2.0]], atol=1e-6
    )
    found = generate(maps, image_size, clamps=True, **changes)
    np.testing.assert_allclose(
        found, [[0.5, 0.5, 0.5, 1.0], [0.5, 1.0, 0.5, 1.0]], atol=1e-6
    )
    # The corners are not clipped.
    assert found[1, 1] + found[1, 3] / 2 == 1.5


@pytest.mark.parametrize("is_shape_major", [False, True])
def test_sizes_known_only_when_run_give_the_same(is_shape_major):
    generator = make_generator(is_shape_major=is_shape_major, clamps=True)
    known = generator.generate([(5, 9), (3, 5)], (300, 517))
    height = keras.ops.convert_to_tensor(300)
    unknown = generator.generate([(height // 64 + 1, 9), (3, 5)], (height, 517))
    assert not isinstance(unknown, np.ndarray)
    np.testing.assert_allclose(unknown, known, atol=1e-6)


def test_other_generators_go_by_cell():
    other = multiscale_anchor_generator.MultiscaleAnchorGenerator(
        3, 4, 4.0, (1.0,), 1
    )
    assert not other.is_shape_major


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"levels": ()}, "^level: .* got none$"),
        (
            {"levels": (LEVELS[0], Level())},
            r"^level\[1\]: expected a scale, or shapes, got neither$",
        ),
        (
            {"levels": (Level(scale=0.2, shapes=(Shape(0.1),)),)},
            r"^level\[0\].shape: .* level\[0\].scale",
        ),
        (
            {"levels": (Level(shapes=(Shape(0.1),), aspect_ratios=(2.0,)),)},
            r"^level\[0\].aspect_ratio: needs a scale",
        ),
        ({"levels": (Level(scale=-0.5),)}, r"^level\[0\].scale: .* got -0.5$"),
        (
            {"levels": (LEVELS[0], Level(scale=0.3, aspect_ratios=(2.0, 0)))},
            r"^level\[1\].aspect_ratio: .* got 2, 0$",
        ),
        (
            {"levels": (Level(scale=0.3, aspect_ratios=(2.0, 1.0)),)},
            r"^level\[0\].aspect_ratio: expected none of 1",
        ),
        (
            {"levels": (Level(scale=0.3, step_px=0.0),)},
            r"^level\[0\].step_px: .* got 0$",
        ),
        (
            {"levels": (Level(shapes=(Shape(0.1), Shape(0.0))),)},
            r"^level\[0\].shape\[1\].scale: .* got 0$",
        ),
        (
            {"levels": (Level(shapes=(Shape(0.1, -2.0),)),)},
            r"^level\[0\].shape\[0\].aspect_ratio: .* got -2$",
        ),
        ({"extra_scale": None}, r"^extra_scale: .* level\[1\], got none$"),
        ({"extra_scale": -1.0}, "^extra_scale: .* got -1$"),
        (
            {"levels": (Level(shapes=(Shape(0.1),)),)},
            r"^extra_scale: has no effect, as level\[0\] has shapes",
        ),
        (
            {
                "levels": (Level(shapes=(Shape(0.1),)),),
                "extra_scale": None,
                "is_interpolated_second": True,
            },
            "^shape_order: has no effect",
        ),
    ],
)
def test_bad_values_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        make_generator(**changes)


def test_another_number_of_maps_is_refused():
    with pytest.raises(ValueError, match="2 levels .* got 1"):
        make_generator().generate([(2, 6)], (16, 48))
