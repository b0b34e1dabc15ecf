"""Turns a serialized tf.Example into the tensors of one image.

Box arrays of a record have one entry a box; a field that a record leaves out
gets a default of that length. What a record must satisfy is stated once, in
words that a user can read, by `record_check`; here the same conditions stop
the stream.
"""

import enum
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from object_detection.core import standard_fields
from object_detection.data_decoders import image_codec

Fields = standard_fields.InputDataFields
Example = dict[str, tf.Tensor | image_codec.EncodedImage]
Feature = tf.io.FixedLenFeature | tf.io.FixedLenSequenceFeature

# Normalised coordinates further out than this are an error, not rounding.
BOX_COORDINATE_TOLERANCE = 0.1

UNKNOWN_AREA = -1.0

CHANNELS_KEY = "image/additional_channels/encoded"
MASK_KEY = "image/object/mask"

BOX_CORNERS = ("ymin", "xmin", "ymax", "xmax")

# Values of a box that a record may leave out for all boxes, with defaults.
OPTIONAL_PER_BOX = {
    "weight": 1.0,
    "area": UNKNOWN_AREA,
    "is_crowd": 0,
    "difficult": 0,
    "group_of": 0,
}


class ClassRules(NamedTuple):
    """Which classes a record may name.

    Attributes:
        num_classes: ids count from 1 to this.
        text_to_id: class text -> id; None when no label map is given, class
            texts are not read then.
    """

    num_classes: int
    text_to_id: Mapping[str, int] | None = None

    def known_ids(self) -> frozenset[int]:
        """Returns the ids that a box may have."""
        every_id = range(1, self.num_classes + 1)
        if self.text_to_id is None:
            return frozenset(every_id)
        return frozenset(every_id) & frozenset(self.text_to_id.values())


class MaskType(enum.Enum):
    """How a record stores the masks of its boxes."""

    NUMERICAL = "numerical"  # floats, height * width a box, above 0 inside
    PNG = "png"  # one encoded image a box, above 0 inside


class DecoderOptions(NamedTuple):
    """What is read from records.

    Attributes:
        class_rules: ClassRules.
        num_additional_channels: k one-channel images a record has besides
            its image.
        num_keypoints: k points a box has.
        load_instance_masks: whether masks are read.
        mask_type: MaskType.
    """

    class_rules: ClassRules
    num_additional_channels: int = 0
    num_keypoints: int = 0
    load_instance_masks: bool = False
    mask_type: MaskType = MaskType.NUMERICAL

    def features(self) -> dict[str, Feature]:
        """Returns how each key is parsed."""
        features = dict(_FEATURES)
        if self.num_additional_channels:
            features[CHANNELS_KEY] = tf.io.FixedLenFeature(
                [self.num_additional_channels], tf.string
            )
        if self.num_keypoints:
            for axis in ("y", "x"):
                features[f"image/object/keypoint/{axis}"] = _list(tf.float32)
        if self.load_instance_masks:
            is_png = self.mask_type is MaskType.PNG
            features[MASK_KEY] = _list(tf.string if is_png else tf.float32)
        return features


def _scalar(dtype: tf.DType, default: str | int) -> tf.io.FixedLenFeature:
    return tf.io.FixedLenFeature([], dtype, default)


def _list(dtype: tf.DType) -> tf.io.FixedLenSequenceFeature:
    return tf.io.FixedLenSequenceFeature([], dtype, allow_missing=True)


_FEATURES = {
    "image/encoded": _scalar(tf.string, ""),
    "image/format": _scalar(tf.string, "jpeg"),
    "image/filename": _scalar(tf.string, ""),
    "image/key/sha256": _scalar(tf.string, ""),
    "image/source_id": _scalar(tf.string, ""),
    "image/height": _scalar(tf.int64, 1),
    "image/width": _scalar(tf.int64, 1),
    "image/class/text": _list(tf.string),
    "image/class/label": _list(tf.int64),
    "image/object/class/text": _list(tf.string),
    "image/object/class/label": _list(tf.int64),
    "image/object/area": _list(tf.float32),
    "image/object/is_crowd": _list(tf.int64),
    "image/object/difficult": _list(tf.int64),
    "image/object/group_of": _list(tf.int64),
    "image/object/weight": _list(tf.float32),
    **{f"image/object/bbox/{c}": _list(tf.float32) for c in BOX_CORNERS},
}


class TfExampleDecoder:
    """Decodes records; a pure function of its input once made."""

    def __init__(self, options: DecoderOptions) -> None:
        class_rules = options.class_rules
        self._options = options
        self._num_classes = class_rules.num_classes
        self._is_known_id = np.zeros(class_rules.num_classes + 1, bool)
        self._is_known_id[list(class_rules.known_ids())] = True
        self._text_to_id = None
        if class_rules.text_to_id is not None:
            self._text_to_id = tf.lookup.StaticHashTable(
                tf.lookup.KeyValueTensorInitializer(
                    list(class_rules.text_to_id),
                    list(class_rules.text_to_id.values()),
                    tf.string,
                    tf.int64,
                ),
                default_value=-1,
            )

    def decode(self, serialized: tf.Tensor) -> Example:
        """Decodes one record.

        Args:
            serialized: scalar string, a tf.Example.

        Returns:
            image: an `EncodedImage`.
            original_image_spatial_shape: int32 [2], height and width in the
                image's header.
            is_size_misstated: scalar bool, whether the record states another.
            source_id, filename, key: scalar strings.
            groundtruth_boxes: float32 [n, 4] yxyx, normalised.
            groundtruth_classes: int64 [n], from 1.
            groundtruth_weights: float32 [n], 1 when the record has none.
            groundtruth_area: float32 [n] in pixels of the original image, -1
                when the record has none.
            groundtruth_is_crowd, _difficult, _group_of: bool [n].
            groundtruth_image_classes: int64 [m], labels of the whole image;
                -1 for a text that is not in the label map. Differs from
                boxes, where that is a fault: data sets label images with
                many more classes than they have boxes of.
            And when the options ask for them:
            image_additional_channels: uint8 [height, width, k].
            groundtruth_keypoints: float32 [n, k, 2] (y, x), normalised.
            groundtruth_instance_masks: float32 [n, height, width] in {0, 1}.

            Running it fails when the record breaks a rule of `record_check`.
        """
        record = tf.io.parse_single_example(
            serialized, self._options.features()
        )
        stated_size_px = tf.cast(
            tf.stack([record["image/height"], record["image/width"]]), tf.int32
        )
        image = image_codec.open_image(
            record["image/encoded"], record["image/format"], stated_size_px
        )
        boxes_N4 = tf.stack(
            [record[f"image/object/bbox/{c}"] for c in BOX_CORNERS], axis=1
        )
        classes_N = self._class_ids(record, "image/object/class")
        self._assert_boxes_valid(boxes_N4, classes_N)
        per_box = _per_box_values(record, tf.shape(boxes_N4)[0])
        example = {
            Fields.image: image,
            Fields.original_image_spatial_shape: image.size_px,
            # 1 is what a side is that the record does not state.
            Fields.is_size_misstated: tf.reduce_any(
                (stated_size_px != image.size_px) & (stated_size_px != 1)
            ),
            Fields.source_id: record["image/source_id"],
            Fields.filename: record["image/filename"],
            Fields.key: record["image/key/sha256"],
            Fields.groundtruth_boxes: boxes_N4,
            Fields.groundtruth_classes: classes_N,
            Fields.groundtruth_weights: per_box["weight"],
            Fields.groundtruth_area: per_box["area"],
            Fields.groundtruth_is_crowd: per_box["is_crowd"] > 0,
            Fields.groundtruth_difficult: per_box["difficult"] > 0,
            Fields.groundtruth_group_of: per_box["group_of"] > 0,
            Fields.groundtruth_image_classes: self._class_ids(
                record, "image/class"
            ),
        }
        return {**example, **self._optional_fields(record, image, boxes_N4)}

    def _optional_fields(
        self,
        record: Mapping[str, tf.Tensor],
        image: image_codec.EncodedImage,
        boxes_N4: tf.Tensor,
    ) -> Example:
        options, fields = self._options, {}
        num_boxes = tf.shape(boxes_N4)[0]
        if options.num_additional_channels:
            fields[Fields.image_additional_channels] = tf.concat(
                [
                    decode_channel(encoded, image.size_px)
                    for encoded in tf.unstack(record[CHANNELS_KEY])
                ],
                axis=2,
            )
        if options.num_keypoints:
            yx = [record[f"image/object/keypoint/{axis}"] for axis in "yx"]
            fields[Fields.groundtruth_keypoints] = tf.reshape(
                tf.stack(yx, axis=1), [num_boxes, options.num_keypoints, 2]
            )
        if options.load_instance_masks:
            shape = tf.concat([[num_boxes], image.size_px], axis=0)
            values = record[MASK_KEY]
            if options.mask_type is MaskType.PNG:
                values = _decode_masks(values, image.size_px)
            fields[Fields.groundtruth_instance_masks] = tf.cast(
                tf.reshape(values, shape) > 0, tf.float32
            )
        return fields

    def _class_ids(self, record: Example, prefix: str) -> tf.Tensor:
        """int64 [n]; the text, where a record has it, beats the label."""
        labels_N = record[f"{prefix}/label"]
        if self._text_to_id is None:
            return labels_N
        texts_N = record[f"{prefix}/text"]
        return tf.cond(
            tf.size(texts_N) > 0,
            lambda: self._text_to_id.lookup(texts_N),
            lambda: labels_N,
        )

    def _assert_boxes_valid(
        self, boxes_N4: tf.Tensor, classes_N: tf.Tensor
    ) -> None:
        tf.raw_ops.Assert(
            condition=tf.equal(tf.size(classes_N), tf.shape(boxes_N4)[0]),
            data=["numbers of classes and boxes", classes_N, boxes_N4],
        )
        ymin_N, xmin_N, ymax_N, xmax_N = tf.unstack(boxes_N4, axis=1)
        # Written so that NaN passes: boxes with NaN are dropped later.
        is_bad_box_N = (
            (ymin_N > ymax_N)
            | (xmin_N > xmax_N)
            | tf.reduce_any(
                tf.abs(boxes_N4 - 0.5) > 0.5 + BOX_COORDINATE_TOLERANCE, axis=1
            )
        )
        is_known_N = tf.gather(
            tf.constant(self._is_known_id),
            tf.clip_by_value(classes_N, 0, self._num_classes),
        ) & (classes_N <= self._num_classes)
        tf.raw_ops.Assert(
            condition=tf.reduce_all(is_known_N & ~is_bad_box_N),
            data=["boxes or classes are not valid", boxes_N4, classes_N],
        )


def decode_channel(encoded: tf.Tensor, size_px: tf.Tensor) -> tf.Tensor:
    """Decodes an image file of a known size to one channel.

    Args:
        encoded: scalar string.
        size_px: int32 [2], height and width.

    Returns:
        uint8 [height, width, 1]. Running it fails when the file has another
        size, before memory is taken for its pixels.
    """
    header = image_codec.open_image(encoded, tf.constant(""), size_px)
    is_of_size = tf.raw_ops.Assert(
        condition=tf.reduce_all(header.size_px == size_px),
        data=[
            "sizes of a channel or mask and its image",
            header.size_px,
            size_px,
        ],
    )
    with tf.control_dependencies([is_of_size]):
        return tf.io.decode_image(
            tf.identity(encoded), channels=1, expand_animations=False
        )


def _decode_masks(encoded_N: tf.Tensor, size_px: tf.Tensor) -> tf.Tensor:
    """uint8 [n, height, width] of n image files of that size."""
    # A loop that never runs could not tell the shape of its results.
    return tf.cond(
        tf.size(encoded_N) > 0,
        lambda: tf.map_fn(
            lambda encoded: decode_channel(encoded, size_px)[:, :, 0],
            encoded_N,
            fn_output_signature=tf.uint8,
        ),
        lambda: tf.zeros(tf.concat([[0], size_px], axis=0), tf.uint8),
    )


def _per_box_values(
    record: Mapping[str, tf.Tensor], num_boxes: tf.Tensor
) -> dict[str, tf.Tensor]:
    """Values of every box [num_boxes]; the default where there are none."""
    values = {key: record[f"image/object/{key}"] for key in OPTIONAL_PER_BOX}
    counts = tf.stack([tf.size(values_N) for values_N in values.values()])
    tf.raw_ops.Assert(
        condition=tf.reduce_all((counts == 0) | (counts == num_boxes)),
        data=["numbers of values, not 0 or", num_boxes, counts],
    )
    # Appending the defaults and cutting at the number of boxes leaves the
    # values where there are some, and costs less than a condition.
    return {
        key: tf.concat(
            [values_N, tf.fill([num_boxes], tf.cast(default, values_N.dtype))],
            axis=0,
        )[:num_boxes]
        for (key, values_N), default in zip(
            values.items(), OPTIONAL_PER_BOX.values(), strict=True
        )
    }
