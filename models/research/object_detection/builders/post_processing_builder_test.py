import numpy as np
import pytest
from google.protobuf import text_format

from object_detection.builders import post_processing_builder
from object_detection.core import errors
from object_detection.protos import post_processing_pb2

# The second overlaps the first by half; the others are apart.
BOXES = np.float32(
    [
        [
            [0.0, 0.0, 0.2, 0.2],
            [0.0, 0.0, 0.2, 0.1],
            [0.5, 0.0, 0.7, 0.2],
            [0.5, 0.5, 0.7, 0.9],
        ]
    ]
)
# Background, then two classes.
LOGITS = np.float32([[[0, 2, -9], [0, 1, -9], [0, 0.5, -9], [0, -1, 0.25]]])
WINDOW = np.float32([[0.0, 0.0, 1.0, 1.0]])


def scores(fields, logits=LOGITS, has_background_column=True):
    processor = post_processing_builder.build(
        text_format.Parse(fields, post_processing_pb2.PostProcessing()),
        has_background_column=has_background_column,
    )
    detections = processor.detect(BOXES, logits, WINDOW)
    number = int(detections.num_detections[0])
    return np.asarray(detections.scores)[0, :number]


def nms(fields):
    return f"batch_non_max_suppression {{ {fields} }}"


def test_identity_is_the_default_and_keeps_what_is_not_negative():
    np.testing.assert_allclose(scores(""), [2, 1, 0.5, 0.25])


@pytest.mark.parametrize("scale", [1.0, 4.0])
def test_score_converters(scale):
    logits = LOGITS[0] / scale
    threshold = nms("score_threshold: 0.3")
    expected = np.sort((1 / (1 + np.exp(-logits)))[:, 1:].ravel())[::-1]
    found = scores(f"score_converter: SIGMOID logit_scale: {scale} {threshold}")
    np.testing.assert_allclose(found, expected[expected > 0.3], rtol=1e-5)
    exponentials = np.exp(logits)
    softmax = exponentials / exponentials.sum(-1, keepdims=True)
    expected = np.sort(softmax[:, 1:].ravel())[::-1]
    found = scores(f"score_converter: SOFTMAX logit_scale: {scale} {threshold}")
    np.testing.assert_allclose(found, expected[expected > 0.3], rtol=1e-5)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("", [2, 1, 0.5, 0.25]),
        ("score_threshold: 0.5", [2, 1]),
        ("iou_threshold: 0.4", [2, 0.5, 0.25]),
        ("max_detections_per_class: 2", [2, 1, 0.25]),
        ("max_detections_per_class: 2 max_total_detections: 2", [2, 1]),
        ("use_static_shapes: true", [2, 1, 0.5, 0.25]),
        ("max_candidates_per_class: 1", [2, 0.25]),
        ("max_candidates: 3", [2, 1, 0.5]),
    ],
)
def test_each_field_of_the_suppression_has_its_effect(fields, expected):
    np.testing.assert_allclose(scores(nms(fields)), expected)


def test_one_class_per_anchor_has_its_effect():
    # The last anchor has two classes.
    logits = np.where(LOGITS == -1, 0.125, LOGITS)
    np.testing.assert_allclose(scores("", logits), [2, 1, 0.5, 0.25, 0.125])
    found = scores(nms("one_class_per_anchor: true"), logits)
    np.testing.assert_allclose(found, [2, 1, 0.5, 0.25])


def test_without_a_background_column_all_are_classes():
    found = scores("", LOGITS + 0.125, has_background_column=False)
    expected = [2.125, 1.125, 0.625, 0.375] + 4 * [0.125]
    np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ("logit_scale: 0", "model.ssd.post_processing.logit_scale: .* got 0"),
        (nms("iou_threshold: 1.5"), "iou_threshold"),
        (nms("max_detections_per_class: 0"), "max_detections_per_class"),
        (nms("max_candidates: -1"), "max_candidates: .* got -1"),
        (
            nms("max_candidates_per_class: -1"),
            "max_candidates_per_class: .* got -1",
        ),
        (
            nms("max_detections_per_class: 9 max_total_detections: 8"),
            "model.ssd.post_processing.batch_non_max_suppression"
            ".max_detections_per_class: .* 8, got 9",
        ),
    ],
)
def test_what_cannot_be_is_refused(fields, message):
    with pytest.raises(errors.ConfigError, match=message):
        scores(fields)
