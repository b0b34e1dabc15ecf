import dataclasses

import keras
import numpy as np
import pytest

from object_detection.core import conv_blocks, naming
from object_detection.core import hyperparams as hyperparams_lib

HYPERPARAMS = hyperparams_lib.ConvHyperparams(
    keras.initializers.RandomNormal(stddev=0.5),
    activation="relu6",
    batch_norm=hyperparams_lib.BatchNormParams(
        decay=0.75, epsilon=0.001, scale=True
    ),
)


def numbers(*shape, seed=0):
    return np.random.RandomState(seed).normal(size=shape).astype(np.float32)


def set_all(variables, seed=1):
    """Gives every variable values of its own, variances positive ones."""
    random = np.random.RandomState(seed)
    for name, variable in variables.items():
        value = random.normal(size=variable.shape)
        if name.endswith("moving_variance"):
            value = np.abs(value) + 0.3
        variable.assign(value)


def make_blocks(hyperparams):
    return {
        "plain": conv_blocks.conv_block("b", 2, 3, 3, hyperparams),
        "separable": conv_blocks.conv_block(
            "b", 2, 3, 3, hyperparams, separable=True
        ),
        "depthwise": conv_blocks.depthwise_block("b", 2, 3, hyperparams),
    }


@pytest.mark.parametrize("kind", ["plain", "separable", "depthwise"])
def test_frozen_normalisation_equals_its_formula(kind):
    """The scale that went into the kernels does what BatchNorm would do."""
    normalised = make_blocks(HYPERPARAMS)[kind]
    variables = naming.checkpoint_variables(normalised)
    set_all(variables)
    bare = make_blocks(HYPERPARAMS.linear().without_norm())[kind]
    for name, variable in naming.checkpoint_variables(bare).items():
        if not name.endswith("biases"):
            variable.assign(variables[name].value)
    values = {
        name.removeprefix("b/BatchNorm/"): np.asarray(variable.value)
        for name, variable in variables.items()
    }
    inputs = numbers(2, 5, 4, 2)
    centred = np.asarray(bare(inputs)) - values["moving_mean"]
    deviation = np.sqrt(values["moving_variance"] + 0.001)
    expected = centred / deviation * values["gamma"] + values["beta"]
    found = np.asarray(normalised(inputs, training=False))
    np.testing.assert_allclose(found, np.clip(expected, 0, 6), atol=1e-5)


def test_levels_share_kernels_and_have_normalisations_of_their_own():
    block = conv_blocks.conv_block("b", 2, 3, 1, HYPERPARAMS, num_levels=2)
    variables = naming.checkpoint_variables(block)
    leaves = ("gamma", "beta", "moving_mean", "moving_variance")
    assert set(variables) == {"b/weights"} | {
        f"b/BatchNorm/feature_{level}/{leaf}"
        for level in (0, 1)
        for leaf in leaves
    }
    level_0, level_1 = numbers(2, 4, 4, 2), numbers(2, 2, 3, 2, seed=5)
    block.call_levels([level_0, level_1], training=True)
    kernel = np.asarray(variables["b/weights"].value)[0, 0]
    for index, level in enumerate((level_0, level_1)):
        mean = (level @ kernel).mean(axis=(0, 1, 2))
        moved = variables[f"b/BatchNorm/feature_{index}/moving_mean"]
        np.testing.assert_allclose(
            np.asarray(moved.value), 0.25 * mean, atol=1e-6
        )


@pytest.mark.parametrize("trains", [True, False])
def test_training_normalises_with_the_batch_unless_frozen(trains):
    batch_norm = dataclasses.replace(HYPERPARAMS.batch_norm, train=trains)
    hyperparams = dataclasses.replace(
        HYPERPARAMS.linear(), batch_norm=batch_norm
    )
    block = conv_blocks.conv_block("b", 2, 3, 1, hyperparams)
    inputs = numbers(4, 6, 6, 2) + 3.0
    outputs = np.asarray(block(inputs, training=True))
    variables = naming.checkpoint_variables(block)
    moved = np.asarray(variables["b/BatchNorm/moving_mean"].value)
    if trains:
        np.testing.assert_allclose(outputs.mean((0, 1, 2)), 0, atol=1e-4)
        assert np.abs(moved).min() > 0
    else:
        frozen = np.asarray(block(inputs, training=False))
        np.testing.assert_array_equal(outputs, frozen)
        np.testing.assert_array_equal(moved, 0)


def test_without_normalisation_there_are_biases():
    block = conv_blocks.conv_block("b", 2, 3, 1, HYPERPARAMS.without_norm())
    variables = naming.checkpoint_variables(block)
    assert set(variables) == {"b/weights", "b/biases"}
    set_all(variables)
    inputs = numbers(1, 2, 3, 2)
    kernel, biases = (np.asarray(v.value) for v in variables.values())
    expected = np.clip(inputs @ kernel[0, 0] + biases, 0, 6)
    np.testing.assert_allclose(np.asarray(block(inputs)), expected, atol=1e-5)
