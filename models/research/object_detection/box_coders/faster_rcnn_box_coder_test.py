import numpy as np
import pytest

from object_detection.box_coders import faster_rcnn_box_coder

ANCHORS = np.float32([[10.0, 20.0, 30.0, 60.0]])  # centre 20, 40; 20 x 40
BOXES = np.float32([[16.0, 44.0, 34.0, 64.0]])  # centre 25, 54; 18 x 20
CODER = faster_rcnn_box_coder.FasterRcnnBoxCoder((2.0, 3.0, 4.0, 5.0))
CODES = [[2 * 5 / 20, 3 * 14 / 40, 4 * np.log(18 / 20), 5 * np.log(20 / 40)]]


def test_encode_by_hand():
    np.testing.assert_allclose(
        CODER.encode_boxes(BOXES, ANCHORS), CODES, rtol=1e-5
    )


def test_decode_by_hand():
    np.testing.assert_allclose(
        CODER.decode_boxes(np.float32(CODES), ANCHORS), BOXES, rtol=1e-5
    )


def test_decode_undoes_encode_for_a_batch():
    rng = np.random.default_rng(0)
    corners = rng.uniform(0.0, 0.5, (3, 7, 2))
    sizes = rng.uniform(0.05, 0.5, (3, 7, 2))
    boxes = np.concatenate([corners, corners + sizes], -1).astype(np.float32)
    anchors = boxes[1, ::-1]
    codes = CODER.encode_boxes(boxes, anchors)
    np.testing.assert_allclose(
        CODER.decode_boxes(codes, anchors), boxes, atol=1e-5
    )


def test_an_empty_box_has_a_finite_code():
    codes = CODER.encode_boxes(np.zeros((1, 4), np.float32), ANCHORS)
    assert np.all(np.isfinite(codes))


@pytest.mark.parametrize(
    ("scales", "message"),
    [
        ((10.0, 0.0, 5.0, 5.0), "^x_scale: expected above 0, got 0"),
        ((10.0, 10.0, -5.0, 5.0), "^height_scale: expected above 0, got -5"),
    ],
)
def test_bad_scales_are_refused(scales, message):
    with pytest.raises(ValueError, match=message):
        faster_rcnn_box_coder.FasterRcnnBoxCoder(scales)
