"""What MindSpore's SSD300 prints and writes of what it found."""

import json
import re

import numpy as np
import pytest

from object_detection.core.standard_fields import LossFields
from object_detection.recipes import ssd300_mobilenet_v2_log as log
from object_detection.utils import detection_results

NUMBER = r"[0-9.]+"


def show(lines, num_steps):
    for step in range(num_steps):
        lines.show_step(1, step, {LossFields.total_loss: step + 0.5})
    lines.show_epoch(1, {LossFields.total_loss: 3.1681802}, 1.5, num_steps, 2)


@pytest.mark.parametrize(
    ("shows_steps", "expected"),
    [
        (
            True,
            "epoch: 2 step: 1, loss is 0.5\n"
            "epoch: 2 step: 2, loss is 1.5\n"
            "epoch time: 1500.000, per step time: 750.000\n",
        ),
        (
            False,
            "epoch: 2 step: 2, loss is 3.16818\n"
            "epoch time: 1500.000, per step time: 750.000\n",
        ),
    ],
)
def test_lines_of_an_epoch(shows_steps, expected, capsys):
    show(log.EpochLines(2, shows_steps), 2)
    assert capsys.readouterr().out == expected


def result_of(source_id, num_boxes, has_crowd=False):
    return detection_results.ImageResult(
        source_id,
        {"groundtruth_boxes": np.zeros((num_boxes, 4))},
        {
            "detection_boxes": np.float32([[2, 1.1, 12, 31.1]] * num_boxes),
            "detection_scores": np.float32([0.9, 0.7][:num_boxes]),
            "detection_classes": np.int64([3, 12][:num_boxes]),
        },
        {},
        None,
        has_crowd,
    )


def test_predictions_have_the_ids_of_the_data(tmp_path, capsys):
    predictions = log.Predictions(
        str(tmp_path / "out"), {12: 13}, {"b.jpg": 41}
    )
    predictions.look_at(
        [
            result_of("000397133", 2),
            result_of("5", 0),
            result_of("6", 1, has_crowd=True),
            result_of("b.jpg", 1),
        ],
        2.25,
    )
    path = tmp_path / "out" / "predictions.json"
    rows = json.loads(path.read_text())
    assert rows[:2] == [
        {
            "image_id": 397133,
            "category_id": category_id,
            "bbox": [1.1, 2.0, 30.0, 10.0],
            "score": score,
        }
        for category_id, score in ((3, 0.9), (13, 0.7))
    ]
    assert [row["image_id"] for row in rows[2:]] == [6, 41]
    assert re.fullmatch(
        "total images num: 4\n"
        "images with boxes and without crowds: 2\n"
        r"100% \[4/4\] cost 2250 ms" + "\n"
        f"4 predictions: {path}\n",
        capsys.readouterr().out,
    )


def test_a_report_prints_the_map(tmp_path, capsys):
    path = tmp_path / "summary.json"
    report = log.setup_report(str(path))
    report.log({"train_throughput": 3.5})
    report.log({"Precision/mAP": 0.23808886505483504, "Recall/AR@1": 0.25})
    assert capsys.readouterr().out == (
        f"{'=' * 40}\nmAP: 0.23808886505483504\n"
    )
    assert '"Recall/AR@1": 0.25' in path.read_text()
