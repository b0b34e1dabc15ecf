import pytest
from google.protobuf import text_format

from object_detection.core import errors
from object_detection.protos import (
    input_reader_pb2,
    preprocessor_pb2,
    ssd_pb2,
)
from object_detection.utils import config_check_inputs

TRAIN, EVAL = "train_input_reader", "eval_input_reader[0]"


def check(train, evaluation, ssd=""):
    readers = {
        path: text_format.Parse(text, input_reader_pb2.InputReader())
        for path, text in ((TRAIN, train), (EVAL, evaluation))
    }
    config_check_inputs.check_readers(
        readers, text_format.Parse(ssd, ssd_pb2.Ssd())
    )


@pytest.mark.parametrize(
    ("train", "evaluation", "ssd", "expected"),
    [
        (
            "num_additional_channels: 2",
            "",
            "",
            f"{EVAL}.num_additional_channels: is 0, but "
            f"{TRAIN}.num_additional_channels is 2, and",
        ),
        (
            "num_additional_channels: -1",
            "num_additional_channels: -1",
            "",
            f"{TRAIN}.num_additional_channels: must be at least 0, got -1",
        ),
        (
            "num_additional_channels: 1",
            "num_additional_channels: 1",
            "image_resizer { fixed_shape_resizer {"
            " convert_to_grayscale: true } }",
            f"{TRAIN}.num_additional_channels: is 1, which model.ssd."
            "image_resizer.fixed_shape_resizer.convert_to_grayscale does not",
        ),
        (
            "num_keypoints: 5",
            "",
            "box_coder { keypoint_box_coder { num_keypoints: 5 } }",
            f"{EVAL}.num_keypoints: is 0, but model.ssd.box_coder."
            "keypoint_box_coder.num_keypoints is 5",
        ),
        (
            "num_keypoints: 4",
            "num_keypoints: 5",
            "box_coder { keypoint_box_coder { num_keypoints: 5 } }",
            f"{TRAIN}.num_keypoints: is 4, but model.ssd.box_coder.",
        ),
    ],
)
def test_what_does_not_fit_is_refused(train, evaluation, ssd, expected):
    with pytest.raises(errors.ConfigError) as caught:
        check(train, evaluation, ssd)
    assert str(caught.value).startswith(expected)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("reader", "ssd"),
    [
        ("", ""),
        ("num_additional_channels: 2", ""),
        (
            "",
            "image_resizer { keep_aspect_ratio_resizer {"
            " convert_to_grayscale: true } }",
        ),
        (
            "num_keypoints: 5",
            "box_coder { keypoint_box_coder { num_keypoints: 5 } }",
        ),
    ],
)
def test_what_fits_passes_in_silence(reader, ssd, caplog):
    check(reader, reader, ssd)
    assert not caplog.records


def test_keypoints_that_nothing_learns_are_warned_about(caplog):
    check("", "num_keypoints: 3", "box_coder { faster_rcnn_box_coder {} }")
    (record,) = caplog.records
    assert record.getMessage().startswith(f"{EVAL}.num_keypoints: keypoints")


def check_flips(num_keypoints, *steps):
    config_check_inputs.check_keypoint_flips(
        input_reader_pb2.InputReader(num_keypoints=num_keypoints),
        [
            text_format.Parse(step, preprocessor_pb2.PreprocessingStep())
            for step in steps
        ],
    )


@pytest.mark.parametrize("kind", ["horizontal", "vertical"])
@pytest.mark.parametrize("permutation", ["[]", "[1, 0]", "[0, 1, 1]", "[3, 1]"])
def test_a_flip_must_order_the_keypoints(kind, permutation):
    crop = "random_crop_image {}"
    flip = f"random_{kind}_flip {{ keypoint_flip_permutation: {permutation} }}"
    with pytest.raises(errors.ConfigError) as caught:
        check_flips(3, crop, flip)
    message = str(caught.value)
    assert message.startswith(
        f"train_config.data_augmentation_options[1].random_{kind}_flip."
        "keypoint_flip_permutation: train_input_reader.num_keypoints is 3"
    )
    assert f"got {permutation}" in message


def test_flips_that_are_complete_or_not_needed_pass():
    flip = "random_horizontal_flip { keypoint_flip_permutation: [2, 0, 1] }"
    check_flips(3, flip, "random_rotation90 {}")
    check_flips(0, "random_horizontal_flip {}")


VOC = 'record_dir: "{}" voc_input_reader {{ input_dir: "{}" }}'


def test_records_of_two_readers_have_two_folders():
    with pytest.raises(errors.ConfigError) as caught:
        check(VOC.format("/r", "/train"), VOC.format("/x/../r", "/eval"))
    assert str(caught.value) == (
        f"{EVAL}.record_dir: is /x/../r, as {TRAIN}.record_dir is, but they "
        "read other images; give each a folder of its own"
    )
    check(VOC.format("/r", "/train"), VOC.format("/r", "/train"))
    check(VOC.format("/r", "/train"), VOC.format("/s", "/eval"))
    check(VOC.format("", "/train"), VOC.format("", "/eval"))
