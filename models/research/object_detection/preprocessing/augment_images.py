"""Augmentations that resize an image or black out parts of it.

Boxes and keypoints are normalised, so they stay. Masks are resized with their
image, to the nearest neighbour.

Dimensions: N box, P patch, H height, W width.
"""

import tensorflow as tf

from object_detection.core import standard_fields
from object_detection.preprocessing import draws, examples, image_resizer

Fields = standard_fields.InputDataFields


def make_random_image_scale(
    min_scale_ratio: float = 0.5, max_scale_ratio: float = 2.0
) -> examples.Step:
    """Returns a step that multiplies both sides of an image by one number.

    Raises:
        ValueError: not 0 < min_scale_ratio <= max_scale_ratio.
    """
    if not 0 < min_scale_ratio <= max_scale_ratio:
        raise ValueError(
            "scale ratios must satisfy 0 < min <= max, got "
            f"{min_scale_ratio:g} and {max_scale_ratio:g}"
        )

    def random_image_scale(
        example: examples.Example, seed: tf.Tensor
    ) -> examples.Example:
        pixels = examples.float_pixels(example[Fields.image])
        scale = tf.random.stateless_uniform(
            [], seed, min_scale_ratio, max_scale_ratio
        )
        size_px = tf.cast(tf.shape(pixels)[:2], tf.float32) * scale
        size_px = tf.maximum(tf.cast(size_px, tf.int32), 1)
        # Unlike all other resizing, the first and the last pixels stay where
        # they are.
        scaled = {
            Fields.image: tf.raw_ops.ResizeBilinear(
                images=pixels[tf.newaxis], size=size_px, align_corners=True
            )[0]
        }
        if Fields.groundtruth_instance_masks in example:
            masks_NHW = example[Fields.groundtruth_instance_masks]
            scaled[Fields.groundtruth_instance_masks] = (
                tf.raw_ops.ResizeNearestNeighbor(
                    images=masks_NHW[..., tf.newaxis],
                    size=size_px,
                    align_corners=True,
                )[..., 0]
            )
        return {**example, **scaled}

    return random_image_scale


def make_resize_image(
    new_height: int,
    new_width: int,
    method: image_resizer.ResizeMethod = image_resizer.ResizeMethod.BILINEAR,
) -> examples.Step:
    """Returns a step that resizes an image to one size in pixels.

    Raises:
        ValueError: a side is not at least 1.
    """
    resizer = image_resizer.FixedShapeResizer(new_height, new_width, method)

    def resize_image(
        example: examples.Example, seed: tf.Tensor
    ) -> examples.Example:
        del seed
        image, _ = resizer(examples.pixels(example[Fields.image]))
        return _with_image_of(resizer, example, image)

    return resize_image


def make_random_resize_method(
    target_height: int, target_width: int, *, include_lanczos: bool = False
) -> examples.Step:
    """Returns a step that resizes by a method drawn for each image.

    Each method is as likely as any other.

    Args:
        target_height: pixels.
        target_width: pixels.
        include_lanczos: whether Lanczos' filter is one of the methods, beside
            each `ResizeMethod`.

    Raises:
        ValueError: a side is not at least 1.
    """
    resizers = [
        image_resizer.FixedShapeResizer(target_height, target_width, method)
        for method in image_resizer.ResizeMethod
    ]

    def random_resize_method(
        example: examples.Example, seed: tf.Tensor
    ) -> examples.Example:
        pixels = examples.pixels(example[Fields.image])
        cases = [
            lambda resizer=resizer: resizer(pixels)[0] for resizer in resizers
        ]
        if include_lanczos:
            cases.append(
                lambda: _resize_by_lanczos(pixels, target_height, target_width)
            )
        image = tf.switch_case(draws.uniform_case(len(cases), seed), cases)
        return _with_image_of(resizers[0], example, image)

    return random_resize_method


def make_random_black_patches(
    max_black_patches: int = 10,
    probability: float = 0.5,
    size_to_image_ratio: float = 0.1,
) -> examples.Step:
    """Returns a step that sets squares of an image to 0, in all channels.

    Args:
        max_black_patches: P, how often a patch is tried.
        probability: that a try makes a patch.
        size_to_image_ratio: side of a patch as a part of the image's shorter
            side.

    Raises:
        ValueError: a value is out of its range.
    """
    if max_black_patches < 0:
        raise ValueError(
            f"max_black_patches must be at least 0, got {max_black_patches}"
        )
    examples.check_shares(
        probability=probability, size_to_image_ratio=size_to_image_ratio
    )

    def random_black_patches(
        example: examples.Example, seed: tf.Tensor
    ) -> examples.Example:
        pixels = examples.pixels(example[Fields.image])
        size_px = tf.shape(pixels)[:2]
        side_px = _part_of(tf.reduce_min(size_px), size_to_image_ratio)
        is_drawn_P = (
            tf.random.stateless_uniform(
                [max_black_patches], examples.derive_seed(seed, 0)
            )
            <= probability
        )
        origin_P2 = tf.random.stateless_uniform(
            [max_black_patches, 2],
            examples.derive_seed(seed, 1),
            maxval=1.0 - size_to_image_ratio,
        )
        first_px_P2 = _part_of(size_px, origin_P2)
        in_rows_PH = _is_within(first_px_P2[:, 0], side_px, size_px[0])
        in_columns_PW = _is_within(first_px_P2[:, 1], side_px, size_px[1])
        # Whether any patch has both the row and the column.
        num_patches_HW = tf.matmul(
            tf.cast(in_rows_PH & is_drawn_P[:, tf.newaxis], tf.float32),
            tf.cast(in_columns_PW, tf.float32),
            transpose_a=True,
        )
        is_left_HW1 = tf.equal(num_patches_HW, 0)[..., tf.newaxis]
        image = pixels * tf.cast(is_left_HW1, pixels.dtype)
        return {**example, Fields.image: image}

    return random_black_patches


def _with_image_of(
    resizer: image_resizer.FixedShapeResizer,
    example: examples.Example,
    image: tf.Tensor,
) -> examples.Example:
    """The example with a resized image and masks resized like it."""
    resized = {Fields.image: image}
    if Fields.groundtruth_instance_masks in example:
        resized[Fields.groundtruth_instance_masks] = resizer.resize_masks(
            example[Fields.groundtruth_instance_masks]
        )
    return {**example, **resized}


def _resize_by_lanczos(pixels: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """float32 [height, width, c], each pixel of 6 x 6 as in OpenCV of 8 x 8.

    Pixels have their centres at halves, unlike in the other methods, and what
    the filter makes beyond 0..255 is clipped.
    """
    resized = tf.image.resize(
        pixels, [height, width], tf.image.ResizeMethod.LANCZOS3
    )
    return tf.clip_by_value(resized, 0.0, 255.0)


def _part_of(size_px: tf.Tensor, part: tf.Tensor | float) -> tf.Tensor:
    """int32, whole pixels of a part of a length, rounded down."""
    return tf.cast(tf.cast(size_px, tf.float32) * part, tf.int32)


def _is_within(
    first_px_P: tf.Tensor, side_px: tf.Tensor, length_px: tf.Tensor
) -> tf.Tensor:
    """bool [P, length_px]: the pixel is one of `side_px` from the first on."""
    distance_PL = tf.range(length_px) - first_px_P[:, tf.newaxis]
    return (distance_PL >= 0) & (distance_PL < side_px)
