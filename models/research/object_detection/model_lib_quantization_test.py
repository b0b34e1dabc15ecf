"""Tests of the way from a config's graph_rewriter to what is measured."""

import os
import pathlib

import pytest

from object_detection import model_lib
from object_detection.dataset_tools import create_shapes_tf_record
from object_detection.training.training_loop import RunConfig
from object_detection.utils import evaluation_files, exp_utils

SHAPES_CONFIG = (
    pathlib.Path(__file__).parents[3]
    / "configs"
    / "ssd_mobilenet_v1_fpn_shapes.config"
)
RESIZER = "model.ssd.image_resizer.fixed_shape_resizer"
EXTRACTOR = "model.ssd.feature_extractor"
SMALL = (
    f"{RESIZER}.height=64,{RESIZER}.width=96,{EXTRACTOR}.min_depth=4,"
    f"{EXTRACTOR}.depth_multiplier=0.25,"
    "batch_size=2,eval_config.num_visualizations=0"
)
RANGE = "FeatureExtractor/MobilenetV1/Conv2d_3_pointwise/weights_quant/max"


@pytest.fixture(scope="module")
def config_path(tmp_path_factory):
    directory = tmp_path_factory.mktemp("shapes")
    create_shapes_tf_record.create_shapes_dataset(
        str(directory / "data"),
        num_train=4,
        num_val=4,
        num_shards=1,
        num_workers=1,
        seed=0,
    )
    text = SHAPES_CONFIG.read_text()
    for old, new in (("demo/data", f"{directory}/data"), ("-*", "")):
        text = text.replace(old, new)
    path = directory / "quantized.config"
    path.write_text(text + "graph_rewriter { quantization { delay: 1 } }\n")
    return str(path)


def make_job(config_path, model_dir, overrides="", **settings):
    return model_lib.create_estimator_and_inputs(
        RunConfig(str(model_dir)),
        config_path,
        hparams_overrides=f"{SMALL}{overrides}",
        **settings,
    )


def last_loss(model_dir):
    records = evaluation_files.read_records(
        os.path.join(model_dir, model_lib.VALIDATION)
    )
    return records[-1].step, records[-1].metrics["Loss/total_loss"]


def test_the_model_of_a_job_is_quantized(config_path, tmp_path):
    model = make_job(config_path, tmp_path, is_training=False).estimator.model
    variables = model.checkpoint_variables()
    assert {RANGE, "global_step"} <= variables.keys()


@pytest.mark.slow
def test_a_checkpoint_measures_as_the_training_did(config_path, tmp_path):
    report = exp_utils.setup_dllogger("")
    job = make_job(config_path, tmp_path / "run", train_steps=2)
    model_lib.train_and_evaluate(job, report)
    step, in_training = last_loss(tmp_path / "run")
    assert step == 2
    found = {}
    for delay in (1, 3):
        job = make_job(
            config_path,
            tmp_path / str(delay),
            f",graph_rewriter.quantization.delay={delay}",
            is_training=False,
        )
        model_lib.evaluate_once(job, str(tmp_path / "run"), report)
        found[delay] = last_loss(tmp_path / str(delay))[1]
    assert found[1] == pytest.approx(in_training, rel=1e-6)
    assert found[3] != pytest.approx(in_training, rel=1e-6)
