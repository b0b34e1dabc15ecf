"""Tests of reading and writing checkpoints, whole ones and damaged ones."""

import os

import keras
import numpy as np
import pytest
import tensorflow as tf

from object_detection.core import errors
from object_detection.training import checkpoints

WEIGHTS = np.arange(6, dtype="float32").reshape(2, 3) / 7


class Model:
    def __init__(self, **values):
        self._variables = {
            name: keras.Variable(value) for name, value in values.items()
        }

    def checkpoint_variables(self):
        return self._variables

    def arrays(self):
        return {n: np.array(v.value) for n, v in self._variables.items()}


def save(directory, step=7, **values):
    prefix = os.path.join(directory, f"model.ckpt-{step}")
    checkpoints.save(
        prefix, {**values, "global_step": np.array(step, dtype="int64")}
    )
    return prefix


def test_a_model_comes_back_with_its_step(tmp_path):
    path = save(tmp_path, 7, weights=WEIGHTS, biases=WEIGHTS[0])
    model = Model(weights=np.zeros((2, 3)), biases=np.zeros(3))

    assert checkpoints.restore(model, path) == 7

    np.testing.assert_array_equal(model.arrays()["weights"], WEIGHTS)
    np.testing.assert_array_equal(model.arrays()["biases"], WEIGHTS[0])
    assert sorted(os.listdir(tmp_path)) == [
        "model.ckpt-7.data-00000-of-00001",
        "model.ckpt-7.index",
    ]


def test_tf1_reads_what_is_written(tmp_path):
    path = save(tmp_path, 3, **{"a/b/weights": WEIGHTS})
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        variable = tf.compat.v1.get_variable("a/b/weights", [2, 3])
        tf.compat.v1.train.Saver().restore(session, path)
        np.testing.assert_array_equal(session.run(variable), WEIGHTS)


def test_the_single_file_format_of_old_is_read(tmp_path):
    path = str(tmp_path / "old.ckpt")
    tf.raw_ops.Save(
        filename=path, tensor_names=["weights"], data=[tf.constant(WEIGHTS)]
    )
    model = Model(weights=np.zeros((2, 3)))

    assert checkpoints.restore(model, path) == 0

    np.testing.assert_array_equal(model.arrays()["weights"], WEIGHTS)


def test_moving_averages_take_the_place_of_weights_when_asked(tmp_path):
    path = save(
        tmp_path,
        weights=WEIGHTS,
        mean=WEIGHTS[1],
        **{"weights/ExponentialMovingAverage": WEIGHTS + 1},
    )
    model = Model(weights=np.zeros((2, 3)), mean=np.zeros(3))

    checkpoints.restore(model, path, use_moving_averages=True)

    np.testing.assert_array_equal(model.arrays()["weights"], WEIGHTS + 1)
    np.testing.assert_array_equal(model.arrays()["mean"], WEIGHTS[1])


def test_moving_averages_that_are_not_there_are_an_error(tmp_path):
    path = save(tmp_path, weights=WEIGHTS)
    with pytest.raises(errors.CheckpointError, match="use_moving_average"):
        checkpoints.restore(
            Model(weights=WEIGHTS), path, use_moving_averages=True
        )


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        ({"weights": np.zeros((3, 2))}, r"'weights'.*\[2, 3\].*\[3, 2\]"),
        ({"weights": np.zeros((2, 3)), "more": np.zeros(1)}, "1 of 2.*'more'"),
    ],
)
def test_another_models_checkpoint_changes_nothing(tmp_path, expected, message):
    path = save(tmp_path, weights=WEIGHTS)
    model = Model(**expected)

    with pytest.raises(errors.CheckpointError, match=message):
        checkpoints.restore(model, path)

    for array in model.arrays().values():
        assert not array.any()


def cut(content):
    return content[: len(content) // 2]


def flip(content):
    middle = len(content) // 2
    return (
        content[:middle]
        + bytes([content[middle] ^ 0x10])
        + content[middle + 1 :]
    )


@pytest.mark.parametrize("damage", [cut, flip, lambda content: b""])
@pytest.mark.parametrize("suffix", [".index", ".data-00000-of-00001"])
def test_damage_is_found_before_anything_changes(tmp_path, damage, suffix):
    path = save(tmp_path, weights=WEIGHTS, biases=WEIGHTS[0])
    file = tmp_path / f"model.ckpt-7{suffix}"
    file.write_bytes(damage(file.read_bytes()))
    model = Model(weights=np.zeros((2, 3)), biases=np.zeros(3))

    with pytest.raises(errors.CheckpointError, match="model.ckpt-7"):
        checkpoints.restore(model, path)

    assert not any(array.any() for array in model.arrays().values())


@pytest.mark.parametrize("content", [b"", b"text\n", b"PK\x03\x04" * 50])
def test_a_file_of_another_kind_is_refused(tmp_path, content):
    path = tmp_path / "weights.bin"
    path.write_bytes(content)
    with pytest.raises(errors.CheckpointError, match="weights.bin"):
        checkpoints.Reader(str(path))


def test_a_missing_checkpoint_says_what_is_there(tmp_path):
    save(tmp_path, 12, weights=WEIGHTS)
    with pytest.raises(errors.CheckpointError, match="model.ckpt-12"):
        checkpoints.resolve(str(tmp_path / "model.ckpt-13"))
    with pytest.raises(errors.CheckpointError, match="is no directory"):
        checkpoints.resolve(str(tmp_path / "nothing" / "model.ckpt-1"))


@pytest.mark.parametrize("suffix", ["", ".index", ".data-00000-of-00001"])
def test_each_file_of_a_checkpoint_means_it(tmp_path, suffix):
    path = save(tmp_path, weights=WEIGHTS)
    assert checkpoints.resolve(path + suffix) == path


def test_a_directory_means_the_one_its_state_names(tmp_path):
    for step in (9, 10, 100):
        save(tmp_path, step, weights=WEIGHTS)
    state = tmp_path / "checkpoint"
    assert checkpoints.resolve(tmp_path).endswith("model.ckpt-100")
    state.write_text(checkpoints.state_text("model.ckpt-10", [], []))
    assert checkpoints.resolve(tmp_path).endswith("model.ckpt-10")
    state.write_text(checkpoints.state_text("model.ckpt-11", [], []))
    assert checkpoints.resolve(tmp_path).endswith("model.ckpt-100")
    state.write_bytes(b"\xff\x00 torn")
    assert checkpoints.resolve(tmp_path).endswith("model.ckpt-100")


def test_a_failed_write_leaves_what_was_there(tmp_path):
    path = save(tmp_path, weights=WEIGHTS)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    # The index cannot be put in its place, because a directory is there.
    (tmp_path / "model.ckpt-8.index").mkdir()

    with pytest.raises(OSError):
        save(tmp_path, 8, weights=WEIGHTS)

    (tmp_path / "model.ckpt-8.index").rmdir()
    assert checkpoints.latest_checkpoint(tmp_path) == path
    checkpoints.sweep(str(tmp_path))
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_sweep_removes_halves_alone(tmp_path):
    save(tmp_path, 5, weights=WEIGHTS)
    whole = sorted(os.listdir(tmp_path))
    for name in (
        ".tmp-12-model.ckpt-6.index",
        "model.ckpt-6.data-00000-of-00001",
    ):
        (tmp_path / name).write_bytes(b"half")
    (tmp_path / "notes.txt").write_text("mine")

    assert len(checkpoints.sweep(str(tmp_path))) == 2

    assert sorted(os.listdir(tmp_path)) == [*whole, "notes.txt"]
