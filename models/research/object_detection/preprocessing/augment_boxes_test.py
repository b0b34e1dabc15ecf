import numpy as np
import pytest
import tensorflow as tf

from object_detection.core.standard_fields import InputDataFields as Fields
from object_detection.preprocessing import augment_boxes

BOXES = np.float32([[0.1, 0.2, 0.5, 0.75], [0.0, 0.25, 1.0, 0.625]])
MIRRORED = np.float32([[0.1, 0.25, 0.5, 0.8], [0.0, 0.375, 1.0, 0.75]])
IMAGE = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
KEYPOINTS = np.float32([[[0.1, 0.9], [0.2, 0.8], [0.3, 0.75]]] * 2)


def example(**extra):
    return {
        Fields.image: tf.constant(IMAGE),
        Fields.groundtruth_boxes: tf.constant(BOXES),
        Fields.groundtruth_classes: tf.constant([3, 1], tf.int64),
        **extra,
    }


def flip(given, position, permutation=()):
    step = augment_boxes.make_random_horizontal_flip(permutation)
    return step(given, tf.constant([11, position], tf.int64))


def is_flipped(result):
    return bool(np.any(result[Fields.image] != IMAGE))


def test_flips_image_and_boxes_together_or_not_at_all():
    seen = set()
    for position in range(12):
        result = flip(example(), position)
        flipped = is_flipped(result)
        seen.add(flipped)
        np.testing.assert_array_equal(
            result[Fields.image], IMAGE[:, ::-1] if flipped else IMAGE
        )
        np.testing.assert_allclose(
            result[Fields.groundtruth_boxes],
            MIRRORED if flipped else BOXES,
            atol=1e-7,
        )
        np.testing.assert_array_equal(
            result[Fields.groundtruth_classes], [3, 1]
        )
    assert seen == {True, False}


def test_half_of_the_images_are_flipped():
    @tf.function
    def count():
        step = augment_boxes.make_random_horizontal_flip()
        return tf.map_fn(
            lambda position: step(
                example(), tf.stack([tf.constant(5, tf.int64), position])
            )[Fields.groundtruth_boxes][0, 1],
            tf.range(400, dtype=tf.int64),
            fn_output_signature=tf.float32,
        )

    share = np.mean(np.isclose(count(), 0.25))
    assert 0.42 < share < 0.58


def test_masks_and_keypoints_follow():
    masks = np.float32(np.arange(2 * 2 * 3).reshape(2, 2, 3) % 4 > 1)
    given = example(
        groundtruth_instance_masks=tf.constant(masks),
        groundtruth_keypoints=tf.constant(KEYPOINTS),
    )
    position = next(i for i in range(50) if is_flipped(flip(example(), i)))
    result = flip(given, position, (1, 0, 2))
    np.testing.assert_array_equal(
        result[Fields.groundtruth_instance_masks], masks[:, :, ::-1]
    )
    np.testing.assert_allclose(
        result[Fields.groundtruth_keypoints],
        [[[0.2, 0.2], [0.1, 0.1], [0.3, 0.25]]] * 2,
        atol=1e-7,
    )


@pytest.mark.parametrize("permutation", [(), (0, 1), (0, 0, 1)])
def test_keypoints_need_a_permutation_of_their_number(permutation):
    with pytest.raises(ValueError, match="keypoint_flip_permutation.*3"):
        augment_boxes.flip_keypoints_left_right(
            tf.constant(KEYPOINTS), permutation
        )
