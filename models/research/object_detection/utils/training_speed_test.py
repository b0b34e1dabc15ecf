"""Tests of the speed that a training's log tells."""

import stat
import subprocess
import sys

import pytest

from object_detection.core import errors
from object_detection.utils import training_speed

# Lines of this project's training, of a launcher's and of the original's.
LOG = """step 1/40  loss 3 (classification 1, localization 2)  lr 0.02
step 9/40  loss 3  lr 0.02  8 images/s  eta 0:00:30  global_step/sec: 7
[1,0]<stderr>:step 10/40  loss 3  lr 0.02  eta 0:00:30  global_step/sec: 0.5
INFO:tensorflow:global_step/sec: 3.25
global_step/sec: 1e-05
global_step/sec: 11
global_step/sec: 12
global_step/sec: 13.5
global_step/sec: 2
global_step/sec: 5.
"""


def test_values_are_found_in_any_line():
    assert training_speed.steps_per_second(LOG) == [
        7,
        0.5,
        3.25,
        1e-05,
        11,
        12,
        13.5,
        2,
        5,
    ]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([4], 4),
        ([9, 4], 4),
        ([9, 9, 9, 9, 9, 9, 4], 4),
        ([9, 9, 9, 9, 9, 9, 4, 7], 5.5),
        ([9] * 9 + [1, 2, 6], 3),
    ],
)
def test_the_last_quarter_counts(values, expected):
    assert training_speed.settled_steps_per_second(values) == expected


@pytest.mark.parametrize(
    ("num_processes", "precision", "expected"),
    [
        (1, "FP16", "Single GPU mixed precision training performance: 12.35"),
        (1, "FP32", "Single GPU single precision training performance: 12.35"),
        (8, "FP16", "8 GPUs mixed precision training performance: 12.35"),
    ],
)
def test_the_line_is_that_of_the_original(num_processes, precision, expected):
    line = training_speed.performance_line(12.345678, num_processes, precision)
    assert line == f"{expected} img/s"


def test_the_line_comes_before_the_whole_log(tmp_path):
    log = tmp_path / "train_log"
    content = LOG.encode() + b"not UTF-8: \xff\n"
    log.write_bytes(content)
    log.chmod(0o640)
    line = training_speed.write_performance(str(log), 6, 4, "FP32")
    # 2 of 9 values.
    assert line.endswith(f" {6 * (2 + 5) / 2:.2f} img/s")
    assert log.read_bytes() == line.encode() + b"\n" + content
    assert stat.S_IMODE(log.stat().st_mode) == 0o640
    assert list(tmp_path.iterdir()) == [log]


def test_a_log_without_speeds_is_refused_and_stays(tmp_path):
    log = tmp_path / "train_log"
    log.write_text("Step 1250 of 1250 is already reached\n")
    with pytest.raises(errors.DataError, match=f"^{log}: holds no line"):
        training_speed.write_performance(str(log), 6, 4, "FP32")
    assert log.read_text() == "Step 1250 of 1250 is already reached\n"


def test_the_command_takes_the_batch_from_the_resolved_config(tmp_path):
    (tmp_path / "train_log").write_text("global_step/sec: 2.5\n")
    (tmp_path / "pipeline.config").write_text(
        "model { ssd { num_classes: 2 } } train_config { batch_size: 6 }"
    )
    result = subprocess.run(
        [
            sys.executable,
            "-m",
            "object_detection.utils.training_speed",
            f"--log={tmp_path}/train_log",
            f"--model_dir={tmp_path}",
            "--num_processes=4",
            "--accumulate_steps=3",
            "--precision=FP16",
        ],
        capture_output=True,
        text=True,
        timeout=300,
    )
    expected = "4 GPUs mixed precision training performance: 180.00 img/s\n"
    assert (result.stdout, result.stderr) == (expected, "")
    assert (tmp_path / "train_log").read_text().startswith(expected)
