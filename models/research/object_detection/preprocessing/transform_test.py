import numpy as np
import pytest
import tensorflow as tf

from object_detection.core.standard_fields import InputDataFields as Fields
from object_detection.data_decoders.sample_records import (
    encode,
    make_example,
    make_pixels,
)
from object_detection.data_decoders.tf_example_decoder import (
    ClassRules,
    DecoderOptions,
    MaskType,
    TfExampleDecoder,
)
from object_detection.preprocessing import augment_boxes, preprocessor
from object_detection.preprocessing.image_resizer import (
    FixedShapeResizer,
    KeepAspectRatioResizer,
)
from object_detection.preprocessing.transform import Transform

BOXES = [[0.1, 0.2, 0.5, 0.75], [0.0, 0.25, 1.0, 0.625]]
TEXTS = ["dog", "cat"]
SEED = (4, 0)


def transform(record, seed=SEED, decoder_options=None, **settings):
    settings = {
        "resizer": FixedShapeResizer(12, 10),
        "num_classes": 5,
        "max_num_boxes": 4,
        **settings,
    }
    options = DecoderOptions(
        ClassRules(5, {"cat": 2, "dog": 5}), **(decoder_options or {})
    )
    example = TfExampleDecoder(options).decode(tf.constant(record))
    return Transform(**settings)(example, tf.constant(seed, tf.int64))


def test_boxes_are_padded_to_a_fixed_number():
    area = {"image/object/area": [30.0, 40.5]}
    features, labels = transform(make_example(BOXES, TEXTS, area))
    assert features[Fields.image].shape == (12, 10, 3)
    assert features[Fields.image].dtype == tf.float32
    np.testing.assert_array_equal(
        features[Fields.original_image_spatial_shape], [24, 32]
    )
    assert labels[Fields.num_groundtruth_boxes] == 2
    assert labels[Fields.num_truncated_boxes] == 0
    np.testing.assert_array_equal(
        labels[Fields.groundtruth_boxes],
        np.float32([*BOXES, [0] * 4, [0] * 4]),
    )
    one_hot = np.zeros((4, 5))
    one_hot[0, 4] = one_hot[1, 1] = 1
    for key in (Fields.groundtruth_classes, Fields.groundtruth_confidences):
        np.testing.assert_array_equal(labels[key], one_hot)
    np.testing.assert_array_equal(
        labels[Fields.groundtruth_weights], [1, 1, 0, 0]
    )
    np.testing.assert_array_equal(
        labels[Fields.groundtruth_area], [30, 40.5, 0, 0]
    )
    assert not np.any(labels[Fields.groundtruth_is_crowd])


def test_boxes_beyond_the_number_are_cut_off_and_counted():
    _, labels = transform(make_example(BOXES * 3, TEXTS * 3), max_num_boxes=4)
    assert labels[Fields.num_groundtruth_boxes] == 4
    assert labels[Fields.num_truncated_boxes] == 2
    np.testing.assert_array_equal(
        labels[Fields.groundtruth_boxes], np.float32(BOXES * 2)
    )


def test_crowds_are_counted_beyond_the_number_of_boxes_too():
    crowds = {"image/object/is_crowd": [0, 1, 0, 0, 1, 1]}
    record = make_example(BOXES * 3, TEXTS * 3, crowds)
    _, labels = transform(record, max_num_boxes=4)
    assert labels[Fields.num_crowd_boxes] == 3
    assert np.sum(labels[Fields.groundtruth_is_crowd]) == 1
    _, labels = transform(make_example(BOXES, TEXTS))
    assert labels[Fields.num_crowd_boxes] == 0


def test_a_record_without_boxes():
    features, labels = transform(make_example())
    assert labels[Fields.num_groundtruth_boxes] == 0
    for key, shape in (
        (Fields.groundtruth_boxes, (4, 4)),
        (Fields.groundtruth_classes, (4, 5)),
        (Fields.groundtruth_weights, (4,)),
    ):
        assert labels[key].shape == shape
        assert not np.any(labels[key])
    assert features[Fields.true_image_shape].shape == (3,)


def test_boxes_with_nan_go_with_all_that_is_theirs():
    boxes = [[np.nan, 0.2, 0.5, 0.75], BOXES[1]]
    changes = {
        "image/object/weight": [0.5, 0.25],
        "image/object/group_of": [0, 1],
    }
    _, labels = transform(make_example(boxes, TEXTS, changes))
    assert labels[Fields.num_groundtruth_boxes] == 1
    np.testing.assert_array_equal(
        labels[Fields.groundtruth_boxes][0], np.float32(BOXES[1])
    )
    assert labels[Fields.groundtruth_weights][0] == 0.25
    assert labels[Fields.groundtruth_group_of][0]
    assert labels[Fields.groundtruth_classes][0, 1] == 1


def test_equal_boxes_merge_into_one_with_several_classes():
    record = make_example(
        [BOXES[0], BOXES[1], BOXES[0]],
        ["dog", "dog", "cat"],
        {"image/object/weight": [0.5, 0.25, 1.0]},
    )
    _, labels = transform(record, merge_multiple_label_boxes=True)
    assert labels[Fields.num_groundtruth_boxes] == 2
    np.testing.assert_array_equal(
        labels[Fields.groundtruth_boxes][:2], np.float32(BOXES)
    )
    np.testing.assert_array_equal(
        labels[Fields.groundtruth_classes][:2],
        [[0, 1, 0, 0, 1], [0, 0, 0, 0, 1]],
    )
    np.testing.assert_array_equal(
        labels[Fields.groundtruth_weights][:2], [0.5, 0.25]
    )


def test_boxes_follow_the_image_into_its_padded_frame():
    resizer = KeepAspectRatioResizer(12, 24, pad_to_max_dimension=True)
    features, labels = transform(make_example(BOXES, TEXTS), resizer=resizer)
    assert features[Fields.image].shape == (24, 24, 3)
    np.testing.assert_array_equal(
        features[Fields.true_image_shape], [12, 16, 3]
    )
    expected = np.float32(BOXES) * [0.5, 2 / 3, 0.5, 2 / 3]
    np.testing.assert_allclose(
        labels[Fields.groundtruth_boxes][:2], expected, rtol=1e-6
    )


def test_keypoints_masks_and_additional_channels_come_along():
    mask = np.zeros((2, 24, 32))
    mask[0, :12, :16] = 1
    record = make_example(
        BOXES,
        TEXTS,
        {
            "image/object/keypoint/y": [0.5, 0.25],
            "image/object/keypoint/x": [0.75, 1.0],
            "image/object/mask": [float(value) for value in mask.ravel()],
            "image/additional_channels/encoded": [
                encode(make_pixels(24, 32)[:, :, 0], "PNG")
            ],
        },
    )
    features, labels = transform(
        record,
        decoder_options={
            "num_keypoints": 1,
            "load_instance_masks": True,
            "num_additional_channels": 1,
        },
        resizer=FixedShapeResizer(12, 16),
    )
    assert features[Fields.image].shape == (12, 16, 4)
    np.testing.assert_array_equal(
        features[Fields.image][..., 3], make_pixels(24, 32)[::2, ::2, 0]
    )
    np.testing.assert_array_equal(
        labels[Fields.groundtruth_keypoints][:, 0],
        [[0.5, 0.75], [0.25, 1.0], [0, 0], [0, 0]],
    )
    masks = labels[Fields.groundtruth_instance_masks]
    assert masks.shape == (4, 12, 16)
    np.testing.assert_array_equal(masks[0], mask[0, ::2, ::2])
    assert not np.any(masks[1:])


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["dog", "cat", "dog"], [0, 1, 0, 0, 1]),
        (["dog", "unicorn"], [0, 0, 0, 0, 1]),
        (["unicorn"], [0, 0, 0, 0, 0]),
        ([], [0, 0, 0, 0, 0]),
    ],
)
def test_image_labels_become_one_row(texts, expected):
    record = make_example(BOXES, TEXTS, {"image/class/text": texts})
    _, labels = transform(record)
    row = labels[Fields.groundtruth_image_classes]
    assert row.dtype == tf.float32 and row.shape == (5,)
    np.testing.assert_array_equal(row, expected)


def test_pad_values_of_additional_channels():
    channel = encode(make_pixels(24, 32)[:, :, 0], "PNG")
    record = make_example(
        changes={"image/additional_channels/encoded": [channel]}
    )
    resizer = KeepAspectRatioResizer(
        12, 16, pad_to_max_dimension=True, per_channel_pad_value=(1, 2, 3, 4)
    )
    features, _ = transform(
        record,
        decoder_options={"num_additional_channels": 1},
        resizer=resizer,
        retain_original_image=True,
    )
    np.testing.assert_array_equal(
        features[Fields.image][12:], np.tile([1.0, 2, 3, 4], (4, 16, 1))
    )
    np.testing.assert_array_equal(
        features[Fields.original_image][:12, :, 3],
        make_pixels(24, 32)[::2, ::2, 0],
    )
    np.testing.assert_array_equal(
        features[Fields.true_image_shape], [12, 16, 4]
    )


@pytest.mark.parametrize("mask_type", list(MaskType))
def test_masks_and_keypoints_stay_with_their_boxes(mask_type):
    """Each box's mask fills the box, and its keypoints are two corners."""
    boxes = np.array([[0.25, 0.125, 0.75, 0.5], [0, 0.5, 0.5, 0.875]])
    pixels = (boxes * [24, 32, 24, 32]).astype(int)
    masks = np.zeros((2, 24, 32), np.uint8)
    for mask, (ymin, xmin, ymax, xmax) in zip(masks, pixels, strict=True):
        mask[ymin:ymax, xmin:xmax] = 255
    values = [float(value) for value in masks.ravel()]
    if mask_type is MaskType.PNG:
        values = [encode(mask, "PNG") for mask in masks]
    corners = boxes.reshape(2, 2, 2)
    record = make_example(
        boxes.tolist(),
        TEXTS,
        {
            "image/object/mask": values,
            "image/object/keypoint/y": corners[..., 0].ravel().tolist(),
            "image/object/keypoint/x": corners[..., 1].ravel().tolist(),
        },
    )
    flip = augment_boxes.make_random_horizontal_flip((1, 0))
    seen = set()
    for position in range(6):
        _, labels = transform(
            record,
            (4, position),
            decoder_options={
                "num_keypoints": 2,
                "load_instance_masks": True,
                "mask_type": mask_type,
            },
            augmentations=(flip,),
            resizer=FixedShapeResizer(24, 64),
        )
        for row in range(2):
            box = labels[Fields.groundtruth_boxes][row].numpy()
            seen.add(tuple(box))
            mask = labels[Fields.groundtruth_instance_masks][row].numpy()
            rows, columns = np.nonzero(mask)
            np.testing.assert_array_equal(
                [rows.min(), columns.min(), rows.max() + 1, columns.max() + 1],
                box * [24, 64, 24, 64],
            )
            keypoints = labels[Fields.groundtruth_keypoints][row].numpy()
            np.testing.assert_array_equal(
                np.sort(keypoints, axis=0), box.reshape(2, 2)
            )
    assert len(seen) == 4


def test_the_original_image_is_that_before_augmentation():
    record = make_example(
        BOXES, TEXTS, {"image/encoded": [encode(make_pixels(24, 32), "PNG")]}
    )
    flip = augment_boxes.make_random_horizontal_flip()
    flipped = 0
    for position in range(8):
        features, _ = transform(
            record,
            (4, position),
            augmentations=(flip,),
            resizer=FixedShapeResizer(24, 32),
            retain_original_image=True,
        )
        original = features[Fields.original_image].numpy()
        np.testing.assert_array_equal(original, make_pixels(24, 32))
        assert original.dtype == np.uint8
        flipped += bool(np.any(features[Fields.image] != original))
    assert 0 < flipped < 8


def test_source_id_else_file_name_else_position():
    def source_id(**changes):
        record = make_example(
            changes={f"image/{key}": value for key, value in changes.items()}
        )
        return transform(record, (4, 31))[0][Fields.source_id]

    assert source_id() == b"7"
    assert source_id(source_id=None) == b"7.jpg"
    assert source_id(source_id=[""], filename=None) == b"#31"


def test_hash_is_that_of_the_original():
    features, _ = transform(make_example(source_id="139"))
    expected = tf.strings.to_hash_bucket_fast("139", 2**31)
    assert int(features[Fields.hash]) == int(expected)


@pytest.mark.parametrize("num_steps", [2, 70])
def test_steps_get_seeds_of_their_own(num_steps):
    seen = []

    def note_seed(example, seed):
        seen.append(tuple(seed.numpy()))
        return example

    example = {Fields.image: tf.zeros([2, 2, 3], tf.uint8)}
    for stream in (3, 4):
        preprocessor.augment(
            example, [note_seed] * num_steps, tf.constant([stream, 5], tf.int64)
        )
    assert len(set(seen)) == 2 * num_steps
    assert {position for _, position in seen} == {5}
