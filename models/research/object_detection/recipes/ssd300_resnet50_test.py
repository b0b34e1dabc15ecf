"""Runs NVIDIA's SSD300 command on a few images, with a small network."""

import json
import os
import re
import shutil

import pytest
import tensorflow as tf
from absl import logging

from object_detection.core import errors
from object_detection.data_decoders import sample_image_sets
from object_detection.inference import detector
from object_detection.recipes import jobs, ssd300_resnet50
from object_detection.recipes import ssd300_resnet50_flags as flags
from object_detection.training import checkpoints
from object_detection.utils import label_map_util

# Of the five images with boxes, two batches of two are an epoch.
SMALL = (
    "model.ssd.image_resizer.fixed_shape_resizer.height=64,"
    "model.ssd.image_resizer.fixed_shape_resizer.width=96,"
    "model.ssd.feature_extractor.type=ssd_mobilenet_v1,"
    "model.ssd.feature_extractor.depth_multiplier=0.25,"
    "model.ssd.feature_extractor.min_depth=4,"
    "eval_config.num_visualizations=0"
)
TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}"
NUMBER = r"[0-9.e+-]+"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """COCO's folders, with 7 images to train on and 4 to measure on."""
    folder = tmp_path_factory.mktemp("coco")
    (folder / "annotations").mkdir()
    for part, count in (("train2017", 7), ("val2017", 4)):
        images = sample_image_sets.make_images(count)
        made = sample_image_sets.write_coco(folder / "made", images)
        shutil.move(made / "images", folder / part)
        shutil.move(
            made / "boxes.json",
            folder / "annotations" / f"instances_{part}.json",
        )
    sample_image_sets.write_label_map(folder)
    return folder


@pytest.fixture(autouse=True)
def settings_of_the_process():
    verbosity = logging.get_verbosity()
    yield
    logging.set_verbosity(verbosity)
    tf.config.experimental.enable_tensor_float_32_execution(True)
    tf.config.optimizer.set_experimental_options({"layout_optimizer": True})


def run(data, *arguments):
    ssd300_resnet50.main(
        flags.parser("").parse_args(
            [
                f"--data={data}",
                f"--label-map={data}/map.pbtxt",
                f"--hparams_overrides={SMALL}",
                "--backbone-path=none",
                *("--bs", "2", "--ebs", "3", "--seed", "5"),
                *("--epochs", "3", "--log-interval", "1"),
                *map(str, arguments),
            ]
        )
    )


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """A training of three epochs: its directory and its summary."""
    directory = tmp_path_factory.mktemp("{whole}")
    run(
        *(data, "--save", directory / "models"),
        *("--evaluation", 0, 2, 9),
        *("--json-summary", directory / "summary.json"),
    )
    lines = (directory / "summary.json").read_text().splitlines()
    rows = [json.loads(line.removeprefix("DLLL ")) for line in lines]
    return directory / "models", rows


def logged(rows, name):
    return {
        tuple(row["step"]): row["data"][name]
        for row in rows
        if row["type"] == "LOG" and name in row["data"]
    }


def printed_lines(capsys):
    return capsys.readouterr().out.splitlines()


def test_summary_of_a_training(whole):
    _, rows = whole
    units = {
        row["metric"]: row["metadata"]["unit"]
        for row in rows
        if row["type"] == "METADATA"
    }
    assert units["time"] == units["total time"] == "s"
    assert units["avg_img/sec"] == "images/s"
    assert {"loss", "mAP"} <= set(units)
    (parameters,) = (r for r in rows if r.get("step") == "PARAMETER")
    assert parameters["data"]["batch size"] == 2
    assert parameters["data"]["seed"] == 5
    assert parameters["data"]["total learning rate"] == 2.6e-3 / 16
    losses = logged(rows, "loss")
    assert list(losses) == [(e, 2 * e + s) for e in range(3) for s in (0, 1)]
    assert all(loss > 0 for loss in losses.values())
    seconds = logged(rows, "time")
    assert list(seconds) == [(0,), (1,), (2,)]
    assert logged(rows, "total time") == {(): sum(seconds.values())}
    assert list(logged(rows, "mAP")) == [(0,), (2,)]


def test_checkpoints_of_a_training(whole):
    directory, rows = whole
    names = logged(rows, "model path")
    assert names == {
        (epoch, 2 * (epoch + 1)): str(directory / f"epoch_{epoch}")
        for epoch in range(3)
    }
    for (_, step), name in names.items():
        assert checkpoints.global_step(checkpoints.Reader(name)) == step
    label_map = label_map_util.get_label_map_dict(
        str(directory / "label_map.pbtxt")
    )
    assert label_map == {"cat": 1, "dog": 2, "toothbrush": 3}
    found = detector.Detector.from_checkpoint(str(directory / "epoch_1"))
    assert found.class_name(3) == "toothbrush"


@pytest.mark.slow
def test_a_checkpoint_is_gone_on_from(data, whole, tmp_path, capsys):
    directory, rows = whole
    run(
        *(data, "--save", tmp_path, "--evaluation"),
        *("--checkpoint", directory / "epoch_0"),
    )
    losses = logged(rows, "loss")
    lines = [
        re.sub(TIME, "TIME", line)
        for line in printed_lines(capsys)
        if " loss : " in line
    ]
    assert lines == [
        f"DLL TIME - {step} loss : {losses[step]}"
        for step in ((1, 2), (1, 3), (2, 4), (2, 5))
    ]
    assert not (tmp_path / "epoch_0.index").exists()
    assert (tmp_path / "epoch_2.index").exists()


@pytest.mark.slow
def test_an_evaluation(data, whole, tmp_path, capsys):
    directory, rows = whole
    run(
        *(data, "--save", tmp_path, "--mode", "evaluation"),
        *("--checkpoint", directory / "epoch_2"),
    )
    precision = logged(rows, "mAP")[2,]
    lines = printed_lines(capsys)
    first_line = next(n for n, x in enumerate(lines) if " Average " in x)
    assert re.fullmatch(
        rf"Predicting Ended, total time: {NUMBER} s", lines[first_line - 1]
    )
    assert sum(line.startswith(" Average ") for line in lines) == 12
    assert f"Current AP: {precision:.5f}" in lines
    assert lines[-1] == f"Model precision {precision} mAP"


@pytest.mark.parametrize("mode", ["training", "evaluation"])
def test_a_checkpoint_that_is_not_there(data, tmp_path, mode):
    with pytest.raises(
        errors.CheckpointError,
        match="^Provided checkpoint is not path to a file: .*epoch_9",
    ):
        run(
            *(data, "--save", tmp_path / "models", "--mode", mode),
            *("--checkpoint", tmp_path / "epoch_9"),
        )
    assert not (tmp_path / "models").exists()


def test_first_weights_that_are_not_there(data, tmp_path):
    with pytest.raises(errors.CheckpointError, match="--backbone-path: /none"):
        run(data, "--save", tmp_path, "--backbone-path", "/none.safetensors")
    assert os.listdir(tmp_path) == []


def speed_of(capsys):
    lines = printed_lines(capsys)
    speeds = re.compile(
        f"DLL {TIME} - \\(\\) avg_img/sec : ({NUMBER})  med_img/sec : "
        f"{NUMBER}  min_img/sec : ({NUMBER})  max_img/sec : ({NUMBER})"
    )
    (found,) = filter(None, map(speeds.fullmatch, lines))
    average, least, greatest = map(float, found.groups())
    assert 0 < least <= average <= greatest
    (done,) = (s for s in lines if s.startswith("Done benchmarking. Total"))
    return average, done, lines[-1]


@pytest.mark.slow
def test_speed_of_training(data, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(
        *(data, "--mode", "benchmark-training"),
        *("--benchmark-warmup", 1, "--benchmark-iterations", 3),
    )
    average, done, last = speed_of(capsys)
    assert "Total images: 6\t" in done
    assert last == f"Training performance = {average:.3f} FPS"
    assert os.listdir(tmp_path) == []


@pytest.mark.slow
def test_speed_of_inference(data, whole, capsys):
    run(
        *(data, "--mode", "benchmark-inference"),
        *("--checkpoint", whole[0] / "epoch_2"),
        *("--benchmark-warmup", 1, "--benchmark-iterations", 4),
    )
    _, done, last = speed_of(capsys)
    assert "Total images: 12\t" in done
    assert re.fullmatch(f"Images/sec with input: {NUMBER}", last)


@pytest.mark.parametrize(
    ("arguments", "is_allowed", "has_layout_optimizer"),
    [
        ([], True, None),
        (["--no-allow-tf32", "--data-layout", "channels_last"], False, False),
        (["--allow-tf32", "--data-layout", "channels_first"], True, True),
    ],
)
def test_settings_of_the_machine(arguments, is_allowed, has_layout_optimizer):
    ssd300_resnet50._set_up_process(flags.parser("").parse_args(arguments))
    enabled = tf.config.experimental.tensor_float_32_execution_enabled()
    assert enabled == is_allowed
    options = tf.config.optimizer.get_experimental_options()
    if has_layout_optimizer is not None:
        assert options["layout_optimizer"] == has_layout_optimizer


@pytest.mark.parametrize(
    ("arguments", "dtype", "is_scaled"),
    [
        ([], "float32", False),
        (["--amp", "--amp-dtype", "float16"], "float16", True),
        (["--amp", "--amp-dtype", "bfloat16"], "bfloat16", False),
        (["--no-amp"], "float32", False),
    ],
)
def test_precision(data, tmp_path, monkeypatch, arguments, dtype, is_scaled):
    jobs_made = []
    create_job = jobs.create_job

    def note(*args, **settings):
        jobs_made.append(create_job(*args, **settings))
        raise errors.ConfigError("far enough")

    monkeypatch.setattr(jobs, "create_job", note)
    with pytest.raises(errors.ConfigError, match="far enough"):
        run(data, "--save", tmp_path, *arguments)
    (job,) = jobs_made
    assert job.train_options.use_loss_scale == is_scaled
    names = job.estimator.model.checkpoint_variables()
    assert {v.dtype for n, v in names.items() if "weights" in n} == {"float32"}
    policies = {
        layer.compute_dtype
        for layer in job.estimator.model.feature_extractor._flatten_layers()
    }
    assert dtype in policies
    assert policies <= {dtype, "float32"}
