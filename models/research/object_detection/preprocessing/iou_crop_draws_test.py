"""How often what is drawn for a crop by IoU."""

import numpy as np
import pytest

from object_detection.preprocessing.iou_crop import Rule
from object_detection.preprocessing.sample_examples import assert_uniform
from object_detection.preprocessing.sample_iou_crops import (
    SIZE_PX,
    draw,
    is_whole,
)

# One of them is in every window, none has an IoU to speak of.
GRID = np.reshape(
    np.stack(np.meshgrid(np.arange(12), np.arange(12)), axis=-1), [-1, 2]
)
GRID = np.float32(np.concatenate([GRID + 0.4, GRID + 0.6], axis=1) / 12)


def test_best_box_draws_scale_and_aspect_ratio_and_place():
    windows, _ = draw(
        1200, GRID, rule=Rule.BEST_BOX, min_ious=(0.0,), scales=(0.4, 1.0),
        aspect_ratios=(0.5, 3.0), max_trials=2,
    )  # fmt: skip
    windows = windows[~is_whole(windows)]
    # The border is cut to whole pixels.
    sides = (windows[:, 2:] - windows[:, :2]) / SIZE_PX
    scales = np.sqrt(sides.prod(axis=1))
    ratios = sides[:, 1] / sides[:, 0]
    rounding = 1 / min(SIZE_PX)
    assert scales.min() > 0.4 - 2 * rounding and scales.max() <= 1
    assert abs(scales.mean() - 0.7) < 0.02 and scales.max() > 0.98
    np.testing.assert_allclose(
        np.histogram(scales, 4, (0.4, 1.0))[0] / len(scales), 0.25, atol=0.06
    )
    low = np.maximum(0.5, scales**2)
    high = np.minimum(3.0, scales**-2)
    is_wide = high - low > 0.5
    shares = ((ratios - low) / (high - low))[is_wide]
    assert shares.min() > -0.1 and shares.max() < 1.1
    np.testing.assert_allclose(
        np.histogram(shares, 4, (0, 1))[0] / len(shares), 0.25, atol=0.06
    )
    assert ratios.min() < 0.6 and ratios.max() > 2.8
    for axis in range(2):
        is_free = sides[:, axis] < 0.7
        room = 1 - sides[is_free, axis]
        places = windows[is_free, axis] / SIZE_PX[axis] / room
        assert places.min() >= 0 and places.max() <= 1
        assert abs(places.mean() - 0.5) < 0.05
        assert places.min() < 0.05 and places.max() > 0.94


@pytest.mark.parametrize("rule", [Rule.ALL_BOXES, Rule.NOT_MIXED])
@pytest.mark.parametrize("in_pixels", [False, True])
def test_the_others_draw_sides_until_their_ratio_fits(rule, in_pixels):
    low, high = 0.8, 2.5
    windows, _ = draw(
        700, GRID, rule=rule, min_ious=(0.0,) * 9, scales=(0.3, 0.9),
        aspect_ratios=(low, high), aspect_ratio_in_pixels=in_pixels,
        max_trials=12,
    )  # fmt: skip
    windows = windows[~is_whole(windows)]
    sides = (windows[:, 2:] - windows[:, :2]) / SIZE_PX
    pixel_ratio = SIZE_PX[1] / SIZE_PX[0] if in_pixels else 1.0
    rounding = 1 / min(SIZE_PX)
    assert sides.min() > 0.3 - 2 * rounding and sides.max() <= 0.9 + rounding
    ratios = sides[:, 1] / sides[:, 0] * pixel_ratio
    assert ratios.min() > low * 0.94 and ratios.max() < high * 1.06
    rng = np.random.default_rng(0)
    expected = rng.uniform(0.3, 0.9, (100000, 2))
    expected_ratios = expected[:, 1] / expected[:, 0] * pixel_ratio
    expected = expected[(expected_ratios >= low) & (expected_ratios <= high)]
    # Cutting to whole pixels takes half a pixel off, on average none.
    np.testing.assert_allclose(
        np.quantile(sides, [0.1, 0.5, 0.9], axis=0),
        np.quantile(expected, [0.1, 0.5, 0.9], axis=0),
        atol=0.04,
    )
    places = windows[:, :2] / SIZE_PX / (1 - sides)
    assert np.abs(places.mean(axis=0) - 0.5).max() < 0.05
    assert places.min() < 0.01 and places.max() > 0.98


# With large crops the IoU of the first is above 0.8 and that of the second
# below 0.1.
MIXED = np.float32([[0, 0, 1, 1], [0.4, 0.4, 0.6, 0.6]])


@pytest.mark.parametrize(
    ("rule", "min_ious", "expected"),
    [
        # One more option is the image as it is.
        (Rule.BEST_BOX, (0.0, 0.0, 0.0), 1 / 4),
        # What is not found is not among those to choose from.
        (Rule.BEST_BOX, (0.0, 1.0, 0.0), 1 / 3),
        (Rule.ALL_BOXES, (0.0, 0.0, 0.0), 1 / 4),
        # Drawn anew.
        (Rule.ALL_BOXES, (0.5, 0.0), 1 / 2),
        (Rule.ALL_BOXES, (0.5, 0.5, 0.5), 1),
        (Rule.NOT_MIXED, (0.0, 0.0, 0.0), 1 / 4),
        # Drawn once.
        (Rule.NOT_MIXED, (0.5, 0.0), 2 / 3),
        # 0.94 ** 2 does not exceed this by 0.2.
        (Rule.NOT_MIXED, (0.7, 0.0), 1 / 3),
    ],
)
def test_share_of_images_that_stay_as_they_are(rule, min_ious, expected):
    windows, _ = draw(
        600, MIXED, rule=rule, min_ious=min_ious, scales=(0.9, 0.94)
    )
    share = is_whole(windows).mean()
    sigma = (expected * (1 - expected) / 600) ** 0.5
    assert abs(share - expected) <= 4.5 * sigma


def test_every_least_iou_is_as_likely():
    # The only box fills the image, so an IoU is the share of the area.
    whole = np.float32([[0, 0, 1, 1]])
    min_ious = (0.2, 0.8)
    for rule, max_trials in ((Rule.BEST_BOX, 300), (Rule.ALL_BOXES, 100)):
        parameters = {"rule": rule, "scales": (0.5, 1.0)}
        windows, _ = draw(
            600, whole, min_ious=min_ious, max_trials=max_trials, **parameters
        )
        windows = windows[~is_whole(windows)]
        sides = (windows[:, 2:] - windows[:, :2]) / SIZE_PX
        share_large = np.mean(sides.prod(axis=1) >= 0.8)
        # The rest is of the first.
        alone, _ = draw(1000, whole, min_ious=min_ious[:1], **parameters)
        alone = alone[~is_whole(alone)]
        sides = (alone[:, 2:] - alone[:, :2]) / SIZE_PX
        large_of_first = np.mean(sides.prod(axis=1) >= 0.8)
        expected = (large_of_first + 1) / 2
        if rule == Rule.ALL_BOXES:
            # A trial with the second is taken as often as it happens to be
            # large.
            expected = 2 * large_of_first / (1 + large_of_first)
        assert abs(share_large - expected) < 0.08


def test_trials_end():
    box = np.float32([[0.4, 0.4, 0.6, 0.6]])

    def share_cut(num_trials):
        windows, _ = draw(
            500, box, rule=Rule.BEST_BOX, min_ious=(0.25,),
            max_trials=num_trials,
        )  # fmt: skip
        return 2 * (1 - is_whole(windows).mean())

    once = share_cut(1)
    assert 0.02 < once < 0.3
    expected = 1 - (1 - once) ** 12
    assert abs(share_cut(12) - expected) < 0.2
    assert share_cut(200) > 0.85


def test_a_narrow_range_of_scales_is_uniform():
    windows, _ = draw(
        1000, GRID, rule=Rule.ALL_BOXES, min_ious=(0.0,) * 30,
        scales=(0.5, 0.75), max_trials=4,
    )  # fmt: skip
    windows = windows[~is_whole(windows)]
    for axis, size_px in enumerate(SIZE_PX):
        sides = (windows[:, 2 + axis] - windows[:, axis]) / size_px
        rng = np.random.default_rng(axis)
        # Between the pixels.
        sides += rng.uniform(-0.5, 0.5, len(sides)) / size_px
        inner = np.clip(sides, 0.5, 0.75)
        assert np.abs(sides - inner).max() < 1.6 / size_px
        assert_uniform(inner, 0.5, 0.75)
