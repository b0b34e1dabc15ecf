import numpy as np
import pytest

from object_detection.box_coders import mean_stddev_box_coder

ANCHORS = np.float32([[10.0, 20.0, 30.0, 60.0]])
BOXES = np.float32([[16.0, 44.0, 34.0, 64.0]])
CODER = mean_stddev_box_coder.MeanStddevBoxCoder(0.5)
CODES = [[12.0, 48.0, 8.0, 8.0]]


def test_encode_by_hand():
    np.testing.assert_allclose(CODER.encode_boxes(BOXES, ANCHORS), CODES)


def test_decode_by_hand():
    np.testing.assert_allclose(
        CODER.decode_boxes(np.float32(CODES), ANCHORS), BOXES
    )


def test_decode_undoes_encode_for_a_batch():
    rng = np.random.default_rng(0)
    boxes = rng.uniform(0.0, 1.0, (3, 7, 4)).astype(np.float32)
    anchors = boxes[1, ::-1]
    codes = CODER.encode_boxes(boxes, anchors)
    np.testing.assert_allclose(
        CODER.decode_boxes(codes, anchors), boxes, atol=1e-6
    )


@pytest.mark.parametrize("stddev", [0.0, -1.0])
def test_bad_stddev_is_refused(stddev):
    with pytest.raises(ValueError, match="stddev"):
        mean_stddev_box_coder.MeanStddevBoxCoder(stddev)
