"""Networks of keras.applications under the names of TF1-slim.

Tensors are named `<layer>/<number>`, in the order of the layer's weights.
"""

import re

from object_detection.core import errors
from object_detection.training import slim_names
from object_detection.training.weight_files import LazyTensor, Tensors
from slim.nets import resnet_v1

_IMAGES_MEAN_COLOUR = (
    "they were trained on images as of model.ssd.feature_extractor."
    "image_normalization { mean: [123.68, 116.779, 103.939] }, which is usual "
    "for ssd300_vgg16 and ssd512_vgg16; the first convolution took blue, "
    "green and red, and was reversed"
)
_IMAGES_UNIT_RANGE = (
    "they were trained on images as of model.ssd.feature_extractor."
    "image_normalization { mean: [127.5, 127.5, 127.5] "
    "stddev: [127.5, 127.5, 127.5] }"
)
_OTHER_STRIDES = (
    "Keras' ResNets halve the resolution in the first convolution of a block, "
    "which this model does elsewhere: features differ until it is trained"
)
_FULLY_CONNECTED = {"fc1": "fc6", "fc2": "fc7", "predictions": "fc8"}
_CONVOLUTION_LEAVES = ("weights", "biases")
_NORM_LEAVES = (
    "BatchNorm/gamma",
    "BatchNorm/beta",
    "BatchNorm/moving_mean",
    "BatchNorm/moving_variance",
)
_VGG_LAYER = re.compile(r"block(\d)_conv(\d)")
_RESNET_LAYER = re.compile(
    r"conv(?P<stage>\d)_block(?P<unit>\d+)_(?P<number>[0-3])_(?P<kind>conv|bn)"
)
_MOBILENET_LAYER = re.compile(
    r"(?:expanded_conv|block_(?P<block>\d+))"
    r"_(?P<part>expand|depthwise|project)(?P<norm>_BN)?"
)


def to_slim(tensors: Tensors, path: str) -> slim_names.SlimTensors:
    """Renames the tensors of a network; those of others stay as they are.

    Args:
        tensors: by layer and number.
        path: of the file, for errors.

    Raises:
        CheckpointError: a network that resembles one that is known.
    """
    if "block1_conv1/0" in tensors:
        return _vgg_to_slim(tensors, path)
    if "conv1_conv/0" in tensors:
        return _resnet_to_slim(tensors, path)
    if "bn_Conv1/0" in tensors:
        return _mobilenet_to_slim(tensors)
    return slim_names.SlimTensors(tensors)


def _vgg_to_slim(tensors: Tensors, path: str) -> slim_names.SlimTensors:
    if "block3_conv4/0" in tensors:
        raise errors.CheckpointError(
            f"{path}: expected Keras' VGG16, got VGG19; use a file of VGG16"
        )
    renamed = {}
    for name, tensor in tensors.items():
        layer, number = _parts(name)
        match = _VGG_LAYER.fullmatch(layer)
        if match:
            scope = "conv{0}/conv{0}_{1}".format(*match.groups())
        elif layer in _FULLY_CONNECTED:
            scope = _FULLY_CONNECTED[layer]
            if number == 0:
                tensor = _fully_connected(tensor, layer)
        else:
            renamed[name] = tensor
            continue
        leaf = _CONVOLUTION_LEAVES[number]
        renamed[f"{slim_names.VGG_SCOPE}/{scope}/{leaf}"] = tensor
    first = f"{slim_names.VGG_SCOPE}/conv1/conv1_1/weights"
    return slim_names.SlimTensors(
        slim_names.reverse_colours(renamed, first),
        first,
        (_IMAGES_MEAN_COLOUR,),
    )


def _fully_connected(tensor: LazyTensor, layer: str) -> LazyTensor:
    """Turns weights [in, out] to [h, w, in, out]; images lie row by row."""
    num_inputs, num_outputs = tensor.shape
    side = slim_names.SIDE_OF_FC6 if layer == "fc1" else 1
    channels = slim_names.split_pixels(num_inputs, side)
    shape = (side, side, channels, num_outputs)
    return tensor.then(lambda value: value.reshape(shape), shape)


def _resnet_to_slim(tensors: Tensors, path: str) -> slim_names.SlimTensors:
    num_layers = _num_layers(tensors, path)
    scope = slim_names.RESNET_SCOPE.format(num_layers)
    renamed = {}
    for name, tensor in tensors.items():
        layer, number = _parts(name)
        match = _RESNET_LAYER.fullmatch(layer)
        if match:
            conv = "shortcut"
            if match["number"] != "0":
                conv = f"conv{match['number']}"
            conv = (
                f"block{int(match['stage']) - 1}/unit_{match['unit']}"
                f"/bottleneck_v1/{conv}"
            )
        elif layer in ("conv1_conv", "conv1_bn"):
            conv = "conv1"
        else:
            renamed[name] = tensor
            continue
        if layer.endswith("_conv"):
            leaf = _CONVOLUTION_LEAVES[number]
        else:
            leaf = _NORM_LEAVES[number]
        renamed[f"{scope}/{conv}/{leaf}"] = tensor
    first = f"{scope}/conv1/weights"
    return slim_names.SlimTensors(
        slim_names.reverse_colours(_without_biases(renamed), first),
        first,
        (_IMAGES_MEAN_COLOUR, _OTHER_STRIDES),
    )


def _num_layers(tensors: Tensors, path: str) -> int:
    units = {
        (int(match["stage"]), int(match["unit"]))
        for match in (_RESNET_LAYER.fullmatch(_parts(n)[0]) for n in tensors)
        if match
    }
    num_units = tuple(
        sum(stage == number for stage, _ in units) for number in (2, 3, 4)
    )
    for num_layers, expected in resnet_v1.NUM_UNITS_PER_BLOCK.items():
        is_first_version = "conv2_block1_1_bn/0" in tensors and (
            "post_bn/0" not in tensors
        )
        if expected[:3] == num_units and is_first_version:
            return num_layers
    raise errors.CheckpointError(
        f"{path}: a ResNet of {', '.join(map(str, num_units))} units in its "
        "first stages; expected Keras' ResNet50, ResNet101 or ResNet152"
    )


def _without_biases(tensors: Tensors) -> Tensors:
    """Takes the biases before a normalisation out of its mean."""
    changed = dict(tensors)
    for name, biases in tensors.items():
        if not name.endswith("/biases"):
            continue
        mean_name = name.removesuffix("biases") + "BatchNorm/moving_mean"
        mean = tensors.get(mean_name)
        if mean is not None and mean.shape == biases.shape:
            changed[mean_name] = LazyTensor(
                mean.shape,
                lambda mean=mean, biases=biases: mean.read() - biases.read(),
            )
            del changed[name]
    return changed


def _mobilenet_to_slim(tensors: Tensors) -> slim_names.SlimTensors:
    scopes = {
        "Conv1": ("Conv", False),
        "bn_Conv1": ("Conv", True),
        "Conv_1": ("Conv_1", False),
        "Conv_1_bn": ("Conv_1", True),
    }
    renamed = {}
    for name, tensor in tensors.items():
        layer, number = _parts(name)
        match = _MOBILENET_LAYER.fullmatch(layer)
        if match:
            block = f"_{match['block']}" if match["block"] else ""
            scope = f"expanded_conv{block}/{match['part']}"
            is_norm = bool(match["norm"])
        elif layer in scopes:
            scope, is_norm = scopes[layer]
        else:
            renamed[name] = tensor
            continue
        if is_norm:
            leaf = _NORM_LEAVES[number]
        elif scope.endswith("/depthwise"):
            leaf = "depthwise_weights"
        else:
            leaf = _CONVOLUTION_LEAVES[number]
        renamed[f"MobilenetV2/{scope}/{leaf}"] = tensor
    return slim_names.SlimTensors(
        renamed, "MobilenetV2/Conv/weights", (_IMAGES_UNIT_RANGE,)
    )


def _parts(name: str) -> tuple[str, int]:
    """Returns the layer and the number of its weight."""
    layer, _, number = name.rpartition("/")
    return layer, int(number)
