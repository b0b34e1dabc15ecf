"""What holds of every augmentation that neither cuts nor pads."""

import numpy as np
import pytest
import tensorflow as tf

from object_detection.core.standard_fields import InputDataFields as Fields
from object_detection.data_decoders import image_codec
from object_detection.data_decoders.sample_records import encode, make_pixels
from object_detection.preprocessing import (
    augment_boxes,
    augment_colors,
    augment_images,
    channel_permutation,
    examples,
    photometric,
)
from object_detection.preprocessing.sample_examples import (
    KEYPOINT_PERMUTATION,
    make_example,
    seed_of,
)

STEPS = {
    step.__name__: step
    for step in (
        augment_boxes.make_random_horizontal_flip(KEYPOINT_PERMUTATION),
        augment_boxes.make_random_jitter_boxes(),
        augment_boxes.make_random_vertical_flip(KEYPOINT_PERMUTATION),
        augment_boxes.random_rotation90,
        augment_colors.make_normalize_image((0.0, 255.0), (-1.0, 3.0)),
        augment_colors.make_random_adjust_brightness(),
        augment_colors.make_random_adjust_contrast(),
        augment_colors.make_random_adjust_hue(),
        augment_colors.make_random_adjust_saturation(),
        augment_colors.make_random_distort_color(),
        augment_colors.make_random_pixel_value_scale(),
        augment_colors.make_random_rgb_to_gray(0.5),
        augment_colors.make_subtract_channel_mean((1.0, 2.5, 3.0)),
        augment_colors.rgb_to_gray,
        augment_images.make_random_black_patches(),
        augment_images.make_random_image_scale(),
        augment_images.make_random_resize_method(11, 17),
        augment_images.make_resize_image(11, 17),
        photometric.make_photometric_distortion(
            photometric.PhotometricDistortion(0.9, 20, (0.7, 1.2))
        ),
        channel_permutation.make_random_channel_permutation(),
    )
}
CERTAIN = {
    "normalize_image",
    "resize_image",
    "rgb_to_gray",
    "subtract_channel_mean",
}
# Fields that a step moves, beside the image and the masks.
MOVED = {
    "random_horizontal_flip": {"groundtruth_boxes", "groundtruth_keypoints"},
    "random_jitter_boxes": {"groundtruth_boxes"},
    "random_rotation90": {"groundtruth_boxes", "groundtruth_keypoints"},
    "random_vertical_flip": {"groundtruth_boxes", "groundtruth_keypoints"},
}
PIXELS = make_pixels(20, 30)
BOXES = [[0.1, 0.2, 0.5, 0.75], [0.0, 0.25, 1.0, 0.625], [0.2, 0.1, 0.3, 0.9]]
every_step = pytest.mark.parametrize("name", STEPS)


def changes_something(result, given):
    return any(
        result[key].shape != given[key].shape
        or bool(np.any(result[key].numpy() != given[key].numpy()))
        for key in given
    )


def assert_same(result, expected):
    assert result.keys() == expected.keys()
    tf.nest.map_structure(np.testing.assert_array_equal, result, expected)


@every_step
def test_the_seed_decides(name):
    step = STEPS[name]
    given = make_example(PIXELS, BOXES)
    results = [step(given, seed_of(position)) for position in range(12)]
    assert_same(step(given, seed_of(4)), results[4])
    differ = any(
        changes_something(result, results[0]) for result in results[1:]
    )
    assert differ == (name not in CERTAIN)
    assert any(changes_something(result, given) for result in results)
    other_stream = [step(given, seed_of(i, stream=8)) for i in range(12)]
    assert name in CERTAIN or any(
        changes_something(result, other)
        for result, other in zip(results, other_stream, strict=True)
    )


@every_step
@pytest.mark.parametrize("num_boxes", [0, 1, 3])
def test_all_that_belongs_to_a_box_stays_with_it(name, num_boxes):
    given = make_example(PIXELS, BOXES[:num_boxes])
    for position in range(4):
        result = STEPS[name](given, seed_of(position))
        assert result.keys() == given.keys()
        height, width = result[Fields.image].shape[:2]
        masks = result[Fields.groundtruth_instance_masks]
        assert masks.shape == (num_boxes, height, width)
        for key in set(examples.PER_BOX_FIELDS) & set(given):
            assert result[key].dtype == given[key].dtype
            if key == Fields.groundtruth_instance_masks:
                continue
            assert result[key].shape == given[key].shape
            if key not in MOVED.get(name, ()):
                np.testing.assert_array_equal(result[key], given[key])


@every_step
def test_the_input_is_left_as_it_is(name):
    given = make_example(PIXELS, BOXES)
    before = dict(given)
    STEPS[name](given, seed_of(1))
    assert_same(given, before)


@every_step
def test_an_image_not_yet_decoded_gives_the_same(name):
    encoded = tf.constant(encode(PIXELS, "PNG"))
    late = make_example(PIXELS, BOXES)
    late[Fields.image] = image_codec.mirror_image(
        image_codec.open_image(encoded, tf.constant("png"), [20, 30]),
        tf.constant(True),
    )
    early = make_example(PIXELS[:, ::-1], BOXES)
    for position in range(3):
        expected = STEPS[name](early, seed_of(position))
        result = STEPS[name](late, seed_of(position))
        np.testing.assert_array_equal(
            examples.pixels(result[Fields.image]), expected[Fields.image]
        )


@every_step
def test_graphs_know_ranks_and_channels_and_give_the_same(name):
    given = make_example(PIXELS, BOXES)
    given[Fields.image] = tf.cast(given[Fields.image], tf.float32)
    static_axes = {
        Fields.image: [None, None, 3],
        Fields.groundtruth_instance_masks: [None, None, None],
    }
    unknown = {
        key: tf.TensorSpec(
            static_axes.get(key, [None, *value.shape[1:]]), value.dtype
        )
        for key, value in given.items()
    }
    graph = tf.function(
        STEPS[name], input_signature=[unknown, tf.TensorSpec([2], tf.int64)]
    )
    shapes = graph.get_concrete_function().structured_outputs
    channels = 1 if name == "rgb_to_gray" else 3
    assert shapes[Fields.image].shape[2] == channels
    assert shapes[Fields.groundtruth_boxes].shape[1] == 4
    assert shapes[Fields.groundtruth_keypoints].shape[1:] == (3, 2)
    assert shapes[Fields.groundtruth_instance_masks].shape.rank == 3
    for position in range(3):
        expected = STEPS[name](given, seed_of(position))
        result = graph(given, seed_of(position))
        for key, value in expected.items():
            tolerance = 1e-3 if value.dtype == tf.float32 else 0
            np.testing.assert_allclose(result[key], value, atol=tolerance)
