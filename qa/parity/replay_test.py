"""Replays the recorded numbers, and sees that the replay can fail."""

import pathlib
import shutil
import subprocess
import sys

import comparison
import golden
import numpy as np
import pytest

REPLAY = pathlib.Path(__file__).with_name("replay.py")
CASES = (
    "ssd_inception_v2",
    "ssd_mobilenet_v1_fpn_640",
    "ssd_mobilenet_v2",
    "ssd320_full_8gpus",
)
# One with a feature pyramid and shared heads, one without.
QUICK = ("ssd320_full_8gpus", "ssd_mobilenet_v2")


def run(directory, *flags):
    # In a process of its own: it sets the number of threads.
    return subprocess.run(
        [sys.executable, str(REPLAY), str(directory), *flags],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    "case",
    [
        case if case in QUICK else pytest.param(case, marks=pytest.mark.slow)
        for case in CASES
    ],
)
def test_inference_has_the_numbers_of_the_original(case):
    result = run(golden.TESTDATA / case, "--inference_only", "--strict")
    assert result.returncode == 0, result.stdout + result.stderr
    assert " 0 differ" in result.stdout
    assert "det/detection_scores" in result.stdout


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_training_has_the_numbers_of_the_original(case):
    result = run(golden.TESTDATA / case)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "moving_delta_norms" in result.stdout


def test_another_config_differs(tmp_path):
    case = golden.TESTDATA / "ssd320_full_8gpus"
    shutil.copytree(case, tmp_path, dirs_exist_ok=True)
    config = tmp_path / "pipeline.config"
    config.chmod(0o644)
    text = config.read_text()
    config.write_text(text.replace("gamma: 2.0", "gamma: 2.1"))
    assert config.read_text() != text
    result = run(tmp_path, "--inference_only")
    assert result.returncode == 1
    wrong = [x for x in result.stdout.splitlines() if "DIFFERS" in x]
    assert len(wrong) == 1
    assert wrong[0].startswith("eval_loss/Loss/classification_loss")


def test_a_missing_directory_is_one_line(tmp_path):
    result = run(tmp_path / "nowhere")
    assert result.returncode == 2
    assert "nowhere" in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr


def test_golden_weights_depend_on_the_name_and_the_shape():
    # From the recipe: RandomState(crc32(name) & 0x7FFFFFFF), then the scale.
    weights = golden.golden_weights("a/weights", (2, 3, 4, 5))
    assert weights.dtype == np.float32 and weights.shape == (2, 3, 4, 5)
    assert not np.array_equal(
        weights, golden.golden_weights("b/weights", (2, 3, 4, 5))
    )
    np.testing.assert_allclose(np.std(weights), np.sqrt(1.3 / 24), rtol=0.2)
    assert np.all(golden.golden_weights("a/moving_variance", (9,)) >= 1.0)


def test_batch_has_the_boxes_of_the_files():
    images, groundtruth = golden.read_batch(num_classes=90)
    assert images.shape == (2, 480, 640, 3) and images.dtype == np.float32
    # The first object of the first file: a WBC at 260, 177, 491, 376.
    np.testing.assert_allclose(
        groundtruth.boxes[0, 0],
        [177 / 480, 260 / 640, 376 / 480, 491 / 640],
        rtol=1e-6,
    )
    assert groundtruth.classes[0, 0].argmax() == 1
    for image, number in enumerate(groundtruth.num_boxes):
        assert groundtruth.weights[image].sum() == number
        assert not groundtruth.boxes[image, number:].any()
    assert groundtruth.num_boxes.max() == groundtruth.boxes.shape[1]


@pytest.mark.parametrize(
    "found, verdict",
    [(2.0, "ok"), (2.1, "rounding"), (2.5, "DIFFERS"), (np.nan, "DIFFERS")],
)
def test_verdict_of_a_number(found, verdict):
    row = comparison.compare_scalar("x", 2.0, found, 0.01, rounding_limit=0.1)
    assert row.verdict == verdict


def test_another_shape_differs():
    row = comparison.compare_max("x", np.zeros(3), np.zeros((3, 1)), 1.0)
    assert row.verdict == "DIFFERS"


def test_a_share_must_be_close():
    expected = np.array([1.0, 2.0, 0.0, 4.0])
    found = [1.0, 2.02, 0.0, 5.0]
    rows = [
        comparison.compare_most("x", expected, found, 0.02, least_share=share)
        for share in (0.75, 0.8)
    ]
    assert [row.verdict for row in rows] == ["ok", "DIFFERS"]


def test_sets_are_compared_by_element():
    assert comparison.compare_sets("x", "ab", "ba").verdict == "ok"
    assert comparison.compare_sets("x", "ab", "ac").difference == 2.0
