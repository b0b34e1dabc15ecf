import numpy as np
import pytest
from google.protobuf import text_format

from object_detection.builders import (
    region_similarity_calculator_builder as builder,
)
from object_detection.core import errors
from object_detection.protos import region_similarity_calculator_pb2

BOXES = np.float32([[0.0, 0.0, 2.0, 4.0]])
ANCHORS = np.float32([[0, 0, 1, 4], [0, 2, 2, 8], [0, 4, 2, 6]])


def parse(text):
    return text_format.Parse(
        text, region_similarity_calculator_pb2.RegionSimilarityCalculator()
    )


@pytest.mark.parametrize(
    ("text", "expected", "disjoint"),
    [
        ("iou_similarity {}", [1 / 2, 1 / 4, 0], 0.0),
        ("ioa_similarity {}", [1, 1 / 3, 0], 0.0),
        ("neg_sq_dist_similarity {}", [-1, -20, -20], None),
        ("thresholded_iou_similarity {}", [1 / 2, 0, 0], 0.0),
        (
            "thresholded_iou_similarity { iou_threshold: 0.2 }",
            [1 / 2, 1 / 4, 0],
            0.0,
        ),
        ("thresholded_iou_similarity { iou_threshold: 0.6 }", [0, 0, 0], 0.0),
    ],
)
def test_each_kind(text, expected, disjoint):
    found = builder.build(parse(text))(BOXES, ANCHORS)
    np.testing.assert_allclose(found, [expected], rtol=1e-6)
    assert builder.disjoint_similarity(parse(text)) == disjoint


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "model.ssd.similarity_calculator: expected iou_similarity or"),
        (
            "thresholded_iou_similarity { iou_threshold: 1.5 }",
            "thresholded_iou_similarity.iou_threshold: must be from 0 to 1",
        ),
    ],
)
def test_what_cannot_be_is_refused(text, message):
    with pytest.raises(errors.ConfigError, match=message):
        builder.build(parse(text))
