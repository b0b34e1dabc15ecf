import numpy as np
import pytest
import tensorflow as tf

from object_detection.core.standard_fields import InputDataFields as Fields
from object_detection.preprocessing import augment_boxes, examples
from object_detection.preprocessing.sample_examples import (
    KEYPOINT_PERMUTATION,
    assert_uniform,
    draw_many,
    make_example,
    seed_of,
)

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
    for flip_keypoints in (
        augment_boxes.flip_keypoints_left_right,
        augment_boxes.flip_keypoints_up_down,
    ):
        with pytest.raises(
            examples.StepError, match="keypoint_flip_permutation.*3"
        ):
            flip_keypoints(tf.constant(KEYPOINTS), permutation)


VERTICAL_FLIP = augment_boxes.make_random_vertical_flip(KEYPOINT_PERMUTATION)
# The steps, and what they make of BOXES, of KEYPOINTS, of [..., H, W] pixels.
TURNS = {
    "vertical_flip": (
        VERTICAL_FLIP,
        [[0.5, 0.2, 0.9, 0.75], [0.0, 0.25, 1.0, 0.625]],
        [[0.8, 0.8], [0.9, 0.9], [0.7, 0.75]],
        lambda pixels: pixels[..., ::-1, :],
    ),
    # Pixel (y, x) goes to (W - 1 - x, y), the right end becomes the top.
    "rotation": (
        augment_boxes.random_rotation90,
        [[0.25, 0.1, 0.8, 0.5], [0.375, 0.0, 0.75, 1.0]],
        [[0.1, 0.1], [0.2, 0.2], [0.25, 0.3]],
        lambda pixels: np.swapaxes(pixels, -1, -2)[..., ::-1, :],
    ),
}


@pytest.mark.parametrize("name", TURNS)
def test_all_turn_together_or_not_at_all(name):
    step, boxes, keypoints, turn = TURNS[name]
    given = make_example(IMAGE, BOXES, groundtruth_keypoints=KEYPOINTS)
    masks = given[Fields.groundtruth_instance_masks].numpy()
    seen = set()
    for position in range(12):
        result = step(given, seed_of(position))
        is_turned = bool(np.any(result[Fields.groundtruth_boxes] != BOXES))
        seen.add(is_turned)
        expected = {Fields.image: IMAGE, Fields.groundtruth_boxes: BOXES}
        expected[Fields.groundtruth_instance_masks] = masks
        expected[Fields.groundtruth_keypoints] = KEYPOINTS
        if is_turned:
            expected = {
                Fields.image: np.moveaxis(turn(np.moveaxis(IMAGE, 2, 0)), 0, 2),
                Fields.groundtruth_boxes: boxes,
                Fields.groundtruth_instance_masks: turn(masks),
                Fields.groundtruth_keypoints: [keypoints] * 2,
            }
        for key, value in expected.items():
            np.testing.assert_allclose(result[key], value, atol=1e-6)
    assert seen == {True, False}


@pytest.mark.parametrize("name", TURNS)
def test_half_of_the_images_turn(name):
    turned = draw_many(
        TURNS[name][0],
        make_example(IMAGE, BOXES),
        1000,
        lambda result: result[Fields.groundtruth_boxes][0, 0],
    )
    share = np.mean(turned != BOXES[0, 0])
    assert abs(share - 0.5) < 4 * (0.25 / 1000) ** 0.5


def test_turns_come_back_to_where_they_began():
    boxes = tf.constant(BOXES)
    mirrored = augment_boxes.flip_boxes_up_down(boxes)
    np.testing.assert_allclose(
        augment_boxes.flip_boxes_up_down(mirrored), BOXES, atol=1e-6
    )
    for _ in range(2):
        boxes = augment_boxes.rotate_boxes_90(boxes)
    np.testing.assert_allclose(
        boxes, augment_boxes.flip_boxes_left_right(mirrored), atol=1e-6
    )


def test_pixels_of_a_box_stay_in_it():
    image = np.zeros((6, 9, 3), np.uint8)
    image[1:3, 4:8] = 200
    given = make_example(image, [[1 / 6, 4 / 9, 3 / 6, 8 / 9]])
    for step, *_ in TURNS.values():
        for position in range(6):
            result = step(given, seed_of(position))
            height, width, _ = result[Fields.image].shape
            ymin, xmin, ymax, xmax = np.rint(
                result[Fields.groundtruth_boxes][0]
                * np.float32([height, width, height, width])
            ).astype(int)
            inside = result[Fields.image].numpy()[ymin:ymax, xmin:xmax]
            assert inside.size == 24 and (inside == 200).all()


def draw_jittered(ratio, boxes, count=2000):
    return draw_many(
        augment_boxes.make_random_jitter_boxes(ratio),
        make_example(IMAGE, boxes),
        count,
        lambda result: result[Fields.groundtruth_boxes],
    )


def test_every_side_jitters_by_a_part_of_its_own_length():
    boxes = np.float32([[0.3, 0.2, 0.5, 0.8], [0.4, 0.5, 0.7, 0.6]])
    moved = draw_jittered(0.25, boxes) - boxes
    height_and_width = (boxes[:, 2:] - boxes[:, :2])[:, [0, 1, 0, 1]]
    parts = (moved / height_and_width).reshape(-1, 8)
    for part in parts.T:
        assert_uniform(part, -0.25, 0.25)
    correlation = np.corrcoef(parts.T)
    assert np.abs(correlation - np.eye(8)).max() < 5 / 2000**0.5
    np.testing.assert_array_equal(draw_jittered(0.0, boxes, 1)[0], boxes)


def test_jittered_boxes_are_clipped():
    jittered = draw_jittered(0.4, [[0.0, 0.9, 0.5, 1.0]], 200)[:, 0]
    assert jittered.min() == 0 and jittered.max() == 1
    assert 0.3 < np.mean(jittered[:, 0] == 0) < 0.7
    assert 0.3 < np.mean(jittered[:, 3] == 1) < 0.7


@pytest.mark.parametrize("ratio", [0.5, 0.75, 3.0])
def test_no_jitter_inverts_a_box(ratio):
    jittered = draw_jittered(ratio, [[0.4, 0.3, 0.5, 0.8]])[:, 0]
    assert (jittered[:, 2:] >= jittered[:, :2]).all()
    assert jittered.min() >= 0 and jittered.max() <= 1


def test_jitter_is_not_negative():
    with pytest.raises(ValueError, match="ratio.*-0.1"):
        augment_boxes.make_random_jitter_boxes(-0.1)
