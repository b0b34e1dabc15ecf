"""Tests of training in several processes: it is that of one, on all batches."""

import sys

import numpy as np
import pytest
import tensorflow as tf
from launch import launch, needs_horovod, needs_mpirun, train_tiny
from small_shapes import record_path, write_config

from object_detection.core.standard_fields import LossFields
from object_detection.training import checkpoints
from object_detection.utils import report

pytestmark = [pytest.mark.distributed, needs_horovod]

MEAN = "FeatureExtractor/net/BatchNorm/moving_mean"
WEIGHTS = "FeatureExtractor/net/weights"
LOSS_SCALE = "loss_scale/current_loss_scale"


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Two processes that begin with other weights and have other batches."""
    run = train_tiny(2, tmp_path_factory.mktemp("two"))
    assert run.codes == {0: 0, 1: 0}, run.output
    return run


def assert_same(found, expected, **tolerance):
    assert set(found) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(
            found[name], value, **tolerance, err_msg=name
        )


def test_all_processes_hold_and_report_the_same(two):
    assert_same(two.variables(1), two.variables(0), rtol=0.0)
    assert two.steps(1) == two.steps(0)
    assert len(two.steps()) == 12
    assert np.any(two.variables()[MEAN])


def test_it_is_one_process_with_the_batches_as_parts(two, tmp_path):
    one = train_tiny(1, tmp_path, num_joined=2)
    assert_same(one.variables(), two.variables(), rtol=1e-5, atol=1e-6)
    for found, expected in zip(one.steps(), two.steps(), strict=True):
        assert found == pytest.approx(expected, rel=1e-5)


def test_an_overflow_of_one_skips_the_step_on_all(tmp_path):
    run = train_tiny(2, tmp_path, fault="overflow", use_loss_scale=True)
    assert run.codes == {0: 0, 1: 0}, run.output
    for rank in (0, 1):
        applied = [step["is_applied"] for step in run.steps(rank)]
        assert applied == [True] * 5 + [False] + [True] * 6
    assert run.variables()[LOSS_SCALE] == 2.0**14
    assert_same(run.variables(1), run.variables(0), rtol=0.0)


def test_gradients_may_travel_as_float16(two, tmp_path):
    run = train_tiny(2, tmp_path, compress_gradients=True)
    found, expected = run.variables()[WEIGHTS], two.variables()[WEIGHTS]
    assert np.any(found != expected)
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_xla_compiles_around_the_exchange_of_gradients(two, tmp_path):
    run = train_tiny(2, tmp_path, jit_compile=True)
    assert run.codes == {0: 0, 1: 0}, run.output
    assert_same(run.variables(), two.variables(), rtol=1e-4, atol=1e-5)


def test_a_late_process_is_waited_for(two, tmp_path):
    # Horovod alone waits for 30 seconds.
    run = train_tiny(2, tmp_path, late_seconds=35.0)
    assert run.codes == {0: 0, 1: 0}, run.output
    assert_same(run.variables(), two.variables(), rtol=1e-5, atol=1e-6)


@needs_mpirun
def test_mpirun_starts_it_too(two, tmp_path):
    run = train_tiny(2, tmp_path, launcher="mpirun")
    assert run.codes == {0: 0, 1: 0}, run.output
    assert_same(run.variables(), two.variables(), rtol=1e-5, atol=1e-6)


def _inverted(serialized):
    """The record of another picture with the same boxes."""
    example = tf.train.Example.FromString(serialized)
    feature = example.features.feature
    pixels = tf.io.decode_image(feature["image/encoded"].bytes_list.value[0])
    encoded = tf.io.encode_jpeg(255 - pixels, quality=95).numpy()
    feature["image/encoded"].bytes_list.value[0] = encoded
    feature["image/source_id"].bytes_list.value[0] += b"-inverted"
    return example.SerializeToString()


def _train_shapes(num_processes, directory, records, batch_size, *flags):
    data = directory / "data"
    data.mkdir(parents=True)
    with tf.io.TFRecordWriter(str(data / "train.record")) as writer:
        for record in records:
            writer.write(record)
    config = write_config(
        directory,
        train_path=data / "train.record",
        eval_path=data / "train.record",
        batch_size=batch_size,
        in_order=True,
    )
    run = launch(
        num_processes,
        [
            *(sys.executable, "-m", "object_detection.model_main"),
            f"--pipeline_config_path={config}",
            f"--model_dir={directory}/model",
            *("--num_train_steps=6", "--log_steps=1", "--eval_count=0"),
            *flags,
        ],
        directory,
    )
    assert set(run.codes.values()) == {0}, run.output
    tag = LossFields.total_loss
    points = report.read_scalars(str(directory / "model" / "train"), [tag])
    latest = checkpoints.latest_checkpoint(str(directory / "model"))
    return points[tag], checkpoints.Reader(latest)


def test_two_processes_train_shapes_as_one_with_the_joined_batch(tmp_path):
    # Each process normalises by its own matches, so both get as many.
    path = record_path(tmp_path, num_images=6)
    ours = list(tf.data.TFRecordDataset(path).as_numpy_iterator())
    theirs = [_inverted(record) for record in ours]
    joined = [
        record
        for start in (0, 2, 4)
        for part in (ours, theirs)
        for record in part[start : start + 2]
    ]
    two_losses, two_weights = _train_shapes(
        2, tmp_path / "two", ours + theirs, batch_size=2
    )
    joined_run = _train_shapes(1, tmp_path / "one", joined, batch_size=4)
    parts_run = _train_shapes(
        *(1, tmp_path / "parts", joined, 2), "--accumulate_steps=2"
    )
    assert list(two_losses) == [1, 2, 3, 4, 5, 6]
    assert len(set(two_losses.values())) == 6
    for losses, weights in (joined_run, parts_run):
        assert list(losses) == list(two_losses)
        np.testing.assert_allclose(
            list(two_losses.values()), list(losses.values()), rtol=2e-5
        )
        assert set(two_weights.shapes) == set(weights.shapes)
        for name in weights.shapes:
            np.testing.assert_allclose(
                two_weights.read(name), weights.read(name), atol=2e-5
            )
