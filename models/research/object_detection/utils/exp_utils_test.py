"""Tests of the report's lines and of the throughput."""

import json
import math
import time

import pytest

from object_detection.core import errors
from object_detection.utils import exp_utils


def lines(path):
    content = []
    for line in path.read_text().splitlines():
        assert line.startswith("DLLL ")
        content.append(json.loads(line.removeprefix("DLLL ")))
    return content


def test_a_report_opens_with_the_units(tmp_path):
    path = tmp_path / "summary.json"
    path.write_text("of an earlier run")
    exp_utils.setup_dllogger(str(path))
    assert [
        (line["type"], line["metric"], line["metadata"]) for line in lines(path)
    ] == [
        ("METADATA", "infer_throughput", {"unit": "images/s"}),
        ("METADATA", "train_throughput", {"unit": "images/s"}),
    ]


def test_a_value_is_a_line(tmp_path):
    path = tmp_path / "summary.json"
    exp_utils.setup_dllogger(str(path)).log({"train_throughput": 12.5})
    line = lines(path)[-1]
    assert line["type"] == "LOG"
    assert line["step"] == []
    assert line["data"] == {"train_throughput": 12.5}
    assert {"timestamp", "elapsedtime", "datetime"} <= set(line)


def test_a_report_with_other_units_and_steps(tmp_path):
    path = tmp_path / "summary.json"
    report = exp_utils.setup_dllogger(
        str(path), units={"time": "s", "mAP": None}
    )
    report.log({"epochs": 65}, "PARAMETER")
    report.log({"loss": 2.5}, (3, 20))
    found = lines(path)
    assert [line["metadata"]["unit"] for line in found[:2]] == ["s", None]
    assert [line["step"] for line in found[2:]] == ["PARAMETER", [3, 20]]
    with pytest.raises(errors.ConfigError, match="^--json x/y: cannot be"):
        exp_utils.setup_dllogger("x/y", flag="--json")


@pytest.mark.parametrize(
    "settings",
    [{"filename": ""}, {"filename": "r.json", "is_main_process": False}],
)
def test_nothing_is_written_without_a_name_or_by_other_processes(
    tmp_path, monkeypatch, settings
):
    monkeypatch.chdir(tmp_path)
    exp_utils.setup_dllogger(**settings).log({"a": 1})
    assert list(tmp_path.iterdir()) == []


def test_a_report_that_cannot_be_written_names_the_flag(tmp_path):
    with pytest.raises(errors.ConfigError, match="--raport_file"):
        exp_utils.setup_dllogger(str(tmp_path / "none" / "r.json"))


def test_the_twelve_values_have_the_reports_names():
    assert exp_utils.evaluation_report(
        {
            "DetectionBoxes_Precision/mAP (small)": 0.25,
            "DetectionBoxes_Recall/AR@100": 0.5,
            "DetectionBoxes_PerformanceByCategory/mAP/cat": 0.75,
            "Loss/total_loss": 1.5,
        }
    ) == {"Precision/mAP (small)": 0.25, "Recall/AR@100": 0.5}


def test_other_sets_have_their_map_and_nan_is_null(tmp_path):
    path = tmp_path / "summary.json"
    exp_utils.setup_dllogger(str(path)).log(
        exp_utils.evaluation_report(
            {
                "PascalBoxes_Precision/mAP@0.5IOU": 0.25,
                "PascalBoxes_PerformanceByCategory/AP@0.5IOU/cat": 0.75,
                "OpenImagesV2_Precision/mAP@0.5IOU": math.nan,
                "Loss/total_loss": 1.5,
            }
        )
    )
    assert "NaN" not in path.read_text()
    assert lines(path)[-1]["data"] == {
        "PascalBoxes_Precision/mAP@0.5IOU": 0.25,
        "OpenImagesV2_Precision/mAP@0.5IOU": None,
    }


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still unless its one element is changed."""
    seconds = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: seconds[0])
    return seconds


def test_throughput_is_all_images_over_all_seconds(clock):
    meter = exp_utils.ThroughputMeter(num_warmup_steps=1)
    for seconds, num_images in ((50, 8), (1, 8), (4, 8), (3, 4)):
        clock[0] += seconds
        meter.end_step(num_images)
    assert meter.images_per_second == pytest.approx(20 / 8)
    # An evaluation in between does not count.
    clock[0] += 1000
    meter.start_step()
    clock[0] += 2
    meter.end_step(10)
    assert meter.images_per_second == pytest.approx(30 / 10)


def test_a_run_within_the_warm_up_is_measured_without_its_first_step(clock):
    meter = exp_utils.ThroughputMeter(num_warmup_steps=3)
    rates = []
    for seconds, num_images in ((50, 8), (2, 8), (6, 8), (5, 15)):
        clock[0] += seconds
        meter.end_step(num_images)
        rates.append(meter.images_per_second)
    # Nothing, 8 / 2, 16 / 8, and from the fourth step on that alone.
    assert rates == [0, 4, 2, 3]
