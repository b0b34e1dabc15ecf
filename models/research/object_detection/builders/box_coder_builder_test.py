import numpy as np
import pytest
from google.protobuf import text_format

from object_detection.builders import box_coder_builder
from object_detection.core import errors
from object_detection.protos import box_coder_pb2

ANCHORS = np.float32([[0.0, 0.0, 2.0, 8.0]])  # side of the same area: 4
# Centre 3, 5, sides e times as long, so that every log is 1.
HALF = np.float32([1.0, 4.0]) * np.float32(np.e)
BOXES = np.concatenate([[[3.0, 5.0]] - HALF, [[3.0, 5.0]] + HALF], -1)
KEYPOINTS = np.float32([[[3.0, 12.0]]])


def codes(text):
    coder = box_coder_builder.build(
        text_format.Parse(text, box_coder_pb2.BoxCoder())
    )
    keypoints = [KEYPOINTS] * bool(coder.num_keypoints)
    found = coder.encode_boxes(BOXES.astype(np.float32), ANCHORS, *keypoints)
    assert found.shape == (1, coder.code_size)
    return np.asarray(found)[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("faster_rcnn_box_coder {}", [10, 1.25, 5, 5]),
        ("faster_rcnn_box_coder { y_scale: 3 }", [3, 1.25, 5, 5]),
        ("faster_rcnn_box_coder { x_scale: 8 }", [10, 1, 5, 5]),
        ("faster_rcnn_box_coder { height_scale: 3 }", [10, 1.25, 3, 5]),
        ("faster_rcnn_box_coder { width_scale: 3 }", [10, 1.25, 5, 3]),
        ("keypoint_box_coder { num_keypoints: 1 }", [10, 1.25, 5, 5, 10, 10]),
        (
            "keypoint_box_coder { num_keypoints: 1 y_scale: 3 x_scale: 8 "
            "height_scale: 7 width_scale: 9 }",
            [3, 1, 7, 9, 3, 8],
        ),
        ("square_box_coder {}", [5, 2.5, 5]),
        (
            "square_box_coder { y_scale: 2 x_scale: 4 length_scale: 3 }",
            [1, 1, 3],
        ),
        (
            "mean_stddev_box_coder {}",
            [300 - 100 * np.e, 500 - 400 * np.e, 100 + 100 * np.e]
            + [400 * np.e - 300],
        ),
        (
            "mean_stddev_box_coder { stddev: 2 }",
            [1.5 - np.e / 2, 2.5 - 2 * np.e, 0.5 + np.e / 2, 2 * np.e - 1.5],
        ),
    ],
)
def test_each_field_has_its_effect(text, expected):
    np.testing.assert_allclose(codes(text), expected, rtol=1e-4)


def test_codes_are_limited_where_they_are_decoded():
    limited, free = (
        box_coder_builder.build(
            text_format.Parse(text, box_coder_pb2.BoxCoder())
        ).decode_boxes(np.float32([[9, 1, 3, 7]]), ANCHORS)
        for text in (
            "faster_rcnn_box_coder { max_decoded_code: 5 }",
            "faster_rcnn_box_coder {}",
        )
    )
    np.testing.assert_allclose(
        [limited[0], free[0]],
        [
            [2 - np.exp(0.6), 4.8 - 4 * np.e, 2 + np.exp(0.6), 4.8 + 4 * np.e],
            [
                *(2.8 - np.exp(0.6), 4.8 - 4 * np.exp(1.4)),
                *(2.8 + np.exp(0.6), 4.8 + 4 * np.exp(1.4)),
            ],
        ],
        rtol=1e-5,
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "model.ssd.box_coder: expected faster_rcnn_box_coder or"),
        (
            "faster_rcnn_box_coder { y_scale: 0 }",
            "model.ssd.box_coder.faster_rcnn_box_coder.y_scale: .* got 0",
        ),
        (
            "faster_rcnn_box_coder { max_decoded_code: -2 }",
            "faster_rcnn_box_coder.max_decoded_code: .* at least 0, got -2",
        ),
        (
            "keypoint_box_coder {}",
            "box_coder.keypoint_box_coder.num_keypoints: .* got 0",
        ),
        (
            "keypoint_box_coder { num_keypoints: 2 width_scale: -1 }",
            "keypoint_box_coder.width_scale: .* got -1",
        ),
        ("square_box_coder { length_scale: 0 }", "length_scale: .* got 0"),
        ("mean_stddev_box_coder { stddev: 0 }", "stddev: expected above 0"),
    ],
)
def test_what_cannot_be_is_refused(text, message):
    with pytest.raises(errors.ConfigError, match=message):
        codes(text)
