"""Says in words what is wrong with the pictures of a record.

They are its image, its additional channels and the masks of its boxes, which
must all have the same height and width.
"""

import numpy as np
import tensorflow as tf

from object_detection.data_decoders import (
    image_codec,
    record_files,
    tf_example_decoder,
)

Features = dict[str, list]

_MAX_SHOWN_CHARACTERS = 100


def find_image_fault(
    features: Features, options: tf_example_decoder.DecoderOptions
) -> str | None:
    """Returns what keeps the image from being decoded, or None."""
    encoded = (features.get("image/encoded") or [b""])[0]
    if not encoded:
        return "image/encoded is missing or empty"
    found = record_files.describe_magic(encoded) or "begins with " + show(
        encoded[:8]
    )
    where = f"image/encoded ({len(encoded)} bytes, {found})"
    try:
        image = _open_image(features)
    except tf.errors.InvalidArgumentError as error:
        return (
            f"{where} cannot be read as an image of at most "
            f"{image_codec.MAX_IMAGE_PIXELS} pixels: {describe_error(error)}"
        )
    try:
        image_codec.decode_pixels(image)
    except (tf.errors.InvalidArgumentError, tf.errors.DataLossError) as error:
        return f"{where} cannot be decoded: {describe_error(error)}"
    return None


def find_channel_fault(
    features: Features, options: tf_example_decoder.DecoderOptions
) -> str | None:
    """Returns what is wrong with the additional channels, or None."""
    key = tf_example_decoder.CHANNELS_KEY
    expected = options.num_additional_channels
    channels = features.get(key, []) if expected else []
    if len(channels) != expected:
        return f"{key} holds {len(channels)} values, expected {expected}"
    return _find_size_fault(key, channels, features)


def find_mask_fault(
    features: Features, options: tf_example_decoder.DecoderOptions
) -> str | None:
    """Returns what is wrong with the masks, or None."""
    if not options.load_instance_masks:
        return None
    key = tf_example_decoder.MASK_KEY
    masks = features.get(key, [])
    num_boxes = len(features.get("image/object/bbox/ymin", []))
    if options.mask_type is tf_example_decoder.MaskType.PNG:
        if len(masks) != num_boxes:
            return (
                f"{key} has {len(masks)} values, expected a PNG image for each "
                f"of {num_boxes} boxes"
            )
        return _find_size_fault(key, masks, features)
    height, width = _open_image(features).size_px.numpy()
    if len(masks) != num_boxes * height * width:
        return (
            f"{key} has {len(masks)} values, expected {height} * {width} "
            f"(the image's height and width) for each of {num_boxes} boxes"
        )
    return None


def describe_error(error: tf.errors.OpError) -> str:
    """Returns TensorFlow's message in one line, without its bookkeeping."""
    text = error.message.rpartition("}} ")[2].partition("[Op:")[0]
    text = " ".join(text.split()) or " ".join(error.message.split())
    return text[: 3 * _MAX_SHOWN_CHARACTERS]


def show(value: bytes | str) -> str:
    """A text of a record as one short line, quoted."""
    text = (
        value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    )
    if len(text) > _MAX_SHOWN_CHARACTERS:
        text = text[:_MAX_SHOWN_CHARACTERS] + "..."
    return repr(text)


def _open_image(features: Features) -> image_codec.EncodedImage:
    size_px = [
        (features.get(key) or [1])[0] for key in ("image/height", "image/width")
    ]
    return image_codec.open_image(
        tf.constant(features["image/encoded"][0]),
        tf.constant((features.get("image/format") or [b"jpeg"])[0]),
        tf.constant(size_px, tf.int32),
    )


def _find_size_fault(
    key: str, pictures: list[bytes], features: Features
) -> str | None:
    """Returns which picture has another size than the image, or is none."""
    size_px = _open_image(features).size_px
    for number, encoded in enumerate(map(tf.constant, pictures)):
        where = f"{key}[{number}] ({len(pictures[number])} bytes)"
        try:
            found_px = image_codec.open_image(
                encoded, tf.constant(""), size_px
            ).size_px
            is_of_size = np.array_equal(found_px, size_px)
            if is_of_size:
                tf_example_decoder.decode_channel(encoded, size_px)
        except tf.errors.InvalidArgumentError as error:
            return f"{where} cannot be decoded: {describe_error(error)}"
        if not is_of_size:
            return (
                f"{where} is {found_px[0]} pixels high and {found_px[1]} "
                f"wide, expected the image's {size_px[0]} and {size_px[1]}"
            )
    return None
