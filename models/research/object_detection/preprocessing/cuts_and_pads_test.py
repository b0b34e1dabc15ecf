"""What holds of every augmentation that cuts or pads."""

import numpy as np
import pytest
import tensorflow as tf

from object_detection.core.standard_fields import InputDataFields as Fields
from object_detection.data_decoders import image_codec
from object_detection.data_decoders.sample_records import encode, make_pixels
from object_detection.preprocessing import (
    aspect_ratios,
    crop,
    examples,
    expand,
    iou_crop,
    pad,
    ssd_crop,
)
from object_detection.preprocessing.sample_examples import (
    make_example,
    seed_of,
)

# Small enough for several cases to fit in a few draws.
AREAS, RATIOS = (0.3, 0.9), (0.4, 2.5)
LOOSE = crop.RandomCrop(0.0, RATIOS, AREAS, 0.0)
STRICT = crop.RandomCrop(0.6, RATIOS, AREAS, 0.6, random_coef=0.2)
CROPS = (LOOSE, STRICT)
PADDED = pad.PaddedSizeRatios((1.0, 1.1), (1.6, 1.5))
CROP_PADS = tuple(
    ssd_crop.RandomCropPad(case, PADDED, (3.0, 99.5, 7.0)) for case in CROPS
)
CUTS = {
    step.__name__: step
    for step in (
        crop.make_random_crop_image(LOOSE),
        aspect_ratios.make_random_crop_to_aspect_ratio(0.8, 0.2),
        ssd_crop.make_ssd_random_crop(CROPS),
        ssd_crop.make_ssd_random_crop_fixed_aspect_ratio(CROPS, 0.8),
        iou_crop.make_ssd_iou_crop(iou_crop.IouCrop(min_ious=(0.1, 0.2))),
    )
}
PADS = {
    step.__name__: step
    for step in (
        expand.make_ssd_expand(0.8, 2.5, (123.0, 117.0, 104.0)),
        pad.make_random_pad_image(),
        ssd_crop.make_random_crop_pad_image(
            ssd_crop.RandomCropPad(STRICT, PADDED)
        ),
        ssd_crop.make_ssd_random_crop_pad(CROP_PADS),
        ssd_crop.make_ssd_random_crop_pad_fixed_aspect_ratio(CROPS, 1.25),
    )
}
STEPS = CUTS | PADS
DROP_NOTHING = {"random_pad_image", "ssd_expand"}
# They leave an image that is not decoded so.
LATE = {*CUTS, "ssd_expand"}
every_step = pytest.mark.parametrize("name", STEPS)

# In pixels of a 40 x 60 image: rectangles, and the marked points in them.
SIZE_PX = (40, 60)
OBJECTS_PX = ((5, 10, 20, 30), (22, 35, 39, 55), (2, 40, 12, 58))
MARKS_PX = (
    ((6, 11), (18, 27), (9, 28)),
    ((22, 35), (38, 54), (30, 36)),
    ((2, 57), (11, 40), (3, 45)),
)
OBJECT_CHANNEL, MARK_CHANNEL = 0, 1
FIRST_OBJECT, MARK = 10, 20


def draw_objects(dtype=np.uint8):
    """Returns an example: objects and marks have values of their own."""
    rng = np.random.default_rng(5)
    image = rng.integers(100, 250, (*SIZE_PX, 3)).astype(dtype)
    masks = np.zeros((len(OBJECTS_PX), *SIZE_PX), np.float32)
    for number, (top, left, bottom, right) in enumerate(OBJECTS_PX):
        inside = np.s_[top:bottom, left:right]
        image[inside][..., OBJECT_CHANNEL] = FIRST_OBJECT + number
        masks[number][inside] = 1
        for row, column in MARKS_PX[number]:
            image[row, column, MARK_CHANNEL] = MARK
    return make_example(
        image,
        np.array(OBJECTS_PX) / np.tile(SIZE_PX, 2),
        groundtruth_instance_masks=masks,
        # The middle of the marked pixel.
        groundtruth_keypoints=np.float32((np.array(MARKS_PX) + 0.5) / SIZE_PX),
    )


def object_pixels(image, number):
    """bool [height, width]; a mean colour has no whole numbers."""
    return (image[..., OBJECT_CHANNEL] == FIRST_OBJECT + number) & (
        image[..., 2] == np.floor(image[..., 2])
    )


@every_step
def test_boxes_masks_and_keypoints_are_where_the_objects_are(name):
    given = draw_objects()
    num_dropped, seen = 0, set()
    for position in range(15):
        result = {
            key: value.numpy()
            for key, value in STEPS[name](given, seed_of(position)).items()
        }
        image = result[Fields.image]
        size_px = image.shape[:2]
        seen.add(result[Fields.groundtruth_boxes].tobytes())
        numbers = result[Fields.groundtruth_classes] - 1
        num_dropped += len(OBJECTS_PX) - len(numbers)
        assert np.all(np.diff(numbers) > 0)
        for row, number in enumerate(numbers):
            visible = object_pixels(image, number)
            rows, columns = np.nonzero(visible)
            expected_px = [
                rows.min(),
                columns.min(),
                rows.max() + 1,
                columns.max() + 1,
            ]
            box_px = result[Fields.groundtruth_boxes][row] * np.tile(size_px, 2)
            np.testing.assert_allclose(box_px, expected_px, atol=1e-3)
            np.testing.assert_array_equal(
                result[Fields.groundtruth_instance_masks][row], visible
            )
            keypoints = result[Fields.groundtruth_keypoints][row]
            inside = keypoints[~np.isnan(keypoints[:, 0])]
            marks = np.argwhere(visible & (image[..., MARK_CHANNEL] == MARK))
            found = np.floor(inside * size_px).astype(int)
            assert sorted(map(tuple, found)) == sorted(map(tuple, marks))
    assert len(seen) > 7
    assert (num_dropped == 0) == (name in DROP_NOTHING)


@every_step
@pytest.mark.parametrize("num_boxes", [0, 1, 3])
def test_all_that_belongs_to_a_box_stays_with_it(name, num_boxes):
    given = examples.select_boxes(draw_objects(), tf.range(num_boxes))
    for position in range(2):
        result = STEPS[name](given, seed_of(position))
        assert result.keys() == given.keys()
        kept = result[Fields.groundtruth_classes] - 1
        for key in set(examples.PER_BOX_FIELDS) & set(given):
            assert result[key].dtype == given[key].dtype
            assert result[key].shape[0] == len(kept)
        for key in (
            Fields.groundtruth_weights,
            Fields.groundtruth_area,
            Fields.groundtruth_is_crowd,
            Fields.groundtruth_difficult,
            Fields.groundtruth_group_of,
        ):
            np.testing.assert_array_equal(
                result[key], tf.gather(given[key], kept)
            )


def test_all_boxes_may_be_dropped():
    case = crop.RandomCrop(0.0, (1.0, 1.0), (0.02, 0.03), 1.0)
    crop_pad = ssd_crop.RandomCropPad(case, PADDED)
    for step in (
        ssd_crop.make_ssd_random_crop([case]),
        ssd_crop.make_random_crop_pad_image(crop_pad),
        ssd_crop.make_ssd_random_crop_pad_fixed_aspect_ratio([case], 3.0),
    ):
        result = step(draw_objects(), seed_of(0))
        assert result[Fields.groundtruth_boxes].shape == (0, 4)
        assert result[Fields.groundtruth_keypoints].shape == (0, 3, 2)
        masks = result[Fields.groundtruth_instance_masks]
        assert masks.shape == (0, *result[Fields.image].shape[:2])


@every_step
def test_the_seed_decides(name):
    given = draw_objects()
    results = [STEPS[name](given, seed_of(i)) for i in range(4)]
    again = [STEPS[name](given, seed_of(i)) for i in range(4)]
    tf.nest.map_structure(np.testing.assert_array_equal, again, results)
    boxes = {
        result[Fields.groundtruth_boxes].numpy().tobytes() for result in results
    }
    other = {
        STEPS[name](given, seed_of(i, stream=8))[Fields.groundtruth_boxes]
        .numpy()
        .tobytes()
        for i in range(4)
    }
    assert len(boxes) > 1 and boxes != other


@every_step
def test_the_input_is_left_as_it_is(name):
    given = draw_objects()
    before = dict(given)
    STEPS[name](given, seed_of(1))
    assert before.keys() == given.keys()
    assert all(given[key] is before[key] for key in given)


@every_step
@pytest.mark.parametrize("image_format", ["JPEG", "PNG"])
def test_an_image_not_yet_decoded_gives_the_same(name, image_format):
    encoded = tf.constant(encode(make_pixels(*SIZE_PX), image_format))
    late, early = draw_objects(), draw_objects()
    image = image_codec.mirror_image(
        image_codec.open_image(encoded, tf.constant(""), SIZE_PX),
        tf.constant(True),
    )
    late[Fields.image] = image
    early[Fields.image] = examples.pixels(image)
    for position in range(3):
        expected = STEPS[name](early, seed_of(position))
        result = STEPS[name](late, seed_of(position))
        assert examples.is_late(result[Fields.image]) == (name in LATE)
        result[Fields.image] = examples.pixels(result[Fields.image])
        assert result.keys() == expected.keys()
        tf.nest.map_structure(np.testing.assert_array_equal, result, expected)


@every_step
def test_graphs_know_ranks_and_channels_and_give_the_same(name):
    given = draw_objects(np.float32)
    unknown = {
        key: tf.TensorSpec([None, *value.shape[1:]], value.dtype)
        for key, value in given.items()
    }
    unknown[Fields.image] = tf.TensorSpec([None, None, 3])
    unknown[Fields.groundtruth_instance_masks] = tf.TensorSpec([None] * 3)
    graph = tf.function(
        STEPS[name], input_signature=[unknown, tf.TensorSpec([2], tf.int64)]
    )
    shapes = graph.get_concrete_function().structured_outputs
    assert shapes[Fields.image].shape[2] == 3
    assert shapes[Fields.groundtruth_boxes].shape[1] == 4
    assert shapes[Fields.groundtruth_keypoints].shape[1:] == (3, 2)
    assert shapes[Fields.groundtruth_instance_masks].shape.rank == 3
    for position in range(3):
        expected = STEPS[name](given, seed_of(position))
        result = graph(given, seed_of(position))
        for key, value in expected.items():
            np.testing.assert_allclose(
                np.float32(result[key]), np.float32(value), rtol=1e-5
            )
