"""The random crops of the SSD family, drawn until boxes overlap with them.

All trials are drawn at once. Images that are not decoded stay so.

Dimensions: O option, T trial, N box. Windows and boxes are yxyx in pixels.
"""

import dataclasses
import enum

import tensorflow as tf

from object_detection.core import standard_fields
from object_detection.preprocessing import crop, draws, examples

Fields = standard_fields.InputDataFields

# With NOT_MIXED, a box may be below the least IoU while none is above it by
# more than this.
_MIXED_SPAN = 0.2


class Rule(enum.Enum):
    """How crops are drawn and which are taken.

    The options are the image as it is and each of the least IoUs.

    BEST_BOX: the best IoU of a box and the crop reaches the least. A crop is
        drawn for every option by area and aspect ratio, and one of those that
        were found, or the image as it is, is chosen.
    ALL_BOXES: the IoU of every box reaches it. Sides are drawn independently;
        each trial draws its option anew.
    NOT_MIXED: unless a box that overlaps is below it and one is above it by
        0.2. Sides are drawn independently; the option is drawn once.
    """

    BEST_BOX = "best_box"
    ALL_BOXES = "all_boxes"
    NOT_MIXED = "not_mixed"


@dataclasses.dataclass(frozen=True)
class IouCrop:
    """Parameters of the crop.

    Attributes:
        rule: how crops are drawn and which are taken.
        min_ious: the least IoUs to choose from.
        max_trials: crops that are drawn, for each option with BEST_BOX,
            before the image stays as it is.
        scales: least and greatest side of the crop as a part of that of the
            image; with BEST_BOX, of the square root of the area.
        aspect_ratios: least and greatest width / height, both as parts of the
            image's sides. BEST_BOX keeps them within what fits the image.
        aspect_ratio_in_pixels: width / height are those in pixels.
        clip_boxes: whether the boxes that stay are cut at the border.
    """

    rule: Rule = Rule.BEST_BOX
    min_ious: tuple[float, ...] = (0.1, 0.3, 0.5, 0.7, 0.9)
    max_trials: int = 50
    scales: tuple[float, float] = (0.3, 1.0)
    aspect_ratios: tuple[float, float] = (0.5, 2.0)
    aspect_ratio_in_pixels: bool = False
    clip_boxes: bool = True

    def __post_init__(self) -> None:
        if not self.min_ious:
            raise ValueError("min_iou must have at least one number")
        for min_iou in self.min_ious:
            examples.check_shares(min_iou=min_iou)
        if self.max_trials < 1:
            raise ValueError(
                f"max_trials must be at least 1, got {self.max_trials}"
            )
        low_scale, high_scale = self.scales
        if not 0 < low_scale <= high_scale <= 1:
            raise ValueError(
                f"scales must satisfy 0 < min <= max <= 1, got {self.scales}"
            )
        low_ratio, high_ratio = self.aspect_ratios
        if not 0 < low_ratio <= high_ratio:
            raise ValueError(
                "aspect ratios must satisfy 0 < min <= max, got "
                f"{self.aspect_ratios}"
            )


def make_ssd_iou_crop(iou_crop: IouCrop) -> examples.Step:
    """Returns a step that cuts out a window as the rule says.

    A box stays when its centre is inside the window, not on its border, and
    the two overlap; no window is taken that keeps no box. So an image without
    boxes stays as it is.
    """
    draw_window = (
        _draw_of_each_option
        if iou_crop.rule == Rule.BEST_BOX
        else _draw_until_taken
    )

    def ssd_iou_crop(
        example: examples.Example, seed: tf.Tensor
    ) -> examples.Example:
        size_px = examples.image_size_px(example[Fields.image])
        size = tf.cast(size_px, tf.float32)
        boxes_px_N4 = example[Fields.groundtruth_boxes] * tf.tile(size, [2])
        window_4, is_cut = draw_window(iou_crop, size, boxes_px_N4, seed)
        is_kept_N = _is_kept(boxes_px_N4, window_4) | ~is_cut
        lower_px, upper_px = tf.split(tf.cast(window_4, tf.int32), 2)
        origin_px = tf.where(is_cut, lower_px, 0)
        window_size_px = tf.where(is_cut, upper_px - lower_px, size_px)
        return crop.cut_out(
            example,
            tf.concat([origin_px, window_size_px], axis=0),
            is_kept_N,
            tf.logical_and(is_cut, iou_crop.clip_boxes),
        )

    return ssd_iou_crop


def _draw_of_each_option(
    iou_crop: IouCrop,
    size: tf.Tensor,
    boxes_px_N4: tf.Tensor,
    seed: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Draws a window by each least IoU, and which of the found ones to take.

    Returns:
        float32 [4], and scalar bool: false for the image as it is.
    """
    num_options, num_trials = len(iou_crop.min_ious), iou_crop.max_trials
    shares = tf.random.stateless_uniform(
        [1 + num_options * num_trials * 4], seed
    )
    shape_OT2, place_OT2 = tf.split(
        tf.reshape(shares[1:], [num_options, num_trials, 4]), 2, axis=-1
    )
    sides_OT2 = _sides_of_areas(iou_crop, size, shape_OT2)
    windows_OT4 = _windows(size, sides_OT2, place_OT2)
    is_taken_OT = _obeys(
        iou_crop.rule,
        boxes_px_N4,
        windows_OT4,
        tf.constant(iou_crop.min_ious)[:, tf.newaxis],
    )
    first_O = _first_true(is_taken_OT)
    is_found_O = first_O < num_trials
    num_found_O = tf.cumsum(tf.cast(is_found_O, tf.int32))
    # 0 is the image as it is, the others are counted from 1.
    number = draws.whole_number_below(num_found_O[-1] + 1, shares[0])
    option = tf.minimum(
        tf.reduce_sum(tf.cast(num_found_O < number, tf.int32)), num_options - 1
    )
    trial = tf.minimum(first_O[option], num_trials - 1)
    return windows_OT4[option, trial], number > 0


def _draw_until_taken(
    iou_crop: IouCrop,
    size: tf.Tensor,
    boxes_px_N4: tf.Tensor,
    seed: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Draws options and windows until a window is taken, or none is to be.

    Returns:
        float32 [4], and scalar bool: false for the image as it is.
    """
    num_trials = iou_crop.max_trials
    shares_T5 = tf.random.stateless_uniform([num_trials, 5], seed)
    low_scale, high_scale = iou_crop.scales
    sides_T2 = low_scale + (high_scale - low_scale) * shares_T5[:, :2]
    low_ratio, high_ratio = iou_crop.aspect_ratios
    ratio_T = sides_T2[:, 1] / sides_T2[:, 0] * _unit_ratio(iou_crop, size)
    windows_T4 = _windows(size, sides_T2, shares_T5[:, 2:4])
    # 0 is the image as it is.
    options_T = draws.whole_number_below(
        len(iou_crop.min_ious) + 1, shares_T5[:, 4]
    )
    if iou_crop.rule == Rule.NOT_MIXED:
        options_T = tf.repeat(options_T[:1], num_trials)
    is_obeyed_T = _obeys(
        iou_crop.rule,
        boxes_px_N4,
        windows_T4,
        tf.gather(tf.constant((0.0, *iou_crop.min_ious)), options_T),
    )
    has_ratio_T = (ratio_T >= low_ratio) & (ratio_T <= high_ratio)
    is_cut_T = is_obeyed_T & has_ratio_T & (options_T > 0)
    first = _first_true(is_cut_T | tf.equal(options_T, 0))
    trial = tf.minimum(first, num_trials - 1)
    return windows_T4[trial], is_cut_T[trial]


def _sides_of_areas(
    iou_crop: IouCrop, size: tf.Tensor, shares: tf.Tensor
) -> tf.Tensor:
    """Makes height and width, parts of the image's, of uniform draws [..., 2].

    Beyond some aspect ratios, one of the sides is longer than that of the
    image; the range of what is drawn ends there.
    """
    low_scale, high_scale = iou_crop.scales
    scale = low_scale + (high_scale - low_scale) * shares[..., 0]
    least = tf.square(scale)
    unit_ratio = _unit_ratio(iou_crop, size)
    low, high = (
        tf.minimum(tf.maximum(ratio / unit_ratio, least), 1.0 / least)
        for ratio in iou_crop.aspect_ratios
    )
    root = tf.sqrt(low + (high - low) * shares[..., 1])
    return tf.stack([scale / root, scale * root], axis=-1)


def _unit_ratio(iou_crop: IouCrop, size: tf.Tensor) -> tf.Tensor | float:
    """What `aspect_ratios` call the aspect ratio of the image."""
    return size[1] / size[0] if iou_crop.aspect_ratio_in_pixels else 1.0


def _windows(size: tf.Tensor, sides: tf.Tensor, shares: tf.Tensor) -> tf.Tensor:
    """Puts windows at random places, and cuts them to whole pixels.

    Args:
        size: float32 [2], height and width of the image in pixels.
        sides: float32 [..., 2], height and width as parts of the image's.
        shares: float32 [..., 2], uniform in [0, 1).

    Returns:
        float32 [..., 4], with at least one pixel.
    """
    lower = (1.0 - sides) * shares
    lower_px = tf.minimum(tf.floor(lower * size), size - 1.0)
    upper_px = tf.minimum(tf.floor((lower + sides) * size), size)
    upper_px = tf.maximum(upper_px, lower_px + 1.0)
    return tf.concat([lower_px, upper_px], axis=-1)


def _obeys(
    rule: Rule, boxes_N4: tf.Tensor, windows: tf.Tensor, min_iou: tf.Tensor
) -> tf.Tensor:
    """bool [...]: the window keeps a box, and overlaps are as the rule says.

    Args:
        rule: of IoUs.
        boxes_N4: float32 [n, 4].
        windows: float32 [..., 4].
        min_iou: float32, of a shape that fits [...].
    """
    iou = _iou(boxes_N4, windows)
    best_iou = tf.reduce_max(iou, axis=-1)
    if rule == Rule.BEST_BOX:
        is_obeyed = best_iou >= min_iou
    elif rule == Rule.ALL_BOXES:
        is_obeyed = tf.reduce_min(iou, axis=-1) >= min_iou
    else:
        # 1 is above every least IoU.
        worst_iou = tf.reduce_min(tf.where(iou > 0, iou, 1.0), axis=-1)
        is_obeyed = (worst_iou >= min_iou) | (best_iou <= min_iou + _MIXED_SPAN)
    return is_obeyed & tf.reduce_any(_is_kept(boxes_N4, windows), axis=-1)


def _is_kept(boxes_N4: tf.Tensor, windows: tf.Tensor) -> tf.Tensor:
    """bool [..., n]: the box overlaps and has its centre inside."""
    lower, upper = tf.split(windows[..., tf.newaxis, :], 2, axis=-1)
    centers_N2 = (boxes_N4[:, :2] + boxes_N4[:, 2:]) / 2
    is_inside = (centers_N2 > lower) & (centers_N2 < upper)
    has_area_N = tf.reduce_all(boxes_N4[:, 2:] > boxes_N4[:, :2], axis=1)
    # A box with an area and its centre inside overlaps.
    return tf.reduce_all(is_inside, axis=-1) & has_area_N


def _iou(boxes_N4: tf.Tensor, windows: tf.Tensor) -> tf.Tensor:
    """float32 [..., n], 0 where nothing has an area."""
    window = windows[..., tf.newaxis, :]
    lower = tf.maximum(boxes_N4[:, :2], window[..., :2])
    upper = tf.minimum(boxes_N4[:, 2:], window[..., 2:])
    intersection = tf.reduce_prod(tf.maximum(upper - lower, 0.0), axis=-1)
    areas = _area(boxes_N4) + _area(window)
    return tf.math.divide_no_nan(intersection, areas - intersection)


def _area(boxes: tf.Tensor) -> tf.Tensor:
    return tf.reduce_prod(boxes[..., 2:] - boxes[..., :2], axis=-1)


def _first_true(is_true: tf.Tensor) -> tf.Tensor:
    """int32 [...], index in the last axis; its length where none is true."""
    length = is_true.shape[-1]
    return tf.reduce_min(tf.where(is_true, tf.range(length), length), axis=-1)
