"""Builds the anchor generator that a config names."""

from object_detection.anchor_generators import multiscale_anchor_generator
from object_detection.builders import oneof
from object_detection.core import errors
from object_detection.protos import anchor_generator_pb2

_PATH = "model.ssd.anchor_generator"


def build(
    config: anchor_generator_pb2.AnchorGenerator,
) -> multiscale_anchor_generator.MultiscaleAnchorGenerator:
    """Builds the anchor generator.

    Raises:
        errors.ConfigError: a kind that is not supported, or a value out of
            its range.
    """
    kind = oneof.require(
        config,
        "anchor_generator_oneof",
        _PATH,
        ["multiscale_anchor_generator"],
    )
    multiscale = config.multiscale_anchor_generator
    try:
        return multiscale_anchor_generator.MultiscaleAnchorGenerator(
            min_level=multiscale.min_level,
            max_level=multiscale.max_level,
            anchor_scale=multiscale.anchor_scale,
            aspect_ratios=tuple(multiscale.aspect_ratios),
            scales_per_octave=multiscale.scales_per_octave,
            normalize_coordinates=multiscale.normalize_coordinates,
        )
    except ValueError as error:
        raise errors.ConfigError(f"{_PATH}.{kind}: {error}") from error
