"""Tests of the commands that the launch scripts put together."""

import os
import re
import subprocess

import pytest
from launch_scripts import CONFIGS, EXAMPLES, ROOT, install, make_path, run

MODEL_MAIN = ROOT / "models/research/object_detection/model_main.py"


def dry_run(script, *arguments, **settings):
    """Returns the words of the printed command, as a shell reads them."""
    result = run(script, *arguments, DRY_RUN="1", PYTHON="/py", **settings)
    assert (result.returncode, result.stderr) == (0, "")
    words = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {result.stdout}"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return words.split("\0")[:-1]


def trained(config, model_dir, *flags):
    return [
        "/py",
        "-u",
        str(MODEL_MAIN),
        f"--pipeline_config_path={CONFIGS / config}",
        f"--model_dir={model_dir}",
        *flags,
    ]


def on_gpus(num):
    return ["horovodrun", "-np", str(num), "-H", f"localhost:{num}"]


def expected_of_training_scripts():
    for precision, amp in (("FP16", ["--amp"]), ("FP32", [])):
        for num in (1, 4, 8):
            name = f"SSD320_{precision}_{num}GPU"
            start = on_gpus(num) if num > 1 else []
            config = f"ssd320_full_{num}gpus.config"
            yield (
                f"{name}.sh",
                start + trained(config, f"/results/{name}", *amp),
            )
            speed = trained(
                "ssd320_bench.config",
                f"/results/{name}",
                "--eval_count=0",
                *amp,
            )
            yield f"{name}_BENCHMARK.sh", start + speed


def expected_of_other_scripts():
    config = "ssd320_full_1gpus.config"
    for precision, amp in (("FP16", ["--amp"]), ("FP32", [])):
        command = trained(config, "")[:-1]
        command[2] = str(EXAMPLES / "SSD320_inference.py")
        yield f"SSD320_{precision}_inference.sh", [*command, *amp]
    evaluation = trained(config, "/results", "--run_once")
    yield "SSD320_evaluate.sh", [*evaluation, "--checkpoint_dir=/ckpt"]


EXPECTED = dict([*expected_of_training_scripts(), *expected_of_other_scripts()])


def test_every_script_is_expected():
    scripts = {path.name for path in EXAMPLES.glob("SSD320_*.sh")}
    assert scripts == set(EXPECTED)
    assert len(scripts) == 15


@pytest.mark.parametrize("script", EXPECTED)
def test_command_from_another_directory(script, tmp_path):
    path = make_path(tmp_path, "horovodrun")
    arguments = ["/ckpt"] if script == "SSD320_evaluate.sh" else []
    command = dry_run(script, *arguments, cwd=tmp_path, path=path)
    if "horovodrun" in command[0]:
        assert command[0] == f"{path}/horovodrun"
        command[0] = "horovodrun"
    assert command == EXPECTED[script]


def test_directories_come_first_and_flags_are_passed_on():
    awkward = "--hparams_overrides=a=[1,'x y'],b=$HOME;c=\"*\""
    for arguments, model_dir, config_dir in (
        (["/a b", "/c d"], "/a b", "/c d"),
        (["/a b"], "/a b", CONFIGS),
        (["", "/c d"], "/results/SSD320_FP32_1GPU", "/c d"),
        ([], "/results/SSD320_FP32_1GPU", CONFIGS),
    ):
        command = dry_run(
            "SSD320_FP32_1GPU.sh", *arguments, awkward, "--log_steps", "7"
        )
        assert command[3:] == [
            f"--pipeline_config_path={config_dir}/ssd320_full_1gpus.config",
            f"--model_dir={model_dir}",
            awkward,
            "--log_steps",
            "7",
        ]


def test_inference_takes_a_flag_or_a_config_directory_first():
    script = "SSD320_FP16_inference.sh"
    flags = ["--batch_size=3", "--checkpoint_dir=/ckpt"]
    config = "ssd320_full_1gpus.config"
    for arguments, config_dir in ((flags, CONFIGS), (["/c", *flags], "/c")):
        assert dry_run(script, *arguments)[3:] == [
            f"--pipeline_config_path={config_dir}/{config}",
            "--amp",
            *flags,
        ]


def test_flags_of_the_user_win_over_those_of_the_script():
    command = dry_run("SSD320_FP32_1GPU_BENCHMARK.sh", "--eval_count=2")
    assert command[-2:] == ["--eval_count=0", "--eval_count=2"]
    command = dry_run(
        "SSD320_evaluate.sh", "--checkpoint_dir=/ckpt", "--model_dir=/other"
    )
    assert command[4:] == [
        "--model_dir=/results",
        "--run_once",
        "--checkpoint_dir=/ckpt",
        "--model_dir=/other",
    ]


def test_launcher_is_what_is_there(tmp_path):
    script = "SSD320_FP16_8GPU.sh"
    for programs, start in (
        (("horovodrun", "mpirun"), "horovodrun"),
        (("mpirun",), "mpirun"),
    ):
        folder = tmp_path / start
        folder.mkdir()
        command = dry_run(
            script,
            path=make_path(folder, *programs),
            NGPU="2",
            HOSTS="a:1,b:1",
        )
        program = command.index("/py")
        assert os.path.basename(command[0]) == start
        assert command[command.index("-np") + 1] == "2"
        assert command[command.index("-H") + 1] == "a:1,b:1"
        assert command[program:] == trained(
            "ssd320_full_8gpus.config", "/results/SSD320_FP16_2GPU", "--amp"
        )


def test_horovodrun_beside_the_interpreter_comes_first(tmp_path):
    python = install(tmp_path / "env", "python", "")
    beside = install(tmp_path / "env", "horovodrun", "")
    result = run(
        "SSD320_FP16_4GPU.sh",
        path=make_path(tmp_path, "horovodrun"),
        DRY_RUN="1",
        PYTHON=str(python),
    )
    assert result.stdout.startswith(f"{beside} -np 4 -H localhost:4 {python} ")


def test_mpirun_has_the_options_of_the_original():
    settings = {"LAUNCHER": "mpirun", "LD_LIBRARY_PATH": "/lib"}
    command = dry_run("SSD320_FP32_4GPU.sh", **settings)
    if os.geteuid() == 0:
        assert command.pop(1) == "--allow-run-as-root"
    original = (
        "mpirun -np 4 -H localhost:4 -bind-to none -map-by slot -x "
        "NCCL_DEBUG=INFO -x LD_LIBRARY_PATH -x PATH -mca pml ob1 -mca btl "
        "^openib"
    )
    assert command[: command.index("/py")] == original.split()
    # mpirun complains of -x with a variable that is not set.
    assert "LD_LIBRARY_PATH" not in dry_run(
        "SSD320_FP32_4GPU.sh", LAUNCHER="mpirun"
    )


@pytest.mark.parametrize(
    ("arguments", "settings", "code", "message"),
    [
        (
            ["SSD320_FP16_8GPU.sh"],
            {"path": ""},
            6,
            "NGPU=8: neither horovodrun",
        ),
        (["SSD320_FP16_8GPU.sh"], {"NGPU": "two"}, 2, "NGPU=two: expected"),
        (["SSD320_FP16_8GPU.sh"], {"NGPU": "0"}, 2, "NGPU=0: expected"),
        (["SSD320_FP16_8GPU.sh"], {"LAUNCHER": "srun"}, 2, "LAUNCHER=srun"),
        (["SSD320_FP16_8GPU.sh"], {"LAUNCHER": "python"}, 2, "one process"),
        (["SSD320_FP32_inference.sh"], {"NGPU": "2"}, 2, "has one process"),
        (["SSD320_FP32_1GPU.sh", "--model_dir=/x"], {}, 2, "--model_dir: give"),
        (["SSD320_FP32_1GPU.sh", "--model_dir", "/x"], {}, 2, "--model_dir: "),
        (["SSD320_evaluate.sh"], {}, 2, "expected CHECKPOINT_DIR"),
        (["SSD320_evaluate.sh", "--amp"], {}, 2, "expected CHECKPOINT_DIR"),
        (["run.sh", "tune", "FP16", "1", "a.config"], {}, 2, "tune: expected"),
        (["run.sh", "train", "FP8", "1", "a.config"], {}, 2, "FP8: expected"),
    ],
)
def test_what_cannot_run_is_one_line(
    arguments, settings, code, message, tmp_path
):
    if "path" in settings:
        settings = {"path": make_path(tmp_path)}
    result = run(*arguments, DRY_RUN="1", PYTHON="/py", **settings)
    assert (result.returncode, result.stdout) == (code, "")
    assert len(result.stderr.splitlines()) == 1
    assert re.match(f"error: .*{message}", result.stderr)


def test_usage():
    result = run("run.sh", "train", "FP16")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("usage: ")
    for script in ("run.sh", "SSD320_FP16_8GPU.sh"):
        result = run(script, "--help")
        assert (result.returncode, result.stderr) == (0, "")
        assert result.stdout.startswith("usage: ")
