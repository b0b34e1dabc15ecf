"""Tensors of other frameworks under the names and shapes of TF1-slim's."""

import dataclasses
import functools

import numpy as np

from object_detection.training.weight_files import LazyTensor, Tensors

RESNET_SCOPE = "resnet_v1_{}"
VGG_SCOPE = "vgg_16"
# Height and width in pixels of what VGG's first fully connected layer sees.
SIDE_OF_FC6 = 7

# conv6 sees a map of twice the resolution, so that its elements, 6 pixels
# apart, lie where every third of fc6 does.
_SPATIAL_STEP = 3
_CHANNEL_STEP = 4


@dataclasses.dataclass(frozen=True)
class SlimTensors:
    """What a file of another framework holds.

    Attributes:
        tensors: by the name that TF1-slim gives them, and those that it does
            not have by their own.
        first_kernel: name of the weights that see the images, which are red,
            green and blue; None if it is not known.
        notes: what a user should know, a line each.
    """

    tensors: Tensors
    first_kernel: str | None = None
    notes: tuple[str, ...] = ()


def reverse_colours(tensors: Tensors, name: str) -> Tensors:
    """Returns the tensors with weights [h, w, in, out] of reversed inputs."""
    kernel = tensors[name]
    reverse = functools.partial(np.flip, axis=2)
    return {**tensors, name: kernel.then(reverse, kernel.shape)}


def with_dilated_vgg(tensors: Tensors) -> Tensors:
    """Makes conv6 and conv7 of VGG's fully connected layers.

    conv6[h, w, :, i] is fc6[3 h, 3 w, :, 4 i], and conv7 every fourth of the
    inputs and outputs of fc7 (Liu et al. 2016, arxiv.org/abs/1512.02325,
    section 3).

    Args:
        tensors: of `vgg_16/fc6` and `vgg_16/fc7`, weights [7, 7, in, out] and
            [1, 1, in, out] and biases [out], or of another network.

    Returns:
        The same, each of these four in the place of what it is made of.
    """
    channels = slice(None, None, _CHANNEL_STEP)
    pixels = slice(None, None, _SPATIAL_STEP)
    choices = {
        "fc6/weights": ("conv6/weights", (pixels, pixels, ..., channels)),
        "fc6/biases": ("conv6/biases", (channels,)),
        "fc7/weights": ("conv7/weights", (..., channels, channels)),
        "fc7/biases": ("conv7/biases", (channels,)),
    }
    changed = dict(tensors)
    for old, (new, choice) in choices.items():
        old_name, new_name = f"{VGG_SCOPE}/{old}", f"{VGG_SCOPE}/{new}"
        rank = 4 if new.endswith("weights") else 1
        if old_name not in tensors or new_name in tensors:
            continue
        if len(tensors[old_name].shape) == rank:
            changed[new_name] = _chosen(changed.pop(old_name), choice)
    return changed


def split_pixels(num_inputs: int, side: int) -> int:
    """Returns how many channels each of side x side pixels has.

    Raises:
        ValueError: pixels of so many inputs have no whole number of channels.
    """
    num_channels, rest = divmod(num_inputs, side**2)
    if rest:
        raise ValueError(
            f"a layer of {num_inputs} inputs sees no {side} x {side} pixels"
        )
    return num_channels


def _chosen(tensor: LazyTensor, choice: tuple) -> LazyTensor:
    """Returns a part of a tensor."""
    # A view of one number has the shape without the memory.
    shape = np.broadcast_to(np.float32(0), tensor.shape)[choice].shape
    return tensor.then(lambda value: value[choice], shape)
