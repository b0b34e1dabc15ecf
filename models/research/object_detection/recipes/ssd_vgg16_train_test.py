"""Tests of the training of SSD-VGG: lines, files, going on."""

import json
import re
import shutil

import numpy as np
import pytest
from absl import logging
from tensorboard.backend.event_processing import event_accumulator

from object_detection.core import errors
from object_detection.recipes import (
    ssd_vgg16_flags,
    ssd_vgg16_run,
    ssd_vgg16_sample,
    ssd_vgg16_train,
)
from object_detection.training import checkpoints


@pytest.fixture
def train(tmp_path, monkeypatch, capfd):
    """Trains in a folder with data; returns what was printed."""
    monkeypatch.chdir(tmp_path)
    before = logging.get_verbosity()
    ssd_vgg16_sample.write(tmp_path / "data")

    def run(*words):
        common = ("--data-dir=data", "--vgg-dir=", "--batch-size=4")
        parser = ssd_vgg16_flags.parser("x")
        ssd_vgg16_train.main(parser.parse_args([*common, *map(str, words)]))
        return capfd.readouterr()

    yield run
    logging.set_verbosity(before)


def ends(capfd, train, *words):
    """Trains in vain; returns the exit code and what was printed."""
    with pytest.raises(SystemExit) as error:
        train(*words)
    captured = capfd.readouterr()
    assert captured.out == ""
    return error.value.code, captured.err


def steps_of(folder, pattern):
    return {
        path.name: checkpoints.global_step(
            checkpoints.Reader(str(path).removesuffix(".index"))
        )
        for path in folder.glob(f"{pattern}.index")
    }


def scalars(path):
    events = event_accumulator.EventAccumulator(str(path))
    events.Reload()
    return {
        tag: [event.step for event in events.Tensors(tag)]
        for tag in events.Tags()["tensors"]
    }


def test_a_training_says_and_leaves_what_the_original_does(
    train, tmp_path, capfd
):
    out, err = train(
        "--epochs=3",
        "--checkpoint-interval=2",
        "--train-map-interval=1",
        "--eval-interval=2",
        "--json-summary=log.json",
    )
    assert out.startswith("[i] Project name: ")
    for name, value in (
        ("Batch size", "4"),
        ("Processes", "1, 4 images a step"),
        ("Training samples", "11"),
        ("Steps per epoch", "2"),
        ("Steps", "0 to 6"),
        ("Precision mode", "allow_fp32_to_fp16, float32"),
    ):
        assert re.search(rf"^\[i\] {name}: +{value}$", out, re.M), name
    losses = re.findall(
        r"^epoch:(\d) loss:(\S+) perf = (\S+) global_ste/sec$", out, re.M
    )
    assert [number for number, _, _ in losses] == ["1", "2", "3"]
    assert all(float(loss) > 0 < float(rate) for _, loss, rate in losses)
    accuracies = re.findall(r"^epoch:(\d) train mAP: \d\.\d{6}$", out, re.M)
    assert accuracies == ["1", "2", "3"]
    # Every second epoch, and at the end.
    measured = re.findall(r"^epoch:(\d) validation mAP: \d\.\d{6}$", out, re.M)
    assert measured == ["2", "3"]
    assert len(re.findall(r"^\[i\] mAP: \d\.\d{3}$", out, re.M)) == 2
    assert len(re.findall(r"^\[i\] AP \[cat\]: ", out, re.M)) == 2
    saved = re.findall(r"^\[i\] Checkpoint saved: (\S+)$", out, re.M)
    assert saved == ["ckpt/e2.ckpt", "ckpt/final.ckpt"]
    assert "[i] Train  1/3  step 1/6" in err
    assert "[i] Train  3/3  step 6/6" in err

    assert steps_of(tmp_path / "ckpt", "*.ckpt") == {
        "e2.ckpt.index": 4,
        "final.ckpt.index": 6,
    }
    assert scalars("tb/train_accuracy")["training_mAP"] == [2, 4, 6]
    assert scalars("tb/train")["Loss/total_loss"] == [2, 4, 6]
    of_weights = scalars("tb/train_weights")
    assert all(name.endswith("/weights") for name in of_weights)
    assert of_weights["BoxPredictor_0/ClassPredictor/weights"][-2:] == [4, 6]
    assert scalars("tb/eval")["PascalBoxes_Precision/mAP@0.5IOU"] == [4, 6]
    rows = [
        json.loads(line.removeprefix("DLLL "))
        for line in (tmp_path / "log.json").read_text().splitlines()
    ]
    of_epochs = [row for row in rows if row.get("step")]
    assert [row["step"] for row in of_epochs] == [[1], [2], [3]]
    keys = {"loss", "steps/s", "images/s", "train mAP"}
    assert set(of_epochs[0]["data"]) == keys

    code, err = ends(capfd, train, "--epochs=3")
    assert code == 1 and err.startswith("ERROR: --name: ckpt is there already")


@pytest.mark.slow
def test_a_run_goes_on_in_float16_with_a_dump_and_a_trace(train, tmp_path):
    train("--epochs=3", "--checkpoint-interval=2", "--train-map-interval=0")
    out, _ = train(
        *("--epochs=4", "--continue-training=true", "--train-map-interval=0"),
        *("--checkpoint-interval=1", "--precision_mode=allow_mix_precision"),
        *("--data_dump_flag=true", "--data_dump_step=8", "--dump_path=dump"),
        *("--profiling=True", "--num-workers=1"),
    )
    assert re.search(r"^\[i\] Steps: +6 to 8$", out, re.M)
    assert "Precision mode:           allow_mix_precision, float16" in out
    assert re.findall(r"^epoch:(\d) loss", out, re.M) == ["4"]
    assert "train mAP" not in out
    assert steps_of(tmp_path / "ckpt", "*.ckpt") == {
        "e2.ckpt.index": 4,
        "e4.ckpt.index": 8,
        "final.ckpt.index": 8,
    }
    (path,) = (tmp_path / "dump").iterdir()
    assert path.name == "step-8-rank-0.npz"
    with np.load(path) as dump:
        for name in dump:
            if name.startswith("weights/"):
                assert dump[name].dtype in (np.float32, np.int64), name
    assert list((tmp_path / "tb/train/plugins/profile").iterdir())
    reader = checkpoints.Reader(str(tmp_path / "ckpt"))
    scale = reader.read("loss_scale/current_loss_scale")
    assert scale in (2.0**32, 2.0**31)

    # With checkpoints of epochs alone; the final one does not count.
    other = tmp_path / "other"
    other.mkdir()
    for pattern in ("e2.ckpt.*", "final.ckpt.*"):
        for path in (tmp_path / "ckpt").glob(pattern):
            shutil.copy(path, other)
    assert ssd_vgg16_run.go_on("other") == 4
    assert checkpoints.latest_checkpoint("other") == "other/model.ckpt-4"


def test_there_is_nothing_to_go_on_from(train, tmp_path, capfd):
    (tmp_path / "ckpt").mkdir()
    for name in ("ckpt", "missing"):
        code, err = ends(
            capfd, train, f"--name={name}", "--continue-training=true"
        )
        assert code == 1
        assert err.startswith(f"ERROR: --continue-training: {name} has no")


def test_an_overflow_is_written(train, tmp_path):
    with pytest.raises(errors.NumericsError, match="step 2: "):
        train(
            *("--epochs=2", "--lr-values=1e30;1", "--lr-boundaries=9"),
            *("--over_dump=true", f"--dump_path={tmp_path / 'dump'}"),
        )
    (path,) = (tmp_path / "dump").iterdir()
    assert path.name == "step-2-rank-0.npz"
