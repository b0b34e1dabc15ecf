import re

import numpy as np
import pytest
import tensorflow as tf

from object_detection.data_decoders import image_codec, record_check
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
from object_detection.preprocessing import image_resizer, transform

OPTIONS = DecoderOptions(ClassRules(5, {"background": 0, "cat": 2, "dog": 5}))
BOXES = [[0.1, 0.2, 0.5, 0.75], [0.0, 0.25, 1.0, 0.625]]
OBJECT = "image/object/"
JPEG = encode(make_pixels(24, 32))


def changed(**changes):
    keys = {
        key.replace("__", "/"): value
        for key, value in changes.items()
        if key not in ("boxes", "texts")
    }
    return make_example(
        changes.get("boxes", BOXES), changes.get("texts", ["dog", "cat"]), keys
    )


GOOD = {
    "plain": changed(),
    "no box": make_example(),
    "nan": changed(boxes=[[np.nan] * 4, BOXES[0]]),
    "slightly outside": changed(boxes=[BOXES[1], [-0.1, 0.5, 0.5, 1.09]]),
    "labels": changed(texts=[], image__object__class__label=[2, 5]),
    "gif": changed(image__encoded=[encode(make_pixels(24, 32), "GIF")]),
    "text in labels": changed(image__object__class__label=[44, 45]),
}

BAD = {
    "not an example": (b"\xff\xfe\xfd rubbish", "no tf.Example"),
    "no image": (changed(image__encoded=None), "image/encoded is missing"),
    "empty image": (changed(image__encoded=[""]), "image/encoded is missing"),
    "text as image": (changed(image__encoded=["hello"]), "begins with b?'hel"),
    "cut jpeg": (changed(image__encoded=[JPEG[:700]]), "cannot be decoded"),
    "cut header": (
        changed(image__encoded=[JPEG[:300]]),
        "JPEG.* cannot be read",
    ),
    "wrong type": (changed(image__source_id=[7]), "image/source_id holds int"),
    "two images": (changed(image__encoded=[JPEG, JPEG]), "holds 2 values"),
    "lost xmin": (
        changed(image__object__bbox__xmin=[0.5]),
        "bbox/xmin 1.*bbox/ymax 2",
    ),
    "lost class": (changed(texts=["dog"]), "class/text has 1 values.* 2 boxes"),
    "lost area": (changed(image__object__area=[3.0]), "object/area has 1"),
    "no class": (changed(texts=[]), "class/label has 0 values"),
    "unknown text": (
        changed(texts=["dog", "c\now"]),
        r"class/text\[1\] is the unknown class 'c\\now'",
    ),
    "background": (
        changed(texts=["dog", "background"]),
        r"class/text\[1\] is the unknown class 'background'",
    ),
    "unknown label": (
        changed(texts=[], image__object__class__label=[2, 4]),
        r"class/label\[1\] is 4",
    ),
    "label above": (
        changed(texts=[], image__object__class__label=[6, 2]),
        r"class/label\[0\] is 6",
    ),
    "label 0": (
        changed(texts=[], image__object__class__label=[2, 0]),
        r"class/label\[1\] is 0",
    ),
    "inverted": (
        changed(boxes=[BOXES[0], [0.5, 0.1, 0.4, 0.2]]),
        r"bbox\[1\].* min is above max",
    ),
    "outside": (changed(boxes=[BOXES[0], [0.0, 0.0, 1.2, 1]]), "outside"),
    "pixels": (changed(boxes=[[3.0, 4.0, 20, 30], BOXES[0]]), "outside"),
    "infinite": (changed(boxes=[[0.0, 0, np.inf, 1], BOXES[0]]), "outside"),
}


def decode(record):
    example = TfExampleDecoder(OPTIONS).decode(tf.constant(record))
    return image_codec.decode_pixels(example["image"])


@pytest.mark.parametrize("record", GOOD.values(), ids=GOOD)
def test_the_check_passes_what_the_decoder_decodes(record):
    assert record_check.find_fault(record, OPTIONS) is None
    decode(record)


@pytest.mark.parametrize(("record", "words"), BAD.values(), ids=BAD)
def test_the_check_names_what_stops_the_decoder(record, words):
    fault = record_check.find_fault(record, OPTIONS)
    assert fault is not None
    assert "\n" not in fault
    assert re.search(words, fault), fault
    # TensorFlow fails to word the error when the record is no text.
    with pytest.raises((tf.errors.InvalidArgumentError, UnicodeDecodeError)):
        decode(record)


CHANNELS = DecoderOptions(OPTIONS.class_rules, num_additional_channels=2)
KEYPOINTS = DecoderOptions(OPTIONS.class_rules, num_keypoints=3)
MASKS = DecoderOptions(OPTIONS.class_rules, load_instance_masks=True)
PNG_MASKS = MASKS._replace(mask_type=MaskType.PNG)
PNG = encode(make_pixels(24, 32)[:, :, 0], "PNG")
TURNED_PNG = encode(make_pixels(32, 24)[:, :, 0], "PNG")

GOOD_EXTRAS = {
    "channels": (
        CHANNELS,
        changed(image__additional_channels__encoded=[PNG, PNG]),
    ),
    "keypoints": (
        KEYPOINTS,
        changed(
            image__object__keypoint__y=[0.5] * 6,
            image__object__keypoint__x=[0.25] * 6,
        ),
    ),
    "no keypoints": (KEYPOINTS, make_example()),
    "masks": (MASKS, changed(image__object__mask=[1.0] * 2 * 24 * 32)),
    "png masks": (PNG_MASKS, changed(image__object__mask=[PNG, PNG])),
    "no masks": (PNG_MASKS, make_example()),
}

BAD_EXTRAS = {
    "no channels": (
        CHANNELS,
        changed(),
        "additional_channels/encoded holds 0 values, expected 2",
    ),
    "a channel": (
        CHANNELS,
        changed(image__additional_channels__encoded=[PNG]),
        "additional_channels/encoded holds 1 values, expected 2",
    ),
    "a turned channel": (
        CHANNELS,
        changed(image__additional_channels__encoded=[PNG, TURNED_PNG]),
        r"encoded\[1\].* is 32 pixels high and 24 wide, expected the image's "
        "24 and 32",
    ),
    "turned channels": (
        CHANNELS,
        changed(image__additional_channels__encoded=[TURNED_PNG] * 2),
        r"encoded\[0\].* is 32 pixels high and 24 wide",
    ),
    "no channel image": (
        CHANNELS,
        changed(image__additional_channels__encoded=[PNG, "hello"]),
        r"encoded\[1\] \(5 bytes\) cannot be decoded",
    ),
    "a keypoint short": (
        KEYPOINTS,
        changed(
            image__object__keypoint__y=[0.5] * 6,
            image__object__keypoint__x=[0.25] * 5,
        ),
        r"keypoint/x has 5 values, expected 3 \(num_keypoints\) for each of 2",
    ),
    "a mask short": (
        MASKS,
        changed(image__object__mask=[1.0] * 24 * 32),
        r"object/mask has 768 values, expected 24 \* 32",
    ),
    "a png mask short": (
        PNG_MASKS,
        changed(image__object__mask=[PNG]),
        "object/mask has 1 values, expected a PNG image for each of 2 boxes",
    ),
    "a turned png mask": (
        PNG_MASKS,
        changed(image__object__mask=[PNG, TURNED_PNG]),
        r"object/mask\[1\].* is 32 pixels high and 24 wide",
    ),
    "numbers for png masks": (
        PNG_MASKS,
        changed(image__object__mask=[1.0, 2.0]),
        "object/mask holds float values, expected bytes",
    ),
}


def run_transform(record, options):
    example = TfExampleDecoder(options).decode(tf.constant(record))
    make_rows = transform.Transform(
        image_resizer.FixedShapeResizer(6, 8), 5, max_num_boxes=3
    )
    make_rows(example, tf.constant([0, 0], tf.int64))


@pytest.mark.parametrize(
    ("options", "record"), GOOD_EXTRAS.values(), ids=GOOD_EXTRAS
)
def test_extras_that_can_be_read_pass(options, record):
    assert record_check.find_fault(record, options) is None
    run_transform(record, options)


@pytest.mark.parametrize(
    ("options", "record", "words"), BAD_EXTRAS.values(), ids=BAD_EXTRAS
)
def test_extras_that_cannot_be_read_are_named(options, record, words):
    fault = record_check.find_fault(record, options)
    assert re.search(words, fault), fault
    # A damaged image makes the error hard to word, so TensorFlow may fail at
    # that.
    with pytest.raises((tf.errors.InvalidArgumentError, UnicodeDecodeError)):
        run_transform(record, options)


def test_texts_without_a_label_map_are_hinted_at():
    fault = record_check.find_fault(changed(), DecoderOptions(ClassRules(5)))
    assert fault == (
        "image/object/class/label has 0 values, expected one for each of 2 "
        "boxes; to read the class texts, set label_map_path"
    )


def test_a_long_or_odd_source_id_is_shown_short_and_on_one_line():
    record = make_example(source_id="../../etc/x\n" + "y" * 10**6)
    name = record_check.name_record(record)
    assert len(name) < 200
    assert "\n" not in name
    assert record_check.name_record(b"\xff") == ""
    assert record_check.name_record(make_example(source_id="12")) == "'12'"
