"""Tests of the scripts that train SSD-VGG."""

import re
import sys

import pytest
from launch_scripts import EXAMPLES, ROOT, run

from object_detection.recipes import ssd_vgg16_sample

FOLDER = EXAMPLES / "ssd_vgg16"
PROGRAM = ROOT / "models/research/object_detection/recipes/ssd_vgg16_train.py"
KEYS = [
    "Network",
    "RankSize",
    "BatchSize",
    "DeviceType",
    "CaseName",
    "ActualFPS",
    "TrainingTime",
    "ActualLoss",
    "E2ETrainingTime",
    "TrainAccuracy",
]
FULL, PERFORMANCE, EIGHT = (
    f"ssd_vgg16/train_{name}.sh"
    for name in ("full_1p", "performance_1p", "full_8p")
)


def dry_run(script, *arguments, **settings):
    result = run(script, *arguments, DRY_RUN="1", PYTHON="/py", **settings)
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout.split()


def command(output, epochs, *flags):
    return [
        *("/py", "-u", str(PROGRAM)),
        *(f"--name={output}/ckpt", f"--tensorboard-dir={output}/tb"),
        *("--data-dir=/d/pascal-voc", "--vgg-dir=/d/vgg_graph"),
        *(f"--epochs={epochs}", "--data_path=/d", *flags),
    ]


@pytest.mark.parametrize(("script", "epochs"), [(FULL, 200), (PERFORMANCE, 2)])
def test_one_device(script, epochs, tmp_path):
    words = dry_run(script, "--data_path=/d", "--epochs", "3", cwd=tmp_path)
    output = f"{tmp_path}/test/output/0"
    assert words == command(output, epochs, "--epochs", "3")
    (tmp_path / "test").mkdir()
    words = dry_run(
        script, "--data_path=/d", cwd=tmp_path / "test", ASCEND_DEVICE_ID="5"
    )
    assert words == command(f"{tmp_path}/test/output/5", epochs)
    assert list((tmp_path / "test").iterdir()) == []


def test_eight_devices(tmp_path):
    for settings, num in (({}, 8), ({"NGPU": "2"}, 2)):
        words = dry_run(
            EIGHT,
            "--data_path=/d",
            cwd=tmp_path,
            LAUNCHER="horovodrun",
            **settings,
        )
        assert words[0].endswith("horovodrun")
        assert words[1:5] == ["-np", str(num), "-H", f"localhost:{num}"]
        assert words[5:] == command(f"{tmp_path}/test/output/0", 200)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--data_path is missing"),
        (["--epochs=3"], "--data_path is missing"),
        (["--data_path="], "expected --data_path=DIR"),
        (["--data_path", "/d"], "expected --data_path=DIR"),
        (["--data_path=/d", "x"], "x: every argument is a flag"),
        (["--data_path=/d", "--epochs=3", "4"], "4: every argument is a flag"),
    ],
)
def test_wrong_arguments_give_the_usage_and_1(arguments, message, tmp_path):
    result = run(FULL, *arguments, cwd=tmp_path, PYTHON="/py")
    assert (result.returncode, result.stdout) == (1, "")
    first, second, *_ = result.stderr.splitlines()
    assert message in first and second.startswith("usage: ")
    assert list(tmp_path.iterdir()) == []


def test_usage(tmp_path):
    for script in (FULL, PERFORMANCE, EIGHT):
        result = run(script, "--help", cwd=tmp_path)
        assert (result.returncode, result.stderr) == (0, "")
        assert result.stdout.startswith("usage: ")
    assert run("ssd_vgg16/train.sh", "acc").returncode == 1


# Says what the training says, and is slow enough to be measured.
LOG = r"""
import sys
print("[i] Batch size:     4")
print("[i] Processes:      2, 8 images a step")
print("epoch:1 loss:12.500000 perf = 0.100000 global_ste/sec")
print("epoch:1 train mAP: 0.125000")
# As horovodrun shows it.
print("[1,0]<stdout>:epoch:2 loss:7.250000 perf = 2.500000 global_ste/sec")
print("[1,0]<stdout>:epoch:2 train mAP: 0.375000[1,0]<stdout>:")
sys.exit(int(next((a[7:] for a in sys.argv if a.startswith("--code=")), 0)))
"""


@pytest.fixture
def python(tmp_path):
    """An interpreter whose every program says so."""
    (tmp_path / "said.py").write_text(LOG)
    path = tmp_path / "python"
    path.write_text(
        "#!/bin/bash\n[[ $1 != -c ]] || { sleep ${START_SECONDS-0}; exec "
        f'{sys.executable} "$@"; }}\n'
        f'exec {sys.executable} {tmp_path}/said.py "$@"'
    )
    path.chmod(0o755)
    return str(path)


def test_what_a_run_was_is_summed_up(tmp_path, python):
    settings = {"cwd": tmp_path, "PYTHON": python}
    # What comes before the training is no part of its time.
    result = run(FULL, "--data_path=/d", START_SECONDS="2", **settings)
    assert result.returncode == 0, result.stderr
    output = tmp_path / "test/output/0"
    case = "SSD-VGG_ID1619_for_TensorFlow_bs8_1p_acc"
    values = dict(
        line.split(" = ")
        for line in (output / f"{case}.log").read_text().splitlines()
    )
    assert list(values) == KEYS
    assert values["CaseName"] == case
    assert (values["RankSize"], values["BatchSize"]) == ("1", "4")
    # Two processes and a half a second: images, ms.
    assert (values["ActualFPS"], values["TrainingTime"]) == ("20.00", "400.00")
    assert values["ActualLoss"] == "7.250000"
    assert values["TrainAccuracy"] == "0.375000"
    losses = (output / f"train_{case}_loss.txt").read_text()
    assert losses == "12.500000\n7.250000\n"
    *_, seconds, rule, speed, accuracy = result.stdout.splitlines()
    took = re.search(r"^Took 0:00:(\d\d)$", result.stdout, re.MULTILINE)
    assert seconds == f"Final Training Duration sec : {int(took[1])}"
    assert values["E2ETrainingTime"] == str(int(took[1]))
    assert rule == "------------------ Final result ------------------"
    assert speed == "Final Performance images/sec : 20.00"
    assert accuracy == "Final Train Accuracy : 0.375000"

    # Another run leaves that of before, one that goes on adds to it.
    log = output / "train_0.log"
    for count, flag in (
        (2, ["--continue-training=True"]),
        (3, ["--continue-training", "true"]),
        (4, ["--continue-training=TRUE"]),
    ):
        run(PERFORMANCE, "--data_path=/d", *flag, **settings)
        assert log.read_text().count("epoch:2 loss") == count
    assert (output / f"{case[:-3]}perf.log").exists()
    result = run(FULL, "--data_path=/d", **settings)
    assert f"it is {output}.1 now" in result.stderr
    assert log.read_text().count("epoch:2 loss") == 1
    assert (tmp_path / "test/output/0.1/train_0.log").exists()


def test_a_run_that_fails_gives_its_exit_code(tmp_path, python):
    settings = {"cwd": tmp_path, "PYTHON": python}
    for given, expected in ((4, 4), (2, 1), (1, 1)):
        result = run(FULL, "--data_path=/d", f"--code={given}", **settings)
        assert result.returncode == expected
        assert ("usage: " in result.stderr) == (given == 2)
        assert "Final" not in result.stdout


@pytest.mark.slow
def test_a_real_run(tmp_path):
    ssd_vgg16_sample.write(tmp_path / "d/pascal-voc")
    result = run(
        PERFORMANCE,
        f"--data_path={tmp_path / 'd'}",
        "--vgg-dir=",
        "--batch-size=4",
        "--train-map-interval=1",
        cwd=tmp_path,
        PYTHON=sys.executable,
    )
    assert result.returncode == 0, result.stderr
    for pattern in (
        r"^epoch:2 loss:\S+ perf = \S+ global_ste/sec$",
        r"^\[i\] Checkpoint saved: .*/test/output/0/ckpt/final.ckpt$",
        r"^Final Performance images/sec : \d+\.\d\d$",
        r"^Final Train Accuracy : \d\.\d{6}$",
    ):
        assert re.search(pattern, result.stdout, re.M), pattern
    output = tmp_path / "test/output/0"
    assert (output / "tb/train").exists()
    assert (output / "SSD-VGG_ID1619_for_TensorFlow_bs4_1p_perf.log").exists()
