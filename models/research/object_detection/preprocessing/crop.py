"""The random crop that keeps boxes, pixels and all that belongs in step.

Dimensions: N box, K keypoint. A window is int32 [4]: top, left, height and
width in pixels. Boxes are yxyx, normalised.
"""

import dataclasses

import tensorflow as tf

from object_detection.core import standard_fields
from object_detection.preprocessing import examples

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
        for name in ("min_object_covered", "overlap_thresh", "random_coef"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(
                    f"{name} must be in [0, 1], got {getattr(self, name)}"
                )


def make_random_crop_image(crop: RandomCrop) -> examples.Step:
    """Returns a step that cuts a random window out of an example."""

    def random_crop_image(
        example: examples.Example, seed: tf.Tensor
    ) -> examples.Example:
        image_size_px = examples.image_size_px(example[Fields.image])
        window_px = draw_window(
            crop, image_size_px, example[Fields.groundtruth_boxes], seed
        )
        cropped = crop_example(
            example, window_px, crop.overlap_thresh, crop.clip_boxes
        )
        if crop.random_coef == 0:
            return cropped
        draw = tf.random.stateless_uniform([], examples.derive_seed(seed, 1))
        return _choose(draw > crop.random_coef, cropped, example)

    return random_crop_image


def draw_window(
    crop: RandomCrop,
    image_size_px: tf.Tensor,
    boxes_N4: tf.Tensor,
    seed: tf.Tensor,
) -> tf.Tensor:
    """Draws a window as `tf.image.sample_distorted_bounding_box` does.

    Args:
        crop: what the window must satisfy.
        image_size_px: int32 [2], height and width.
        boxes_N4: float32 [n, 4]; without boxes any window will do.
        seed: int64 [2].

    Returns:
        int32 [4]; the whole image after MAX_ATTEMPTS failures.
    """
    begin, size, _ = tf.image.stateless_sample_distorted_bounding_box(
        tf.concat([image_size_px, [3]], axis=0),
        bounding_boxes=tf.clip_by_value(boxes_N4, 0.0, 1.0)[tf.newaxis],
        seed=examples.derive_seed(seed, 0),
        min_object_covered=crop.min_object_covered,
        aspect_ratio_range=crop.aspect_ratio_range,
        area_range=crop.area_range,
        max_attempts=MAX_ATTEMPTS,
        use_image_if_no_bounding_boxes=True,
    )
    return tf.concat([begin[:2], size[:2]], axis=0)


def crop_example(
    example: examples.Example,
    window_px: tf.Tensor,
    overlap_thresh: float,
    clip_boxes: bool,
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
    """
    image = example[Fields.image]
    image_size = tf.cast(examples.image_size_px(image), tf.float32)
    window_size = tf.cast(window_px[2:], tf.float32)
    origin = tf.cast(window_px[:2], tf.float32) / image_size
    scale = window_size / image_size
    window_yxyx = tf.concat([origin, origin + scale], axis=0)

    example = {**example, Fields.image: examples.crop_image(image, window_px)}
    example = examples.keep_boxes(
        example,
        _is_kept(
            example[Fields.groundtruth_boxes], window_yxyx, overlap_thresh
        ),
    )
    boxes_N4 = (
        example[Fields.groundtruth_boxes] - tf.tile(origin, [2])
    ) / tf.tile(scale, [2])
    if clip_boxes:
        boxes_N4 = tf.clip_by_value(boxes_N4, 0.0, 1.0)
    example[Fields.groundtruth_boxes] = boxes_N4
    if Fields.groundtruth_instance_masks in example:
        top, left, height, width = tf.unstack(window_px)
        example[Fields.groundtruth_instance_masks] = tf.slice(
            example[Fields.groundtruth_instance_masks],
            [0, top, left],
            [-1, height, width],
        )
    if Fields.groundtruth_keypoints in example:
        keypoints_NK2 = (example[Fields.groundtruth_keypoints] - origin) / scale
        if clip_boxes:
            is_inside_NK1 = tf.reduce_all(
                (keypoints_NK2 >= 0) & (keypoints_NK2 <= 1), -1, keepdims=True
            )
            keypoints_NK2 = tf.where(is_inside_NK1, keypoints_NK2, float("nan"))
        example[Fields.groundtruth_keypoints] = keypoints_NK2
    return example


def _is_kept(
    boxes_N4: tf.Tensor, window_yxyx: tf.Tensor, overlap_thresh: float
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


def _choose(
    condition: tf.Tensor, one: examples.Example, other: examples.Example
) -> examples.Example:
    changed = {key for key in one if one[key] is not other[key]}
    chosen = tf.cond(
        condition,
        lambda: {key: one[key] for key in changed},
        lambda: {key: other[key] for key in changed},
    )
    return {**one, **chosen}
