"""Makes the augmentations that neither cut nor pad from their messages."""

from collections.abc import Callable
from typing import Any

from object_detection.preprocessing import (
    augment_boxes,
    augment_colors,
    augment_images,
    examples,
    image_resizer,
)
from object_detection.protos import preprocessor_pb2

_METHODS = {
    preprocessor_pb2.ResizeImage.AREA: image_resizer.ResizeMethod.AREA,
    preprocessor_pb2.ResizeImage.BICUBIC: image_resizer.ResizeMethod.BICUBIC,
    preprocessor_pb2.ResizeImage.BILINEAR: image_resizer.ResizeMethod.BILINEAR,
    preprocessor_pb2.ResizeImage.NEAREST_NEIGHBOR: (
        image_resizer.ResizeMethod.NEAREST_NEIGHBOR
    ),
}


def _normalize_image(config: preprocessor_pb2.NormalizeImage) -> examples.Step:
    return augment_colors.make_normalize_image(
        (config.original_minval, config.original_maxval),
        (config.target_minval, config.target_maxval),
    )


def _subtract_channel_mean(
    config: preprocessor_pb2.SubtractChannelMean,
) -> examples.Step:
    return augment_colors.make_subtract_channel_mean(tuple(config.means))


def _random_pixel_value_scale(
    config: preprocessor_pb2.RandomPixelValueScale,
) -> examples.Step:
    return augment_colors.make_random_pixel_value_scale(
        config.minval, config.maxval
    )


def _random_rgb_to_gray(
    config: preprocessor_pb2.RandomRGBtoGray,
) -> examples.Step:
    return augment_colors.make_random_rgb_to_gray(config.probability)


def _random_adjust_brightness(
    config: preprocessor_pb2.RandomAdjustBrightness,
) -> examples.Step:
    return augment_colors.make_random_adjust_brightness(config.max_delta)


def _random_adjust_contrast(
    config: preprocessor_pb2.RandomAdjustContrast,
) -> examples.Step:
    return augment_colors.make_random_adjust_contrast(
        config.min_delta, config.max_delta
    )


def _random_adjust_hue(
    config: preprocessor_pb2.RandomAdjustHue,
) -> examples.Step:
    return augment_colors.make_random_adjust_hue(config.max_delta)


def _random_adjust_saturation(
    config: preprocessor_pb2.RandomAdjustSaturation,
) -> examples.Step:
    return augment_colors.make_random_adjust_saturation(
        config.min_delta, config.max_delta
    )


def _random_distort_color(
    config: preprocessor_pb2.RandomDistortColor,
) -> examples.Step:
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


def _random_jitter_boxes(
    config: preprocessor_pb2.RandomJitterBoxes,
) -> examples.Step:
    return augment_boxes.make_random_jitter_boxes(config.ratio)


def _random_image_scale(
    config: preprocessor_pb2.RandomImageScale,
) -> examples.Step:
    return augment_images.make_random_image_scale(
        config.min_scale_ratio, config.max_scale_ratio
    )


def _resize_image(config: preprocessor_pb2.ResizeImage) -> examples.Step:
    return augment_images.make_resize_image(
        config.new_height, config.new_width, _METHODS[config.method]
    )


def _random_resize_method(
    config: preprocessor_pb2.RandomResizeMethod,
) -> examples.Step:
    for name in ("target_height", "target_width"):
        # The fields are floats, pixels come whole.
        if not getattr(config, name).is_integer():
            raise ValueError(
                f"{name} must be a whole number, got {getattr(config, name):g}"
            )
    return augment_images.make_random_resize_method(
        int(config.target_height), int(config.target_width)
    )


def _random_black_patches(
    config: preprocessor_pb2.RandomBlackPatches,
) -> examples.Step:
    return augment_images.make_random_black_patches(
        config.max_black_patches,
        config.probability,
        config.size_to_image_ratio,
    )


# Part of the table of `preprocessor_builder`.
MAKERS: dict[str, Callable[[Any], examples.Step]] = {
    "normalize_image": _normalize_image,
    "random_adjust_brightness": _random_adjust_brightness,
    "random_adjust_contrast": _random_adjust_contrast,
    "random_adjust_hue": _random_adjust_hue,
    "random_adjust_saturation": _random_adjust_saturation,
    "random_black_patches": _random_black_patches,
    "random_distort_color": _random_distort_color,
    "random_horizontal_flip": _random_horizontal_flip,
    "random_image_scale": _random_image_scale,
    "random_jitter_boxes": _random_jitter_boxes,
    "random_pixel_value_scale": _random_pixel_value_scale,
    "random_resize_method": _random_resize_method,
    "random_rgb_to_gray": _random_rgb_to_gray,
    "random_rotation90": lambda _: augment_boxes.random_rotation90,
    "random_vertical_flip": _random_vertical_flip,
    "resize_image": _resize_image,
    "rgb_to_gray": lambda _: augment_colors.rgb_to_gray,
    "subtract_channel_mean": _subtract_channel_mean,
}
