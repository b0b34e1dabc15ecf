import keras
import numpy as np
import pytest

from object_detection.core import conv_layers
from object_detection.core import hyperparams as hyperparams_lib

HYPERPARAMS = hyperparams_lib.ConvHyperparams(
    keras.initializers.RandomNormal(stddev=0.5), keras.regularizers.L2(0.25)
)


def numbers(*shape, seed=0):
    return np.random.RandomState(seed).normal(size=shape).astype(np.float32)


def reference_conv(inputs, kernel, stride, padding):
    """Convolves by the definition; `padding` is (before, after)."""
    padded = np.pad(inputs, ((0, 0), padding, padding, (0, 0)))
    side = kernel.shape[0]
    num_rows, num_columns = (
        (size - side) // stride + 1 for size in padded.shape[1:3]
    )
    rows = []
    for y in range(num_rows):
        for x in range(num_columns):
            top, left = y * stride, x * stride
            patch = padded[:, top : top + side, left : left + side]
            rows.append(np.tensordot(patch, kernel, 3))
    shape = (len(inputs), num_rows, num_columns, kernel.shape[-1])
    return np.stack(rows, axis=1).reshape(shape)


@pytest.mark.parametrize(
    ("kernel_size", "before", "after"), [(1, 0, 0), (2, 0, 1), (7, 3, 3)]
)
def test_explicit_padding_depends_on_the_kernel_alone(
    kernel_size, before, after
):
    inputs = numbers(2, 3, 5, 4)
    padded = np.asarray(conv_layers.explicit_padding(inputs, kernel_size))
    expected = np.pad(
        inputs, ((0, 0), (before, after), (before, after), (0, 0))
    )
    np.testing.assert_array_equal(padded, expected)


# 'same' puts the odd pixel of padding after, and how much there is depends
# on the size; explicit padding does not look at the size.
@pytest.mark.parametrize(
    ("size", "pad_explicitly", "padding"),
    [
        (8, False, (0, 1)),
        (9, False, (1, 1)),
        (8, True, (1, 1)),
        (9, True, (1, 1)),
    ],
)
def test_strided_convolution_pads_as_tf1(size, pad_explicitly, padding):
    conv = conv_layers.Conv2D(
        "a/conv", 2, 5, 3, HYPERPARAMS, stride=2, pad_explicitly=pad_explicitly
    )
    inputs = numbers(2, size, size, 2)
    kernel = np.asarray(conv.named_variables()["a/conv/weights"].value)
    expected = reference_conv(inputs, kernel, 2, padding)
    np.testing.assert_allclose(np.asarray(conv(inputs)), expected, atol=1e-5)


def test_the_elements_of_a_dilated_kernel_lie_apart():
    """As if zeros lay between them."""
    conv = conv_layers.Conv2D("a/conv", 2, 5, 3, HYPERPARAMS, dilation=6)
    inputs = numbers(2, 9, 14, 2)
    kernel = np.asarray(conv.named_variables()["a/conv/weights"].value)
    assert kernel.shape == (3, 3, 2, 5)
    with_zeros = np.zeros((13, 13, 2, 5), np.float32)
    with_zeros[::6, ::6] = kernel
    expected = reference_conv(inputs, with_zeros, 1, (6, 6))
    np.testing.assert_allclose(np.asarray(conv(inputs)), expected, atol=1e-5)


def test_valid_padding_starts_at_the_corner():
    conv = conv_layers.Conv2D(
        "a/conv", 2, 5, 3, HYPERPARAMS, stride=2, padding="valid"
    )
    inputs = numbers(2, 8, 8, 2)
    kernel = np.asarray(conv.named_variables()["a/conv/weights"].value)
    expected = reference_conv(inputs, kernel, 2, (0, 0))
    np.testing.assert_allclose(np.asarray(conv(inputs)), expected, atol=1e-5)


def test_a_kernel_may_be_wider_than_high():
    conv = conv_layers.Conv2D("a/conv", 2, 5, (1, 3), HYPERPARAMS)
    kernel = np.asarray(conv.named_variables()["a/conv/weights"].value)
    assert kernel.shape == (1, 3, 2, 5)
    inputs = numbers(2, 4, 6, 2)
    padded = np.pad(inputs, ((0, 0), (0, 0), (1, 1), (0, 0)))
    expected = sum(padded[:, :, x : x + 6] @ kernel[0, x] for x in range(3))
    np.testing.assert_allclose(np.asarray(conv(inputs)), expected, atol=1e-5)


def test_a_separable_convolution_may_have_several_kernels_a_channel():
    conv = conv_layers.SeparableConv2D(
        "a/conv", 2, 5, 3, HYPERPARAMS, channel_multiplier=4
    )
    depthwise, pointwise = (
        np.asarray(v.value) for v in conv.named_variables().values()
    )
    assert depthwise.shape == (3, 3, 2, 4)
    assert pointwise.shape == (1, 1, 8, 5)
    inputs = numbers(1, 4, 6, 2)
    # Channel c's kernels are the outputs 4 * c to 4 * c + 3.
    filtered = [
        reference_conv(
            inputs[..., c : c + 1], depthwise[:, :, c : c + 1], 1, (1, 1)
        )
        for c in range(2)
    ]
    expected = np.concatenate(filtered, axis=-1) @ pointwise[0, 0]
    np.testing.assert_allclose(np.asarray(conv(inputs)), expected, atol=1e-4)


def test_stem_of_resnet_pads_by_three_on_each_side():
    conv = conv_layers.Conv2D(
        "conv1", 3, 2, 7, HYPERPARAMS, stride=2, pad_explicitly=True
    )
    inputs = numbers(1, 16, 16, 3)
    kernel = np.asarray(conv.named_variables()["conv1/weights"].value)
    expected = reference_conv(inputs, kernel, 2, (3, 3))
    np.testing.assert_allclose(np.asarray(conv(inputs)), expected, atol=1e-4)


def test_separable_is_depthwise_then_pointwise():
    conv = conv_layers.SeparableConv2D("s", 2, 3, 3, HYPERPARAMS, bias_init=0.5)
    variables = conv.named_variables()
    assert {n: tuple(v.shape) for n, v in variables.items()} == {
        "s/depthwise_weights": (3, 3, 2, 1),
        "s/pointwise_weights": (1, 1, 2, 3),
        "s/biases": (3,),
    }
    depthwise, pointwise, _ = (np.asarray(v.value) for v in variables.values())
    # One kernel that does the work of both.
    kernel = depthwise * pointwise[0, 0][None, None]
    inputs = numbers(1, 4, 6, 2)
    expected = reference_conv(inputs, kernel, 1, (1, 1)) + 0.5
    np.testing.assert_allclose(np.asarray(conv(inputs)), expected, atol=1e-5)


def test_depthwise_keeps_channels_apart():
    conv = conv_layers.DepthwiseConv2D("d", 2, 3, HYPERPARAMS)
    kernel = np.asarray(conv.named_variables()["d/depthwise_weights"].value)
    inputs = numbers(1, 5, 4, 2)
    for channel in (0, 1):
        expected = reference_conv(
            inputs[..., channel : channel + 1],
            kernel[:, :, channel : channel + 1],
            1,
            (1, 1),
        )
        np.testing.assert_allclose(
            np.asarray(conv(inputs))[..., channel : channel + 1],
            expected,
            atol=1e-5,
        )


@pytest.mark.parametrize(
    "conv",
    [
        conv_layers.Conv2D("c", 2, 3, 3, HYPERPARAMS),
        conv_layers.DepthwiseConv2D("d", 3, 3, HYPERPARAMS),
        conv_layers.SeparableConv2D("s", 2, 3, 3, HYPERPARAMS),
    ],
    ids=lambda conv: conv.scope,
)
def test_scaled_kernels_scale_the_outputs(conv):
    in_channels = 3 if conv.scope == "d" else 2
    inputs = numbers(1, 4, 4, in_channels)
    scale = np.array([2.0, -0.5, 3.0], np.float32)
    shift = np.array([1.0, 2.0, 4.0], np.float32)
    found = conv.convolve(inputs, conv.kernels(scale), shift)
    expected = np.asarray(conv(inputs)) * scale + shift
    np.testing.assert_allclose(np.asarray(found), expected, atol=1e-5)


def test_each_variable_is_drawn_on_its_own():
    hyperparams = hyperparams_lib.ConvHyperparams(
        keras.initializers.RandomNormal(stddev=1.0)
    )
    first, second = (
        conv_layers.Conv2D(name, 2, 3, 3, hyperparams) for name in "ab"
    )
    difference = first.variables[0] - second.variables[0]
    assert np.abs(np.asarray(difference)).min() > 0


def test_mixed_precision_computes_low_and_stores_float32():
    conv = conv_layers.Conv2D(
        "c", 2, 3, 1, HYPERPARAMS, bias_init=1.0, dtype="mixed_bfloat16"
    )
    outputs = conv(numbers(1, 2, 2, 2))
    assert keras.backend.standardize_dtype(outputs.dtype) == "bfloat16"
    assert {v.dtype for v in conv.variables} == {"float32"}


def test_regularization_is_of_the_kernels_alone():
    conv = conv_layers.SeparableConv2D("s", 2, 3, 3, HYPERPARAMS, bias_init=9.0)
    kernels = [
        np.asarray(v.value)
        for n, v in conv.named_variables().items()
        if n.endswith("weights")
    ]
    expected = sum(0.25 * np.sum(kernel**2) for kernel in kernels)
    found = conv_layers.regularization_loss(conv.variables)
    np.testing.assert_allclose(float(found), expected, rtol=1e-5)


def test_a_shared_kernel_is_regularized_once_here_by_its_magnitudes():
    class Heads(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            hyperparams = hyperparams_lib.ConvHyperparams(
                keras.initializers.RandomNormal(), keras.regularizers.L1(0.3)
            )
            self.shared = conv_layers.Conv2D("c", 2, 3, 3, hyperparams)
            self.levels = [self.shared, self.shared]
            self.built = True

    heads = Heads()
    kernel = heads.shared.named_variables()["c/weights"].value
    found = conv_layers.regularization_loss(heads.variables)
    expected = 0.3 * np.sum(np.abs(kernel))
    np.testing.assert_allclose(float(found), expected, rtol=1e-5)


def test_no_regularizer_costs_nothing():
    hyperparams = hyperparams_lib.ConvHyperparams(keras.initializers.Ones())
    conv = conv_layers.Conv2D("c", 2, 3, 3, hyperparams)
    assert float(conv_layers.regularization_loss(conv.variables)) == 0.0
