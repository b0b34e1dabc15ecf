import numpy as np
import pytest
import tensorflow as tf

from object_detection.core.standard_fields import InputDataFields as Fields
from object_detection.data_decoders import image_codec
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

TEXT_TO_ID = {"cat": 2, "dog": 5}
RULES = ClassRules(5, TEXT_TO_ID)
BOXES = [[0.1, 0.2, 0.5, 0.75], [0.0, 0.25, 1.0, 0.625]]
OBJECT = "image/object/"


def decode(record, rules=RULES, **options):
    decoder = TfExampleDecoder(DecoderOptions(rules, **options))
    return decoder.decode(tf.constant(record))


def test_every_key_of_a_record():
    changes = {
        "image/encoded": [encode(make_pixels(24, 32), "PNG")],
        "image/format": ["png"],
        "image/key/sha256": ["ab12"],
        "image/class/text": ["dog", "bird"],
        OBJECT + "area": [12.5, 700.0],
        OBJECT + "is_crowd": [0, 1],
        OBJECT + "difficult": [1, 0],
        OBJECT + "group_of": [0, 1],
        OBJECT + "weight": [0.25, 2.0],
    }
    example = decode(make_example(BOXES, ["dog", "cat"], changes))
    np.testing.assert_array_equal(
        image_codec.decode_pixels(example[Fields.image]), make_pixels(24, 32)
    )
    expected = {
        Fields.original_image_spatial_shape: [24, 32],
        Fields.is_size_misstated: False,
        Fields.source_id: b"7",
        Fields.filename: b"7.jpg",
        Fields.key: b"ab12",
        Fields.groundtruth_boxes: np.float32(BOXES),
        Fields.groundtruth_classes: [5, 2],
        Fields.groundtruth_weights: [0.25, 2.0],
        Fields.groundtruth_area: [12.5, 700.0],
        Fields.groundtruth_is_crowd: [False, True],
        Fields.groundtruth_difficult: [True, False],
        Fields.groundtruth_group_of: [False, True],
        Fields.groundtruth_image_classes: [5, -1],
    }
    for key, value in expected.items():
        np.testing.assert_array_equal(example[key], value, err_msg=key)
    assert set(example) == {*expected, Fields.image}


def test_what_a_record_leaves_out_gets_its_default():
    changes = dict.fromkeys(
        ["image/format", "image/filename", "image/height", "image/width"]
    )
    example = decode(make_example(BOXES, ["dog", "cat"], changes))
    np.testing.assert_array_equal(example[Fields.groundtruth_weights], [1, 1])
    np.testing.assert_array_equal(example[Fields.groundtruth_area], [-1, -1])
    for key in ("is_crowd", "difficult", "group_of"):
        np.testing.assert_array_equal(
            example[f"groundtruth_{key}"], [False, False]
        )
    assert example[Fields.filename] == b""


def test_no_boxes():
    example = decode(make_example())
    assert example[Fields.groundtruth_boxes].shape == (0, 4)
    assert example[Fields.groundtruth_classes].shape == (0,)
    assert example[Fields.groundtruth_weights].shape == (0,)


def test_text_beats_label_and_label_counts_without_text():
    labels = {OBJECT + "class/label": [1, 3]}
    record = make_example(BOXES, ["dog", "cat"], labels)
    np.testing.assert_array_equal(
        decode(record)[Fields.groundtruth_classes], [5, 2]
    )
    without_map = decode(record, ClassRules(5))
    np.testing.assert_array_equal(
        without_map[Fields.groundtruth_classes], [1, 3]
    )
    known_labels = {OBJECT + "class/label": [5, 2]}
    np.testing.assert_array_equal(
        decode(make_example(BOXES, [], known_labels))[
            Fields.groundtruth_classes
        ],
        [5, 2],
    )


def test_additional_channels():
    channels = [make_pixels(24, 32, seed)[:, :, 0] for seed in (1, 2)]
    key = "image/additional_channels/encoded"
    record = make_example(
        changes={key: [encode(channel, "PNG") for channel in channels]}
    )
    example = decode(record, num_additional_channels=2)
    np.testing.assert_array_equal(
        example[Fields.image_additional_channels], np.stack(channels, -1)
    )
    with pytest.raises(tf.errors.InvalidArgumentError, match=key):
        decode(make_example(), num_additional_channels=2)


def test_keypoints():
    changes = {
        OBJECT + "keypoint/y": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6],
        OBJECT + "keypoint/x": [0.9, 0.8, 0.7, 0.6, 0.5, 0.45],
    }
    example = decode(
        make_example(BOXES, ["dog", "cat"], changes), num_keypoints=3
    )
    np.testing.assert_allclose(
        example[Fields.groundtruth_keypoints],
        [
            [[0.1, 0.9], [0.2, 0.8], [0.3, 0.7]],
            [[0.4, 0.6], [0.5, 0.5], [0.6, 0.45]],
        ],
    )


@pytest.mark.parametrize("mask_type", list(MaskType))
def test_masks(mask_type):
    masks = (make_pixels(24, 32)[:, :, :2] > 128).transpose(2, 0, 1)
    values = [float(value) * 7 for value in masks.ravel()]
    if mask_type is MaskType.PNG:
        values = [encode(np.uint8(mask) * 200, "PNG") for mask in masks]
    example = decode(
        make_example(BOXES, ["dog", "cat"], {OBJECT + "mask": values}),
        load_instance_masks=True,
        mask_type=mask_type,
    )
    np.testing.assert_array_equal(
        example[Fields.groundtruth_instance_masks], np.float32(masks)
    )
    none = decode(make_example(), load_instance_masks=True, mask_type=mask_type)
    assert none[Fields.groundtruth_instance_masks].shape == (0, 24, 32)


def test_a_png_mask_of_another_size_stops_even_with_as_many_pixels():
    mask = encode(make_pixels(32, 24)[:, :, 0], "PNG")
    record = make_example(BOXES[:1], ["dog"], {OBJECT + "mask": [mask]})
    with pytest.raises(tf.errors.InvalidArgumentError, match="and its image"):
        decode(record, load_instance_masks=True, mask_type=MaskType.PNG)


def test_a_channel_of_another_size_is_not_decoded():
    # A PNG header of 2^30 pixels, and nothing behind it.
    header = encode(make_pixels(24, 32), "PNG")[:16]
    bomb = header + (2**15).to_bytes(4, "big") * 2
    record = make_example(changes={"image/additional_channels/encoded": [bomb]})
    with pytest.raises(
        (tf.errors.InvalidArgumentError, UnicodeDecodeError),
        match="image height and width|decode byte",
    ):
        decode(record, num_additional_channels=1)


def test_image_labels_come_from_texts_or_numbers():
    def image_classes(rules=RULES, **changes):
        record = make_example(
            changes={f"image/class/{k}": v for k, v in changes.items()}
        )
        return decode(record, rules)[Fields.groundtruth_image_classes].numpy()

    assert list(image_classes(text=["dog", "bird"], label=[3, 3])) == [5, -1]
    assert list(image_classes(label=[3, 9])) == [3, 9]
    assert list(image_classes(ClassRules(5), text=["dog"], label=[4])) == [4]
    assert list(image_classes()) == []


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [
        (24, 32, False),
        (32, 24, True),
        (24, 31, True),
        (25, 32, True),
        (None, None, False),
        (None, 33, True),
    ],
)
def test_a_size_that_the_image_does_not_have(height, width, expected):
    stated = {"image/height": height, "image/width": width}
    changes = {key: value and [value] for key, value in stated.items()}
    example = decode(make_example(changes=changes))
    assert bool(example[Fields.is_size_misstated]) == expected
    np.testing.assert_array_equal(
        example[Fields.original_image_spatial_shape], [24, 32]
    )


def test_a_nan_box_passes_and_a_box_slightly_outside_too():
    boxes = [[float("nan"), 0.2, 0.5, 0.75], [-0.05, 0.25, 1.05, 0.625]]
    example = decode(make_example(boxes, ["dog", "cat"]))
    np.testing.assert_array_equal(
        example[Fields.groundtruth_boxes], np.float32(boxes)
    )
