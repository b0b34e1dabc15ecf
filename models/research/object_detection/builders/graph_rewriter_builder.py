"""Builds how a network is quantized from a `GraphRewriter`."""

from absl import logging

from object_detection.core import errors, quantization
from object_detection.protos import graph_rewriter_pb2

_PATH = "graph_rewriter.quantization"


def build(
    config: graph_rewriter_pb2.GraphRewriter,
) -> quantization.Quantization | None:
    """Builds how a network is quantized, or None where it is not.

    Args:
        config: the `graph_rewriter` message of a pipeline config.

    Raises:
        errors.ConfigError: a number of bits other than 8, or a delay below 0.
    """
    if not config.HasField("quantization"):
        logging.warning("graph_rewriter: has no effect without quantization {}")
        return None
    settings = config.quantization
    for field in ("weight_bits", "activation_bits"):
        if getattr(settings, field) != 8:
            raise errors.ConfigError(
                f"{_PATH}.{field}: expected 8, got {getattr(settings, field)}"
                "; remove it"
            )
    if settings.delay < 0:
        raise errors.ConfigError(
            f"{_PATH}.delay: expected 0 or more training steps, got "
            f"{settings.delay}"
        )
    return quantization.Quantization(settings.delay)
