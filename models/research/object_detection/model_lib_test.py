"""Tests of whole runs on a small data set: what is trained, measured, left."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest

from object_detection import model_lib, sample_inputs
from object_detection.core import errors
from object_detection.dataset_tools import create_shapes_tf_record
from object_detection.training import checkpoints
from object_detection.training.training_loop import RunConfig
from object_detection.utils import (
    config_util,
    evaluation_files,
    exp_utils,
)

RESEARCH = pathlib.Path(__file__).resolve().parent.parent
SHAPES_CONFIG = (
    RESEARCH.parent.parent / "configs" / "ssd_mobilenet_v1_fpn_shapes.config"
)
# The smallest detector that still has every part.
SMALL = f"{sample_inputs.SMALL_OVERRIDES},eval_config.num_visualizations=1"
NUM_VAL = 4


@pytest.fixture(scope="module")
def config_path(tmp_path_factory):
    directory = tmp_path_factory.mktemp("shapes")
    create_shapes_tf_record.create_shapes_dataset(
        str(directory / "data"),
        num_train=7,
        num_val=NUM_VAL,
        num_shards=1,
        num_workers=1,
        seed=0,
    )
    text = SHAPES_CONFIG.read_text()
    for old, new in (("demo/data", f"{directory}/data"), ("-*", "")):
        text = text.replace(old, new)
    path = directory / "small.config"
    path.write_text(text)
    return str(path)


def make_job(config_path, model_dir, overrides="", **settings):
    return model_lib.create_estimator_and_inputs(
        RunConfig(str(model_dir), log_steps=1, save_summary_steps=1),
        config_path,
        hparams_overrides=SMALL + ("," + overrides if overrides else ""),
        **settings,
    )


def report_to(path):
    return exp_utils.setup_dllogger(str(path))


def train(config_path, model_dir, train_steps, overrides="", **settings):
    job = make_job(config_path, model_dir, overrides, train_steps=train_steps)
    model_lib.train_and_evaluate(
        job, report_to(f"{model_dir}.json"), **settings
    )
    return job


def evaluations(model_dir, name=model_lib.VALIDATION):
    return {
        record.step: record
        for record in evaluation_files.read_records(
            os.path.join(model_dir, name)
        )
    }


def logged(path):
    lines = [
        json.loads(line.removeprefix("DLLL "))
        for line in pathlib.Path(path).read_text().splitlines()
    ]
    return [line["data"] for line in lines if line["type"] == "LOG"]


def tensors(model_dir):
    reader = checkpoints.Reader(str(model_dir))
    return {name: reader.read(name) for name in reader.shapes}


@pytest.fixture(scope="module")
def trained(config_path, tmp_path_factory):
    """A run of four steps that is measured at the second and the fourth."""
    model_dir = tmp_path_factory.mktemp("whole") / "run"
    train(config_path, model_dir, 4, eval_count=2)
    return model_dir


def test_a_run_leaves_all_that_is_promised(trained):
    assert {path.name for path in trained.iterdir()} >= {
        *("checkpoint", "pipeline.config", "train", "eval"),
        *(f"model.ckpt-{step}.index" for step in (0, 2, 4)),
    }
    assert sorted(evaluations(trained)) == [2, 4]
    assert evaluations(trained)[4].num_images == NUM_VAL
    for name in ("train", "eval"):
        assert list((trained / name).glob("events.out.tfevents.*"))


def test_the_config_is_left_as_resolved(trained):
    configs = config_util.get_configs_from_pipeline_file(
        trained / "pipeline.config"
    )
    assert configs["train_config"].num_steps == 4
    assert configs["train_config"].batch_size == 2
    resizer = configs["model"].ssd.image_resizer.fixed_shape_resizer
    assert (resizer.height, resizer.width) == (64, 96)


def test_the_report_has_throughput_and_the_twelve_values(trained):
    data = logged(f"{trained}.json")
    assert [sorted(entry) for entry in data[::2]] == [["train_throughput"]] * 2
    for entry, step in zip(data[1::2], (2, 4), strict=True):
        assert len(entry) == 12
        metrics = evaluations(trained)[step].metrics
        for name, value in entry.items():
            assert metrics[f"DetectionBoxes_{name}"] == value


def test_a_run_in_two_parts_ends_in_the_same_bits(
    config_path, trained, tmp_path
):
    train(config_path, tmp_path, 3, eval_count=0)
    train(config_path, tmp_path, 4, eval_count=0)
    expected, found = tensors(trained), tensors(tmp_path)
    assert sorted(found) == sorted(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


def test_a_finished_run_is_left_as_it_is(config_path, trained):
    before = tensors(trained)
    modified = (trained / "eval" / "evaluation-4.json").stat().st_mtime_ns
    train(config_path, trained, 4, eval_count=2)
    np.testing.assert_equal(tensors(trained), before)
    path = trained / "eval" / "evaluation-4.json"
    assert path.stat().st_mtime_ns == modified


def test_alone_it_measures_the_same_numbers(config_path, trained, tmp_path):
    job = make_job(
        config_path, tmp_path, "eval_config.batch_size=3", is_training=False
    )
    assert job.train_options is None and job.train_input_fn is None
    model_lib.evaluate_once(job, str(trained), report_to(tmp_path / "r.json"))
    found = evaluations(tmp_path)[4].metrics
    for name, value in evaluations(trained)[4].metrics.items():
        assert found[name] == pytest.approx(value, rel=1e-5, abs=1e-9), name
    assert len(logged(tmp_path / "r.json")[0]) == 12


@pytest.mark.parametrize(
    ("sample_1_of_n", "num_images"), [(1, 7), (3, 3), (5, 2)]
)
def test_every_nth_example_of_the_training_set_is_measured(
    config_path, trained, tmp_path, sample_1_of_n, num_images
):
    job = make_job(
        config_path,
        tmp_path,
        is_training=False,
        sample_1_of_n_eval_on_train_examples=sample_1_of_n,
        eval_sets=[model_lib.TRAINING],
        overrides="eval_input_path=/not/on/this/machine",
    )
    model_lib.evaluate_once(
        job, str(trained), report_to(""), name=model_lib.TRAINING
    )
    found = evaluations(tmp_path, model_lib.TRAINING)[4]
    assert found.num_images == num_images


# Of a config in epochs, the steps are those that the training left.
@pytest.mark.parametrize(
    "overrides",
    [
        "train_config.num_steps=4",
        "train_config.num_steps=0,train_config.num_epochs=1",
    ],
)
def test_continuous_evaluation_ends_with_the_training(
    overrides, config_path, trained, tmp_path
):
    job = make_job(
        config_path,
        tmp_path,
        overrides,
        is_training=False,
        sample_1_of_n_eval_examples=2,
    )
    model_lib.continuous_eval(job, str(trained), report_to(""), min_seconds=0.0)
    assert evaluations(tmp_path)[4].num_images == NUM_VAL // 2


def test_an_exported_checkpoint_is_measured_once(
    config_path, trained, tmp_path
):
    for path in trained.glob("model.ckpt-4.*"):
        name = path.name.replace("model.ckpt-4", "model.ckpt")
        shutil.copy(path, tmp_path / name)
    job = make_job(
        config_path, tmp_path / "out", is_training=False, train_steps=400
    )
    model_lib.continuous_eval(job, str(tmp_path), report_to(""))
    assert evaluations(tmp_path / "out")[4].num_images == NUM_VAL


def test_predictions_come_one_by_one(config_path, trained, tmp_path):
    job = make_job(
        config_path, tmp_path, "eval_config.batch_size=3", is_training=False
    )
    predictions = list(
        job.estimator.predict(
            job.eval_input_fns[model_lib.VALIDATION],
            checkpoint_path=str(trained),
        )
    )
    assert len(predictions) == NUM_VAL
    for prediction in predictions:
        boxes = prediction["detection_boxes"]
        assert boxes.shape == (*prediction["detection_scores"].shape, 4)
        assert prediction["num_detections"] <= len(boxes)


@pytest.mark.slow
def test_moving_averages_are_measured_when_asked(config_path, tmp_path):
    averages = (
        "train_config.optimizer.use_moving_average=true,"
        "train_config.optimizer.moving_average_decay=0.5,"
        "eval_config.use_moving_averages="
    )
    train(config_path, tmp_path / "run", 2, averages + "true")
    in_training = evaluations(tmp_path / "run")[2].metrics
    found = {}
    for value in ("true", "false"):
        job = make_job(
            config_path,
            tmp_path / value,
            averages + value,
            is_training=False,
        )
        model_lib.evaluate_once(job, str(tmp_path / "run"), report_to(""))
        found[value] = evaluations(tmp_path / value)[2].metrics
    loss = "Loss/total_loss"
    assert found["true"][loss] == pytest.approx(in_training[loss], rel=1e-5)
    assert found["false"][loss] != pytest.approx(in_training[loss], rel=1e-5)


def test_checkpoints_are_kept_as_often_as_the_config_says(
    config_path, tmp_path
):
    job = make_job(
        config_path, tmp_path, "train_config.keep_checkpoint_every_n_hours=3"
    )
    assert job.estimator.config.keep_checkpoint_every_n_hours == 3


def test_evaluations_lie_where_they_are_asked_for():
    steps = model_lib._evaluation_steps
    assert steps(10, 1, None) == {10}
    assert steps(10, 3, None) == {3, 6, 10}
    assert steps(10, 0, 4) == {4, 8}
    assert steps(10, 1, 4) == {4, 8, 10}
    assert steps(2, 5, None) == {1, 2}
    assert steps(10, 0, None) == set()


@pytest.mark.parametrize(
    ("overrides", "error", "message"),
    [
        ("model.ssd.num_classes=4", errors.ConfigError, "num_classes"),
        ("train_input_path=/none/*.rec", errors.ConfigError, "/none/"),
        (
            "train_config.freeze_variables=['.']",
            errors.ConfigError,
            "no variable is left",
        ),
        (
            "train_config.fine_tune_checkpoint=/none/net.ckpt",
            errors.CheckpointError,
            "/none/net.ckpt",
        ),
        (
            "train_config.optimizer.momentum_optimizer."
            "momentum_optimizer_value=7",
            errors.ConfigError,
            "momentum",
        ),
    ],
)
def test_what_cannot_work_is_refused(
    config_path, tmp_path, overrides, error, message
):
    with pytest.raises(error, match=message):
        train(config_path, tmp_path / "run", 2, overrides)


def test_a_damaged_record_is_named(config_path, tmp_path):
    data = pathlib.Path(config_path).parent / "data"
    (whole,) = data.glob("shapes_train.record*")
    cut = tmp_path / "cut.record"
    cut.write_bytes(whole.read_bytes()[:-1000])
    with pytest.raises(errors.DataError, match="cut.record"):
        train(config_path, tmp_path / "run", 9, f"train_input_path={cut}")


def run_model_main(command, config_path, model_dir, *flags, **settings):
    return subprocess.Popen(
        [
            *(sys.executable, *command),
            f"--pipeline_config_path={config_path}",
            f"--model_dir={model_dir}",
            f"--hparams_overrides={SMALL}",
            "--raport_file=",
            *flags,
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **settings,
    )


def test_the_command_runs_as_a_file_and_stops_by_a_signal(
    config_path, tmp_path
):
    process = run_model_main(
        ["object_detection/model_main.py"],
        config_path,
        tmp_path,
        "--num_train_steps=100000",
        "--log_steps=1",
        cwd=RESEARCH,
    )
    for line in process.stderr:
        if line.startswith("step 3/100000"):
            process.send_signal(signal.SIGTERM)
            break
    process.communicate(timeout=300)
    assert process.returncode == 143
    step = checkpoints.step_of(checkpoints.latest_checkpoint(str(tmp_path)))
    assert 3 <= step < 100000


def test_the_command_runs_as_a_module_and_ends_with_a_code(
    config_path, tmp_path
):
    process = run_model_main(
        ["-m", "object_detection.model_main"],
        config_path,
        tmp_path,
        f"--checkpoint_dir={tmp_path / 'none'}",
        "--run_once",
        cwd=tmp_path,
    )
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == 4
    assert "none" in stderr.splitlines()[-1]
    assert "Traceback" not in stderr


def test_an_evaluation_needs_no_training_set(config_path, trained, tmp_path):
    job = make_job(
        config_path,
        tmp_path,
        "train_input_path=/not/on/this/machine",
        is_training=False,
    )
    model_lib.evaluate_once(job, str(trained), report_to(""))
    assert evaluations(tmp_path)[4].num_images > 0
