"""Which convolutions and pools a detector runs, as its graph shows them.

What a layer was asked to be may differ from what is computed; so they are read
off the operations of a traced training step, each with the variable that is its
kernel and with what happens to its outputs.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import tensorflow as tf

from object_detection.meta_architectures import ssd_meta_arch

Operation = Any

_CONVOLUTIONS = {"Conv2D": "conv", "DepthwiseConv2dNative": "depthwise"}
_POOLS = {"MaxPool": "max pool", "AvgPool": "average pool"}
# Beside these, what is added or multiplied counts, by its variables.
_AFTERWARDS = {
    "Elu": "elu",
    "FusedBatchNormV3": "batch norm",
    "Relu": "relu",
    "Relu6": "relu6",
    "Sigmoid": "sigmoid",
}
_ARITHMETIC = ("Add", "AddV2", "BiasAdd", "Mul")
# Between a convolution and its outputs, as TensorFlow dilates kernels.
_TO_BATCH, _FROM_BATCH = "SpaceToBatchND", "BatchToSpaceND"


class Layer(NamedTuple):
    """A convolution or a pool.

    Attributes:
        name: scope of the kernel in checkpoints; empty for a pool.
        kind: "conv", "depthwise", "max pool" or "average pool".
        kernel: height and width.
        stride: of the rows and columns.
        dilation: of the rows and columns.
        outputs: height, width, channels.
        then: what is done with the outputs, in order, such as "biases",
            "batch norm" and "relu".
    """

    name: str
    kind: str
    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    outputs: tuple[int, int, int]
    then: tuple[str, ...]


class Trace(NamedTuple):
    """What a detector does with one image in training.

    Attributes:
        layers: in the order of their execution.
        predictions: shape of each, by the keys of `PredictionFields`.
    """

    layers: list[Layer]
    predictions: dict[str, tuple[int, ...]]


def trace(
    model: ssd_meta_arch.SSDMetaArch, image_size_px: tuple[int, int]
) -> Trace:
    """Traces a detector on one image of this height and width."""

    def predict(images: tf.Tensor) -> dict[str, tf.Tensor]:
        return model.predict(images, None, training=True)

    shape = (1, *image_size_px, model.num_image_channels)
    concrete = tf.function(predict, autograph=False).get_concrete_function(
        tf.TensorSpec(shape, tf.float32)
    )
    names = _names_by_input(concrete.graph, model)
    return Trace(
        [
            _layer(operation, names)
            for operation in concrete.graph.get_operations()
            if operation.type in (*_CONVOLUTIONS, *_POOLS)
        ],
        {
            name: tuple(output.shape)
            for name, output in concrete.structured_outputs.items()
        },
    )


def _names_by_input(
    graph: Any,  # noqa: ANN401
    model: ssd_meta_arch.SSDMetaArch,
) -> dict[str, str]:
    """Returns graph input -> checkpoint name of the variable it is."""
    names = {
        id(variable.value.handle): name
        for name, variable in model.checkpoint_variables().items()
    }
    return {
        inner.op.name: names[id(outer)]
        for outer, inner in graph.captures
        if id(outer) in names
    }


def _layer(operation: Operation, names: Mapping[str, str]) -> Layer:
    _, *stride, _ = operation.get_attr("strides")
    if operation.type in _POOLS:
        _, *kernel, _ = operation.get_attr("ksize")
        name, kind, dilation = "", _POOLS[operation.type], (1, 1)
    else:
        height, width = operation.inputs[1].shape[:2]
        kernel, kind = (height, width), _CONVOLUTIONS[operation.type]
        name = _kernel_scope(operation, names)
        _, *dilation, _ = operation.get_attr("dilations")
    source, (output, *_) = operation.inputs[0].op, operation.outputs
    if source.type == _TO_BATCH:
        dilation = tf.get_static_value(source.inputs[1]).tolist()
        (batched,) = output.consumers()
        output = batched.outputs[0]
    return Layer(
        name,
        kind,
        tuple(kernel),
        tuple(stride),
        tuple(dilation),
        tuple(output.shape[1:]),
        _afterwards(output, names),
    )


def _kernel_scope(operation: Operation, names: Mapping[str, str]) -> str:
    kernels = [
        name
        for name in _variables_of(operation.inputs[1], names)
        if name.endswith("weights")
    ]
    return kernels[0].rpartition("/")[0] if kernels else "?"


def _variables_of(tensor: tf.Tensor, names: Mapping[str, str]) -> list[str]:
    """Returns the names of the variables that a tensor is computed from."""
    found, seen, waiting = [], set(), [tensor.op]
    while waiting:
        operation = waiting.pop()
        if operation.name in seen:
            continue
        seen.add(operation.name)
        if operation.name in names:
            found.append(names[operation.name])
        waiting += [source.op for source in operation.inputs]
    return found


def _afterwards(output: tf.Tensor, names: Mapping[str, str]) -> tuple[str, ...]:
    """Follows what is done with a tensor until there is a choice of ways."""
    words = []
    while len(consumers := output.consumers()) == 1:
        (operation,) = consumers
        if operation.type in _AFTERWARDS:
            words.append(_AFTERWARDS[operation.type])
        elif operation.type in _ARITHMETIC:
            words.append(_operand_word(operation, output, names))
        elif operation.type not in (_FROM_BATCH, "Cast", "Identity"):
            break
        output = operation.outputs[0]
    return tuple(words)


def _operand_word(
    operation: Operation, output: tf.Tensor, names: Mapping[str, str]
) -> str:
    """Names what is added to a tensor, or what it is multiplied by."""
    others = [each for each in operation.inputs if each is not output]
    if not others or others[0].shape.rank == output.shape.rank:
        return "multiply" if operation.type == "Mul" else "add"
    leaves = {
        name.rpartition("/")[2] for name in _variables_of(others[0], names)
    }
    if "moving_mean" in leaves:
        return "frozen batch norm"
    return " ".join(sorted(leaves)) or operation.type.lower()
