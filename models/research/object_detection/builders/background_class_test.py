"""A background in the last column does what one in the first does."""

import numpy as np
import pytest

from object_detection.builders import small_detector
from object_detection.core import errors
from object_detection.core.standard_fields import (
    DetectionResultFields,
    PredictionFields,
)

KEY = PredictionFields.class_predictions_with_background
SOFTMAX = "loss { classification_loss { weighted_softmax {} } "
VARIANTS = {
    "focal": "",
    "softmax": SOFTMAX
    + """random_example_sampler { positive_sample_fraction: 0.25 } }
      encode_background_as_zeros: false post_processing {
        score_converter: SOFTMAX
        batch_non_max_suppression { score_threshold: 0.3 }
      }""",
    "mined": SOFTMAX
    + """hard_negative_miner {} normalization: BY_IMAGE }
      encode_background_as_zeros: false""",
    "explicit": "add_background_class: false explicit_background_class: true "
    "num_classes: 4 encode_background_as_zeros: false",
}


def outcomes(overrides, num_columns_to_roll):
    """Returns all numbers that follow from predictions that are drawn."""
    model = small_detector.build(f"ssd {{ {overrides} }}")
    images, true_shapes = model.preprocess(small_detector.IMAGES)
    predictions = dict(model.predict(images, true_shapes))
    rng = np.random.default_rng(3)
    for name in (PredictionFields.box_encodings, KEY):
        predictions[name] = rng.normal(size=predictions[name].shape).astype(
            np.float32
        )
    assert predictions[KEY].shape[-1] == 4
    predictions[KEY] = np.roll(predictions[KEY], num_columns_to_roll, axis=-1)
    num_classes = 4 if "explicit" in overrides else 3
    groundtruth = small_detector.make_groundtruth(num_classes)
    return {
        **model.loss(predictions, true_shapes, groundtruth),
        **model.postprocess(predictions, true_shapes),
    }


@pytest.mark.parametrize("variant", VARIANTS)
def test_rolled_predictions_give_the_same(variant, networks_built_once):
    overrides = VARIANTS[variant]
    first = outcomes(overrides, 0)
    last = outcomes(f"{overrides} background_class_last: true", -1)
    assert first.keys() == last.keys()
    for name, expected in first.items():
        np.testing.assert_array_equal(last[name], expected, err_msg=name)
    # Classes count from 0, without the background.
    classes = np.asarray(first[DetectionResultFields.detection_classes])
    assert set(classes.ravel()) == {0.0, 1.0, 2.0}
    # And the column matters.
    other = outcomes(f"{overrides} background_class_last: true", 0)
    assert any(
        not np.array_equal(other[name], expected)
        for name, expected in first.items()
        if "loss" in name
    )


def test_without_a_background_its_place_is_refused():
    with pytest.raises(
        errors.ConfigError, match="^model.ssd.background_class_last: true needs"
    ):
        small_detector.build(
            "ssd { add_background_class: false background_class_last: true }"
        )
