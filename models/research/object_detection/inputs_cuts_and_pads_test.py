"""Training input from records with each augmentation that cuts or pads."""

import numpy as np
import pytest
from google.protobuf import text_format

from object_detection import inputs
from object_detection.builders import preprocessor_crop_builder
from object_detection.core.standard_fields import InputDataFields as Fields
from object_detection.data_decoders.sample_records import (
    make_example,
    write_records,
)
from object_detection.protos import pipeline_pb2

NUM_RECORDS, NUM_BATCHES = 6, 4


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    folder = tmp_path_factory.mktemp("records")
    boxes = [[0.1, 0.2, 0.5, 0.75], [0.3, 0.1, 0.9, 0.4], [0.6, 0.5, 1, 1]]
    return write_records(
        folder / "a.record",
        [
            make_example(
                boxes[: number % 4],
                ["cat"] * (number % 4),
                {"image/object/class/label": [1 + number % 2] * (number % 4)},
                size_px=(30 + number, 44),
                source_id=str(number),
            )
            for number in range(NUM_RECORDS)
        ],
    )


def train_batches(records, augmentation):
    config = text_format.Parse(
        f"""model {{ ssd {{ num_classes: 2 image_resizer {{
            fixed_shape_resizer {{ height: 24 width: 20 }} }} }} }}
        train_config {{ {augmentation} }}
        train_input_reader {{ max_number_of_boxes: 4 shuffle: false
            num_readers: 1
            tf_record_input_reader {{ input_path: "{records}" }} }}""",
        pipeline_pb2.TrainEvalPipelineConfig(),
    )
    input_fn = inputs.create_train_input_fn(
        config.train_config,
        config.train_input_reader,
        config.model,
        batch_size=NUM_RECORDS,
        seed=3,
    )
    return list(input_fn().take(NUM_BATCHES))


@pytest.fixture(scope="module")
def plain_batches(records):
    return train_batches(records, "")


@pytest.mark.parametrize("name", preprocessor_crop_builder.MAKERS)
def test_training_input_with_each_step(records, plain_batches, name):
    batches = train_batches(
        records, f"data_augmentation_options {{ {name} {{}} }}"
    )
    num_changed, num_boxes = 0, 0
    for (features, labels), (plain_features, plain_labels) in zip(
        batches, plain_batches, strict=True
    ):
        np.testing.assert_array_equal(
            features[Fields.source_id], plain_features[Fields.source_id]
        )
        image = features[Fields.image].numpy()
        assert image.shape == (NUM_RECORDS, 24, 20, 3)
        assert 0 <= image.min() and image.max() <= 255
        num_changed += np.any(
            image != plain_features[Fields.image], axis=(1, 2, 3)
        ).sum()
        boxes = labels[Fields.groundtruth_boxes].numpy()
        assert boxes.min() >= 0 and boxes.max() <= 1
        weights = labels[Fields.groundtruth_weights].numpy()
        sides = boxes[..., 2:] - boxes[..., :2]
        assert ((sides > 0).all(axis=2) == (weights > 0)).all()
        counts = labels[Fields.num_groundtruth_boxes].numpy()
        assert (counts == (weights > 0).sum(axis=1)).all()
        plain_counts = plain_labels[Fields.num_groundtruth_boxes].numpy()
        assert (counts <= plain_counts).all()
        num_boxes += counts.sum()
    assert num_changed > 0.6 * NUM_RECORDS * NUM_BATCHES
    assert num_boxes > 12
