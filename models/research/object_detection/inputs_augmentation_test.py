"""Every augmentation that neither cuts nor pads, from config to batch."""

import numpy as np
import pytest
from google.protobuf import text_format

from object_detection import inputs
from object_detection.core import errors
from object_detection.core.standard_fields import InputDataFields as Fields
from object_detection.data_decoders.sample_records import (
    encode,
    make_example,
    make_pixels,
    write_records,
)
from object_detection.protos import pipeline_pb2

FIXED = "fixed_shape_resizer { height: 12 width: 10 }"
PADDED = """keep_aspect_ratio_resizer { min_dimension: 8 max_dimension: 12
    pad_to_max_dimension: true }"""
GRAY = """keep_aspect_ratio_resizer { min_dimension: 8
    max_dimension: 12 pad_to_max_dimension: true convert_to_grayscale: true }"""
STEPS = [
    "normalize_image { original_maxval: 255 target_minval: -1 }",
    "random_adjust_brightness {}",
    "random_adjust_contrast {}",
    "random_adjust_hue {}",
    "random_adjust_saturation {}",
    "random_black_patches {}",
    "random_distort_color { color_ordering: 1 }",
    "random_horizontal_flip { keypoint_flip_permutation: [1, 0] }",
    "random_image_scale {}",
    "random_jitter_boxes {}",
    "random_pixel_value_scale {}",
    "random_resize_method { target_height: 14 target_width: 9 }",
    "random_rgb_to_gray { probability: 0.5 }",
    "random_rotation90 {}",
    "random_vertical_flip { keypoint_flip_permutation: [1, 0] }",
    "resize_image { new_height: 14 new_width: 9 method: BICUBIC }",
    "subtract_channel_mean { means: [123.68, 116.779, 103.939] }",
]
# Those that stand for others of their kind; a pipeline takes a second to make.
QUICK = {
    "normalize_image",
    "random_black_patches",
    "random_distort_color",
    "random_image_scale",
    "random_jitter_boxes",
    "random_resize_method",
    "random_rotation90",
}
# What the range of an image may be after a step, where it is not 0..255.
RANGES = {
    "normalize_image": (-1, 1),
    "random_resize_method": (-60, 315),  # Bicubic sampling overshoots.
    "resize_image": (-60, 315),
    "subtract_channel_mean": (-124, 152),
}
BOX = [0.1, 0.2, 0.5, 0.75]


def record(number):
    """Has 0, 1 or 2 boxes with masks and keypoints; 4 is not a JPEG."""
    num_boxes, height, width = number % 3, 20 + number, 30
    changes = {
        "image/object/keypoint/y": [0.25, 0.375] * num_boxes,
        "image/object/keypoint/x": [0.5, 0.75] * num_boxes,
        "image/object/mask": [1.0] * (num_boxes * height * width),
    }
    if number == 4:
        changes["image/encoded"] = [encode(make_pixels(height, width), "PNG")]
    return make_example(
        [BOX] * num_boxes,
        ["cat"] * num_boxes,
        changes,
        size_px=(height, width),
        source_id=str(100 + number),
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("records")
    write_records(path / "a.record", [record(number) for number in range(6)])
    (path / "map").write_text('item { id: 1 name: "cat" }')
    return path


def train_input_fn(folder, steps, resizer=FIXED, reader=""):
    options = "".join(f"data_augmentation_options {{ {s} }}" for s in steps)
    config = text_format.Parse(
        f"""model {{ ssd {{ num_classes: 1 image_resizer {{ {resizer} }} }} }}
        train_config {{ {options} retain_original_images: true }}
        train_input_reader {{ label_map_path: "{folder}/map" num_epochs: 1
            max_number_of_boxes: 3 {reader}
            tf_record_input_reader {{ input_path: "{folder}/*.record" }} }}""",
        pipeline_pb2.TrainEvalPipelineConfig(),
    )
    return inputs.create_train_input_fn(
        config.train_config,
        config.train_input_reader,
        config.model,
        batch_size=2,
        seed=5,
    )


def batches_of_everything(folder, steps, resizer):
    return list(
        train_input_fn(
            folder,
            steps,
            resizer,
            "load_instance_masks: true num_keypoints: 2",
        )()
    )


def assert_valid(batches, low, high, num_channels=3):
    assert len(batches) == 3
    for features, labels in batches:
        images = features[Fields.image].numpy()
        assert images.shape == (2, 12, images.shape[2], num_channels)
        assert low - 0.01 <= images.min() < images.max() <= high + 0.01
        originals = features[Fields.original_image].numpy()
        assert originals.dtype == np.uint8 and np.ptp(originals) > 100
        for values in labels.values():
            assert np.isfinite(np.float32(values)).all()
        boxes = labels[Fields.groundtruth_boxes].numpy()
        assert (boxes[..., 2:] >= boxes[..., :2]).all()
        assert boxes.min() >= 0 and boxes.max() <= 1
        for row in range(2):
            num_boxes = int(labels[Fields.num_groundtruth_boxes][row])
            sizes = boxes[row, :, 2:] - boxes[row, :, :2]
            assert np.sum((sizes > 0.1).all(axis=1)) == num_boxes
            height, width, _ = features[Fields.true_image_shape][row]
            # The masks cover the image, whatever was made of it.
            masks = labels[Fields.groundtruth_instance_masks][row].numpy()
            assert (masks[:num_boxes, :height, :width] == 1).all()
            assert np.sum(masks) == num_boxes * height * width
            keypoints = labels[Fields.groundtruth_keypoints][row].numpy()
            assert (keypoints[:num_boxes] > 0).all()


def named(step):
    name = step.split()[0]
    marks = () if name in QUICK else pytest.mark.slow
    return pytest.param(step, id=name, marks=marks)


@pytest.mark.parametrize("step", [named(step) for step in STEPS])
def test_every_step(folder, step):
    low, high = RANGES.get(step.split()[0], (0, 255))
    assert_valid(batches_of_everything(folder, [step], FIXED), low, high)


def test_all_steps_one_after_the_other(folder):
    batches = batches_of_everything(folder, STEPS[1:-1] + STEPS[:1], PADDED)
    assert_valid(batches, -1.5, 1.5)


def test_gray_images_for_a_detector_of_gray_images(folder):
    steps = ["rgb_to_gray {}", "random_adjust_contrast {}", STEPS[-4]]
    batches = batches_of_everything(folder, steps, GRAY)
    assert_valid(batches, 0, 255, num_channels=1)


@pytest.mark.parametrize(
    ("steps", "resizer", "words"),
    [
        (
            ["random_rotation90 {}", "rgb_to_gray {}"],
            FIXED,
            r"\[1\].rgb_to_gray: leaves one channel and the detector takes",
        ),
        (
            ["rgb_to_gray {}", "random_distort_color {}"],
            GRAY,
            r"\[1\].random_distort_color: needs images of 3 colours, got 1",
        ),
        (
            ["subtract_channel_mean { means: [1, 2] }"],
            FIXED,
            r"\[0\].subtract_channel_mean: means must have one number for "
            "each channel of the image, 3, got 2",
        ),
        (
            ["random_vertical_flip {}"],
            FIXED,
            r"\[0\].random_vertical_flip: keypoint_flip_permutation must",
        ),
        (
            ["scale_boxes_to_pixel_coordinates {}"],
            FIXED,
            r"\[0\].scale_boxes_to_pixel_coordinates: cannot be used, boxes",
        ),
        (
            ["convert_class_logits_to_softmax {}"],
            FIXED,
            r"\[0\].convert_class_logits_to_softmax: cannot be used, records",
        ),
    ],
)
def test_what_cannot_work_is_refused_in_one_line(folder, steps, resizer, words):
    with pytest.raises(
        errors.ConfigError,
        match=r"^train_config.data_augmentation_options" + words,
    ) as caught:
        batches_of_everything(folder, steps, resizer)
    assert "\n" not in str(caught.value)


def test_additional_channels_keep_their_values(folder, tmp_path):
    pixels = make_pixels(20, 30)[..., 0]
    changes = {"image/additional_channels/encoded": [encode(pixels, "PNG")]}
    (tmp_path / "map").write_text('item { id: 1 name: "cat" }')
    write_records(
        tmp_path / "a.record",
        [make_example([BOX], ["cat"], changes, size_px=(20, 30))] * 2,
    )
    steps = ["random_distort_color {}", "random_pixel_value_scale {}"]
    resizer = "fixed_shape_resizer { height: 20 width: 30 }"
    reader = "num_additional_channels: 1"
    ((features, _),) = train_input_fn(tmp_path, steps, resizer, reader)()
    images = features[Fields.image].numpy()
    originals = features[Fields.original_image].numpy()
    np.testing.assert_array_equal(images[..., 3], [pixels] * 2)
    assert np.abs(images[..., :3] - originals[..., :3]).min(axis=-1).max() > 1
