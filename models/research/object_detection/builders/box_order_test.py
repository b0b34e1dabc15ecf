"""Row i of the predictions belongs to anchor i, in either order of boxes."""

import numpy as np
import pytest
from google.protobuf import text_format

from object_detection.builders import (
    anchor_generator_builder,
    box_predictor_builder,
    small_detector,
)
from object_detection.core import box_ops, naming
from object_detection.core.standard_fields import PredictionFields
from object_detection.protos import anchor_generator_pb2, box_predictor_pb2

ORDERS = ("CELL_MAJOR", "SHAPE_MAJOR")
HYPERPARAMS = """conv_hyperparams {
  initializer { random_normal_initializer { stddev: 0.5 } }
}"""
MAPS = ((2, 3), (1, 2))


def default_boxes(order, num_levels=2):
    levels = [
        f"level {{ scale: {scale} aspect_ratio: {ratios} }}"
        for scale, ratios in (
            (0.2, [3, 0.5]),
            (0.3, []),
            (0.6, [2]),
        )[:num_levels]
    ]
    return (
        f"default_box_generator {{ {' '.join(levels)} extra_scale: 0.7 "
        f"box_order: {order} }}"
    )


def cyxhw(anchors):
    return np.asarray(box_ops.yxyx_to_cyxhw(anchors))


@pytest.mark.parametrize("order", ORDERS)
def test_a_predictor_that_tells_its_place_and_shape_tells_the_anchor(order):
    generator = anchor_generator_builder.build(
        text_format.Parse(
            default_boxes(order), anchor_generator_pb2.AnchorGenerator()
        )
    )
    anchors = cyxhw(generator.generate(list(MAPS), (100, 200)))
    num_anchors = generator.num_anchors_per_location
    assert num_anchors == [4, 2] and len(anchors) == 6 * 4 + 2 * 2
    predictor = box_predictor_builder.build(
        text_format.Parse(
            f"convolutional_box_predictor {{ {HYPERPARAMS} }}",
            box_predictor_pb2.BoxPredictor(),
        ),
        True,
        num_channels=[2, 2],
        num_anchors_per_location=num_anchors,
        num_class_slots=4,
        is_shape_major=generator.is_shape_major,
    )
    variables = naming.checkpoint_variables(predictor)
    maps, row = [], 0
    for i, (height, width) in enumerate(MAPS):
        # Its two channels are y and x of the centre of the cell.
        y, x = np.mgrid[:height, :width] + 0.5
        maps.append(np.float32([np.stack([y / height, x / width], -1)]))
        num_rows, num_shapes = height * width * num_anchors[i], num_anchors[i]
        sizes = anchors[row : row + num_rows, 2:]
        sizes = sizes[:: num_rows // num_shapes]
        if order == "CELL_MAJOR":
            sizes = anchors[row : row + num_shapes, 2:]
        row += num_rows
        kernel = np.zeros((1, 1, 2, num_shapes, 4), np.float32)
        kernel[0, 0, 0, :, 0] = kernel[0, 0, 1, :, 1] = 1
        for head in ("BoxEncodingPredictor", "ClassPredictor"):
            scope = f"BoxPredictor_{i}/{head}"
            variables[f"{scope}/weights"].assign(
                kernel.reshape(1, 1, 2, num_shapes * 4)
            )
            variables[f"{scope}/biases"].assign(
                np.pad(sizes, [[0, 0], [2, 0]]).ravel()
            )
    for output in predictor(maps):
        np.testing.assert_allclose(output[0], anchors, atol=1e-6)


def predictions_in(order):
    """Returns the predictions of a detector whose weights are the order's."""
    model = small_detector.build(
        "ssd { anchor_generator { "
        + default_boxes(order, num_levels=3)
        + " } box_predictor { convolutional_box_predictor { "
        + HYPERPARAMS
        + " } } }"
    )
    rng = np.random.default_rng(2)
    for name, variable in sorted(model.checkpoint_variables().items()):
        if "variance" not in name:
            variable.assign(rng.normal(0, 0.3, variable.shape))
    images, true_shapes = model.preprocess(small_detector.IMAGES)
    return {
        name: np.asarray(value)
        for name, value in model.predict(images, true_shapes).items()
    }


def test_a_detector_predicts_the_same_for_each_box_in_both_orders():
    by_cell, by_shape = (predictions_in(order) for order in ORDERS)
    anchors = PredictionFields.anchors
    orders = [
        np.lexsort(np.round(found[anchors], 5).T)
        for found in (by_cell, by_shape)
    ]
    assert not np.array_equal(*orders)
    np.testing.assert_allclose(
        by_cell[anchors][orders[0]], by_shape[anchors][orders[1]], atol=1e-6
    )
    for name in (
        PredictionFields.box_encodings,
        PredictionFields.class_predictions_with_background,
    ):
        found, expected = by_shape[name], by_cell[name]
        assert np.ptp(expected) > 1e-3 and found.shape == expected.shape
        np.testing.assert_allclose(
            found[:, orders[1]], expected[:, orders[0]], atol=1e-5
        )
