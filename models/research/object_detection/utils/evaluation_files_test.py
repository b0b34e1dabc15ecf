"""What an evaluation writes reads back; pictures are the newest ones."""

import json
import math

import numpy as np
from PIL import Image

from object_detection.metrics.evaluator import CategoryResult
from object_detection.utils import evaluation_files


def record(step, value=0.25):
    return evaluation_files.EvaluationRecord(
        step=step,
        num_images=12,
        seconds=1.5,
        metrics={"mAP": value},
        categories=(
            CategoryResult(3, "cat \u4fe1", 4, 5, value, 0.5, (1.0, value)),
        ),
        table="one\ntwo",
    )


def picture(level):
    return np.full((4, 6, 3), level, np.uint8)


def test_records_come_back_in_the_order_of_steps(tmp_path):
    directory = str(tmp_path / "eval")
    for step in (90, 1000, 120):
        evaluation_files.write(directory, record(step), [])
    assert evaluation_files.read_records(directory) == [
        record(90),
        record(120),
        record(1000),
    ]


def test_step_measured_again_is_replaced_and_nothing_else_is_left(tmp_path):
    for value in (0.25, 0.75):
        evaluation_files.write(str(tmp_path), record(90, value), [])
    assert evaluation_files.read_records(str(tmp_path)) == [record(90, 0.75)]
    assert [path.name for path in tmp_path.iterdir()] == ["evaluation-90.json"]


def test_nan_is_null_in_the_file_and_nan_again(tmp_path):
    evaluation_files.write(str(tmp_path), record(90, math.nan), [])
    content = json.loads((tmp_path / "evaluation-90.json").read_text())
    assert content["metrics"] == {"mAP": None}
    (found,) = evaluation_files.read_records(str(tmp_path))
    assert math.isnan(found.metrics["mAP"])
    assert math.isnan(found.categories[0].average_precision)
    assert math.isnan(found.categories[0].precision_50[1])


def test_pictures_replace_those_of_the_evaluation_before(tmp_path):
    (tmp_path / "mine.png").write_bytes(b"")
    directory = str(tmp_path)
    evaluation_files.write(directory, record(1), [picture(9)] * 12)
    evaluation_files.write(directory, record(2), [picture(5), picture(7)])
    paths = evaluation_files.picture_paths(directory)
    assert [np.asarray(Image.open(p))[0, 0, 0] for p in paths] == [5, 7]
    assert (tmp_path / "mine.png").exists()


def test_missing_directory_has_no_evaluations(tmp_path):
    assert evaluation_files.read_records(str(tmp_path / "no")) == []
    assert evaluation_files.picture_paths(str(tmp_path / "no")) == []
