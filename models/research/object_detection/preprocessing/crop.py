"""Random crops that keep boxes, pixels and all that belongs in step.

Dimensions: N box, K keypoint. A window is int32 [4]: top, left, height and
width in pixels. Boxes are yxyx, normalised.
"""

import dataclasses
import functools
from collections.abc import Sequence

import tensorflow as tf

from object_detection.core import standard_fields
from object_detection.preprocessing import draws, examples

Fields = standard_fields.InputDataFields

# So often a window is drawn before the whole image is taken instead.
MAX_ATTEMPTS = 100


@dataclasses.dataclass(frozen=True)
class RandomCrop:
    """Parameters of a random crop.

    Attributes:
        min_object_covered: the window holds at least this part of one box.
        aspect_ratio_range: lowest and highest width / height of the window.
        area_range: lowest and highest share of the image's area.
        overlap_thresh: boxes stay when this part of them is in the window.
        clip_boxes: whether the boxes that stay are cut at the border.
        random_coef: probability of leaving the image as it is.
    """

    min_object_covered: float = 1.0
    aspect_ratio_range: tuple[float, float] = (0.75, 1.33)
    area_range: tuple[float, float] = (0.1, 1.0)
    overlap_thresh: float = 0.3
    clip_boxes: bool = True
    random_coef: float = 0.0

    def __post_init__(self) -> None:
        low_ratio, high_ratio = self.aspect_ratio_range
        if not 0 < low_ratio <= high_ratio:
            raise ValueError(
                "aspect ratios must satisfy 0 < min <= max, got "
                f"{self.aspect_ratio_range}"
            )
        low_area, high_area = self.area_range
        if not 0 < low_area <= high_area <= 1:
            raise ValueError(
                f"areas must satisfy 0 < min <= max <= 1, got {self.area_range}"
            )
        examples.check_shares(
            min_object_covered=self.min_object_covered,
            overlap_thresh=self.overlap_thresh,
            random_coef=self.random_coef,
        )


def make_random_crop_image(crop: RandomCrop) -> examples.Step:
    """Returns a step that cuts a random window out of an example."""

    def random_crop_image(
        example: examples.Example, seed: tf.Tensor
    ) -> examples.Example:
        return crop_at_random(example, [crop], tf.constant(0), seed)

    return random_crop_image


def crop_at_random(
    example: examples.Example,
    crops: Sequence[RandomCrop],
    case: tf.Tensor,
    seed: tf.Tensor,
) -> examples.Example:
    """Draws one window as crops[case] says, and cuts it out.

    Args:
        example: tensors of one image.
        crops: the cases to choose from.
        case: scalar int32.
        seed: int64 [2].
    """

    def parameter(name: str) -> float | tf.Tensor:
        return draws.value_of_case(
            [getattr(crop, name) for crop in crops], case
        )

    window_px = _draw_window_of_case(
        crops,
        case,
        examples.image_size_px(example[Fields.image]),
        example[Fields.groundtruth_boxes],
        seed,
    )
    is_left_alone = None
    random_coef = parameter("random_coef")
    if tf.is_tensor(random_coef) or random_coef > 0:
        draw = tf.random.stateless_uniform([], examples.derive_seed(seed, 1))
        is_left_alone = draw < random_coef
    return crop_example(
        example,
        window_px,
        parameter("overlap_thresh"),
        parameter("clip_boxes"),
        is_left_alone,
    )


def _draw_window_of_case(
    crops: Sequence[RandomCrop],
    case: tf.Tensor,
    image_size_px: tf.Tensor,
    boxes_N4: tf.Tensor,
    seed: tf.Tensor,
) -> tf.Tensor:
    min_object_covered = draws.value_of_case(
        [crop.min_object_covered for crop in crops], case
    )
    # The ranges are attributes of the sampler: each distinct pair needs a
    # sampler of its own, of which one runs.
    ranges = [(crop.aspect_ratio_range, crop.area_range) for crop in crops]
    distinct = list(dict.fromkeys(ranges))
    samplers = [
        functools.partial(
            draw_window,
            image_size_px,
            boxes_N4,
            seed,
            min_object_covered,
            aspect_ratio_range,
            area_range,
        )
        for aspect_ratio_range, area_range in distinct
    ]
    if len(samplers) == 1:
        return samplers[0]()
    number = tf.constant([distinct.index(pair) for pair in ranges])[case]
    return tf.switch_case(number, samplers)


def draw_window(
    image_size_px: tf.Tensor,
    boxes_N4: tf.Tensor,
    seed: tf.Tensor,
    min_object_covered: float | tf.Tensor,
    aspect_ratio_range: tuple[float, float],
    area_range: tuple[float, float],
) -> tf.Tensor:
    """Draws a window as `tf.image.sample_distorted_bounding_box` does.

    Args:
        image_size_px: int32 [2], height and width.
        boxes_N4: float32 [n, 4]; without boxes any window will do.
        seed: int64 [2].
        min_object_covered: as in `RandomCrop`, as are the ranges.
        aspect_ratio_range: width / height.
        area_range: share of the image.

    Returns:
        int32 [4]; the whole image after MAX_ATTEMPTS failures.
    """
    begin, size, _ = tf.image.stateless_sample_distorted_bounding_box(
        tf.concat([image_size_px, [3]], axis=0),
        bounding_boxes=tf.clip_by_value(boxes_N4, 0.0, 1.0)[tf.newaxis],
        seed=examples.derive_seed(seed, 0),
        min_object_covered=min_object_covered,
        aspect_ratio_range=aspect_ratio_range,
        area_range=area_range,
        max_attempts=MAX_ATTEMPTS,
        use_image_if_no_bounding_boxes=True,
    )
    return tf.concat([begin[:2], size[:2]], axis=0)


def crop_example(
    example: examples.Example,
    window_px: tf.Tensor,
    overlap_thresh: float | tf.Tensor,
    clip_boxes: bool | tf.Tensor,
    is_left_alone: tf.Tensor | None = None,
) -> examples.Example:
    """Cuts a window out of an example.

    A box stays when it meets the window and at least `overlap_thresh` of its
    area is inside; a box without area never stays.

    Args:
        example: tensors of one image.
        window_px: int32 [4].
        overlap_thresh: in [0, 1].
        clip_boxes: whether boxes are cut at the window's border, and
            keypoints outside become NaN.
        is_left_alone: scalar bool; where true, the example stays as it is.
    """
    image_size_px = examples.image_size_px(example[Fields.image])
    if is_left_alone is not None:
        whole_px = tf.concat([[0, 0], image_size_px], axis=0)
        window_px = tf.where(is_left_alone, whole_px, window_px)
        clip_boxes = tf.logical_and(clip_boxes, ~is_left_alone)
    image_size = tf.cast(image_size_px, tf.float32)
    origin = tf.cast(window_px[:2], tf.float32) / image_size
    scale = tf.cast(window_px[2:], tf.float32) / image_size
    is_kept_N = _is_kept(
        example[Fields.groundtruth_boxes],
        tf.concat([origin, origin + scale], axis=0),
        overlap_thresh,
    )
    if is_left_alone is not None:
        is_kept_N |= is_left_alone
    return cut_out(example, window_px, is_kept_N, clip_boxes)


def cut_out(
    example: examples.Example,
    window_px: tf.Tensor,
    is_kept_N: tf.Tensor,
    clip_boxes: bool | tf.Tensor,
) -> examples.Example:
    """Cuts a window out of an example.

    Args:
        example: tensors of one image.
        window_px: int32 [4].
        is_kept_N: bool [n], the boxes that stay.
        clip_boxes: whether boxes are cut at the window's border, and
            keypoints outside become NaN.
    """
    image = example[Fields.image]
    image_size = tf.cast(examples.image_size_px(image), tf.float32)
    origin = tf.cast(window_px[:2], tf.float32) / image_size
    scale = tf.cast(window_px[2:], tf.float32) / image_size
    cropped = examples.keep_boxes(example, is_kept_N)
    cropped[Fields.image] = examples.crop_image(image, window_px)
    boxes_N4 = (
        cropped[Fields.groundtruth_boxes] - tf.tile(origin, [2])
    ) / tf.tile(scale, [2])
    cropped[Fields.groundtruth_boxes] = tf.where(
        clip_boxes, tf.clip_by_value(boxes_N4, 0.0, 1.0), boxes_N4
    )
    if Fields.groundtruth_instance_masks in example:
        top, left, height, width = tf.unstack(window_px)
        cropped[Fields.groundtruth_instance_masks] = tf.slice(
            cropped[Fields.groundtruth_instance_masks],
            [0, top, left],
            [-1, height, width],
        )
    if Fields.groundtruth_keypoints in example:
        keypoints_NK2 = (cropped[Fields.groundtruth_keypoints] - origin) / scale
        is_inside_NK1 = tf.reduce_all(
            (keypoints_NK2 >= 0) & (keypoints_NK2 <= 1), -1, keepdims=True
        )
        cropped[Fields.groundtruth_keypoints] = tf.where(
            is_inside_NK1 | ~tf.convert_to_tensor(clip_boxes),
            keypoints_NK2,
            float("nan"),
        )
    return cropped


def _is_kept(
    boxes_N4: tf.Tensor,
    window_yxyx: tf.Tensor,
    overlap_thresh: float | tf.Tensor,
) -> tf.Tensor:
    """bool [n]: enough of the box is inside the window."""
    lower_N2 = tf.maximum(boxes_N4[:, :2], window_yxyx[:2])
    upper_N2 = tf.minimum(boxes_N4[:, 2:], window_yxyx[2:])
    meets_N = tf.reduce_all(
        (boxes_N4[:, :2] < window_yxyx[2:])
        & (boxes_N4[:, 2:] > window_yxyx[:2]),
        axis=1,
    )
    overlap_N = tf.reduce_prod(tf.maximum(upper_N2 - lower_N2, 0.0), axis=1)
    area_N = tf.reduce_prod(boxes_N4[:, 2:] - boxes_N4[:, :2], axis=1)
    # 0 / 0 is NaN, which no threshold admits.
    return meets_N & (overlap_N / area_N >= overlap_thresh)
