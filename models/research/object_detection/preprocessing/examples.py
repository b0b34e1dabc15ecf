"""What every step on one example needs: its boxes in step, its image, seeds.

An example is a dict of the tensors of one image, keyed by InputDataFields.
A step is a pure function (example, seed) -> example. `image` is an
`EncodedImage` until a step needs pixels, then uint8 or float32 [h, w, c] in
0..255: three colours, red first, and any additional channels after them; or
one channel of gray.
"""

from collections.abc import Callable

import tensorflow as tf

from object_detection.core import standard_fields
from object_detection.data_decoders import image_codec

Fields = standard_fields.InputDataFields
Image = tf.Tensor | image_codec.EncodedImage
Example = dict[str, Image]
Step = Callable[[Example, tf.Tensor], Example]

# One row a box. Whatever drops or reorders boxes does so in all of them.
PER_BOX_FIELDS = (
    Fields.groundtruth_boxes,
    Fields.groundtruth_classes,
    Fields.groundtruth_weights,
    Fields.groundtruth_confidences,
    Fields.groundtruth_area,
    Fields.groundtruth_is_crowd,
    Fields.groundtruth_difficult,
    Fields.groundtruth_group_of,
    Fields.groundtruth_instance_masks,
    Fields.groundtruth_keypoints,
)


class StepError(ValueError):
    """A step that met an example of a kind that it cannot change.

    Raised while the graph is built, by what is known of every example:
    channels and keypoints. The message leaves out the name of the step.
    """


def check_shares(**shares: float) -> None:
    """Raises ValueError, with the name, for what is not in [0, 1]."""
    for name, share in shares.items():
        if not 0 <= share <= 1:
            raise ValueError(f"{name} must be in [0, 1], got {share:g}")


def keep_boxes(example: Example, is_kept_N: tf.Tensor) -> Example:
    """Drops boxes, with all that belongs to them.

    Args:
        example: holds some of PER_BOX_FIELDS, n rows each.
        is_kept_N: bool [n].
    """
    return select_boxes(example, tf.where(is_kept_N)[:, 0])


def select_boxes(example: Example, indices: tf.Tensor) -> Example:
    """Takes the boxes with these indices (int [k]), in this order."""
    selected = {
        key: tf.gather(example[key], indices)
        for key in PER_BOX_FIELDS
        if key in example
    }
    return {**example, **selected}


def image_size_px(image: Image) -> tf.Tensor:
    """Returns int32 [2], height and width as seen now."""
    if isinstance(image, image_codec.EncodedImage):
        return image.window_px[2:]
    return tf.shape(image)[:2]


def crop_image(image: Image, window_px: tf.Tensor) -> Image:
    """Cuts out a window: int32 [4], top, left, height and width."""
    if isinstance(image, image_codec.EncodedImage):
        return image_codec.crop_image(image, window_px)
    top, left, height, width = tf.unstack(window_px)
    cropped = tf.slice(image, [top, left, 0], [height, width, -1])
    return tf.ensure_shape(cropped, [None, None, image.shape[2]])


def mirror_image(image: Image, do_mirror: tf.Tensor) -> Image:
    """Changes left and right where `do_mirror` (scalar bool) is true."""
    if isinstance(image, image_codec.EncodedImage):
        return image_codec.mirror_image(image, do_mirror)
    return tf.cond(do_mirror, lambda: tf.reverse(image, [1]), lambda: image)


def pixels(image: Image) -> tf.Tensor:
    """Returns the pixels, decoding them if that was not done yet."""
    if isinstance(image, image_codec.EncodedImage):
        return image_codec.decode_pixels(image)
    return image


def float_pixels(image: Image) -> tf.Tensor:
    """Returns the pixels as float32, in the range that they have."""
    return tf.cast(pixels(image), tf.float32)


def derive_seed(seed: tf.Tensor, number: int) -> tf.Tensor:
    """Returns a seed whose draws are independent of those of `seed`.

    Args:
        seed: int64 [2], (stream, position); only the stream is changed.
        number: from 0, another one for each use of the same seed; below 31.
    """
    # 32 * stream + 1 + number never collides with its own ancestors below
    # a depth of 12, where int64 ends.
    return tf.stack([seed[0] * 32 + 1 + number, seed[1]])
