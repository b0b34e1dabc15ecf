"""Tests of the launch scripts of SSD300 with ResNet-50."""

import json
import os
import shlex
import subprocess
import sys

import numpy as np
import pytest
from launch_scripts import EXAMPLES, ROOT, make_path, run
from PIL import Image

from object_detection.inference import sample_detector

FOLDER = "ssd300_resnet50"
INFERENCE = EXAMPLES / FOLDER / "SSD300_inference.py"
CALL = """
import json, runpy, sys
main = runpy.run_path(sys.argv[1])["main"]
found = main(sys.argv[2], sys.argv[3:] * 2)
print(json.dumps([[array.tolist() for array in one] for one in found]))
"""
MAIN = "models/research/object_detection/recipes/ssd300_resnet50.py"
FEW, MANY = "--warmup 300", "--learning-rate 2.7e-3 --warmup 1200"

# Processes, and the flags between those of all scripts.
EXPECTED = {
    **{
        f"SSD300_FP16_{n}GPU.sh": (n, f"--amp --batch-size 64 {FEW}")
        for n in (1, 4, 8)
    },
    **{
        f"SSD300_FP32_{n}GPU.sh": (n, f"--batch-size 32 {FEW}")
        for n in (1, 4, 8)
    },
    "SSD300_A100_FP16_1GPU.sh": (1, f"--amp --batch-size 256 {FEW}"),
    "SSD300_A100_FP16_4GPU.sh": (4, f"--amp --batch-size 256 {MANY}"),
    "SSD300_A100_FP16_8GPU.sh": (8, f"--amp --batch-size 128 {MANY}"),
    "SSD300_A100_FP32_8GPU.sh": (8, f"--batch-size 128 {MANY}"),
    "SSD300_FP16_INFERENCE_BENCHMARK.sh": (
        1,
        "--amp --mode benchmark-inference --eval-batch-size 32",
    ),
    "SSD300_FP32_INFERENCE_BENCHMARK.sh": (
        1,
        "--mode benchmark-inference --eval-batch-size 32",
    ),
    "SSD300_FP16_EVAL.sh": (
        1,
        "--amp --eval-batch-size 32 --mode evaluation --checkpoint /c",
    ),
    "SSD300_FP32_EVAL.sh": (
        1,
        "--eval-batch-size 32 --mode evaluation --checkpoint /c",
    ),
}


def run_script(script, *arguments, **settings):
    return run(f"{FOLDER}/{script}", *arguments, **settings)


def dry_run(script, *arguments, **settings):
    """Returns the words of the printed command."""
    result = run_script(
        script, *arguments, DRY_RUN="1", PYTHON="/py", **settings
    )
    assert (result.returncode, result.stderr) == (0, "")
    return shlex.split(result.stdout)


def arguments_of(script):
    return [ROOT, "/coco", "/c"] if "EVAL" in script else [ROOT, "/coco"]


def test_every_script_is_expected():
    scripts = {path.name for path in (EXAMPLES / FOLDER).glob("SSD300_*.sh")}
    assert scripts == set(EXPECTED)


@pytest.mark.parametrize("script", EXPECTED)
def test_command_from_another_directory(script, tmp_path):
    path = make_path(tmp_path, "horovodrun")
    num_processes, flags = EXPECTED[script]
    command = dry_run(script, *arguments_of(script), cwd=tmp_path, path=path)
    if num_processes > 1:
        assert command[:5] == [
            *(f"{path}/horovodrun", "-np", str(num_processes)),
            *("-H", f"localhost:{num_processes}"),
        ]
        command = command[5:]
    assert command == [
        *("/py", "-u", f"{ROOT}/{MAIN}", "--backbone", "resnet50"),
        *(*flags.split(), "--data", "/coco"),
    ]


def test_flags_of_the_user_come_last():
    awkward = "--hparams_overrides=a=[1,'x y'],b=$HOME;c=\"*\""
    for script in ("SSD300_FP16_1GPU.sh", "SSD300_FP32_EVAL.sh"):
        command = dry_run(
            script, *arguments_of(script), "--save", "/a b", awkward, "--", "x"
        )
        assert command[-5:] == ["--save", "/a b", awkward, "--", "x"]


def test_settings():
    command = dry_run(
        "SSD300_FP16_8GPU.sh",
        *(ROOT, "/coco"),
        LAUNCHER="mpirun",
        NGPU="2",
        HOSTS="a:1,b:1",
    )
    assert os.path.basename(command[0]) == "mpirun"
    assert command[command.index("-np") + 1] == "2"
    assert command[command.index("-H") + 1] == "a:1,b:1"


@pytest.mark.parametrize(
    ("script", "arguments"),
    [
        ("SSD300_FP16_1GPU.sh", []),
        ("SSD300_FP16_1GPU.sh", [ROOT]),
        ("SSD300_FP16_EVAL.sh", [ROOT, "/coco"]),
        ("run.sh", ["1", "--amp"]),
    ],
)
def test_too_few_arguments(script, arguments):
    result = run_script(script, *arguments, DRY_RUN="1")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("usage: ")


@pytest.mark.parametrize(
    ("arguments", "settings", "message"),
    [
        (["/no/repo", "/coco"], {}, "error: /no/repo: expected this checkout"),
        ([ROOT, "/coco"], {"NGPU": "x"}, "error: NGPU=x: expected a number"),
    ],
)
def test_what_cannot_run_is_one_line(arguments, settings, message):
    result = run_script("SSD300_FP32_1GPU.sh", *arguments, **settings)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith(message)
    assert len(result.stderr.splitlines()) == 1


def test_usage():
    for script in ("run.sh", "SSD300_FP16_8GPU.sh"):
        result = run_script(script, "--help")
        assert (result.returncode, result.stderr) == (0, "")
        assert result.stdout.startswith("usage: ")


def test_the_program_gets_the_command_and_gives_its_exit_code():
    result = run_script(
        "SSD300_FP32_EVAL.sh",
        *(ROOT, "/coco", "/no/checkpoint"),
        PYTHON=sys.executable,
    )
    assert result.returncode == 4
    assert "Provided checkpoint is not path to a file: /no" in result.stderr


@pytest.fixture(scope="module")
def detector_and_image(tmp_path_factory):
    """The checkpoint of a small detector, and an image of 40 x 60."""
    folder = tmp_path_factory.mktemp("detector")
    # So that scores are near a half.
    checkpoint = sample_detector.write(
        str(folder), "model { ssd { post_processing { logit_scale: 20 } } }"
    )
    pixels = np.random.default_rng(2).integers(0, 256, (40, 60, 3), np.uint8)
    Image.fromarray(pixels).save(folder / "street.png")
    return checkpoint, str(folder / "street.png")


def run_inference(*arguments, called=False):
    start = ["-c", CALL] if called else []
    return subprocess.run(
        [sys.executable, *start, str(INFERENCE), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_inference_prints_and_draws(detector_and_image, tmp_path):
    checkpoint, image = detector_and_image
    result = run_inference(
        *("--checkpoint", checkpoint, "--output", tmp_path / "drawn"),
        *(image, "/no.jpg"),
    )
    assert result.returncode == 3
    assert "ERROR: /no.jpg: cannot be read: No such file" in result.stderr
    title, *lines = result.stdout.splitlines()
    assert title == f"{image}: {len(lines)} objects"
    assert 0 < len(lines) <= 20
    scores = [float(line.split()[0]) for line in lines]
    assert scores == sorted(scores, reverse=True) and scores[-1] >= 0.3
    drawn = np.asarray(Image.open(tmp_path / "drawn" / "street.png"))
    assert drawn.shape == (40, 60, 3)
    assert (drawn != np.asarray(Image.open(image))).any()


def test_inference_called_by_another_program(detector_and_image):
    checkpoint, image = detector_and_image
    result = run_inference(checkpoint, image, called=True)
    assert result.returncode == 0, result.stderr
    (first, second) = json.loads(result.stdout)
    assert first == second
    boxes, classes, scores = map(np.array, first)
    assert boxes.shape == (len(scores), 4) and 0 < len(scores) <= 20
    assert (boxes[:, :2] <= boxes[:, 2:]).all()
    assert boxes.min() >= 0 and boxes.max() <= 1
    assert {1, 2, 3} >= set(classes)
    assert (scores > 0.3).all()
