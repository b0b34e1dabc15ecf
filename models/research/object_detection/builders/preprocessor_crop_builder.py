"""Makes the augmentations that cut or pad from their config messages."""

import math
from collections.abc import Callable, Iterator
from typing import Any

from object_detection.builders import preprocessor_fields as fields
from object_detection.preprocessing import (
    aspect_ratios,
    crop,
    examples,
    pad,
    ssd_crop,
)
from object_detection.protos import preprocessor_pb2
from object_detection.utils import config_fields

_AREA = config_fields.Range(0, 1, is_low_allowed=False)


def _random_crop_image(
    config: preprocessor_pb2.RandomCropImage,
) -> examples.Step:
    return crop.make_random_crop_image(_random_crop(config))


def _random_pad_image(config: preprocessor_pb2.RandomPadImage) -> examples.Step:
    min_size_px = _size_px(config, "min_image_height", "min_image_width")
    max_size_px = _size_px(config, "max_image_height", "max_image_width")
    if min_size_px and max_size_px:
        for low, high in zip(min_size_px, max_size_px, strict=True):
            if low > high:
                raise fields.FieldError(
                    "min_image_height, min_image_width: must be at most "
                    f"{list(max_size_px)}, the maximum, got "
                    f"{list(min_size_px)}"
                )
    return pad.make_random_pad_image(
        min_size_px, max_size_px, _pad_color(config)
    )


def _random_crop_pad_image(
    config: preprocessor_pb2.RandomCropPadImage,
) -> examples.Step:
    return ssd_crop.make_random_crop_pad_image(
        ssd_crop.RandomCropPad(
            crop=_random_crop(config),
            ratios=_padded_size_ratios(config),
            color=_pad_color(config),
        )
    )


def _random_crop_to_aspect_ratio(
    config: preprocessor_pb2.RandomCropToAspectRatio,
) -> examples.Step:
    return aspect_ratios.make_random_crop_to_aspect_ratio(
        aspect_ratio=fields.number(config, "aspect_ratio", fields.POSITIVE),
        overlap_thresh=fields.number(config, "overlap_thresh", fields.SHARE),
        clip_boxes=config.clip_boxes,
    )


def _ssd_random_crop(config: preprocessor_pb2.SSDRandomCrop) -> examples.Step:
    return ssd_crop.make_ssd_random_crop(_ssd_crops(config))


def _ssd_random_crop_fixed_aspect_ratio(
    config: preprocessor_pb2.SSDRandomCropFixedAspectRatio,
) -> examples.Step:
    aspect_ratio = fields.number(config, "aspect_ratio", fields.POSITIVE)
    crops = [
        _random_crop(operation, path, aspect_ratio)
        for path, operation in _operations(config)
    ]
    return ssd_crop.make_ssd_random_crop_fixed_aspect_ratio(
        crops or ssd_crop.SSD_CROPS, aspect_ratio
    )


def _ssd_random_crop_pad(
    config: preprocessor_pb2.SSDRandomCropPad,
) -> examples.Step:
    crop_pads = [
        ssd_crop.RandomCropPad(
            crop=_random_crop(operation, path),
            ratios=_padded_size_ratios(operation, path, is_required=True),
            # Left out, they are 0: the mean colour cannot be asked for here.
            color=tuple(
                fields.number(operation, name, fields.ANY, path)
                for name in ("pad_color_r", "pad_color_g", "pad_color_b")
            ),
        )
        for path, operation in _operations(config)
    ]
    return ssd_crop.make_ssd_random_crop_pad(
        crop_pads or ssd_crop.SSD_CROP_PADS
    )


def _ssd_random_crop_pad_fixed_aspect_ratio(
    config: preprocessor_pb2.SSDRandomCropPadFixedAspectRatio,
) -> examples.Step:
    return ssd_crop.make_ssd_random_crop_pad_fixed_aspect_ratio(
        _ssd_crops(config),
        fields.number(config, "aspect_ratio", fields.POSITIVE),
        _padded_size_ratios(config),
    )


# Part of the table of `preprocessor_builder`.
MAKERS: dict[str, Callable[[Any], examples.Step]] = {
    "random_crop_image": _random_crop_image,
    "random_crop_pad_image": _random_crop_pad_image,
    "random_crop_to_aspect_ratio": _random_crop_to_aspect_ratio,
    "random_pad_image": _random_pad_image,
    "ssd_random_crop": _ssd_random_crop,
    "ssd_random_crop_fixed_aspect_ratio": _ssd_random_crop_fixed_aspect_ratio,
    "ssd_random_crop_pad": _ssd_random_crop_pad,
    "ssd_random_crop_pad_fixed_aspect_ratio": (
        _ssd_random_crop_pad_fixed_aspect_ratio
    ),
}


def _operations(config: Any) -> Iterator[tuple[str, Any]]:
    """Yields the path of each operation, with its dot, and the operation."""
    for number, operation in enumerate(config.operations):
        yield f"operations[{number}].", operation


def _ssd_crops(config: Any) -> tuple[crop.RandomCrop, ...]:
    crops = tuple(
        _random_crop(operation, path) for path, operation in _operations(config)
    )
    return crops or ssd_crop.SSD_CROPS


def _random_crop(
    config: Any, path: str = "", aspect_ratio: float | None = None
) -> crop.RandomCrop:
    """Returns the crop of any of the messages that describe one.

    Args:
        config: the message.
        path: of the message, with its dot.
        aspect_ratio: width / height where the message has no range of it.
    """
    aspect_ratio_range = (aspect_ratio, aspect_ratio)
    if aspect_ratio is None:
        aspect_ratio_range = fields.ordered(
            config,
            "min_aspect_ratio",
            "max_aspect_ratio",
            fields.POSITIVE,
            path,
        )
    return crop.RandomCrop(
        min_object_covered=fields.number(
            config, "min_object_covered", fields.SHARE, path
        ),
        aspect_ratio_range=aspect_ratio_range,
        area_range=fields.ordered(config, "min_area", "max_area", _AREA, path),
        overlap_thresh=fields.number(
            config, "overlap_thresh", fields.SHARE, path
        ),
        clip_boxes=config.clip_boxes,
        random_coef=fields.number(config, "random_coef", fields.SHARE, path),
    )


def _size_px(
    config: Any, height_name: str, width_name: str
) -> tuple[int, int] | None:
    names = (height_name, width_name)
    given = [name for name in names if config.HasField(name)]
    if not given:
        return None
    if len(given) == 1:
        (missing,) = set(names) - set(given)
        raise fields.FieldError(
            f"{missing}: must be set where {given[0]} is, it is missing"
        )
    for name in names:
        if getattr(config, name) < 0:
            raise fields.FieldError(
                f"{name}: must be at least 0, got {getattr(config, name)}"
            )
    return getattr(config, height_name), getattr(config, width_name)


def _pad_color(config: Any) -> pad.Color | None:
    color = tuple(config.pad_color)
    if not color:
        return None
    if len(color) != 3 or not all(map(math.isfinite, color)):
        raise fields.FieldError(
            "pad_color: must be 3 finite numbers, red, green and blue, or be "
            f"left out for the mean of the image, got {list(color)}"
        )
    return color


def _padded_size_ratios(
    config: Any, path: str = "", is_required: bool = False
) -> pad.PaddedSizeRatios:
    """Returns what is given of them, else the defaults if there are any."""
    defaults = pad.DEFAULT_RATIOS
    pairs = []
    for name, default in (
        ("min_padded_size_ratio", defaults.minimum),
        ("max_padded_size_ratio", defaults.maximum),
    ):
        ratios = tuple(getattr(config, name))
        if not ratios and not is_required:
            ratios = default
        if len(ratios) != 2 or not all(
            0 < ratio < math.inf for ratio in ratios
        ):
            raise fields.FieldError(
                f"{path}{name}: must be 2 numbers above 0, of the height and "
                f"of the width, got {list(ratios)}"
            )
        pairs.append(ratios)
    minimum, maximum = pairs
    if any(low > high for low, high in zip(minimum, maximum, strict=True)):
        raise fields.FieldError(
            f"{path}min_padded_size_ratio: must be at most "
            f"max_padded_size_ratio, which is {list(maximum)}, "
            f"got {list(minimum)}"
        )
    return pad.PaddedSizeRatios(minimum, maximum)
