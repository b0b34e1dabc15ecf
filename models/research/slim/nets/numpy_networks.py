"""Networks by their definitions, in numpy, which tests compare with.

Images and kernels are laid out as in PyTorch: [B, F, H, W] and [out, in, h,
w]. Dimensions: B image, F channel, H height, W width.
"""

from collections.abc import Mapping

import numpy as np

State = Mapping[str, np.ndarray]

_NUM_UNITS = {18: (2, 2, 2), 50: (3, 4, 6)}
_BATCH_NORM_EPSILON = 1e-5


def conv2d(
    images: np.ndarray,
    kernel: np.ndarray,
    stride: int = 1,
    padding: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0)),
    dilation: int = 1,
) -> np.ndarray:
    """Convolves; `padding` is of zeros before and after, rows first."""
    windows = _windows(
        np.pad(images, ((0, 0), (0, 0), *padding)),
        [(side - 1) * dilation + 1 for side in kernel.shape[2:]],
        stride,
    )[..., ::dilation, ::dilation]
    outputs = np.tensordot(windows, kernel, ((1, 4, 5), (1, 2, 3)))
    return outputs.transpose(0, 3, 1, 2)


def max_pool(
    images: np.ndarray,
    side: int,
    stride: int,
    padding: tuple[tuple[int, int], tuple[int, int]],
) -> np.ndarray:
    """Takes the greatest of each window; padding never is."""
    padded = np.pad(images, ((0, 0), (0, 0), *padding), constant_values=-np.inf)
    return _windows(padded, (side, side), stride).max((4, 5))


def same_padding(
    size: tuple[int, int], side: int, stride: int = 1, dilation: int = 1
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Returns TensorFlow's 'SAME': what is missing, half of it before."""

    def of_axis(length: int) -> tuple[int, int]:
        reach = (side - 1) * dilation + 1
        missing = max((-(-length // stride) - 1) * stride + reach - length, 0)
        return missing // 2, missing - missing // 2

    return of_axis(size[0]), of_axis(size[1])


def relu(values: np.ndarray) -> np.ndarray:
    """Returns the values, 0 for those below."""
    return np.maximum(values, 0)


def resnet_block3(images: np.ndarray, state: State) -> np.ndarray:
    """Computes torchvision's ResNet up to layer3, whose stride is 1.

    Args:
        images: [B, 3, H, W], normalised.
        state: its state dict.
    """
    outputs = relu(_conv_norm(images, state, "conv1", "bn1", 2))
    outputs = max_pool(outputs, 3, 2, ((1, 1), (1, 1)))
    for layer, stride in enumerate((1, 2, 1), start=1):
        unit = 0
        while f"layer{layer}.{unit}.conv1.weight" in state:
            outputs = _resnet_unit(
                outputs, state, f"layer{layer}.{unit}", stride
            )
            unit, stride = unit + 1, 1
    return outputs


def resnet_state(num_layers: int, seed: int) -> dict[str, np.ndarray]:
    """Draws a state dict of torchvision's ResNet-18 or -50 up to layer3."""
    rng = np.random.default_rng(seed)
    state = {}

    def add(conv: str, norm: str, channels: int, depth: int, side: int) -> None:
        fan_in = channels * side * side
        state[f"{conv}.weight"] = rng.normal(
            0, (2 / fan_in) ** 0.5, (depth, channels, side, side)
        ).astype("float32")
        for leaf, low, high in (
            ("weight", 0.5, 1.0),
            ("bias", -0.5, 0.5),
            ("running_mean", -0.5, 0.5),
            ("running_var", 0.5, 2.0),
        ):
            state[f"{norm}.{leaf}"] = rng.uniform(low, high, depth).astype(
                "float32"
            )
        state[f"{norm}.num_batches_tracked"] = np.array(7, "int64")

    add("conv1", "bn1", 3, 64, 7)
    channels = 64
    for layer, num_units in enumerate(_NUM_UNITS[num_layers], start=1):
        depth = 32 * 2**layer
        sides, depths = [3, 3], [depth, depth]
        if num_layers >= 50:
            sides, depths = [1, 3, 1], [depth, depth, 4 * depth]
        for unit in range(num_units):
            scope = f"layer{layer}.{unit}"
            ins = [channels, *depths[:-1]]
            for number in range(len(sides)):
                add(
                    f"{scope}.conv{number + 1}",
                    f"{scope}.bn{number + 1}",
                    ins[number],
                    depths[number],
                    sides[number],
                )
            if channels != depths[-1]:
                shortcut = f"{scope}.downsample"
                add(f"{shortcut}.0", f"{shortcut}.1", channels, depths[-1], 1)
            channels = depths[-1]
    return state


def _resnet_unit(
    inputs: np.ndarray, state: State, scope: str, stride: int
) -> np.ndarray:
    """Computes a unit, whose first 3x3 convolution is strided."""
    num_convs = 3 if f"{scope}.conv3.weight" in state else 2
    outputs = inputs
    for number in range(1, num_convs + 1):
        is_strided = number == num_convs - 1
        outputs = _conv_norm(
            outputs,
            state,
            f"{scope}.conv{number}",
            f"{scope}.bn{number}",
            stride if is_strided else 1,
        )
        if number < num_convs:
            outputs = relu(outputs)
    if f"{scope}.downsample.0.weight" in state:
        inputs = _conv_norm(
            inputs,
            state,
            f"{scope}.downsample.0",
            f"{scope}.downsample.1",
            stride,
        )
    return relu(outputs + inputs)


def _conv_norm(
    inputs: np.ndarray, state: State, conv: str, norm: str, stride: int
) -> np.ndarray:
    """Convolves with padding of half a kernel, then normalises."""
    kernel = state[f"{conv}.weight"]
    half = kernel.shape[-1] // 2
    outputs = conv2d(inputs, kernel, stride, ((half, half), (half, half)))
    mean, variance, scale, offset = (
        state[f"{norm}.{leaf}"][:, None, None]
        for leaf in ("running_mean", "running_var", "weight", "bias")
    )
    root = np.sqrt(variance + _BATCH_NORM_EPSILON)
    return (outputs - mean) / root * scale + offset


def _windows(
    padded: np.ndarray, sides: tuple[int, int], stride: int
) -> np.ndarray:
    """Returns [B, F, H', W', h, w]."""
    windows = np.lib.stride_tricks.sliding_window_view(
        padded, tuple(sides), axis=(2, 3)
    )
    return windows[:, :, ::stride, ::stride]
