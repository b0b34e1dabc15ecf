"""An annotated image as a tf.Example, with the keys that the decoder reads."""

import hashlib
from collections.abc import Iterable, Mapping

import tensorflow as tf

from object_detection.core import errors
from object_detection.data_decoders import annotated_image

ENCODED_KEY = "image/encoded"

_VARINT_BYTES = 5
_BYTES = [bytes([value]) for value in range(256)]
# The key of the map's entry, whose value follows.
_KEY_FIELD = b"\n" + bytes([len(ENCODED_KEY)]) + ENCODED_KEY.encode()


def serialize(
    image: annotated_image.AnnotatedImage, class_ids: Mapping[str, int]
) -> bytes:
    """Returns the serialized tf.Example of one image.

    Boxes and keypoints are divided by the image's height and width. Keys of
    optional parts (group_of, weight, mask, keypoint, image classes, additional
    channels) are written only when some object or the image has them.

    Args:
        image: checked by `annotated_image.check_objects`.
        class_ids: class name -> id, of the label map.

    Raises:
        DataError: some objects have a mask and others do not.
    """
    feature = _annotation_features(image, class_ids)
    digest = hashlib.sha256(image.encoded).hexdigest()
    feature["image/key/sha256"] = _texts([digest])
    feature[ENCODED_KEY] = _bytes([image.encoded])
    return _serialize(feature)


def serialize_annotations(
    image: annotated_image.AnnotatedImage, class_ids: Mapping[str, int]
) -> bytes:
    """As `serialize`, but without the bytes of the image and their hash.

    `append_image` adds the bytes. What is left out does not depend on
    anything but the image file.
    """
    return _serialize(_annotation_features(image, class_ids))


def append_image(annotations: tf.Tensor, encoded: tf.Tensor) -> tf.Tensor:
    """Adds the bytes of the image to what `serialize_annotations` made.

    Two serialized messages, one behind the other, are the message that has
    the fields of both. So what is added is an Example with one feature: five
    messages in each other, each with its length before it.

    Args:
        annotations: scalar string.
        encoded: scalar string, below 2**34 bytes.

    Returns:
        Scalar string, a tf.Example.
    """
    # From inside out: of the BytesList, the Feature, the entry of the map,
    # the Features, and the Example.
    tags = (b"\n", b"\n", _KEY_FIELD + b"\x12", b"\n", b"\n")
    headers: list[tf.Tensor] = []
    num_bytes = tf.strings.length(encoded)
    for tag in tags:
        headers.insert(0, tf.strings.join([tag, _varint(num_bytes)]))
        num_bytes += len(tag) + _VARINT_BYTES
    return tf.strings.join([annotations, *headers, encoded])


def _varint(value: tf.Tensor) -> tf.Tensor:
    """A number of up to 35 bits, of seven a byte, lowest first.

    The upper bit says that more bytes follow; four bytes with it and one
    without also write a small number, with zeros in the upper places.
    """
    digits = tf.bitwise.right_shift(
        tf.cast(value, tf.int64), tf.range(0, 7 * _VARINT_BYTES, 7, tf.int64)
    )
    digits = tf.bitwise.bitwise_and(digits, 127) + tf.constant(
        [128] * (_VARINT_BYTES - 1) + [0], tf.int64
    )
    return tf.strings.reduce_join(tf.gather(tf.constant(_BYTES), digits))


def _serialize(feature: dict[str, tf.train.Feature]) -> bytes:
    example = tf.train.Example(features=tf.train.Features(feature=feature))
    return example.SerializeToString(deterministic=True)


def _annotation_features(
    image: annotated_image.AnnotatedImage, class_ids: Mapping[str, int]
) -> dict[str, tf.train.Feature]:
    return {
        **_image_features(image),
        **_object_features(image, class_ids),
        **_optional_features(image, class_ids),
    }


def _image_features(
    image: annotated_image.AnnotatedImage,
) -> dict[str, tf.train.Feature]:
    return {
        "image/height": _int64s([image.height_px]),
        "image/width": _int64s([image.width_px]),
        "image/filename": _texts([image.filename]),
        "image/source_id": _texts([image.source_id]),
        "image/format": _texts([image.image_format]),
    }


def _object_features(
    image: annotated_image.AnnotatedImage, class_ids: Mapping[str, int]
) -> dict[str, tf.train.Feature]:
    height_px, width_px = image.height_px, image.width_px
    objects = image.objects
    boxes = [item.box_yxyx_px for item in objects]
    areas_px = [
        (ymax - ymin) * (xmax - xmin) if item.area_px is None else item.area_px
        for item, (ymin, xmin, ymax, xmax) in zip(objects, boxes, strict=True)
    ]
    names = [item.class_name for item in objects]
    return {
        "image/object/bbox/ymin": _floats(box[0] / height_px for box in boxes),
        "image/object/bbox/xmin": _floats(box[1] / width_px for box in boxes),
        "image/object/bbox/ymax": _floats(box[2] / height_px for box in boxes),
        "image/object/bbox/xmax": _floats(box[3] / width_px for box in boxes),
        "image/object/class/text": _texts(names),
        "image/object/class/label": _int64s(class_ids[name] for name in names),
        "image/object/area": _floats(areas_px),
        "image/object/is_crowd": _int64s(item.is_crowd for item in objects),
        "image/object/difficult": _int64s(
            item.is_difficult for item in objects
        ),
        "image/object/truncated": _int64s(
            item.is_truncated for item in objects
        ),
        "image/object/view": _texts(item.view for item in objects),
    }


def _optional_features(
    image: annotated_image.AnnotatedImage, class_ids: Mapping[str, int]
) -> dict[str, tf.train.Feature]:
    objects = image.objects
    feature = {}
    if any(item.is_group_of for item in objects):
        feature["image/object/group_of"] = _int64s(
            item.is_group_of for item in objects
        )
    if any(item.weight != 1.0 for item in objects):
        feature["image/object/weight"] = _floats(
            item.weight for item in objects
        )
    masks = [item.mask_png for item in objects if item.mask_png is not None]
    if masks:
        if len(masks) != len(objects):
            raise errors.DataError(
                f"{image.filename}: expected a mask for every object or for"
                f" none, found {len(masks)} for {len(objects)} objects"
            )
        feature["image/object/mask"] = _bytes(masks)
    points = [point for item in objects for point in item.keypoints_yx_px]
    if points:
        feature["image/object/keypoint/y"] = _floats(
            y / image.height_px for y, _ in points
        )
        feature["image/object/keypoint/x"] = _floats(
            x / image.width_px for _, x in points
        )
    if image.image_classes:
        feature["image/class/text"] = _texts(image.image_classes)
        feature["image/class/label"] = _int64s(
            class_ids[name] for name in image.image_classes
        )
    if image.additional_channels:
        feature["image/additional_channels/encoded"] = _bytes(
            image.additional_channels
        )
    return feature


def _int64s(values: Iterable[int]) -> tf.train.Feature:
    return tf.train.Feature(
        int64_list=tf.train.Int64List(value=[int(value) for value in values])
    )


def _floats(values: Iterable[float]) -> tf.train.Feature:
    return tf.train.Feature(float_list=tf.train.FloatList(value=list(values)))


def _bytes(values: Iterable[bytes]) -> tf.train.Feature:
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=list(values)))


def _texts(values: Iterable[str]) -> tf.train.Feature:
    return _bytes(value.encode() for value in values)
