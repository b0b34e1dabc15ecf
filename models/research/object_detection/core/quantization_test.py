"""Tests of rounding, of its ranges and of the step from which on it rounds."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from object_detection.core import conv_blocks, naming, quantization
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
    """Gives weights and statistics values of their own."""
    random = np.random.RandomState(seed)
    for name, variable in variables.items():
        value = random.normal(size=variable.shape)
        if name.endswith("moving_variance"):
            value = np.abs(value) + 0.3
        if not quantization.is_range_name(name) and "step" not in name:
            variable.assign(value)


def make_quantizer(delay=0, **arguments):
    quantizer = quantization.FakeQuantizer("a/act_quant", **arguments)
    quantizer.enable(quantization.Quantization(delay))
    return quantizer


def range_of(quantizer):
    variables = quantizer.named_variables()
    return [float(variables[f"a/act_quant/{end}"]) for end in ("min", "max")]


def rounded(values, low, high, lowest=0):
    """Rounds by the definition, zero being one of the steps from `low` on."""
    step = (high - low) / (255 - lowest)
    zero_point = np.clip(np.round(lowest - low / step), lowest, 255)
    integers = np.clip(np.round(values / step) + zero_point, lowest, 255)
    return (integers - zero_point) * step


def test_activations_are_rounded_in_a_range_that_follows_them():
    quantizer = make_quantizer()
    first, second = numbers(2, 3, 4), 2 * numbers(5, 3, seed=2) + 1
    (found,) = quantizer.fake_quantize([first], training=True)
    low, high = first.min(), first.max()
    assert range_of(quantizer) == pytest.approx([low, high])
    np.testing.assert_allclose(found, rounded(first, low, high), atol=1e-5)

    (found,) = quantizer.fake_quantize([second], training=True)
    low = 0.999 * low + 0.001 * second.min()
    high = 0.999 * high + 0.001 * second.max()
    assert range_of(quantizer) == pytest.approx([low, high], rel=1e-6)
    np.testing.assert_allclose(found, rounded(second, low, high), atol=1e-5)

    (found,) = quantizer.fake_quantize([10 * second], training=False)
    assert range_of(quantizer) == pytest.approx([low, high], rel=1e-6)
    np.testing.assert_allclose(
        found, rounded(10 * second, low, high), atol=1e-5
    )


def test_weights_have_255_steps_between_their_own_ends():
    quantizer = make_quantizer(is_of_weights=True)
    for seed in (1, 2):
        weights = numbers(30, 40, seed=seed)
        (found,) = quantizer.fake_quantize([weights], training=True)
        low, high = weights.min(), weights.max()
        assert range_of(quantizer) == [low, high]
        expected = rounded(weights, low, high, lowest=1)
        np.testing.assert_allclose(found, expected, atol=1e-5)
        assert len(np.unique(found)) <= 255


def test_zero_is_always_one_of_the_steps():
    for shift in (-9.0, 9.0):
        quantizer = make_quantizer()
        values = np.append(numbers(50) + shift, np.float32(0.0))
        (found,) = quantizer.fake_quantize([values[:-1]], training=True)
        assert 0.0 in range_of(quantizer)
        (found,) = quantizer.fake_quantize([values], training=False)
        assert float(found[-1]) == 0.0


def test_tensors_of_one_quantizer_share_its_range():
    quantizer = make_quantizer()
    small, large = np.float32([-0.5, 0.25]), np.float32([[3.0], [-0.1]])
    outputs = quantizer.fake_quantize([small, large], training=True)
    assert range_of(quantizer) == [-0.5, 3.0]
    for found, values in zip(outputs, (small, large), strict=True):
        np.testing.assert_allclose(found, rounded(values, -0.5, 3.0), atol=1e-6)


def test_without_a_range_weights_have_their_own_and_activations_none():
    values = numbers(7, 9)
    for is_of_weights in (True, False):
        quantizer = make_quantizer(is_of_weights=is_of_weights)
        (found,) = quantizer.fake_quantize([values], training=False)
        expected = values
        if is_of_weights:
            expected = rounded(values, values.min(), values.max(), lowest=1)
        np.testing.assert_allclose(found, expected, atol=1e-6)
        assert range_of(quantizer) == [0.0, 0.0]


def test_before_the_delay_ranges_follow_and_nothing_is_rounded():
    quantizer = make_quantizer(delay=2)
    values = numbers(7, 9)

    @tf.function
    def quantize(training):
        return quantizer.fake_quantize([values], training)[0]

    for step, is_rounded in enumerate([False, False, True, True]):
        quantizer.quantization.step.assign(step)
        for training in (True, False):
            found = np.asarray(quantize(training))
            assert (found != values).any() == is_rounded
        assert range_of(quantizer) == pytest.approx(
            [values.min(), values.max()]
        )


def test_without_enabling_there_is_nothing():
    quantizer = quantization.FakeQuantizer("a/act_quant")
    values = numbers(3)
    (found,) = quantizer.fake_quantize([values], training=True)
    assert found is values
    assert quantizer.named_variables() == {} and quantizer.variables == []


def test_gradients_pass_inside_the_range_alone():
    quantizer = make_quantizer()
    quantizer.fake_quantize([np.float32([-1.0, 2.0])], training=True)
    values = tf.constant([-3.0, -0.7, 0.1, 1.9, 5.0])
    with tf.GradientTape() as tape:
        tape.watch(values)
        (outputs,) = quantizer.fake_quantize([values], training=False)
        total = tf.reduce_sum(outputs * [2.0, 3.0, 4.0, 5.0, 6.0])
    np.testing.assert_array_equal(tape.gradient(total, values), [0, 3, 4, 5, 0])


def test_bfloat16_is_rounded_in_float32():
    quantizer = make_quantizer()
    values = tf.cast(numbers(200), "bfloat16")
    (found,) = quantizer.fake_quantize([values], training=True)
    assert found.dtype == tf.bfloat16
    exact = tf.cast(values, tf.float32).numpy()
    expected = rounded(exact, exact.min(), exact.max())
    np.testing.assert_array_equal(
        tf.cast(found, tf.float32),
        tf.cast(tf.cast(expected, "bfloat16"), "float32"),
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("FeatureExtractor/MobilenetV2/Conv/act_quant/max", True),
        ("BoxPredictor_0/ClassPredictor/weights_quant/min", True),
        ("P/conv2d_0/weights_quant/feature_12/min", True),
        ("FeatureExtractor/MobilenetV2/Conv/weights", False),
        ("a/min", False),
        ("a/act_quant/min/biased", False),
    ],
)
def test_names_of_ranges(name, expected):
    assert quantization.is_range_name(name) == expected


def make_block(kind, hyperparams=HYPERPARAMS, delay=0, num_levels=None):
    if kind == "depthwise":
        block = conv_blocks.depthwise_block("b", 2, 3, hyperparams)
    else:
        block = conv_blocks.conv_block(
            "b",
            2,
            3,
            3,
            hyperparams,
            separable=kind == "separable",
            num_levels=num_levels,
        )
    settings = quantization.Quantization(delay)
    quantization.enable(settings, block)
    set_all(naming.checkpoint_variables(block))
    return block, settings


def test_a_block_names_its_ranges_as_the_original_does():
    expected = {
        "plain": {"b/weights_quant"},
        "depthwise": {"b/weights_quant"},
        "separable": {"b/depthwise_weights_quant", "b/pointwise_weights_quant"},
    }
    for kind, scopes in expected.items():
        variables = naming.checkpoint_variables(make_block(kind)[0])
        ranges = {n for n in variables if quantization.is_range_name(n)}
        assert ranges == {
            f"{scope}/{end}"
            for scope in scopes | {"b/act_quant"}
            for end in ("min", "max")
        }
        assert not any(variables[name].trainable for name in ranges)
        assert "global_step" in variables


@pytest.mark.parametrize("kind", ["plain", "separable", "depthwise"])
def test_inference_rounds_the_kernels_with_the_norm_folded_in(kind):
    block, _ = make_block(kind)
    variables = naming.checkpoint_variables(block)
    arrays = {
        n.removeprefix("b/"): np.asarray(v.value) for n, v in variables.items()
    }
    scale = arrays["BatchNorm/gamma"] / np.sqrt(
        arrays["BatchNorm/moving_variance"] + 0.001
    )
    shift = arrays["BatchNorm/beta"] - arrays["BatchNorm/moving_mean"] * scale
    seen = []
    original = block._conv.convolve

    def convolve(inputs, kernels, shift=None):
        seen[:] = [np.asarray(k) for k in kernels] + [np.asarray(shift)]
        return original(inputs, kernels, shift)

    block._conv.convolve = convolve
    outputs = np.asarray(block(numbers(2, 5, 4, 2), training=False))

    leaves = {
        "plain": ["weights"],
        "depthwise": ["depthwise_weights"],
        "separable": ["depthwise_weights", "pointwise_weights"],
    }[kind]
    *kernels, found_shift = seen
    np.testing.assert_allclose(found_shift, shift, rtol=1e-5)
    for leaf, found in zip(leaves, kernels, strict=True):
        folded = arrays[leaf]
        if leaf == leaves[-1]:
            folded = folded * (scale[:, None] if kind == "depthwise" else scale)
        low, high = min(folded.min(), 0), max(folded.max(), 0)
        np.testing.assert_allclose(
            found, rounded(folded, low, high, lowest=1), atol=1e-5
        )
    assert outputs.min() >= 0 and outputs.max() <= 6.0001


@pytest.mark.parametrize("kind", ["plain", "separable", "depthwise"])
def test_training_sees_the_kernels_of_inference(kind):
    """Its outputs are inference's, normalised by their own statistics."""
    linear = HYPERPARAMS.linear()
    block, settings = make_block(kind, linear, delay=1)
    variables = naming.checkpoint_variables(block)
    inputs = numbers(3, 6, 5, 2)
    settings.step.assign(1)
    before = {n: np.asarray(v.value) for n, v in variables.items()}
    block._output_quantizer.quantization = None
    inferred = np.asarray(block(inputs, training=False))
    gamma, beta = before["b/BatchNorm/gamma"], before["b/BatchNorm/beta"]
    mean = before["b/BatchNorm/moving_mean"]
    deviation = np.sqrt(before["b/BatchNorm/moving_variance"] + 0.001)
    convolved = (inferred - beta) / gamma * deviation + mean
    batch_mean = convolved.mean((0, 1, 2))
    batch_deviation = np.sqrt(convolved.var((0, 1, 2)) + 0.001)
    expected = (convolved - batch_mean) / batch_deviation * gamma + beta

    block._output_quantizer.quantization = settings
    trained = np.asarray(block(inputs, training=True))
    low, high = trained.min(), trained.max()

    np.testing.assert_allclose(
        trained, expected, atol=1.01 * (high - low) / 255 / 2 + 1e-4
    )
    np.testing.assert_allclose(
        variables["b/BatchNorm/moving_mean"].value,
        0.75 * mean + 0.25 * batch_mean,
        atol=1e-4,
    )


@pytest.mark.parametrize("training", [True, False])
def test_before_the_delay_a_block_computes_what_it_did(training):
    plain = conv_blocks.conv_block("b", 2, 3, 3, HYPERPARAMS, num_levels=2)
    set_all(naming.checkpoint_variables(plain))
    block, settings = make_block("plain", delay=5, num_levels=2)
    for name, variable in naming.checkpoint_variables(plain).items():
        naming.checkpoint_variables(block)[name].assign(variable.value)
    levels = [numbers(2, 4, 6, 2), numbers(2, 2, 3, 2, seed=4)]
    settings.step.assign(4)
    for found, expected in zip(
        block.call_levels(levels, training),
        plain.call_levels(levels, training),
        strict=True,
    ):
        np.testing.assert_array_equal(found, expected)
    settings.step.assign(5)
    for found, expected in zip(
        block.call_levels(levels, training),
        plain.call_levels(levels, training),
        strict=True,
    ):
        difference = np.abs(np.asarray(found) - np.asarray(expected))
        assert 1e-4 < difference.max() < 0.5


def test_levels_have_ranges_of_their_own_for_their_kernels():
    block, _ = make_block("plain", num_levels=2)
    variables = naming.checkpoint_variables(block)
    block.call_levels([numbers(2, 4, 6, 2), numbers(2, 2, 3, 2)], training=True)
    found = [
        float(variables[f"b/weights_quant/feature_{i}/max"].value)
        for i in (0, 1)
    ]
    assert 0 < found[0] != found[1] > 0
    assert "b/act_quant/max" in variables


def test_every_variable_has_a_gradient_and_an_erased_channel_recovers():
    block, _ = make_block("plain", HYPERPARAMS.linear())
    variables = naming.checkpoint_variables(block)
    gamma = variables["b/BatchNorm/gamma"]
    gamma.assign([0.0, 1.5, -0.5])
    sources = {n: v.value for n, v in variables.items() if v.trainable}
    inputs, weights = numbers(2, 6, 5, 2), numbers(2, 6, 5, 3, seed=3)
    for training in (True, False):
        with tf.GradientTape() as tape:
            outputs = block(inputs, training=training)
            total = tf.reduce_sum(outputs * weights)
        gradients = tape.gradient(total, sources)
        for name, gradient in gradients.items():
            assert np.isfinite(gradient).all(), name
            assert np.abs(gradient).max() > 0, name
        assert gradients["b/BatchNorm/gamma"][0] != 0, training


def test_biases_in_place_of_a_norm():
    block, _ = make_block("plain", HYPERPARAMS.linear().without_norm())
    variables = naming.checkpoint_variables(block)
    kernel = np.asarray(variables["b/weights"].value)
    block(numbers(2, 6, 5, 2), training=True)
    assert float(variables["b/weights_quant/max"].value) == kernel.max()
    assert float(variables["b/weights_quant/min"].value) == kernel.min()
