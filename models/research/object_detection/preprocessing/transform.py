"""From a decoded example to what one row of a batch holds.

Order: boxes with NaN go, augmentation, resize, one-hot classes, merging of
equal boxes, padding to M boxes.
"""

import dataclasses

import tensorflow as tf

from object_detection.core import standard_fields
from object_detection.preprocessing import (
    examples,
    image_resizer,
    preprocessor,
)

Fields = standard_fields.InputDataFields

# Resolution at which two boxes count as equal, 1 / 9999 of the image's side.
_MERGE_STEPS = 9999

_NUM_HASH_BUCKETS = 2**31

# What is padded to M boxes, with the value of the padded rows.
_PADDED = {
    Fields.groundtruth_boxes: 0.0,
    Fields.groundtruth_classes: 0.0,
    Fields.groundtruth_confidences: 0.0,
    Fields.groundtruth_weights: 0.0,
    Fields.groundtruth_area: 0.0,
    Fields.groundtruth_is_crowd: False,
    Fields.groundtruth_difficult: False,
    Fields.groundtruth_group_of: False,
    Fields.groundtruth_instance_masks: 0.0,
    Fields.groundtruth_keypoints: 0.0,
}


@dataclasses.dataclass(frozen=True)
class Transform:
    """How examples become rows of a batch.

    Attributes:
        resizer: to the size that the detector sees.
        num_classes: columns of the class rows.
        max_num_boxes: M; boxes beyond are cut off and counted.
        augmentations: steps on the decoded example, in order; none in
            evaluation.
        merge_multiple_label_boxes: equal boxes become one with several
            classes.
        retain_original_image: also return the image as it is without
            augmentation, resized, as uint8.
    """

    resizer: image_resizer.Resizer
    num_classes: int
    max_num_boxes: int
    augmentations: tuple[examples.Step, ...] = ()
    merge_multiple_label_boxes: bool = False
    retain_original_image: bool = False

    def __call__(
        self, example: examples.Example, seed: tf.Tensor
    ) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
        """Returns (features, labels) of one image.

        Args:
            example: what `TfExampleDecoder.decode` returns.
            seed: int64 [2], (stream, position in the stream).
        """
        example = drop_nan_boxes(_with_additional_channels(example))
        original_image = example[Fields.image]
        example = preprocessor.augment(example, self.augmentations, seed)
        image, true_shape = self.resizer(example[Fields.image])
        source_id = _source_id(example, seed[1])
        features = {
            Fields.image: image,
            Fields.true_image_shape: true_shape,
            Fields.original_image_spatial_shape: example[
                Fields.original_image_spatial_shape
            ],
            Fields.source_id: source_id,
            Fields.hash: tf.cast(
                tf.strings.to_hash_bucket_fast(source_id, _NUM_HASH_BUCKETS),
                tf.int32,
            ),
        }
        if self.retain_original_image:
            if self.augmentations:
                image, _ = self.resizer(examples.pixels(original_image))
            features[Fields.original_image] = tf.cast(image, tf.uint8)
        return features, self._labels(example, true_shape)

    def _labels(
        self, example: examples.Example, true_shape: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        example = {
            **example,
            Fields.groundtruth_boxes: self.resizer.move_boxes(
                example[Fields.groundtruth_boxes], true_shape
            ),
            Fields.groundtruth_classes: tf.one_hot(
                example[Fields.groundtruth_classes] - 1, self.num_classes
            ),
        }
        example.update(self._moved_masks_and_keypoints(example, true_shape))
        if self.merge_multiple_label_boxes:
            example = merge_equal_boxes(example)
        # No record says how sure its labels are.
        example[Fields.groundtruth_confidences] = example[
            Fields.groundtruth_classes
        ]
        num_boxes = tf.shape(example[Fields.groundtruth_boxes])[0]
        labels = {
            key: _pad_or_cut(example[key], num_boxes, self.max_num_boxes, value)
            for key, value in _PADDED.items()
            if key in example
        }
        kept = tf.minimum(num_boxes, self.max_num_boxes)
        labels[Fields.num_groundtruth_boxes] = kept
        labels[Fields.num_truncated_boxes] = num_boxes - kept
        # Of those cut off, too.
        labels[Fields.num_crowd_boxes] = tf.reduce_sum(
            tf.cast(example[Fields.groundtruth_is_crowd], tf.int32)
        )
        labels[Fields.groundtruth_image_classes] = _k_hot(
            example[Fields.groundtruth_image_classes], self.num_classes
        )
        return labels

    def _moved_masks_and_keypoints(
        self, example: examples.Example, true_shape: tf.Tensor
    ) -> examples.Example:
        """Those that the example has, in the frame of the resized image."""
        moved = {}
        if Fields.groundtruth_instance_masks in example:
            moved[Fields.groundtruth_instance_masks] = (
                self.resizer.resize_masks(
                    example[Fields.groundtruth_instance_masks]
                )
            )
        if Fields.groundtruth_keypoints in example:
            keypoints_NK2 = example[Fields.groundtruth_keypoints]
            # A point moves like a box without extent.
            moved[Fields.groundtruth_keypoints] = self.resizer.move_boxes(
                tf.concat([keypoints_NK2, keypoints_NK2], axis=2), true_shape
            )[..., :2]
        return moved


def _with_additional_channels(example: examples.Example) -> examples.Example:
    """Appends the additional channels, if any, to those of the image."""
    if Fields.image_additional_channels not in example:
        return example
    example = dict(example)
    channels = example.pop(Fields.image_additional_channels)
    example[Fields.image] = tf.concat(
        [examples.pixels(example[Fields.image]), channels], axis=2
    )
    return example


def drop_nan_boxes(example: examples.Example) -> examples.Example:
    """Drops the boxes that have a NaN coordinate."""
    boxes_N4 = example[Fields.groundtruth_boxes]
    return examples.keep_boxes(
        example, ~tf.reduce_any(tf.math.is_nan(boxes_N4), axis=1)
    )


def merge_equal_boxes(example: examples.Example) -> examples.Example:
    """Merges boxes of equal coordinates into one with several classes.

    The first box of each group stays, with its weight, area and flags; its
    class row has a 1 for each class of the group. Boxes whose coordinates
    fall into the same step of 1 / 9999 are equal.

    Args:
        example: with groundtruth_classes float32 [n, C].
    """
    boxes_N4 = example[Fields.groundtruth_boxes]
    steps_N4 = tf.cast(tf.floor(boxes_N4 * _MERGE_STEPS), tf.int64)
    # Coordinates in [-0.1, 1.1] fit a base of 2^14 when moved up.
    digits_N4 = steps_N4 + 2**11
    keys_N = tf.reduce_sum(
        digits_N4 * tf.constant([2**42, 2**28, 2**14, 1], tf.int64), axis=1
    )
    unique_keys_U, group_N = tf.unique(keys_N)
    num_groups = tf.size(unique_keys_U)
    num_boxes = tf.size(keys_N)
    first_U = tf.math.unsorted_segment_min(
        tf.range(num_boxes), group_N, num_groups
    )
    merged = examples.select_boxes(example, first_U)
    merged[Fields.groundtruth_classes] = tf.math.unsorted_segment_max(
        example[Fields.groundtruth_classes], group_N, num_groups
    )
    return merged


def _source_id(example: examples.Example, position: tf.Tensor) -> tf.Tensor:
    """The record's source id, else its file name, else its position."""
    source_id, filename = example[Fields.source_id], example[Fields.filename]
    return tf.cond(
        tf.strings.length(source_id) > 0,
        lambda: source_id,
        lambda: tf.cond(
            tf.strings.length(filename) > 0,
            lambda: filename,
            lambda: tf.strings.join(["#", tf.strings.as_string(position)]),
        ),
    )


def _k_hot(class_ids_m: tf.Tensor, num_classes: int) -> tf.Tensor:
    """float32 [num_classes], 1 at each id (from 1); other ids do not count."""
    one_hot = tf.one_hot(class_ids_m - 1, num_classes, True, False)
    return tf.cast(tf.reduce_any(one_hot, axis=0), tf.float32)


def _pad_or_cut(
    values: tf.Tensor,
    num_boxes: tf.Tensor,
    max_num_boxes: int,
    pad_value: float | bool,
) -> tf.Tensor:
    """Makes the first axis `max_num_boxes` long."""
    kept = values[:max_num_boxes]
    missing = tf.maximum(max_num_boxes - num_boxes, 0)
    paddings = [[0, missing]] + [[0, 0]] * (values.shape.rank - 1)
    padded = tf.pad(kept, paddings, constant_values=pad_value)
    return tf.ensure_shape(padded, [max_num_boxes, *values.shape[1:]])
