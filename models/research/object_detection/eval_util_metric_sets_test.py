"""Evaluation by several sets of metrics, of what records say of boxes."""

import io
import sys

import numpy as np
import pytest

from object_detection import eval_util
from object_detection.builders import evaluator_builder
from object_detection.protos import eval_pb2
from object_detection.utils import pixel_detector
from object_detection.utils.pixel_detector import example

ALL_SETS = evaluator_builder.METRIC_SETS


def evaluate(
    examples, metrics_set, batch_size=1, categories=pixel_detector.CATEGORIES
):
    config = eval_pb2.EvalConfig(metrics_set=metrics_set)
    return eval_util.evaluate(
        pixel_detector.PixelDetector(),
        pixel_detector.dataset_of(examples, batch_size),
        evaluator_builder.build(config, categories),
        categories,
        pixel_detector.groundtruth_from_labels,
    )


def mean_of(prefix, evaluation):
    return evaluation.metrics[f"{prefix}_Precision/mAP@0.5IOU"]


def test_all_sets_are_measured_at_once_whatever_the_batch_size(capsys):
    examples = pixel_detector.random_examples(7)
    first, second = (evaluate(examples, ALL_SETS, size) for size in (1, 4))
    assert second.metrics == pytest.approx(first.metrics, rel=1e-6)
    # COCO's twelve, four times the mean and two classes, four losses.
    assert len(first.metrics) == 12 + 4 * 3 + 4
    assert 0 < mean_of("PascalBoxes", first) < 1
    assert len(first.categories[0].precision_50) == 101
    assert first.table in capsys.readouterr().out
    for title in ("Average Precision", "Pascal VOC @", "Challenge 2018 @"):
        assert title in first.table


def test_flags_and_image_labels_of_records_reach_the_sets():
    box, other = [10, 20, 110, 220], [130, 30, 250, 90]
    found = [(*box, 200, 0), (10, 20, 60, 70, 150, 0), (*other, 250, 1)]

    def means(image_classes, **flags):
        features, labels = example("1", found, [box, box], [0, 0], **flags)
        labels["groundtruth_image_classes"] = np.array(image_classes, "f4")
        evaluation = evaluate([(features, labels)], ALL_SETS)
        return [
            mean_of(prefix, evaluation)
            for prefix in (
                "PascalBoxes",
                "OpenImagesV2",
                "OpenImagesChallenge2018",
            )
        ]

    # Of two boxes on one place the first is found.
    assert means([0, 0]) == pytest.approx([0.5] * 3)
    assert means([0, 0], difficult=[0, 1]) == pytest.approx([1.0] * 3)
    assert means([0, 0], group_of=[0, 1]) == pytest.approx([1.0] * 3)
    # Two groups of which one is found; worth nothing but in the challenge.
    both = means([0, 0], group_of=[1, 1])
    assert np.isnan(both[:2]).all() and both[2] == pytest.approx(0.5)

    def dogs_found(image_classes):
        features, labels = example("1", found, [box], [0])
        labels["groundtruth_image_classes"] = np.array(image_classes, "f4")
        _, dog = evaluate(
            [(features, labels)], ["oid_challenge_detection_metrics"]
        ).categories
        return dog.num_detections

    assert dogs_found([0, 0]) == 0
    assert dogs_found([0, 1]) == 1


def test_table_with_any_name_is_printed_to_any_terminal(monkeypatch):
    content = io.BytesIO()
    terminal = io.TextIOWrapper(content, encoding="ascii")
    monkeypatch.setattr(sys, "stdout", terminal)
    categories = [{"id": 1, "name": "信"}, {"id": 2, "name": "dog"}]
    evaluation = evaluate(
        [example("1", [], [[10, 20, 110, 220]], [0])],
        ["pascal_voc_detection_metrics"],
        categories=categories,
    )
    assert "信" in evaluation.table
    assert rb"detections: \u4fe1" in content.getvalue()
