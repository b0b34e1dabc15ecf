"""Tests of training in 16-bit types beside training in float32."""

import numpy as np
import pytest
import tensorflow as tf

from object_detection import model_lib, model_lib_test
from object_detection.core.standard_fields import InputDataFields
from object_detection.training.training_loop import RunConfig
from object_detection.utils import exp_utils, report

config_path = model_lib_test.config_path

NUM_STEPS = 50
TAG = "Loss/total_loss"


def make_job(config_path, model_dir, compute_dtype):
    return model_lib.create_estimator_and_inputs(
        RunConfig(str(model_dir), log_steps=1, save_summary_steps=1),
        config_path,
        hparams_overrides=model_lib_test.SMALL,
        train_steps=NUM_STEPS,
        compute_dtype=compute_dtype,
    )


def losses(config_path, model_dir, dtype):
    """Returns the loss of each step."""
    job = make_job(config_path, model_dir, dtype)
    model_lib.train_and_evaluate(
        job, exp_utils.setup_dllogger(""), eval_count=0
    )
    points = report.read_scalars(str(model_dir / "train"), [TAG])[TAG]
    return np.array(list(points.values()))


@pytest.fixture(scope="module")
def full_precision(config_path, tmp_path_factory):
    return losses(config_path, tmp_path_factory.mktemp("full"), "float32")


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_losses_agree_with_those_of_float32(
    config_path, tmp_path, full_precision, dtype
):
    found = losses(config_path, tmp_path, dtype)
    assert len(found) == len(full_precision) == NUM_STEPS
    np.testing.assert_allclose(found[0], full_precision[0], rtol=0.01)
    # Single losses part as the weights do; the course does not.
    for part in np.split(np.arange(NUM_STEPS), 5):
        assert found[part].mean() == pytest.approx(
            full_precision[part].mean(), rel=0.1
        )
    assert full_precision[-10:].mean() < 0.7 * full_precision[0]
    assert np.any(found != full_precision)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_networks_compute_in_the_type_and_keep_float32(
    config_path, tmp_path, dtype
):
    job = make_job(config_path, tmp_path, dtype)
    model = job.estimator.model
    features, _ = next(iter(job.train_input_fn(0)))
    maps = model.feature_extractor(
        model.normalize(features[InputDataFields.image]), training=True
    )
    assert {feature_map.dtype for feature_map in maps} == {tf.as_dtype(dtype)}
    predictions = model.predict(
        model.normalize(features[InputDataFields.image]),
        features[InputDataFields.true_image_shape],
    )
    assert predictions["box_encodings"].dtype == tf.float32
    variables = model.checkpoint_variables().values()
    assert {variable.dtype for variable in variables} == {"float32"}
