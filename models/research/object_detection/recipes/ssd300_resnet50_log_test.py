"""Tests of the lines that NVIDIA's SSD300 prints and writes."""

import functools
import json
import re

import pytest

from object_detection.core import errors
from object_detection.recipes import ssd300_resnet50_flags as flags
from object_detection.recipes import ssd300_resnet50_log, step_times
from object_detection.training import (
    learning_schedules,
    optimizers,
    tiny_detector,
)
from object_detection.training.estimator import Estimator
from object_detection.training.options import TrainOptions
from object_detection.training.training_loop import RunConfig


def printed(capsys):
    """Returns the lines without their times."""
    return [
        re.sub(r"^DLL \d+-\d+-\d+ \d+:\d+:\d+\.\d+ - ", "", line)
        for line in capsys.readouterr().out.splitlines()
    ]


def rows(path):
    return [
        json.loads(line.removeprefix("DLLL "))
        for line in path.read_text().splitlines()
    ]


def test_a_line_and_a_row(tmp_path, capsys):
    path = tmp_path / "s.json"
    log = ssd300_resnet50_log.RunLog(str(path), True)
    log.log({"loss": 2.5}, (3, 20))
    log.log({"mAP": 0.25, "x": None}, (3,))
    log.log({"total time": 7.0})
    assert printed(capsys) == [
        "(3, 20) loss : 2.5",
        "(3,) mAP : 0.25  x : None",
        "() total time : 7.0",
    ]
    found = [(r["step"], r["data"]) for r in rows(path) if r["type"] == "LOG"]
    assert found == [
        ([3, 20], {"loss": 2.5}),
        ([3], {"mAP": 0.25, "x": None}),
        ([], {"total time": 7.0}),
    ]


def test_other_processes_are_silent(tmp_path, capsys):
    path = tmp_path / "s.json"
    log = ssd300_resnet50_log.RunLog(str(path), False)
    log.log({"loss": 2.5}, (3, 20))
    log.say("x")
    assert printed(capsys) == []
    assert not path.exists()


def test_a_summary_that_cannot_be_written(tmp_path):
    with pytest.raises(errors.ConfigError, match="^--json-summary .*s.json: "):
        ssd300_resnet50_log.RunLog(str(tmp_path / "x" / "s.json"), True)


def test_every_flag_of_the_run_is_logged(capsys):
    arguments = flags.parser("").parse_args(
        [
            *("--epochs", "7", "--evaluation", "1", "2", "--multistep", "9"),
            *("--warmup", "300", "--lr", "0.5", "--wd", "0.25", "-m", "0.75"),
            *("--bs", "6", "--ebs", "3", "--data", "/d", "--amp"),
        ]
    )
    log = ssd300_resnet50_log.RunLog(None, True)
    log.log_flags(arguments, seed=4, total_learning_rate=2.0)
    (line,) = printed(capsys)
    for expected in (
        "PARAMETER dataset path : /d  epochs : 7  batch size : 6  ",
        "  eval batch size : 3  ",
        "  eval on epochs : [1, 2]  lr decay epochs : [9]  ",
        "  learning rate : 0.5  momentum : 0.75  weight decay : 0.25  ",
        "  lr warmup : 300  backbone : resnet50  ",
        "  AMP : True  ",
        "  seed : 4  total learning rate : 2.0",
    ):
        assert expected in line


def test_speed(capsys):
    log = ssd300_resnet50_log.RunLog(None, True)
    log.log_speed(step_times.speed_of(6, [1.0, 2.0, 3.0]))
    assert printed(capsys) == [
        "() avg_img/sec : 3.0  med_img/sec : 3.0  min_img/sec : 2.0  "
        "max_img/sec : 6.0",
        "Done benchmarking. Total images: 18\ttotal time: 6.000\t"
        "Average images/sec: 3.000\tMedian images/sec: 3.000",
    ]


def test_prediction(capsys):
    ssd300_resnet50_log.RunLog(None, False).log_prediction([], 2.0)
    ssd300_resnet50_log.RunLog(None, True).log_prediction([], 12.25)
    assert printed(capsys) == ["Predicting Ended, total time: 12.25 s"]


def test_precision(capsys):
    log = ssd300_resnet50_log.RunLog(None, True)
    evaluations = ssd300_resnet50_log.Evaluations(log, lambda: 21)
    evaluations.log({"train_throughput": 3.0})
    assert printed(capsys) == []
    evaluations.log({"Precision/mAP": 0.251234, "Recall/AR@1": 0.5})
    assert printed(capsys) == ["Current AP: 0.25123", "(21,) mAP : 0.251234"]
    assert evaluations.precision == 0.251234


def test_lines_of_epochs(tmp_path, capsys):
    log = ssd300_resnet50_log.RunLog(str(tmp_path / "s.json"), True)
    lines = ssd300_resnet50_log.EpochLines(log, 3, 2)
    estimator = Estimator(
        tiny_detector.TinyDetector(),
        RunConfig(str(tmp_path), listeners=(lines,)),
        tiny_detector.groundtruth_from_labels,
    )
    options = TrainOptions(
        make_optimizer=functools.partial(optimizers.Momentum, momentum=0.9),
        learning_rate=functools.partial(
            learning_schedules.constant, learning_rate=0.1
        ),
    )
    estimator.train(tiny_detector.input_fn_with(), options, 6)
    found = [re.sub(" : .*", "", line) for line in printed(capsys)]
    assert found == [
        *("(0, 0) loss", "(0, 2) loss", "(0,) time"),
        *("(1, 3) loss", "(1, 5) loss", "(1,) time"),
    ]
    seconds = [
        r["data"]["time"]
        for r in rows(tmp_path / "s.json")
        if "data" in r and "time" in r["data"]
    ]
    assert lines.total_seconds == sum(seconds) > 0
