"""The augmentations of the three SSD300 recipes, from config to batch."""

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format

from object_detection import inputs
from object_detection.core.standard_fields import InputDataFields as Fields
from object_detection.data_decoders.sample_records import (
    encode,
    make_example,
    make_pixels,
    write_records,
)
from object_detection.protos import pipeline_pb2

VGG16 = [
    """photometric_distortion { probability: 0.5 max_brightness_delta: 32
        min_contrast_factor: 0.5 max_contrast_factor: 1.5
        min_saturation_factor: 0.5 max_saturation_factor: 1.5
        max_hue_delta_degrees: 36 order: RANDOM_CONTRAST }""",
    "random_channel_permutation { probability: 0.5 }",
    "ssd_expand { probability: 0.5 max_ratio: 4 color: [123, 117, 104] }",
    """ssd_iou_crop { rule: BEST_BOX min_iou: [0.1, 0.3, 0.5, 0.7, 0.9, 1.0]
        clip_boxes: false }""",
    "random_horizontal_flip {}",
    """random_resize_method { target_height: 30 target_width: 30
        include_lanczos: true }""",
]
MOBILENET = [
    """ssd_iou_crop { rule: NOT_MIXED min_iou: [0.1, 0.3, 0.5, 0.7, 0.9]
        aspect_ratio_in_pixels: true }""",
    "resize_image { new_height: 30 new_width: 30 }",
    "random_horizontal_flip {}",
    """photometric_distortion {
        min_brightness_factor: 0.6 max_brightness_factor: 1.4
        min_contrast_factor: 0.6 max_contrast_factor: 1.4
        contrast_center: MEAN_LUMA
        min_saturation_factor: 0.6 max_saturation_factor: 1.4
        color_model: YIQ }""",
]
RESNET = [
    """ssd_iou_crop { rule: ALL_BOXES
        min_iou: [0, 0.1, 0.3, 0.5, 0.7, 0.9] }""",
    "random_horizontal_flip {}",
    "resize_image { new_height: 30 new_width: 30 }",
    """photometric_distortion {
        min_brightness_factor: 0.875 max_brightness_factor: 1.125
        min_contrast_factor: 0.5 max_contrast_factor: 1.5
        contrast_center: MIDDLE_GRAY
        min_saturation_factor: 0.5 max_saturation_factor: 1.5
        max_hue_delta_degrees: 0.5 order: BRIGHTNESS_LAST color_model: YIQ }""",
]
RECIPES = {"vgg16": VGG16, "mobilenet": MOBILENET, "resnet": RESNET}
BOXES = [[0.1, 0.2, 0.5, 0.75], [0.3, 0.1, 0.9, 0.5], [0.6, 0.6, 0.8, 0.9]]
every_recipe = pytest.mark.parametrize("recipe", RECIPES)


def record(number):
    num_boxes, size_px = number % 4, (40 + number, 57)
    changes = {}
    if number == 5:
        changes["image/encoded"] = [encode(make_pixels(*size_px), "PNG")]
    return make_example(
        BOXES[:num_boxes],
        ["cat"] * num_boxes,
        changes,
        size_px=size_px,
        source_id=str(100 + number),
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("records")
    write_records(path / "a.record", [record(number) for number in range(8)])
    (path / "map").write_text('item { id: 1 name: "cat" }')
    return path


def train_input_fn(folder, recipe, seed=5):
    options = "".join(
        f"data_augmentation_options {{ {step} }}" for step in RECIPES[recipe]
    )
    config = text_format.Parse(
        f"""model {{ ssd {{ num_classes: 1 image_resizer {{
            fixed_shape_resizer {{ height: 30 width: 30 }} }} }} }}
        train_config {{ {options} }}
        train_input_reader {{ label_map_path: "{folder}/map"
            tf_record_input_reader {{ input_path: "{folder}/*.record" }} }}""",
        pipeline_pb2.TrainEvalPipelineConfig(),
    )
    return inputs.create_train_input_fn(
        config.train_config,
        config.train_input_reader,
        config.model,
        batch_size=8,
        seed=seed,
    )


@every_recipe
def test_batches_are_valid(folder, recipe):
    seen = 0
    for features, labels in train_input_fn(folder, recipe)().take(4):
        images = features[Fields.image].numpy()
        assert images.shape == (8, 30, 30, 3) and np.ptp(images) > 100
        # Bicubic sampling overshoots.
        slack = 60 if recipe == "vgg16" else 0.01
        assert images.min() >= -slack and images.max() <= 255 + slack
        boxes = labels[Fields.groundtruth_boxes].numpy()
        if recipe != "vgg16":
            assert boxes.min() >= 0 and boxes.max() <= 1
        for row, source_id in enumerate(features[Fields.source_id].numpy()):
            num_boxes = int(labels[Fields.num_groundtruth_boxes][row])
            given = (int(source_id) - 100) % 4
            # No crop keeps none.
            assert min(given, 1) <= num_boxes <= given
            centers = (boxes[row, :, :2] + boxes[row, :, 2:])[:num_boxes] / 2
            assert (centers > 0).all() and (centers < 1).all()
            seen += num_boxes
    assert 20 < seen < 4 * 12


@every_recipe
def test_the_seed_and_the_position_decide(folder, recipe):
    def batches(seed, start_step, count):
        dataset = train_input_fn(folder, recipe, seed)(start_step)
        return list(dataset.take(count))

    whole = batches(5, 0, 3)
    tf.nest.map_structure(
        np.testing.assert_array_equal, batches(5, 2, 1)[0], whole[2]
    )
    images = [features[Fields.image].numpy() for features, _ in whole]
    other = batches(6, 0, 1)[0][0][Fields.image].numpy()
    assert np.abs(images[0] - images[1]).max() > 1
    assert np.abs(images[0] - other).max() > 1
