import numpy as np
import pytest

from object_detection.box_coders import square_box_coder
from object_detection.core import box_ops

ANCHORS = np.float32([[10.0, 20.0, 30.0, 25.0]])  # centre 20, 22.5; 20 x 5
BOXES = np.float32([[16.0, 44.0, 34.0, 46.0]])  # centre 25, 45; 18 x 2
SQUARES = np.float32([[22.0, 42.0, 28.0, 48.0]])  # of the same area, 36
CODER = square_box_coder.SquareBoxCoder((2.0, 3.0, 4.0))
CODES = [[2 * 5 / 10, 3 * 22.5 / 10, 4 * np.log(6 / 10)]]


def test_encode_by_hand():
    np.testing.assert_allclose(
        CODER.encode_boxes(BOXES, ANCHORS), CODES, rtol=1e-5
    )


def test_decode_by_hand():
    np.testing.assert_allclose(
        CODER.decode_boxes(np.float32(CODES), ANCHORS), SQUARES, rtol=1e-5
    )


def test_decode_keeps_centre_and_area_of_a_batch():
    rng = np.random.default_rng(0)
    corners = rng.uniform(0.0, 0.5, (3, 7, 2))
    sizes = rng.uniform(0.05, 0.5, (3, 7, 2))
    boxes = np.concatenate([corners, corners + sizes], -1).astype(np.float32)
    anchors = boxes[1, ::-1]
    codes = CODER.encode_boxes(boxes, anchors)
    assert codes.shape == (3, 7, 3)
    decoded = CODER.decode_boxes(codes, anchors)
    found = np.asarray(box_ops.yxyx_to_cyxhw(decoded))
    expected = np.asarray(box_ops.yxyx_to_cyxhw(boxes))
    np.testing.assert_allclose(found[..., :2], expected[..., :2], atol=1e-5)
    np.testing.assert_allclose(found[..., 2], found[..., 3], atol=1e-5)
    np.testing.assert_allclose(
        box_ops.area_yxyx(decoded), box_ops.area_yxyx(boxes), rtol=1e-4
    )


def test_an_empty_box_has_a_finite_code():
    codes = CODER.encode_boxes(np.zeros((1, 4), np.float32), ANCHORS)
    assert np.all(np.isfinite(codes))


@pytest.mark.parametrize(
    ("scales", "message"),
    [
        ((0.0, 10.0, 5.0), "^y_scale: expected above 0, got 0"),
        ((10.0, 10.0, -5.0), "^length_scale: expected above 0, got -5"),
    ],
)
def test_bad_scales_are_refused(scales, message):
    with pytest.raises(ValueError, match=message):
        square_box_coder.SquareBoxCoder(scales)
