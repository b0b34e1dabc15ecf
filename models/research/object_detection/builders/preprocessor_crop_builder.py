"""Makes the augmentations that cut or pad from their config messages."""

from collections.abc import Callable
from typing import Any

from object_detection.preprocessing import crop, examples
from object_detection.protos import preprocessor_pb2


def _random_crop_image(
    config: preprocessor_pb2.RandomCropImage,
) -> examples.Step:
    return crop.make_random_crop_image(
        crop.RandomCrop(
            min_object_covered=config.min_object_covered,
            aspect_ratio_range=(
                config.min_aspect_ratio,
                config.max_aspect_ratio,
            ),
            area_range=(config.min_area, config.max_area),
            overlap_thresh=config.overlap_thresh,
            clip_boxes=config.clip_boxes,
            random_coef=config.random_coef,
        )
    )


# Part of the table of `preprocessor_builder`.
MAKERS: dict[str, Callable[[Any], examples.Step]] = {
    "random_crop_image": _random_crop_image,
}
