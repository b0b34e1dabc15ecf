import pytest
import tensorflow as tf
from google.protobuf import text_format

from object_detection.builders import preprocessor_builder
from object_detection.core import errors
from object_detection.preprocessing import crop
from object_detection.protos import preprocessor_pb2, train_pb2


def build(text):
    config = text_format.Parse(text, train_pb2.TrainConfig())
    return preprocessor_builder.build(config.data_augmentation_options)


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


def test_the_keypoint_permutation_reaches_the_flip():
    (step,) = build(
        """data_augmentation_options { random_horizontal_flip {
            keypoint_flip_permutation: [1, 0] } }"""
    )
    example = {
        "image": tf.zeros([2, 3, 3], tf.uint8),
        "groundtruth_boxes": tf.zeros([1, 4]),
        "groundtruth_keypoints": tf.constant([[[0.1, 0.2], [0.3, 0.4]]]),
    }
    found = {
        float(
            step(example, tf.constant([1, position], tf.int64))[
                "groundtruth_keypoints"
            ][0, 0, 0]
        )
        for position in range(20)
    }
    assert sorted(found) == pytest.approx([0.1, 0.3])


@pytest.mark.parametrize(
    "name",
    [
        field.name
        for field in preprocessor_pb2.PreprocessingStep.DESCRIPTOR.fields
        if field.name not in ("random_horizontal_flip", "random_crop_image")
    ],
)
def test_what_is_not_supported_is_refused_by_name(name):
    with pytest.raises(
        errors.ConfigError, match=rf"options\[1\].{name} is not supported"
    ):
        build(
            "data_augmentation_options { random_horizontal_flip {} }"
            f"data_augmentation_options {{ {name} {{}} }}"
        )


def test_mistakes_name_the_option():
    with pytest.raises(errors.ConfigError, match=r"options\[0\] is empty"):
        build("data_augmentation_options {}")
    with pytest.raises(
        errors.ConfigError, match=r"options\[0\].random_crop_image: areas"
    ):
        build("data_augmentation_options { random_crop_image { min_area: 2 } }")
