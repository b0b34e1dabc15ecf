"""Builds what images become before a network sees them."""

from collections.abc import Callable, Sequence
from typing import Any

from object_detection.core import errors
from object_detection.models import image_normalization
from object_detection.protos import ssd_pb2

Tensor = Any

_NUM_COLOURS = 3


def build(
    config: ssd_pb2.SsdFeatureExtractor,
    num_channels: int,
    usual: Callable[[Tensor], Tensor],
    path: str,
) -> Callable[[Tensor], Tensor]:
    """Builds the normalisation of images.

    Args:
        config: the `feature_extractor` message.
        num_channels: of the images: the colours, then what there is beside
            them.
        usual: what the type does without an `image_normalization`.
        path: of `config` in the pipeline config, for errors.

    Raises:
        errors.ConfigError: lists of another length than there are channels,
            a number that cannot be divided by, or no colours to reverse.
    """
    path = f"{path}.image_normalization"
    if not config.HasField("image_normalization"):
        _check_usual(config.type, num_channels, usual, path)
        return usual
    settings = config.image_normalization
    reverses_colours = takes_bgr(config)
    if reverses_colours and num_channels < _NUM_COLOURS:
        raise errors.ConfigError(
            f"{path}.channel_order: BGR needs {_NUM_COLOURS} colours, got "
            f"images of {num_channels} channel; remove it or "
            "model.ssd.image_resizer's convert_to_grayscale"
        )
    mean = _by_channel(settings.mean, 0.0, num_channels, f"{path}.mean")
    stddev = _by_channel(settings.stddev, 1.0, num_channels, f"{path}.stddev")
    for index, value in enumerate(stddev):
        if not value > 0:
            raise errors.ConfigError(
                f"{path}.stddev[{index}]: expected more than 0, got {value:g}"
            )
    return image_normalization.ImageNormalization(
        mean, stddev, reverses_colours
    )


def takes_bgr(config: ssd_pb2.SsdFeatureExtractor) -> bool:
    """Returns whether the network is given blue, green and red."""
    return (
        config.image_normalization.channel_order
        == ssd_pb2.ImageNormalization.BGR
    )


def _check_usual(
    extractor_type: str,
    num_channels: int,
    usual: Callable[[Tensor], Tensor],
    path: str,
) -> None:
    if not isinstance(usual, image_normalization.ImageNormalization):
        return
    if len(usual.mean) != num_channels:
        raise errors.ConfigError(
            f"{path}: {extractor_type} normalizes {len(usual.mean)} channels, "
            f"got images of {num_channels}; add the block with "
            f"{num_channels} values of mean and of stddev"
        )


def _by_channel(
    values: Sequence[float], default: float, num_channels: int, path: str
) -> tuple[float, ...]:
    if values and len(values) != num_channels:
        raise errors.ConfigError(
            f"{path}: expected {num_channels} values, one a channel, got "
            f"{len(values)}; give so many, or none for {default:g}"
        )
    return tuple(values) or (default,) * num_channels
