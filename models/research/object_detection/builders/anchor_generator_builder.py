"""Builds the anchor generator that a config names."""

from collections.abc import Callable

from google.protobuf import message

from object_detection.anchor_generators import (
    default_box_generator,
    grid_anchor_generator,
    multiscale_anchor_generator,
    ssd_anchor_generator,
)
from object_detection.builders import oneof
from object_detection.core import errors
from object_detection.meta_architectures import ssd_meta_arch
from object_detection.protos import (
    anchor_generator_pb2,
    default_box_generator_pb2,
    grid_anchor_generator_pb2,
    multiscale_anchor_generator_pb2,
    ssd_anchor_generator_pb2,
)

_PATH = "model.ssd.anchor_generator"


def build(
    config: anchor_generator_pb2.AnchorGenerator,
) -> ssd_meta_arch.AnchorGenerator:
    """Builds the anchor generator.

    Raises:
        errors.ConfigError: no kind is set, or a value is out of its range.
    """
    kind = oneof.require(config, "anchor_generator_oneof", _PATH, _BUILDERS)
    try:
        return _BUILDERS[kind](getattr(config, kind))
    except ValueError as error:
        raise errors.ConfigError(f"{_PATH}.{kind}.{error}") from error


def _build_multiscale(
    config: multiscale_anchor_generator_pb2.MultiscaleAnchorGenerator,
) -> multiscale_anchor_generator.MultiscaleAnchorGenerator:
    return multiscale_anchor_generator.MultiscaleAnchorGenerator(
        min_level=config.min_level,
        max_level=config.max_level,
        anchor_scale=config.anchor_scale,
        aspect_ratios=tuple(config.aspect_ratios),
        scales_per_octave=config.scales_per_octave,
        normalize_coordinates=config.normalize_coordinates,
    )


def _build_ssd(
    config: ssd_anchor_generator_pb2.SsdAnchorGenerator,
) -> ssd_anchor_generator.SsdAnchorGenerator:
    return ssd_anchor_generator.SsdAnchorGenerator(
        scales=_ssd_scales(config),
        aspect_ratios=tuple(config.aspect_ratios),
        interpolated_scale_aspect_ratio=(
            config.interpolated_scale_aspect_ratio
        ),
        reduce_boxes_in_lowest_layer=config.reduce_boxes_in_lowest_layer,
        base_anchor_size=(
            config.base_anchor_height,
            config.base_anchor_width,
        ),
        strides_px=_pairs(config, "height_stride", "width_stride"),
        offsets_px=_pairs(config, "height_offset", "width_offset"),
    )


def _ssd_scales(
    config: ssd_anchor_generator_pb2.SsdAnchorGenerator,
) -> tuple[float, ...]:
    """Returns one scale for each layer."""
    if not config.scales:
        if config.num_layers < 1:
            raise ValueError(
                f"num_layers: expected at least 1, got {config.num_layers}"
            )
        return ssd_anchor_generator.linear_scales(
            config.min_scale, config.max_scale, config.num_layers
        )
    num_scales = len(config.scales)
    if config.HasField("num_layers") and config.num_layers != num_scales:
        raise ValueError(
            f"scales: expected one for each of the {config.num_layers} layers "
            f"of num_layers, got {num_scales}"
        )
    return tuple(config.scales)


def _pairs(
    config: ssd_anchor_generator_pb2.SsdAnchorGenerator,
    height_field: str,
    width_field: str,
) -> tuple[tuple[int, int], ...] | None:
    """Returns (height, width) for each layer, None if none is given."""
    heights = getattr(config, height_field)
    widths = getattr(config, width_field)
    if len(heights) != len(widths):
        raise ValueError(
            f"{height_field}: expected as many as of {width_field}, got "
            f"{len(heights)} and {len(widths)}"
        )
    return tuple(zip(heights, widths, strict=True)) or None


def _build_grid(
    config: grid_anchor_generator_pb2.GridAnchorGenerator,
) -> grid_anchor_generator.GridAnchorGenerator:
    return grid_anchor_generator.GridAnchorGenerator(
        scales=tuple(config.scales),
        aspect_ratios=tuple(config.aspect_ratios),
        base_size_px=(config.height, config.width),
        stride_px=(config.height_stride, config.width_stride),
        offset_px=(config.height_offset, config.width_offset),
    )


def _build_default_boxes(
    config: default_box_generator_pb2.DefaultBoxGenerator,
) -> default_box_generator.DefaultBoxGenerator:
    kind = default_box_generator_pb2.DefaultBoxGenerator
    return default_box_generator.DefaultBoxGenerator(
        levels=tuple(_default_box_level(level) for level in config.level),
        extra_scale=_optional(config, "extra_scale"),
        is_interpolated_second=(
            config.shape_order == kind.SQUARE_INTERPOLATED_RATIOS
        ),
        is_shape_major=config.box_order == kind.SHAPE_MAJOR,
        clamps=config.clamp,
    )


def _default_box_level(
    config: default_box_generator_pb2.DefaultBoxGenerator.Level,
) -> default_box_generator.Level:
    return default_box_generator.Level(
        scale=_optional(config, "scale"),
        aspect_ratios=tuple(config.aspect_ratio),
        step_px=_optional(config, "step_px"),
        shapes=tuple(
            default_box_generator.Shape(shape.scale, shape.aspect_ratio)
            for shape in config.shape
        ),
    )


def _optional(config: message.Message, field: str) -> float | None:
    return getattr(config, field) if config.HasField(field) else None


_BUILDERS: dict[str, Callable[..., ssd_meta_arch.AnchorGenerator]] = {
    "grid_anchor_generator": _build_grid,
    "multiscale_anchor_generator": _build_multiscale,
    "ssd_anchor_generator": _build_ssd,
    "default_box_generator": _build_default_boxes,
}
