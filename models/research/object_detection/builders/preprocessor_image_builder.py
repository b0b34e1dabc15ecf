"""Makes the augmentations that neither cut nor pad from their messages."""

import math
from collections.abc import Callable
from typing import Any

from google.protobuf import message

from object_detection.builders import preprocessor_fields as fields
from object_detection.preprocessing import (
    augment_boxes,
    augment_colors,
    augment_images,
    examples,
    image_resizer,
)
from object_detection.protos import preprocessor_pb2
from object_detection.utils import config_fields

_COUNT = config_fields.Range(1)

_METHODS = {
    preprocessor_pb2.ResizeImage.AREA: image_resizer.ResizeMethod.AREA,
    preprocessor_pb2.ResizeImage.BICUBIC: image_resizer.ResizeMethod.BICUBIC,
    preprocessor_pb2.ResizeImage.BILINEAR: image_resizer.ResizeMethod.BILINEAR,
    preprocessor_pb2.ResizeImage.NEAREST_NEIGHBOR: (
        image_resizer.ResizeMethod.NEAREST_NEIGHBOR
    ),
}


def _normalize_image(config: preprocessor_pb2.NormalizeImage) -> examples.Step:
    low, high, target_low, target_high = (
        fields.number(config, name, fields.ANY)
        for name in (
            "original_minval",
            "original_maxval",
            "target_minval",
            "target_maxval",
        )
    )
    if low == high:
        raise fields.FieldError(
            "original_maxval: must be another number than original_minval, "
            f"got {high:g}"
        )
    return augment_colors.make_normalize_image(
        (low, high), (target_low, target_high)
    )


def _subtract_channel_mean(
    config: preprocessor_pb2.SubtractChannelMean,
) -> examples.Step:
    means = tuple(config.means)
    if not means or not all(map(math.isfinite, means)):
        raise fields.FieldError(
            f"means: must be a finite number a channel, got {list(means)}"
        )
    return augment_colors.make_subtract_channel_mean(means)


def _random_distort_color(
    config: preprocessor_pb2.RandomDistortColor,
) -> examples.Step:
    if config.color_ordering not in (0, 1):
        raise fields.FieldError(
            f"color_ordering: must be 0 or 1, got {config.color_ordering}"
        )
    return augment_colors.make_random_distort_color(config.color_ordering)


def _random_horizontal_flip(
    config: preprocessor_pb2.RandomHorizontalFlip,
) -> examples.Step:
    return augment_boxes.make_random_horizontal_flip(
        tuple(config.keypoint_flip_permutation)
    )


def _random_vertical_flip(
    config: preprocessor_pb2.RandomVerticalFlip,
) -> examples.Step:
    return augment_boxes.make_random_vertical_flip(
        tuple(config.keypoint_flip_permutation)
    )


def _resize_image(config: preprocessor_pb2.ResizeImage) -> examples.Step:
    return augment_images.make_resize_image(
        _side_px(config, "new_height"),
        _side_px(config, "new_width"),
        _METHODS[config.method],
    )


def _random_resize_method(
    config: preprocessor_pb2.RandomResizeMethod,
) -> examples.Step:
    return augment_images.make_random_resize_method(
        _side_px(config, "target_height"),
        _side_px(config, "target_width"),
        include_lanczos=config.include_lanczos,
    )


def _random_black_patches(
    config: preprocessor_pb2.RandomBlackPatches,
) -> examples.Step:
    return augment_images.make_random_black_patches(
        int(fields.number(config, "max_black_patches", fields.NOT_NEGATIVE)),
        fields.number(config, "probability", fields.SHARE),
        fields.number(config, "size_to_image_ratio", fields.SHARE),
    )


def _side_px(config: message.Message, name: str) -> int:
    """Returns a number of pixels, in a field that may be a float."""
    side_px = fields.number(config, name, _COUNT)
    if side_px != int(side_px):
        raise fields.FieldError(
            f"{name}: must be a whole number of pixels, got {side_px:g}"
        )
    return int(side_px)


def _of_number(
    make: Callable[[float], examples.Step],
    name: str,
    allowed: config_fields.Range,
) -> Callable[[message.Message], examples.Step]:
    """Returns what makes a step of one field of its message."""
    return lambda config: make(fields.number(config, name, allowed))


def _of_range(
    make: Callable[[float, float], examples.Step],
    low_name: str,
    high_name: str,
    allowed: config_fields.Range = fields.NOT_NEGATIVE,
) -> Callable[[message.Message], examples.Step]:
    """Returns what makes a step of the two ends of a range."""
    return lambda config: make(
        *fields.ordered(config, low_name, high_name, allowed)
    )


# Part of the table of `preprocessor_builder`.
MAKERS: dict[str, Callable[[Any], examples.Step]] = {
    "normalize_image": _normalize_image,
    "random_adjust_brightness": _of_number(
        augment_colors.make_random_adjust_brightness,
        "max_delta",
        fields.NOT_NEGATIVE,
    ),
    "random_adjust_contrast": _of_range(
        augment_colors.make_random_adjust_contrast, "min_delta", "max_delta"
    ),
    "random_adjust_hue": _of_number(
        augment_colors.make_random_adjust_hue, "max_delta", fields.SHARE
    ),
    "random_adjust_saturation": _of_range(
        augment_colors.make_random_adjust_saturation, "min_delta", "max_delta"
    ),
    "random_black_patches": _random_black_patches,
    "random_distort_color": _random_distort_color,
    "random_horizontal_flip": _random_horizontal_flip,
    "random_image_scale": _of_range(
        augment_images.make_random_image_scale,
        "min_scale_ratio",
        "max_scale_ratio",
        fields.POSITIVE,
    ),
    "random_jitter_boxes": _of_number(
        augment_boxes.make_random_jitter_boxes, "ratio", fields.NOT_NEGATIVE
    ),
    "random_pixel_value_scale": _of_range(
        augment_colors.make_random_pixel_value_scale, "minval", "maxval"
    ),
    "random_resize_method": _random_resize_method,
    "random_rgb_to_gray": _of_number(
        augment_colors.make_random_rgb_to_gray, "probability", fields.SHARE
    ),
    "random_rotation90": lambda _: augment_boxes.random_rotation90,
    "random_vertical_flip": _random_vertical_flip,
    "resize_image": _resize_image,
    "rgb_to_gray": lambda _: augment_colors.rgb_to_gray,
    "subtract_channel_mean": _subtract_channel_mean,
}
