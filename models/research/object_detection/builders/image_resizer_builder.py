"""Makes an image resizer from its config message."""

from object_detection.core import errors
from object_detection.preprocessing import image_resizer
from object_detection.protos import image_resizer_pb2

_METHODS = {
    image_resizer_pb2.BILINEAR: image_resizer.ResizeMethod.BILINEAR,
    image_resizer_pb2.NEAREST_NEIGHBOR: (
        image_resizer.ResizeMethod.NEAREST_NEIGHBOR
    ),
    image_resizer_pb2.BICUBIC: image_resizer.ResizeMethod.BICUBIC,
    image_resizer_pb2.AREA: image_resizer.ResizeMethod.AREA,
}

_PATH = "model.ssd.image_resizer"
_NUM_COLOURS = 3


def build(
    config: image_resizer_pb2.ImageResizer, num_additional_channels: int = 0
) -> image_resizer.Resizer:
    """Returns the resizer that the config names.

    Args:
        config: the `image_resizer` message.
        num_additional_channels: channels of the images beside their colours.

    Raises:
        ConfigError: none is named, or a value is out of its range.
    """
    kind = config.WhichOneof("image_resizer_oneof")
    if kind is None:
        raise errors.ConfigError(
            f"{_PATH}: expected fixed_shape_resizer or "
            "keep_aspect_ratio_resizer, got nothing"
        )
    fields = getattr(config, kind)
    num_channels = _NUM_COLOURS + num_additional_channels
    try:
        if kind == "fixed_shape_resizer":
            return image_resizer.FixedShapeResizer(
                height=fields.height,
                width=fields.width,
                method=_METHODS[fields.resize_method],
                convert_to_grayscale=fields.convert_to_grayscale,
            )
        return image_resizer.KeepAspectRatioResizer(
            min_dimension=fields.min_dimension,
            max_dimension=fields.max_dimension,
            method=_METHODS[fields.resize_method],
            pad_to_max_dimension=fields.pad_to_max_dimension,
            per_channel_pad_value=_pad_values(fields, num_channels),
            convert_to_grayscale=fields.convert_to_grayscale,
        )
    except ValueError as error:
        raise errors.ConfigError(f"{_PATH}.{kind}.{error}") from error


def _pad_values(
    config: image_resizer_pb2.KeepAspectRatioResizer, num_channels: int
) -> tuple[float, ...]:
    values = tuple(config.per_channel_pad_value) or (0.0,) * num_channels
    if len(values) != num_channels:
        raise ValueError(
            f"per_channel_pad_value: must have {num_channels} numbers, one "
            f"for each channel of the images, got {list(values)}"
        )
    return values
