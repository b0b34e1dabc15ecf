"""Tests of runs whose readers ask for more than the usual."""

import json
import os
import pathlib

import numpy as np
import pytest
from PIL import Image

from object_detection import model_lib
from object_detection.core import errors
from object_detection.data_decoders.sample_records import (
    encode,
    make_example,
    make_pixels,
    write_records,
)
from object_detection.training import checkpoints
from object_detection.training.training_loop import RunConfig
from object_detection.utils import evaluation_files, exp_utils

CONFIG = (
    pathlib.Path(__file__).parents[3]
    / "configs"
    / "ssd_mobilenet_v1_fpn_shapes.config"
)
SMALL = (
    "model.ssd.num_classes=2,"
    "model.ssd.image_resizer.fixed_shape_resizer.height=64,"
    "model.ssd.image_resizer.fixed_shape_resizer.width=96,"
    "model.ssd.feature_extractor.depth_multiplier=0.25,"
    "model.ssd.feature_extractor.min_depth=4,"
    "batch_size=2,eval_config.batch_size=2,eval_config.num_visualizations=1,"
)
FIRST_WEIGHTS = "FeatureExtractor/MobilenetV1/Conv2d_0/weights"
CHANNELS = (
    "train_input_reader.num_additional_channels=2,"
    "eval_input_reader[*].num_additional_channels=2,"
)


def record(number):
    size_px = (40, 50 + number)
    channels = [make_pixels(*size_px, seed)[:, :, 0] for seed in (1, 2)]
    return make_example(
        [[0.1, 0.2, 0.6, 0.75], [0.3, 0.25, 1.0, 0.625]],
        ["cat", "dog"],
        {
            "image/additional_channels/encoded": [
                encode(channel, "PNG") for channel in channels
            ]
        },
        size_px=size_px,
        source_id=str(number),
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Records to train on, 3 and 2 to measure on, and a label map."""
    path = tmp_path_factory.mktemp("readers")
    records = [record(number) for number in range(5)]
    write_records(path / "train", records)
    write_records(path / "day", records[:3])
    write_records(path / "night", records[3:])
    (path / "map").write_text(
        'item { id: 1 name: "cat" } item { id: 2 name: "dog" }'
    )
    text = CONFIG.read_text()
    text = text.replace("demo/data/shapes_train.record-*", f"{path}/train")
    text = text.replace("demo/data/shapes_val.record-*", f"{path}/day")
    text = text.replace("demo/data/shapes_label_map.pbtxt", f"{path}/map")
    (path / "one.config").write_text(text)
    (path / "two.config").write_text(
        text
        + f'eval_input_reader {{ name: "night" label_map_path: "{path}/map"'
        f' tf_record_input_reader {{ input_path: "{path}/night" }} }}'
    )
    return path


def make_job(config_path, model_dir, overrides="", **settings):
    return model_lib.create_estimator_and_inputs(
        RunConfig(str(model_dir), log_steps=1, save_summary_steps=1),
        str(config_path),
        hparams_overrides=(SMALL + overrides).rstrip(","),
        **settings,
    )


def train(config_path, model_dir, train_steps, overrides="", **settings):
    job = make_job(config_path, model_dir, overrides, train_steps=train_steps)
    model_lib.train_and_evaluate(job, report_to(model_dir), **settings)
    return job


def report_to(model_dir):
    return exp_utils.setup_dllogger(f"{model_dir}.json")


def logged(model_dir):
    lines = [
        json.loads(line.removeprefix("DLLL "))
        for line in pathlib.Path(f"{model_dir}.json").read_text().splitlines()
    ]
    return [
        set(line["data"])
        for line in lines
        if line["type"] == "LOG" and "train_throughput" not in line["data"]
    ]


def num_images(model_dir, name):
    """Images of each evaluation, by step."""
    return {
        found.step: found.num_images
        for found in evaluation_files.read_records(
            os.path.join(model_dir, name)
        )
    }


@pytest.fixture(scope="module")
def two_sets(folder, tmp_path_factory):
    model_dir = tmp_path_factory.mktemp("two") / "run"
    train(folder / "two.config", model_dir, 2, eval_count=2)
    return model_dir


def test_every_reader_is_measured_in_training(two_sets):
    assert num_images(two_sets, "eval") == {1: 3, 2: 3}
    assert num_images(two_sets, "eval_night") == {1: 2, 2: 2}
    assert list((two_sets / "eval_night").glob("events.out.tfevents.*"))
    first, second, *_ = logged(two_sets)
    assert len(first) == len(second) == 12
    assert "Precision/mAP" in first
    assert second == {f"eval_night/{name}" for name in first}


def test_the_first_reader_is_measured_as_it_is_alone(
    folder, two_sets, tmp_path
):
    job = make_job(folder / "one.config", tmp_path, is_training=False)
    model_lib.evaluate_once(job, str(two_sets), report_to(tmp_path / "r"))
    (alone,) = evaluation_files.read_records(tmp_path / "eval")
    *_, beside = evaluation_files.read_records(two_sets / "eval")
    for name, value in beside.metrics.items():
        assert alone.metrics[name] == pytest.approx(value, 1e-5), name
    assert not (tmp_path / "eval_night").exists()


def test_every_reader_is_measured_alone_and_continuously(
    folder, two_sets, tmp_path
):
    job = make_job(
        folder / "two.config",
        tmp_path,
        is_training=False,
        train_steps=2,
        sample_1_of_n_eval_examples=2,
    )
    for run in (model_lib.evaluate_once, model_lib.continuous_eval):
        run(job, str(two_sets), report_to(tmp_path))
        assert num_images(tmp_path, "eval") == {2: 2}
        # One image, where batches of the other set hold two.
        assert num_images(tmp_path, "eval_night") == {2: 1}
        assert len(logged(tmp_path)) == 2
        (tmp_path / "eval" / "evaluation-2.json").unlink()
        (tmp_path / "eval_night" / "evaluation-2.json").unlink()


def test_only_what_a_stop_left_out_is_measured_again(folder, two_sets):
    (two_sets / "eval_night" / "evaluation-2.json").unlink()
    path = two_sets / "eval" / "evaluation-2.json"
    modified_ns = path.stat().st_mtime_ns
    train(folder / "two.config", two_sets, 2, eval_count=2)
    assert num_images(two_sets, "eval_night") == {1: 2, 2: 2}
    assert path.stat().st_mtime_ns == modified_ns


def test_the_training_set_is_measured_without_the_readers(folder, tmp_path):
    job = make_job(
        folder / "two.config",
        tmp_path,
        "eval_input_reader[1].tf_record_input_reader.input_path=/none",
        is_training=False,
        eval_sets=[model_lib.TRAINING],
    )
    assert list(job.eval_input_fns) == [model_lib.TRAINING]


@pytest.mark.slow
def test_additional_channels_train_and_start_from_a_network_of_three(
    folder, two_sets, tmp_path, capsys
):
    overrides = (
        f"{CHANNELS}train_config.fine_tune_checkpoint='{two_sets}',"
        "train_config.fine_tune_checkpoint_type=detection"
    )
    train(folder / "two.config", tmp_path / "run", 1, overrides)
    assert "1 of another shape" in " ".join(capsys.readouterr().err.split())
    found = checkpoints.Reader(str(tmp_path / "run"))
    assert found.shapes[FIRST_WEIGHTS] == (3, 3, 5, 8)
    old = checkpoints.Reader(str(two_sets))
    assert old.shapes[FIRST_WEIGHTS] == (3, 3, 3, 8)
    assert num_images(tmp_path / "run", "eval_night") == {1: 2}
    picture = next((tmp_path / "run" / "eval").glob("detections-*.png"))
    assert Image.open(picture).mode == "RGB"


@pytest.mark.slow
def test_gray_images_train_and_are_measured(folder, tmp_path):
    overrides = (
        "model.ssd.image_resizer.fixed_shape_resizer.convert_to_grayscale=true"
    )
    train(folder / "one.config", tmp_path / "run", 1, overrides)
    shapes = checkpoints.Reader(str(tmp_path / "run")).shapes
    assert shapes[FIRST_WEIGHTS] == (3, 3, 1, 8)
    assert num_images(tmp_path / "run", "eval") == {1: 3}
    (path,) = (tmp_path / "run" / "eval").glob("detections-*.png")
    pixels = np.asarray(Image.open(path)).astype(int)
    # The image is gray, and what is drawn on it is not.
    assert 0.3 < np.mean(np.ptp(pixels, axis=-1) == 0) < 1


def test_the_end_of_the_data_ends_the_training(folder, tmp_path, caplog):
    train(
        folder / "one.config", tmp_path, 10, "train_input_reader.num_epochs=1"
    )
    assert "The training input ends at step 2 of 10" in caplog.text
    assert checkpoints.step_of(checkpoints.resolve(str(tmp_path))) == 2
    assert num_images(tmp_path, "eval") == {2: 3}


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            "train_input_reader.num_additional_channels=2",
            "eval_input_reader.0..num_additional_channels: is 0",
        ),
        (
            "eval_input_reader[1].num_additional_channels=2",
            "eval_input_reader.1..num_additional_channels: is 2",
        ),
        (
            "train_input_reader.num_keypoints=3",
            "options.0..random_horizontal_flip.keypoint_flip_permutation: ",
        ),
        (
            "eval_input_reader[1].label_map_path=/none",
            "eval_input_reader.1..label_map_path: /none: cannot read",
        ),
        (
            "eval_input_reader[1].tf_record_input_reader.input_path=/none",
            "eval_input_reader.1..tf_record_input_reader.input_path: '/none'",
        ),
        (
            "eval_input_reader[1].name=training_data",
            "eval_input_reader.1..name: 'training_data' would write",
        ),
    ],
)
def test_readers_that_cannot_work_are_refused_at_the_start(
    folder, tmp_path, overrides, message
):
    with pytest.raises(errors.ConfigError, match=message):
        make_job(folder / "two.config", tmp_path, overrides)
