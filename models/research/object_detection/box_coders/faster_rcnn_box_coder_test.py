import dataclasses

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


def test_greater_codes_are_decoded_as_the_greatest():
    coder = dataclasses.replace(CODER, max_decoded_code=1.5)
    codes = np.float32([[1.25, 9.0, 1.75, -2.0], [-4.0, 1.5, 0.5, 1e30]])
    lower = np.float32([[1.25, 1.5, 1.5, -2.0], [-4.0, 1.5, 0.5, 1.5]])
    np.testing.assert_array_equal(
        coder.decode_boxes(codes, ANCHORS), CODER.decode_boxes(lower, ANCHORS)
    )
    # What is encoded is as it was.
    np.testing.assert_allclose(
        coder.encode_boxes(BOXES, ANCHORS), CODES, rtol=1e-5
    )


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


# SSD of other systems has variances 0.1 and 0.2.
SSD_CODER = faster_rcnn_box_coder.FasterRcnnBoxCoder((10.0, 10.0, 5.0, 5.0))


def ssd_boxes(rng, num_boxes):
    """Returns (cx, cy, w, h), and the same as yxyx."""
    boxes = rng.uniform([0, 0, 0.02, 0.05], [1, 1, 1, 0.7], (num_boxes, 4))
    cx, cy, w, h = boxes.T
    corners = np.stack([cy - h / 2, cx - w / 2, cy + h / 2, cx + w / 2], -1)
    return boxes, corners.astype(np.float32)


def test_codes_of_ssd_are_divided_by_their_variances():
    rng = np.random.default_rng(5)
    boxes, corners = ssd_boxes(rng, 50)
    anchors, anchor_corners = ssd_boxes(rng, 50)
    (gx, gy, gw, gh), (ax, ay, aw, ah) = boxes.T, anchors.T
    expected = [
        10 * (gy - ay) / ah,
        10 * (gx - ax) / aw,
        np.log(gh / ah) / 0.2,
        np.log(gw / aw) / 0.2,
    ]
    codes = SSD_CODER.encode_boxes(corners, anchor_corners)
    np.testing.assert_allclose(
        codes, np.stack(expected, -1), rtol=1e-4, atol=1e-4
    )
    decoded = SSD_CODER.decode_boxes(codes, anchor_corners)
    np.testing.assert_allclose(decoded, corners, rtol=0, atol=1e-5)
