import pytest
import tensorflow as tf
from google.protobuf import text_format

from object_detection.builders import preprocessor_builder
from object_detection.core import errors
from object_detection.preprocessing import crop
from object_detection.protos import preprocessor_pb2, train_pb2


def build(text, **options):
    config = text_format.Parse(text, train_pb2.TrainConfig())
    return preprocessor_builder.build(
        config.data_augmentation_options, **options
    )


def test_steps_keep_their_order():
    steps = build(
        """data_augmentation_options { random_crop_image {} }
        data_augmentation_options { random_horizontal_flip {} }"""
    )
    assert [step.__name__ for step in steps] == [
        "random_crop_image",
        "random_horizontal_flip",
    ]
    assert build("") == []


def test_every_field_of_random_crop_image(monkeypatch):
    made = []
    monkeypatch.setattr(crop, "make_random_crop_image", made.append)
    build("data_augmentation_options { random_crop_image {} }")
    build(
        """data_augmentation_options { random_crop_image {
            min_object_covered: 0.125 min_aspect_ratio: 0.25
            max_aspect_ratio: 3 min_area: 0.375 max_area: 0.5
            overlap_thresh: 0.625 clip_boxes: false random_coef: 0.75 } }"""
    )
    assert made[1] == crop.RandomCrop(
        0.125, (0.25, 3.0), (0.375, 0.5), 0.625, False, 0.75
    )
    default = made[0]
    assert default.aspect_ratio_range == pytest.approx((0.75, 1.33))
    assert default.area_range == pytest.approx((0.1, 1.0))
    assert default.overlap_thresh == pytest.approx(0.3)
    assert (default.min_object_covered, default.random_coef) == (1.0, 0.0)
    assert default.clip_boxes


REFUSED = (
    "convert_class_logits_to_softmax",
    "scale_boxes_to_pixel_coordinates",
)


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_work_is_refused_with_the_reason(name):
    with pytest.raises(
        errors.ConfigError,
        match=rf"options\[1\].{name}: cannot be used, \w.*; remove it$",
    ):
        build(
            "data_augmentation_options { random_horizontal_flip {} }"
            f"data_augmentation_options {{ {name} {{}} }}"
        )


def test_every_other_augmentation_is_known():
    # Some need values, and then their mistake is another one than the name.
    for field in preprocessor_pb2.PreprocessingStep.DESCRIPTOR.fields:
        if field.name in REFUSED:
            continue
        try:
            steps = build(
                f"data_augmentation_options {{ {field.name} {{}} }}",
                is_grayscale=True,
            )
        except errors.ConfigError as error:
            assert "must" in str(error)
        else:
            assert [step.__name__ for step in steps] == [field.name]


def test_gray_images_are_refused_where_the_detector_takes_colours():
    text = "data_augmentation_options { rgb_to_gray {} }"
    with pytest.raises(
        errors.ConfigError, match=r"rgb_to_gray: leaves one channel.*convert_to"
    ):
        build(text)
    (step,) = build(text, is_grayscale=True)
    result = step({"image": tf.zeros([4, 5, 3])}, tf.zeros([2], tf.int64))
    assert result["image"].shape == (4, 5, 1)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("random_adjust_hue {}", "needs images of 3 colours, got 1"),
        ("subtract_channel_mean { means: [1, 2, 3] }", "means.*1, got 3"),
        ("rgb_to_gray {}", "needs images of 3 channels, got 1"),
    ],
)
def test_an_image_that_a_step_cannot_change_is_refused_with_its_path(
    text, words
):
    first, second = build(
        f"""data_augmentation_options {{ rgb_to_gray {{}} }}
        data_augmentation_options {{ {text} }}""",
        is_grayscale=True,
    )
    example = {"image": tf.zeros([4, 5, 3])}
    seed = tf.zeros([2], tf.int64)
    name = text.split()[0]
    with pytest.raises(
        errors.ConfigError, match=rf"options\[1\].{name}: {words}"
    ):
        second(first(example, seed), seed)


@pytest.mark.parametrize(
    "text",
    [
        "normalize_image { original_maxval: 255 }",
        "subtract_channel_mean { means: [1, 2, 3] }",
    ],
)
def test_what_evaluation_does_not_do_is_warned_about(text, caplog):
    build(f"data_augmentation_options {{ {text} }}")
    assert "training alone" in caplog.text


def test_mistakes_name_the_option():
    with pytest.raises(errors.ConfigError, match=r"options\[0\] is empty"):
        build("data_augmentation_options {}")
    with pytest.raises(
        errors.ConfigError,
        match=r"options\[0\].random_crop_image.min_area: .*2",
    ):
        build("data_augmentation_options { random_crop_image { min_area: 2 } }")
