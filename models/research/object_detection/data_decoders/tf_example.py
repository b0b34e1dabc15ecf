"""An annotated image as a tf.Example, with the keys that the decoder reads."""

import hashlib
from collections.abc import Iterable, Mapping

import tensorflow as tf

from object_detection.core import errors
from object_detection.data_decoders import annotated_image


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
    feature = _image_features(image)
    feature.update(_object_features(image, class_ids))
    feature.update(_optional_features(image, class_ids))
    example = tf.train.Example(features=tf.train.Features(feature=feature))
    return example.SerializeToString(deterministic=True)


def _image_features(
    image: annotated_image.AnnotatedImage,
) -> dict[str, tf.train.Feature]:
    digest = hashlib.sha256(image.encoded).hexdigest()
    return {
        "image/height": _int64s([image.height_px]),
        "image/width": _int64s([image.width_px]),
        "image/filename": _texts([image.filename]),
        "image/source_id": _texts([image.source_id]),
        "image/key/sha256": _texts([digest]),
        "image/encoded": _bytes([image.encoded]),
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
