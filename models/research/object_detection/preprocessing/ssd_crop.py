"""The random crops of SSD: one of several cases is drawn for each image.

A case is drawn first and then one window with its parameters, so the cost
does not grow with the number of cases. Crops of an image that is not decoded
stay so; padding decodes it.
"""

import dataclasses
from collections.abc import Sequence

import tensorflow as tf

from object_detection.core import standard_fields
from object_detection.preprocessing import (
    aspect_ratios,
    crop,
    draws,
    examples,
    pad,
)

Fields = standard_fields.InputDataFields

_SSD_ASPECT_RATIOS = (0.5, 2.0)
_SSD_AREAS = (0.1, 1.0)
_SSD_RANDOM_COEF = 0.15


def _ssd_crop(share: float) -> crop.RandomCrop:
    return crop.RandomCrop(
        min_object_covered=share,
        aspect_ratio_range=_SSD_ASPECT_RATIOS,
        area_range=_SSD_AREAS,
        overlap_thresh=share,
        clip_boxes=True,
        random_coef=_SSD_RANDOM_COEF,
    )


SSD_CROPS = tuple(map(_ssd_crop, (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)))


@dataclasses.dataclass(frozen=True)
class RandomCropPad:
    """Parameters of a crop and of the padding after it.

    Attributes:
        crop: the crop.
        ratios: of the sides of the padded image to those before the crop.
        color: of the padding; None for the mean of the cropped image.
    """

    crop: crop.RandomCrop
    ratios: pad.PaddedSizeRatios = pad.DEFAULT_RATIOS
    color: pad.Color | None = None


SSD_CROP_PADS = tuple(
    RandomCropPad(_ssd_crop(share)) for share in (0.1, 0.3, 0.5, 0.7, 0.9, 1.0)
)


def make_ssd_random_crop(
    crops: Sequence[crop.RandomCrop] = SSD_CROPS,
) -> examples.Step:
    """Returns a step that crops as one of the cases says, each as likely."""

    def ssd_random_crop(
        example: examples.Example, seed: tf.Tensor
    ) -> examples.Example:
        case = draws.uniform_case(len(crops), examples.derive_seed(seed, 2))
        return crop.crop_at_random(example, crops, case, seed)

    return ssd_random_crop


def make_ssd_random_crop_fixed_aspect_ratio(
    crops: Sequence[crop.RandomCrop] = SSD_CROPS, aspect_ratio: float = 1.0
) -> examples.Step:
    """Returns a step that crops to one width / height.

    Args:
        crops: the cases; their own aspect ratios do not count.
        aspect_ratio: width / height. A window of it is cut out first; then the
            largest of it out of what that left, where boxes stay with 0.3 of
            their area and are clipped, whatever the case says.
    """
    crop_by_case = make_ssd_random_crop(
        [
            dataclasses.replace(
                case, aspect_ratio_range=(aspect_ratio, aspect_ratio)
            )
            for case in crops
        ]
    )
    crop_to_ratio = aspect_ratios.make_random_crop_to_aspect_ratio(
        aspect_ratio, overlap_thresh=0.3, clip_boxes=True
    )

    def ssd_random_crop_fixed_aspect_ratio(
        example: examples.Example, seed: tf.Tensor
    ) -> examples.Example:
        cropped = crop_by_case(example, examples.derive_seed(seed, 0))
        return crop_to_ratio(cropped, examples.derive_seed(seed, 1))

    return ssd_random_crop_fixed_aspect_ratio


def make_ssd_random_crop_pad_fixed_aspect_ratio(
    crops: Sequence[crop.RandomCrop] = SSD_CROPS,
    aspect_ratio: float = 1.0,
    ratios: pad.PaddedSizeRatios = pad.DEFAULT_RATIOS,
) -> examples.Step:
    """Returns a step that crops, then pads to one width / height.

    Args:
        crops: the cases.
        aspect_ratio: width / height of the padded image.
        ratios: of the sides of the padded image to those of the cropped one.
    """
    aspect_ratios.check_aspect_ratio(aspect_ratio)
    crop_by_case = make_ssd_random_crop(crops)

    def ssd_random_crop_pad_fixed_aspect_ratio(
        example: examples.Example, seed: tf.Tensor
    ) -> examples.Example:
        cropped = crop_by_case(example, examples.derive_seed(seed, 0))
        return aspect_ratios.pad_to_aspect_ratio(
            cropped, aspect_ratio, ratios, examples.derive_seed(seed, 1)
        )

    return ssd_random_crop_pad_fixed_aspect_ratio


def make_random_crop_pad_image(crop_pad: RandomCropPad) -> examples.Step:
    """Returns a step that cuts out a random window and pads it."""

    def random_crop_pad_image(
        example: examples.Example, seed: tf.Tensor
    ) -> examples.Example:
        return _crop_and_pad(example, [crop_pad], seed)

    return random_crop_pad_image


def make_ssd_random_crop_pad(
    crop_pads: Sequence[RandomCropPad] = SSD_CROP_PADS,
) -> examples.Step:
    """Returns a step that crops and pads as one of the cases says.

    Args:
        crop_pads: the cases, each as likely. All of them give a colour, or
            none does.
    """
    if len({case.color is None for case in crop_pads}) != 1:
        raise ValueError("all cases must give a colour for padding, or none")

    def ssd_random_crop_pad(
        example: examples.Example, seed: tf.Tensor
    ) -> examples.Example:
        return _crop_and_pad(example, crop_pads, seed)

    return ssd_random_crop_pad


def _crop_and_pad(
    example: examples.Example,
    crop_pads: Sequence[RandomCropPad],
    seed: tf.Tensor,
) -> examples.Example:
    case = draws.uniform_case(len(crop_pads), examples.derive_seed(seed, 2))
    original_size = tf.cast(
        examples.image_size_px(example[Fields.image]), tf.float32
    )
    cropped = crop.crop_at_random(
        example, [crop_pad.crop for crop_pad in crop_pads], case, seed
    )
    ratios_M22 = tf.constant([crop_pad.ratios for crop_pad in crop_pads])
    min_size_px, max_size_px = tf.unstack(
        tf.cast(original_size * ratios_M22[case], tf.int32)
    )
    colors = [crop_pad.color for crop_pad in crop_pads]
    color = None if colors[0] is None else pad.color_tensor(colors)[case]
    return pad.pad_at_random(
        cropped, min_size_px, max_size_px, color, examples.derive_seed(seed, 3)
    )
