"""torchvision's VGG-16 and ResNets under the names of TF1-slim."""

import re
from collections.abc import Callable

import numpy as np

from object_detection.core import errors
from object_detection.training import slim_names
from object_detection.training.weight_files import LazyTensor, Tensors
from slim.nets import resnet_v1_5, vgg

_IMAGES = (
    "they were trained on images as of model.ssd.feature_extractor."
    "image_normalization { mean: [123.675, 116.28, 103.53] "
    "stddev: [58.395, 57.12, 57.375] }, which is usual for ssd300_resnet*"
)
_FULLY_CONNECTED = {
    "classifier.0": "fc6",
    "classifier.3": "fc7",
    "classifier.6": "fc8",
}
_NORM_LEAVES = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}
_UNIT = re.compile(
    r"layer(?P<layer>\d)\.(?P<unit>\d+)\."
    r"(?:(?P<kind>conv|bn)(?P<number>\d)|downsample\.(?P<part>[01]))"
    r"\.(?P<leaf>\w+)"
)


def to_slim(tensors: Tensors, path: str) -> slim_names.SlimTensors:
    """Renames the tensors of a state dict; those of others stay as they are.

    Args:
        tensors: by the names of the state dict.
        path: of the file, for errors.

    Raises:
        CheckpointError: a VGG or a ResNet of a depth that there is not.
    """
    if "features.0.weight" in tensors:
        return _vgg_to_slim(tensors, path)
    if "layer1.0.conv1.weight" in tensors:
        return _resnet_to_slim(tensors, path)
    return slim_names.SlimTensors(tensors)


def _vgg_to_slim(tensors: Tensors, path: str) -> slim_names.SlimTensors:
    scopes = _vgg_scopes()
    found = {
        name.removesuffix(".weight")
        for name in tensors
        if re.fullmatch(r"features\.\d+\.weight", name)
    }
    if found != {n for n in scopes if n.startswith("features.")}:
        raise errors.CheckpointError(
            f"{path}: expected torchvision's vgg16, got another network of "
            f"{len(found)} layers with weights before the classifier; vgg16 "
            "has 13, without normalisation"
        )
    renamed = {}
    for name, tensor in tensors.items():
        scope, _, leaf = name.rpartition(".")
        if scope not in scopes:
            renamed[name] = tensor
        elif leaf == "bias":
            renamed[f"{scopes[scope]}/biases"] = tensor
        else:
            renamed[f"{scopes[scope]}/weights"] = _vgg_weights(scope, tensor)
    return slim_names.SlimTensors(
        renamed, f"{slim_names.VGG_SCOPE}/conv1/conv1_1/weights", (_IMAGES,)
    )


def _vgg_scopes() -> dict[str, str]:
    """Returns torchvision's name -> TF1-slim's, of every layer."""
    scopes, index = {}, 0
    for block, (num_convs, _) in enumerate(vgg.BLOCKS, start=1):
        for number in range(1, num_convs + 1):
            scopes[f"features.{index}"] = f"conv{block}/conv{block}_{number}"
            # A rectifier follows each, and a pooling each block.
            index += 2
        index += 1
    scopes |= _FULLY_CONNECTED
    return {n: f"{slim_names.VGG_SCOPE}/{s}" for n, s in scopes.items()}


def _vgg_weights(scope: str, tensor: LazyTensor) -> LazyTensor:
    if scope.startswith("features."):
        return _convolution(tensor)
    num_outputs, num_inputs = tensor.shape
    side = slim_names.SIDE_OF_FC6 if scope == "classifier.0" else 1
    # Images are flattened channel by channel.
    channels = slim_names.split_pixels(num_inputs, side)
    return _convolution(
        tensor.then(
            lambda value: value.reshape(num_outputs, channels, side, side),
            (num_outputs, channels, side, side),
        )
    )


def _resnet_to_slim(tensors: Tensors, path: str) -> slim_names.SlimTensors:
    num_layers = _num_layers(tensors, path)
    scope = slim_names.RESNET_SCOPE.format(num_layers)
    kind = "bottleneck_v1" if num_layers >= 50 else "basic_v1"
    renamed = {}
    for name, tensor in tensors.items():
        new_name, change = name, _unchanged
        match = _UNIT.fullmatch(name)
        if match:
            is_norm = match["kind"] == "bn" or match["part"] == "1"
            part = f"conv{match['number']}" if match["kind"] else "shortcut"
            unit = f"block{match['layer']}/unit_{int(match['unit']) + 1}"
            leaf, change = _leaf(match["leaf"], is_norm)
            if leaf:
                new_name = f"{scope}/{unit}/{kind}/{part}/{leaf}"
        elif name.startswith(("conv1.", "bn1.")):
            leaf, change = _leaf(name.split(".")[1], name.startswith("bn1."))
            if leaf:
                new_name = f"{scope}/conv1/{leaf}"
        renamed[new_name] = change(tensor)
    return slim_names.SlimTensors(renamed, f"{scope}/conv1/weights", (_IMAGES,))


def _num_layers(tensors: Tensors, path: str) -> int:
    units = {
        (int(match["layer"]), int(match["unit"]))
        for match in map(_UNIT.fullmatch, tensors)
        if match
    }
    num_units = tuple(
        sum(layer == number for layer, _ in units) for number in (1, 2, 3)
    )
    is_deep = "layer1.0.conv3.weight" in tensors
    for num_layers, expected in resnet_v1_5.NUM_UNITS_PER_BLOCK.items():
        if expected == num_units and (num_layers >= 50) == is_deep:
            return num_layers
    raise errors.CheckpointError(
        f"{path}: a ResNet of {', '.join(map(str, num_units))} units in its "
        "first layers; expected torchvision's resnet18, resnet34, resnet50, "
        "resnet101 or resnet152"
    )


def _leaf(
    leaf: str, is_norm: bool
) -> tuple[str | None, Callable[[LazyTensor], LazyTensor]]:
    """Returns the name in TF1-slim, None if it has none, and the change."""
    if not is_norm:
        return "weights", _convolution
    if leaf not in _NORM_LEAVES:
        return None, _unchanged
    return f"BatchNorm/{_NORM_LEAVES[leaf]}", _unchanged


def _convolution(tensor: LazyTensor) -> LazyTensor:
    """Turns weights [out, in, h, w] to [h, w, in, out]."""
    num_outputs, num_inputs, height, width = tensor.shape
    return tensor.then(
        lambda value: np.transpose(value, (2, 3, 1, 0)),
        (height, width, num_inputs, num_outputs),
    )


def _unchanged(tensor: LazyTensor) -> LazyTensor:
    return tensor
