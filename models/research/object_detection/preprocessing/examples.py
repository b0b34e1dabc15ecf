"""What every step on one example needs: its boxes in step, its image, seeds.

An example is a dict of the tensors of one image, keyed by InputDataFields.
A step is a pure function (example, seed) -> example. `image` is an
`EncodedImage` or a `Canvas` with one on it until a step needs pixels, then
uint8 or float32 [h, w, c] in 0..255: three colours, red first, and any
additional channels after them; or one channel of gray.
"""

from collections.abc import Callable

import tensorflow as tf

from object_detection.core import standard_fields
from object_detection.data_decoders import image_codec
from object_detection.preprocessing import canvas

Fields = standard_fields.InputDataFields
Image = tf.Tensor | image_codec.EncodedImage | canvas.Canvas
Example = dict[str, Image]
Step = Callable[[Example, tf.Tensor], Example]

NUM_COLORS = 3

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


def is_late(image: Image) -> bool:
    """Whether the image is not decoded yet."""
    return isinstance(image, image_codec.EncodedImage | canvas.Canvas)


def image_size_px(image: Image) -> tf.Tensor:
    """Returns int32 [2], height and width as seen now."""
    if is_late(image):
        return image.window_px[2:]
    return tf.shape(image)[:2]


def crop_image(image: Image, window_px: tf.Tensor) -> Image:
    """Cuts out a window: int32 [4], top, left, height and width."""
    if isinstance(image, image_codec.EncodedImage):
        return image_codec.crop_image(image, window_px)
    if isinstance(image, canvas.Canvas):
        return canvas.crop_image(image, window_px)
    top, left, height, width = tf.unstack(window_px)
    cropped = tf.slice(image, [top, left, 0], [height, width, -1])
    return tf.ensure_shape(cropped, [None, None, image.shape[2]])


def mirror_image(image: Image, do_mirror: tf.Tensor) -> Image:
    """Changes left and right where `do_mirror` (scalar bool) is true."""
    if isinstance(image, image_codec.EncodedImage):
        return image_codec.mirror_image(image, do_mirror)
    if isinstance(image, canvas.Canvas):
        return canvas.mirror_image(image, do_mirror)
    return tf.cond(do_mirror, lambda: tf.reverse(image, [1]), lambda: image)


def as_canvas(image: Image) -> canvas.Canvas | None:
    """Returns a late image as a canvas, if nothing is around it yet."""
    if isinstance(image, image_codec.EncodedImage):
        return canvas.of_image(image)
    if isinstance(image, canvas.Canvas) and image.color is None:
        return image
    return None


def change_colors(
    image: Image, change: canvas.PixelChange, *, needs_rgb: bool
) -> Image:
    """Changes the colours of each pixel by those of the pixel alone.

    Args:
        image: stays late where it can.
        change: of [h, w, 3 or 1] values; shape and type stay.
        needs_rgb: whether it takes no images of one channel.

    Raises:
        StepError: the image has one channel and `change` needs three.
    """
    late = as_canvas(image)
    if late is not None:
        return canvas.change_pixels(late, change)
    return change_pixels(pixels(image), change, needs_rgb=needs_rgb)


def change_pixels(
    pixels_HWC: tf.Tensor,
    change: Callable[[tf.Tensor], tf.Tensor],
    *,
    needs_rgb: bool,
) -> tf.Tensor:
    """Changes the colours and leaves additional channels as they are.

    Args:
        pixels_HWC: decoded; `change` may look at all of them at once.
        change: see `change_colors`.
        needs_rgb: see `change_colors`.

    Raises:
        StepError: see `change_colors`.
    """
    num_channels = pixels_HWC.shape[2]
    if needs_rgb and num_channels < NUM_COLORS:
        raise StepError(
            f"needs images of 3 colours, got {num_channels} channel(s); "
            "put it before the step that makes them gray"
        )
    if num_channels <= NUM_COLORS:
        return change(pixels_HWC)
    changed = change(pixels_HWC[:, :, :NUM_COLORS])
    return tf.concat([changed, pixels_HWC[:, :, NUM_COLORS:]], axis=2)


def pixels(image: Image) -> tf.Tensor:
    """Returns the pixels, decoding them if that was not done yet."""
    if isinstance(image, image_codec.EncodedImage):
        return image_codec.decode_pixels(image)
    if isinstance(image, canvas.Canvas):
        return canvas.decode_pixels(image)
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
