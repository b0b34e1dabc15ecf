"""Tests of runs in epochs, with losses and metrics of SSD300's relatives."""

import logging
import pathlib

import numpy as np
import pytest

from object_detection import model_lib
from object_detection.core import errors
from object_detection.data_decoders.sample_records import (
    make_example,
    write_records,
)
from object_detection.training.training_loop import RunConfig
from object_detection.utils import evaluation_files, exp_utils

CONFIG = (
    pathlib.Path(__file__).parents[3]
    / "configs"
    / "ssd_mobilenet_v1_fpn_shapes.config"
)
RATE = "train_config.optimizer.momentum_optimizer.learning_rate"
NMS = "model.ssd.post_processing.batch_non_max_suppression"
SMALL = (
    "model.ssd.num_classes=2",
    "model.ssd.image_resizer.fixed_shape_resizer.height=64",
    "model.ssd.image_resizer.fixed_shape_resizer.width=96",
    "model.ssd.feature_extractor.depth_multiplier=0.25",
    "model.ssd.feature_extractor.min_depth=4",
    "batch_size=2",
    "eval_config.batch_size=2",
    "eval_config.num_visualizations=1",
)
RECIPE = (
    "model.ssd.loss.classification_loss={weighted_softmax {}}",
    "model.ssd.loss.hard_negative_miner={}",
    "model.ssd.loss.normalization=BY_IMAGE",
    "model.ssd.encode_background_as_zeros=false",
    "model.ssd.post_processing.score_converter=SOFTMAX",
    f"{NMS}.max_candidates_per_class=30",
    f"{NMS}.max_candidates=50",
    f"{NMS}.one_class_per_anchor=true",
    "train_config.weight_decay={weight: 0.0005 exclude_variables: '.*/biases'}",
    f"{RATE}={{manual_step_learning_rate {{initial_learning_rate: 0.01 "
    "warmup_steps: 2 schedule {epoch: 1.5 learning_rate: 0.001}}}",
    "eval_config.metrics_set=[pascal_voc_detection_metrics]",
    "eval_config.use_11_point_average_precision=true",
    "eval_config.count_difficult=true",
    "eval_config.skip_images_with_crowds=true",
)


def record(number):
    is_crowd = number == 5
    return make_example(
        [[0.1, 0.2, 0.6, 0.75], [0.3, 0.25, 1.0, 0.625]],
        ["cat", "dog"],
        {"image/object/is_crowd": [0, int(is_crowd)]},
        size_px=(40, 50 + number),
        source_id=str(number),
    )


@pytest.fixture(scope="module")
def config_path(tmp_path_factory):
    """Five records to train on; three to measure on, one of them a crowd."""
    path = tmp_path_factory.mktemp("recipes")
    write_records(path / "train", [record(number) for number in range(5)])
    write_records(path / "val", [record(number) for number in (4, 5, 6)])
    (path / "map").write_text(
        'item { id: 1 name: "cat" } item { id: 2 name: "dog" }'
    )
    text = CONFIG.read_text()
    text = text.replace("demo/data/shapes_train.record-*", f"{path}/train")
    text = text.replace("demo/data/shapes_val.record-*", f"{path}/val")
    text = text.replace("demo/data/shapes_label_map.pbtxt", f"{path}/map")
    text = text.replace("num_steps", "num_epochs")
    (path / "epochs.config").write_text(text)
    return path / "epochs.config"


def make_job(config_path, model_dir, *overrides, **settings):
    return model_lib.create_estimator_and_inputs(
        RunConfig(str(model_dir), log_steps=1, save_summary_steps=1),
        str(config_path),
        hparams_overrides=",".join(overrides),
        **settings,
    )


def test_a_run_in_epochs_is_measured_and_goes_on(config_path, tmp_path, caplog):
    job = make_job(
        config_path, tmp_path, *SMALL, *RECIPE, "train_config.num_epochs=2"
    )
    # Of five examples two batches of two are an epoch.
    assert job.train_steps == 4
    rate = job.train_options.learning_rate
    np.testing.assert_allclose(
        rate(np.arange(4)), [0, 0.005, 0.005, 0.0005], rtol=1e-6
    )
    report = exp_utils.setup_dllogger(str(tmp_path / "log.json"))
    with caplog.at_level(logging.INFO):
        model_lib.train_and_evaluate(job, report)
    assert "Evaluation of 2 of 3 images: 1 have a box" in caplog.text
    (found,) = evaluation_files.read_records(str(tmp_path / "eval"))
    assert (found.step, found.num_images) == (4, 2)
    assert np.isfinite(found.metrics["Loss/total_loss"])
    assert "PascalBoxes_Precision/mAP@0.5IOU" in found.metrics
    assert "Pascal VOC, 11 points" in found.table
    assert {c.num_groundtruth for c in found.categories} == {2}

    # The config that was saved needs no counting, and has the same steps.
    saved = tmp_path / "pipeline.config"
    assert "epoch" not in saved.read_text().replace("examples_per_epoch: 5", "")
    again = make_job(saved, tmp_path, accumulate_steps=2)
    assert again.configs == job.configs
    assert again.estimator.prepare_training(again.train_options) == 4


@pytest.mark.parametrize(
    ("overrides", "settings", "expected"),
    [
        ({"train_config.num_epochs": 6}, {"accumulate_steps": 2}, 6),
        ({"train_steps": 7}, {}, 7),
        ({}, {"train_steps": 8}, 8),
    ],
)
def test_steps_of_a_config_in_epochs(
    config_path, tmp_path, overrides, settings, expected
):
    given = {"train_config.num_epochs": 1} | overrides
    job = make_job(
        config_path,
        tmp_path,
        *(item for item in SMALL if item.split("=")[0] not in given),
        *(f"{key}={value}" for key, value in given.items()),
        **settings,
    )
    assert job.train_steps == expected
    assert not (tmp_path / "pipeline.config").exists()


def test_an_evaluation_alone_counts_no_training_set(config_path, tmp_path):
    job = make_job(
        config_path,
        tmp_path,
        *SMALL,
        "train_input_path=/not/there/train.record",
        is_training=False,
    )
    assert job.train_steps == 0
    assert job.train_input_fn is None


def test_epochs_of_a_missing_training_set_are_refused(config_path, tmp_path):
    with pytest.raises(errors.ConfigError, match="/not/there/train.record"):
        make_job(
            config_path,
            tmp_path,
            *SMALL,
            "train_input_path=/not/there/train.record",
        )
