import numpy as np
import pytest

from object_detection.box_coders import (
    faster_rcnn_box_coder,
    keypoint_box_coder,
)

ANCHORS = np.float32([[10.0, 20.0, 30.0, 60.0]])  # centre 20, 40; 20 x 40
BOXES = np.float32([[16.0, 44.0, 34.0, 64.0]])  # centre 25, 54; 18 x 20
KEYPOINTS = np.float32([[[15.0, 70.0], [26.0, 30.0]]])
SCALES = (2.0, 3.0, 4.0, 5.0)
CODER = keypoint_box_coder.KeypointBoxCoder(2, SCALES)
CODES = [
    [
        *(2 * 5 / 20, 3 * 14 / 40, 4 * np.log(18 / 20), 5 * np.log(20 / 40)),
        *(2 * -5 / 20, 3 * 30 / 40, 2 * 6 / 20, 3 * -10 / 40),
    ]
]


def test_encode_by_hand():
    np.testing.assert_allclose(
        CODER.encode_boxes(BOXES, ANCHORS, KEYPOINTS), CODES, rtol=1e-5
    )
    assert CODER.code_size == 8


def test_decode_by_hand():
    codes = np.float32(CODES)
    np.testing.assert_allclose(
        CODER.decode_boxes(codes, ANCHORS), BOXES, rtol=1e-5
    )
    np.testing.assert_allclose(
        CODER.decode_keypoints(codes, ANCHORS), KEYPOINTS, rtol=1e-5
    )


def test_decode_undoes_encode_for_a_batch():
    rng = np.random.default_rng(0)
    corners = rng.uniform(0.0, 0.5, (3, 7, 2))
    sizes = rng.uniform(0.05, 0.5, (3, 7, 2))
    boxes = np.concatenate([corners, corners + sizes], -1).astype(np.float32)
    keypoints = rng.uniform(-0.2, 1.2, (3, 7, 2, 2)).astype(np.float32)
    anchors = boxes[1, ::-1]
    codes = CODER.encode_boxes(boxes, anchors, keypoints)
    assert codes.shape == (3, 7, 8)
    np.testing.assert_allclose(
        CODER.decode_boxes(codes, anchors), boxes, atol=1e-5
    )
    np.testing.assert_allclose(
        CODER.decode_keypoints(codes, anchors), keypoints, atol=1e-5
    )


def test_boxes_have_the_codes_of_faster_rcnn():
    codes = CODER.encode_boxes(BOXES, ANCHORS, KEYPOINTS)
    plain = faster_rcnn_box_coder.FasterRcnnBoxCoder(SCALES)
    np.testing.assert_array_equal(
        codes[:, :4], plain.encode_boxes(BOXES, ANCHORS)
    )


def test_a_keypoint_that_is_not_there_is_nan_alone():
    keypoints = KEYPOINTS.copy()
    keypoints[0, 1] = np.nan
    codes = np.asarray(CODER.encode_boxes(BOXES, ANCHORS, keypoints))
    assert np.isnan(codes[0]).tolist() == [False] * 6 + [True] * 2


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((0,), "num_keypoints"),
        ((2, (10.0, 0.0, 5.0, 5.0)), "^x_scale: .* got 0"),
    ],
)
def test_bad_values_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        keypoint_box_coder.KeypointBoxCoder(*arguments)
