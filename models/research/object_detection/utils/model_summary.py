r"""Prints what the detector of a config consists of.

    python -m object_detection.utils.model_summary --layers \
        --pipeline_config_path=pipeline.config

Parameters by part, feature maps and predictions; with --layers, each
convolution and pool as it is computed, and with --variables, each variable as
it is before training.
"""

import collections
from collections.abc import Iterable, Iterator, Mapping, Sequence

import keras
import numpy as np
from absl import flags

from object_detection.core import naming
from object_detection.utils import (
    command,
    configured_detector,
    network_layers,
)

# Components of a checkpoint name that tell the part of a network.
_SCOPE_DEPTH = 3


def describe_parameters(
    networks: Mapping[str, keras.layers.Layer],
) -> Iterator[str]:
    """Yields how many numbers the variables of networks hold, by scope.

    Args:
        networks: by their name.
    """
    rows = [("", "variables", "parameters", "trainable")]
    totals = np.zeros(3, np.int64)
    for network_name, network in networks.items():
        counts: dict[str, np.ndarray] = collections.defaultdict(
            lambda: np.zeros(3, np.int64)
        )
        for name, variable in naming.checkpoint_variables(network).items():
            scope = _scope(name)
            size = int(np.prod(variable.shape))
            counts[scope] += [1, size, size * variable.trainable]
        total = sum(counts.values())
        rows.append((network_name, *total))
        rows += [
            (f"  {scope}", *count) for scope, count in sorted(counts.items())
        ]
        totals += total
    rows.append(("total", *totals))
    yield from _table(rows, "<>>>")


def _scope(variable_name: str) -> str:
    layer = variable_name.partition("/BatchNorm/")[0]
    if layer == variable_name:
        layer = variable_name.rpartition("/")[0]
    return "/".join(layer.split("/")[:_SCOPE_DEPTH])


def _table(
    rows: Sequence[Sequence[str | int]], alignments: str
) -> Iterator[str]:
    """Yields rows whose columns are as wide as their widest cell.

    Args:
        rows: of as many cells as `alignments` has characters.
        alignments: "<" or ">" for each column.
    """
    texts = [
        [cell if isinstance(cell, str) else f"{cell:,}" for cell in row]
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    for row in texts:
        cells = zip(row, alignments, widths, strict=True)
        line = "  ".join(f"{text:{side}{width}}" for text, side, width in cells)
        yield line.rstrip()


def describe_outputs(
    map_shapes: Iterable[Sequence[int]],
    predictions: Mapping[str, Sequence[int]],
) -> Iterator[str]:
    """Yields the shapes of the feature maps and of the predictions.

    Args:
        map_shapes: height, width and channels.
        predictions: by their name, those of one image first of all.
    """
    for i, shape in enumerate(map_shapes):
        yield f"feature map {i}: {_by(['B', *shape])}"
    for name, shape in predictions.items():
        has_images = len(shape) == 3
        yield f"{name}: {_by(['B', *shape[1:]] if has_images else shape)}"


def describe_layers(layers: Iterable[network_layers.Layer]) -> Iterator[str]:
    """Yields a line for each convolution and pool, in their order."""
    rows = [
        ("layer", "kind", "kernel", "stride", "dilation", "outputs", "then")
    ]
    rows += [
        (
            layer.name or "-",
            layer.kind,
            _by(layer.kernel),
            _by(layer.stride),
            _by(layer.dilation),
            _by(layer.outputs),
            ", ".join(layer.then) or "-",
        )
        for layer in layers
    ]
    yield from _table(rows, "<" * len(rows[0]))


def describe_variables(
    variables: Mapping[str, keras.Variable],
) -> Iterator[str]:
    """Yields a line for each variable, with its least and greatest value."""
    rows = [("variable", "shape", "trainable", "least", "greatest")]
    for name, variable in sorted(variables.items()):
        values = np.asarray(variable.value)
        rows.append(
            (
                name,
                _by(variable.shape) or "scalar",
                "yes" if variable.trainable else "no",
                f"{values.min():g}",
                f"{values.max():g}",
            )
        )
    yield from _table(rows, "<<<>>")


def _by(numbers: Iterable[int | str]) -> str:
    return "x".join(str(number) for number in numbers)


def describe(
    detector: configured_detector.ConfiguredDetector,
    *,
    has_layers: bool,
    has_variables: bool,
) -> Iterator[str]:
    """Yields the lines to print.

    Args:
        detector: what to describe.
        has_layers: whether to go through its convolutions and pools.
        has_variables: whether to go through its variables.
    """
    model, image_size_px = detector
    trace = network_layers.trace(model, image_size_px)
    yield f"image {_by(image_size_px)} px, {model.num_image_channels} channels"
    networks = {
        "feature extractor": model.feature_extractor,
        "box predictor": model.box_predictor,
    }
    yield from describe_parameters(networks)
    map_shapes = model.feature_map_shapes(image_size_px)
    yield from describe_outputs(map_shapes, trace.predictions)
    if has_layers:
        yield from describe_layers(trace.layers)
    if has_variables:
        yield from describe_variables(model.checkpoint_variables())


def define_flags() -> None:
    """Defines this command's flags; only a process that runs it has them."""
    configured_detector.define_flags()
    flags.DEFINE_boolean("layers", False, "Also print each layer.")
    flags.DEFINE_boolean("variables", False, "Also print each variable.")


def main(_: list[str]) -> None:
    lines = describe(
        configured_detector.from_flags(),
        has_layers=flags.FLAGS.layers,
        has_variables=flags.FLAGS.variables,
    )
    for line in lines:
        print(line)


if __name__ == "__main__":
    define_flags()
    command.run(main)
