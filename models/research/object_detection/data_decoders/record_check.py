"""Says in words what is wrong with a record.

The decoder only stops at a bad record; this finds the reason afterwards, one
rule after the other, in plain Python.
"""

import math
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf
from google.protobuf import message

from object_detection.data_decoders import (
    record_check_images,
    tf_example_decoder,
)

Features = record_check_images.Features
Rule = Callable[[Features, tf_example_decoder.DecoderOptions], str | None]

_TEXT_KEY = "image/object/class/text"
_LABEL_KEY = "image/object/class/label"


def find_fault(
    serialized: bytes, options: tf_example_decoder.DecoderOptions
) -> str | None:
    """Returns what is wrong with a record, naming its key, or None.

    Args:
        serialized: a record.
        options: of the decoder that reads it.
    """
    try:
        example = tf.train.Example.FromString(serialized)
    except message.DecodeError:
        return (
            f"{len(serialized)} bytes that are no tf.Example: expected the "
            "TFRecords of an object detection data set"
        )
    features = {}
    for key, feature in example.features.feature.items():
        kind = feature.WhichOneof("kind")
        features[key] = list(getattr(feature, kind).value) if kind else []
    for rule in _RULES:
        fault = rule(features, options)
        if fault:
            return fault
    return None


def name_record(serialized: bytes) -> str:
    """Returns the source id of a record, or its file name, or nothing."""
    try:
        feature = tf.train.Example.FromString(serialized).features.feature
    except message.DecodeError:
        return ""
    for key in ("image/source_id", "image/filename"):
        if key in feature and any(feature[key].bytes_list.value):
            return record_check_images.show(feature[key].bytes_list.value[0])
    return ""


def _find_type_fault(
    features: Features, options: tf_example_decoder.DecoderOptions
) -> str | None:
    for key, spec in options.features().items():
        values = features.get(key, [])
        if not values:
            continue
        expected = {
            tf.string: bytes,
            tf.int64: int,
            tf.float32: float,
        }[spec.dtype]
        if not isinstance(values[0], expected):
            return (
                f"{key} holds {type(values[0]).__name__} values, expected "
                f"{expected.__name__}"
            )
        if isinstance(spec, tf.io.FixedLenFeature):
            expected_count = int(np.prod(spec.shape, dtype=int))
            if len(values) != expected_count:
                return (
                    f"{key} holds {len(values)} values, expected "
                    f"{expected_count}"
                )
    return None


def _find_count_fault(
    features: Features, options: tf_example_decoder.DecoderOptions
) -> str | None:
    corners = [f"image/object/bbox/{c}" for c in tf_example_decoder.BOX_CORNERS]
    counts = [len(features.get(key, [])) for key in corners]
    num_boxes = counts[0]
    if len(set(counts)) > 1:
        parts = zip(corners, counts, strict=True)
        return "numbers of values differ: " + ", ".join(
            f"{key} {count}" for key, count in parts
        )
    keys = [
        f"image/object/{key}" for key in tf_example_decoder.OPTIONAL_PER_BOX
    ]
    keys.append(_class_key(features, options))
    for key in keys:
        count = len(features.get(key, []))
        is_optional = "class" not in key
        if count != num_boxes and not (is_optional and count == 0):
            fault = (
                f"{key} has {count} values, expected one for each of "
                f"{num_boxes} boxes"
            )
            if key == _LABEL_KEY and features.get(_TEXT_KEY):
                fault += "; to read the class texts, set label_map_path"
            return fault
    return None


def _find_class_fault(
    features: Features, options: tf_example_decoder.DecoderOptions
) -> str | None:
    rules = options.class_rules
    key = _class_key(features, options)
    known_ids = rules.known_ids()
    for number, value in enumerate(features.get(key, [])):
        if isinstance(value, bytes):
            text = value.decode("utf-8", "replace")
            if rules.text_to_id.get(text) not in known_ids:
                return (
                    f"{key}[{number}] is the unknown class "
                    f"{record_check_images.show(value)}: add it to the label "
                    "map or correct the record; known are "
                    f"{_show_some(rules.text_to_id)}"
                )
        elif value not in known_ids:
            return (
                f"{key}[{number}] is {value}, which is no class id of the "
                f"label map or above num_classes {rules.num_classes}"
            )
    return None


def _find_box_fault(
    features: Features, options: tf_example_decoder.DecoderOptions
) -> str | None:
    del options
    columns = [
        features.get(f"image/object/bbox/{c}", [])
        for c in tf_example_decoder.BOX_CORNERS
    ]
    for number, box in enumerate(zip(*columns, strict=True)):
        ymin, xmin, ymax, xmax = box
        if any(math.isnan(value) for value in box):
            continue
        shown = ", ".join(f"{value:g}" for value in box)
        where = (
            f"image/object/bbox[{number}] (ymin, xmin, ymax, xmax) = {shown}"
        )
        if ymin > ymax or xmin > xmax:
            return f"{where}: min is above max"
        # In float32, as in the decoder.
        from_centre = np.abs(np.float32(box) - np.float32(0.5))
        if np.any(
            from_centre
            > np.float32(0.5 + tf_example_decoder.BOX_COORDINATE_TOLERANCE)
        ):
            return (
                f"{where} is outside the image: expected coordinates divided "
                "by the image's height and width, in [0, 1]"
            )
    return None


def _find_keypoint_fault(
    features: Features, options: tf_example_decoder.DecoderOptions
) -> str | None:
    if not options.num_keypoints:
        return None
    num_boxes = len(features.get("image/object/bbox/ymin", []))
    for axis in ("y", "x"):
        key = f"image/object/keypoint/{axis}"
        count = len(features.get(key, []))
        if count != num_boxes * options.num_keypoints:
            return (
                f"{key} has {count} values, expected {options.num_keypoints} "
                f"(num_keypoints) for each of {num_boxes} boxes"
            )
    return None


def _class_key(
    features: Features, options: tf_example_decoder.DecoderOptions
) -> str:
    """The key whose values decide the classes of the boxes."""
    if options.class_rules.text_to_id is not None and features.get(_TEXT_KEY):
        return _TEXT_KEY
    return _LABEL_KEY


# Each rule may rely on those before it.
_RULES: tuple[Rule, ...] = (
    _find_type_fault,
    _find_count_fault,
    _find_class_fault,
    _find_box_fault,
    _find_keypoint_fault,
    record_check_images.find_image_fault,
    record_check_images.find_channel_fault,
    record_check_images.find_mask_fault,
)


def _show_some(texts: Iterator[str] | dict[str, int]) -> str:
    names = list(texts)
    shown = ", ".join(record_check_images.show(name) for name in names[:10])
    return shown + (", ..." if len(names) > 10 else "")
