"""Tests of baselines, and of checks that take seconds."""

import json
import pathlib
import re
import shlex
import subprocess
import sys
import time

import pytest
import qa_baselines
import qa_checks
import run_qa
from qa_baselines import Check, Machine, Value

from object_detection.core import errors
from object_detection.utils import evaluation_files

ROOT = pathlib.Path(__file__).resolve().parent.parent
SPEED = {"pattern": "speed ([0-9.]+)", "baseline": 200.0, "tolerance": 0.1}


def run(*arguments):
    return subprocess.run(
        [sys.executable, str(ROOT / "qa" / "run_qa.py"), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def is_running(pid):
    try:
        state = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return state.rpartition(")")[2].split()[0] != "Z"


def check_of(command, values=None, **fields):
    return {
        "kind": "accuracy",
        "source": "here",
        "commands": [command],
        "values": values or {"speed": SPEED},
        "limit_minutes": 1,
        **fields,
    }


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(qa_baselines, "DIRECTORY", tmp_path)
    return tmp_path


def write_machine(folder, checks, **fields):
    content = {"description": "a machine", "checks": checks, **fields}
    (folder / "mine.json").write_text(json.dumps(content))
    return qa_baselines.load("mine")


@pytest.mark.parametrize(
    ("side", "passing", "missing", "expectation"),
    [
        ("at_least", (180.1, 200.0, 900.0), (179.9, -1.0), ">= 180"),
        ("at_most", (219.9, 200.0, -5.0), (220.1, 1e9), "<= 220"),
        ("within", (180.1, 200.0, 219.9), (179.9, 220.1), "180 to 220"),
    ],
)
def test_tolerance_counts_on_the_side_that_is_said(
    side, passing, missing, expectation
):
    value = Value(200.0, 0.1, side, pattern="(x)")
    assert all(value.is_reached_by(measured) for measured in passing)
    assert not any(value.is_reached_by(measured) for measured in missing)
    assert not value.is_reached_by(float("nan"))
    assert value.expectation() == expectation


def test_values_are_found_where_they_are_said_to_be(tmp_path):
    output = 'speed 3.5\n{"a": 1}\nspeed 41.25 img\n{"a": {"b": 0.75}}\nend'

    def find(**place):
        return qa_checks.find_value(Value(1, 0.1, **place), output, tmp_path)

    assert find(pattern=r"speed ([0-9.]+)") == 41.25
    assert find(json="a.b") == 0.75
    for step, score in ((3, 0.25), (12, 0.5)):
        evaluation_files.write(
            str(tmp_path / "model" / "eval"),
            evaluation_files.EvaluationRecord(
                step, 2, 1.0, {"P/mAP": score}, (), ""
            ),
            [],
        )
    assert find(metric="P/mAP") == 0.5
    for place, expected in (
        ({"pattern": "slow ([0-9])"}, "expected a line with 'slow"),
        ({"json": "a.c"}, "has no a.c"),
        ({"metric": "P/mAR"}, "no metric 'P/mAR' .* mean 'P/mAP'"),
    ):
        with pytest.raises(errors.DataError, match=expected):
            find(**place)
    with pytest.raises(errors.DataError, match="no evaluation was left"):
        qa_checks.find_value(
            Value(1, 0.1, metric="x"), output, tmp_path / "other"
        )
    with pytest.raises(errors.DataError, match="expected a line of JSON"):
        qa_checks.find_value(Value(1, 0.1, json="a"), "{no JSON}", tmp_path)


def test_losses_are_a_mean_over_steps(tmp_path):
    from object_detection.training import summaries

    writer = summaries.SummaryWriter(str(tmp_path / "model" / "train"))
    for step, loss in ((5, 9.0), (10, 4.0), (15, 2.0), (20, 7.0)):
        writer.scalars(step, {"Loss/total_loss": loss})
    writer.flush()

    def find(first, last):
        value = Value(1, 0.1, loss_of_steps=(first, last))
        return qa_checks.find_value(value, "", tmp_path)

    assert find(6, 15) == 3.0
    assert find(15, 20) == 4.5
    with pytest.raises(
        errors.DataError, match="up to step 25; the last is of 20"
    ):
        find(15, 25)


def test_a_check_runs_its_commands_and_judges_all_values(folder):
    machine = write_machine(
        folder,
        {
            "good": check_of(
                '{python} -c \'import os; print("speed", os.environ["N"])\''
            ),
            "slow": check_of("echo speed 179.9 {work}"),
            "silent": check_of("echo nothing"),
            "absent": check_of("no-such-program"),
            "broken": check_of("bash -c 'echo oh no; exit 3'"),
        },
        environment={"N": "181"},
    )
    found = {}
    for name, check in machine.checks.items():
        outcomes = qa_checks.run(
            name, check, machine.environment, folder / "a b" / name
        )
        (found[name],) = outcomes
    assert found["good"][1:5] == ("speed", "passed", 181.0, ">= 180")
    assert found["slow"][1:4] == ("speed", "missed", 179.9)
    assert found["silent"].state == "failed"
    assert "speed ([0-9.]+)" in found["silent"].note
    assert found["absent"].note.startswith("no-such-program: No such file")
    assert found["broken"].state == "failed"
    assert found["broken"].note.startswith("exit code 3: oh no (")
    work_dir = folder / "a b" / "slow" / "attempt-1"
    log = (work_dir / "output.txt").read_text()
    assert log == f"speed 179.9 {work_dir}\n"


@pytest.mark.parametrize(
    ("attempts", "state"), [(1, "missed"), (2, "missed"), (3, "passed")]
)
def test_a_check_may_miss_as_often_as_it_says(tmp_path, attempts, state):
    # Faster each time: 150, 170, 190.
    count = tmp_path / "count"
    command = (
        f"bash -c 'echo >> {count}; "
        f"echo speed $((130 + 20 * $(wc -l < {count})))'"
    )
    value = Value(**SPEED)
    check = Check(
        "accuracy", "here", [command], {"x": value}, 1, attempts=attempts
    )
    (outcome,) = qa_checks.run("again", check, {}, tmp_path / "work")
    assert outcome.state == state
    assert outcome.measured == 130 + 20 * attempts


def test_a_check_that_hangs_is_ended_with_all_that_it_started(tmp_path):
    check = Check(
        "accuracy",
        "here",
        ["bash -c 'sleep 600 & echo $! > {work}/pid; wait'"],
        {"speed": Value(1, 0.1, pattern="(x)")},
        limit_minutes=0.05,
    )
    (outcome,) = qa_checks.run("hung", check, {}, tmp_path / "hung")
    assert outcome.state == "failed"
    assert "took longer than 0.05 minutes" in outcome.note
    pid = int((tmp_path / "hung" / "attempt-1" / "pid").read_text())
    for _ in range(100):
        if not is_running(pid):
            break
        time.sleep(0.1)
    assert not is_running(pid)


@pytest.mark.parametrize(
    ("speed", "code", "summary"),
    [
        (190, 0, "1 passed, 0 failed, 1 skipped"),
        (170, 1, "0 passed, 1 failed, 1 skipped"),
    ],
)
def test_exit_code_and_table_tell_what_was_missed(
    folder, monkeypatch, capsys, speed, code, summary
):
    write_machine(
        folder,
        {
            "speed": check_of(f"echo speed {speed}", is_short=True),
            "coco": check_of("echo x", is_short=True, files=["/no/*.record"]),
            "long": check_of("echo x"),
        },
    )
    work_dir = folder / "work"
    arguments = ["--machine=mine", "--short", f"--work_dir={work_dir}"]
    monkeypatch.setattr(sys, "argv", ["run_qa.py", *arguments])
    assert run_qa.main() == code
    printed = capsys.readouterr().out
    assert summary in printed.splitlines()
    note = "coco skipped: needs /no/*.record, which is not there"
    assert note in printed.splitlines()
    (results,) = work_dir.glob("mine-*/results.json")
    assert [r["check"] for r in json.loads(results.read_text())] == [
        *("speed", "coco")
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (["--machine=dgx_a1000"], 2, "did you mean 'dgx_a100'?"),
        (["--only", "train_perf"], 2, "did you mean 'train_performance'?"),
        (["--machine=dgx_a100", "--short"], 7, "none of them is short"),
    ],
)
def test_wrong_arguments_are_one_line(arguments, code, expected):
    result = run(*arguments)
    assert result.returncode == code
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert expected in result.stderr


def test_all_checks_are_listed_with_what_they_need():
    result = run("--machine=dgx_a100", "--list")
    assert result.returncode == 0, result.stderr
    for name in qa_baselines.load("dgx_a100").checks:
        assert f" {name} " in result.stdout


def test_the_gpus_decide_on_the_machine():
    a100, v100 = "NVIDIA A100-SXM4-80GB", "Tesla V100-SXM2-16GB"
    assert qa_baselines.machine_of([a100] * 8) == "dgx_a100"
    assert qa_baselines.machine_of([v100]) == "dgx1_v100"
    assert qa_baselines.machine_of(["NVIDIA H100 80GB HBM3"]) == "cpu_small"
    assert qa_baselines.machine_of([]) == "cpu_small"
    check = Check("accuracy", "", ["x"], {}, 1, gpus=4)
    machine = Machine("", {}, gpu="A100")
    num_gpus = machine.count_gpus([a100, v100, a100])
    assert check.reason_to_skip(num_gpus) == ("needs 4 of its GPUs, found 2")
    assert check.reason_to_skip(4) == ""


def test_names_of_checks_choose():
    checks = dict.fromkeys(("train_1", "train_2", "accuracy"))
    checks = {
        name: Check("accuracy", "", ["x"], {}, 1, is_short=name == "train_2")
        for name in checks
    }
    assert [*run_qa.choose(checks, [], False)] == [*checks]
    assert [*run_qa.choose(checks, ["train_*"], False)] == [
        "train_1",
        "train_2",
    ]
    assert [*run_qa.choose(checks, ["train_*", "acc*"], True)] == ["train_2"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"kind": "speed"}, "checks.x.kind: no such value 'speed'"),
        ({"comands": []}, "checks.x.comands: .* mean 'commands'"),
        ({"commands": []}, "checks.x.commands: is empty"),
        ({"commands": [["a"]]}, "checks.x: expected texts as commands"),
        ({"attempts": 0}, "checks.x: expected attempts and limit_minutes"),
        ({"gpus": "8"}, "checks.x.gpus: expected a whole number, got '8'"),
        (
            {"values": {"v": {**SPEED, "tolerance": 7}}},
            "v.tolerance: expected a",
        ),
        (
            {"values": {"v": {**SPEED, "baseline": 0}}},
            "v.baseline: expected a n",
        ),
        (
            {"values": {"v": {**SPEED, "json": "a"}}},
            "v: expected one of .*got 2",
        ),
        (
            {"values": {"v": {**SPEED, "pattern": "x"}}},
            "expected one group, go",
        ),
        (
            {"values": {"v": {**SPEED, "side": "above"}}},
            "v.side: no such value",
        ),
        (
            {
                "values": {
                    "v": {**SPEED, "pattern": "", "loss_of_steps": [9, 1]}
                }
            },
            r"v.loss_of_steps: expected \[first, last\]",
        ),
        ({"values": {"v": {"baseline": 1.0}}}, "v.tolerance: is missing"),
    ],
)
def test_mistakes_in_a_file_are_named(folder, changes, expected):
    with pytest.raises(errors.ConfigError, match=expected) as info:
        write_machine(folder, {"x": {**check_of("echo"), **changes}})
    assert str(info.value).startswith(f"{folder}/mine.json: ")


def test_a_file_that_is_no_json_is_named(folder):
    (folder / "mine.json").write_text('{"description": ')
    with pytest.raises(errors.ConfigError, match="mine.json: no valid JSON"):
        qa_baselines.load("mine")


@pytest.mark.parametrize("name", qa_baselines.machine_names())
def test_shipped_baselines_are_complete(name):
    machine = qa_baselines.load(name)
    kinds = {check.kind for check in machine.checks.values()}
    assert kinds == set(qa_baselines.KINDS)
    for check_name, check in machine.checks.items():
        assert bool(check.gpus) == bool(machine.gpu), check_name
        for command in check.commands:
            words = shlex.split(command)
            for path in re.findall(
                r"\{root\}/(\S+)", command.replace("'", " ")
            ):
                assert path in check.files or (ROOT / path).exists(), path
            assert words[0] in ("bash", "{python}")


def test_the_published_numbers_are_there():
    def baselines(machine, pattern):
        return {
            name: value.baseline
            for name, check in qa_baselines.load(machine).checks.items()
            for value in check.values.values()
            if re.fullmatch(pattern, name)
        }

    assert baselines("dgx_a100", "train_.*") == {
        **{"train_fp16_1gpu": 180.55, "train_fp32_1gpu": 123.48},
        **{"train_fp16_4gpu": 624.35, "train_fp32_4gpu": 449.17},
        **{"train_fp16_8gpu": 1008.46, "train_fp32_8gpu": 779.96},
    }
    assert baselines("dgx_a100", "accuracy_fp16.*") == {
        "accuracy_fp16_1gpu": 0.279,
        "accuracy_fp16_4gpu": 0.280,
        "accuracy_fp16_8gpu": 0.281,
    }
    assert baselines("dgx1_v100", "train_.*_8gpu") == {
        "train_fp16_8gpu": 800,
        "train_fp32_8gpu": 569,
    }
    assert len(baselines("dgx1_v100", "inference_.*")) == 14
    assert baselines("dgx_a100", "ssd300_train_.*_8gpu_.*") == {
        "ssd300_train_fp16_8gpu_batch64": 3301.58,
        "ssd300_train_fp32_8gpu_batch64": 2181.21,
        "ssd300_train_fp16_8gpu_batch128": 3510.29,
        "ssd300_train_fp32_8gpu_batch128": 2264.92,
    }
    assert baselines("dgx1_v100", "ssd300_accuracy_.*_8gpu") == {
        "ssd300_accuracy_fp16_8gpu": 0.2528,
        "ssd300_accuracy_fp32_8gpu": 0.2535,
    }


def test_a_speed_is_found_after_its_batch_size():
    check = qa_baselines.load("dgx_a100").checks["ssd300_inference_fp32"]
    printed = "".join(
        f"PARAMETER eval batch size : {batch_size}  no cuda : False\n"
        f"Total images: 9\tAverage images/sec: {batch_size}.5\tMedian 1\n"
        for batch_size in (1, 2, 16, 64, 8, 4, 32)
    )
    for name, value in check.values.items():
        found = qa_checks.find_value(value, printed, pathlib.Path())
        assert name == f"images/s, batch {found - 0.5:g}"
