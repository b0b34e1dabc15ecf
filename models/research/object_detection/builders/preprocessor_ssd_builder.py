"""Makes the augmentations of the SSD family's recipes from their messages."""

from collections.abc import Callable
from typing import Any

from object_detection.builders import preprocessor_fields as fields
from object_detection.preprocessing import (
    channel_permutation,
    examples,
    expand,
    iou_crop,
    pad,
    photometric,
)
from object_detection.protos import preprocessor_pb2
from object_detection.utils import config_fields

_RATIO = config_fields.Range(1)
_BYTE = config_fields.Range(0, 255)
_SCALE = config_fields.Range(0, 1, is_low_allowed=False)
_HALF_TURN_DEGREES = config_fields.Range(0, 180)
# All trials of an image are in memory at once.
_TRIALS = config_fields.Range(1, 1000)

_Distortion = preprocessor_pb2.PhotometricDistortion


def _ssd_expand(config: preprocessor_pb2.SsdExpand) -> examples.Step:
    color = tuple(config.color) or pad.BLACK
    if len(color) != 3 or not all(map(_BYTE.contains, color)):
        raise fields.FieldError(
            f"color: must be 3 numbers {_BYTE}, red, green and blue, or be "
            f"left out for black, got {list(color)}"
        )
    return expand.make_ssd_expand(
        fields.number(config, "probability", fields.SHARE),
        fields.number(config, "max_ratio", _RATIO),
        color,
    )


def _ssd_iou_crop(config: preprocessor_pb2.SsdIouCrop) -> examples.Step:
    rule = iou_crop.Rule[preprocessor_pb2.SsdIouCrop.Rule.Name(config.rule)]
    min_ious = tuple(config.min_iou)
    if not min_ious or not all(map(fields.SHARE.contains, min_ious)):
        raise fields.FieldError(
            f"min_iou: must be numbers {fields.SHARE}, at least one, "
            f"got {list(min_ious)}"
        )
    scales = fields.ordered(config, "min_scale", "max_scale", _SCALE)
    low_ratio, high_ratio = fields.ordered(
        config, "min_aspect_ratio", "max_aspect_ratio", fields.POSITIVE
    )
    if rule != iou_crop.Rule.BEST_BOX and not config.aspect_ratio_in_pixels:
        greatest = scales[1] / scales[0]
        if low_ratio > greatest or high_ratio < 1 / greatest:
            raise fields.FieldError(
                "min_aspect_ratio, max_aspect_ratio: must have a part of "
                f"{1 / greatest:g} to {greatest:g}, what sides from min_scale "
                f"to max_scale make, got {low_ratio:g} and {high_ratio:g}"
            )
    return iou_crop.make_ssd_iou_crop(
        iou_crop.IouCrop(
            rule=rule,
            min_ious=min_ious,
            max_trials=int(fields.number(config, "max_trials", _TRIALS)),
            scales=scales,
            aspect_ratios=(low_ratio, high_ratio),
            aspect_ratio_in_pixels=config.aspect_ratio_in_pixels,
            clip_boxes=config.clip_boxes,
        )
    )


def _photometric_distortion(
    config: preprocessor_pb2.PhotometricDistortion,
) -> examples.Step:
    brightness, contrast, saturation = (
        fields.ordered(config, low_name, high_name, fields.NOT_NEGATIVE)
        for low_name, high_name in (
            ("min_brightness_factor", "max_brightness_factor"),
            ("min_contrast_factor", "max_contrast_factor"),
            ("min_saturation_factor", "max_saturation_factor"),
        )
    )
    return photometric.make_photometric_distortion(
        photometric.PhotometricDistortion(
            probability=fields.number(config, "probability", fields.SHARE),
            max_brightness_delta=int(
                fields.number(config, "max_brightness_delta", _BYTE)
            ),
            brightness_factors=brightness,
            contrast_factors=contrast,
            contrast_center=photometric.ContrastCenter[
                _Distortion.ContrastCenter.Name(config.contrast_center)
            ],
            saturation_factors=saturation,
            max_hue_delta_degrees=fields.number(
                config, "max_hue_delta_degrees", _HALF_TURN_DEGREES
            ),
            order=photometric.Order[_Distortion.Order.Name(config.order)],
            color_model=photometric.ColorModel[
                _Distortion.ColorModel.Name(config.color_model)
            ],
        )
    )


def _random_channel_permutation(
    config: preprocessor_pb2.RandomChannelPermutation,
) -> examples.Step:
    return channel_permutation.make_random_channel_permutation(
        fields.number(config, "probability", fields.SHARE)
    )


# Part of the table of `preprocessor_builder`.
MAKERS: dict[str, Callable[[Any], examples.Step]] = {
    "photometric_distortion": _photometric_distortion,
    "random_channel_permutation": _random_channel_permutation,
    "ssd_expand": _ssd_expand,
    "ssd_iou_crop": _ssd_iou_crop,
}
