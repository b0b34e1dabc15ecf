import keras
import numpy as np
import pytest

from object_detection.core import hyperparams as hyperparams_lib
from object_detection.core import naming
from object_detection.predictors import convolutional_box_predictor

HYPERPARAMS = hyperparams_lib.ConvHyperparams(
    keras.initializers.RandomNormal(stddev=0.2),
    keras.regularizers.L2(0.5),
    activation="relu6",
    batch_norm=hyperparams_lib.BatchNormParams(scale=True),
)
BATCH_NORM = {
    f"BatchNorm/{leaf}"
    for leaf in ("gamma", "beta", "moving_mean", "moving_variance")
}
HEADS = ("BoxEncodingPredictor", "ClassPredictor")


def make(
    num_channels=(6, 3),
    anchors=(2, 3),
    num_class_slots=4,
    hyperparams=HYPERPARAMS,
    dtype=None,
    **options,
):
    return convolutional_box_predictor.ConvolutionalBoxPredictor(
        num_channels,
        anchors,
        num_class_slots,
        hyperparams,
        convolutional_box_predictor.Options(**options),
        dtype,
    )


def feature_maps(num_channels=(6, 3)):
    random = np.random.RandomState(0)
    sizes = [(2, 3), (1, 2)]
    return [
        random.normal(size=(2, *size, channels)).astype(np.float32)
        for size, channels in zip(sizes, num_channels, strict=False)
    ]


def shapes(predictor):
    return {
        name: tuple(variable.shape)
        for name, variable in naming.checkpoint_variables(predictor).items()
    }


@pytest.mark.parametrize(
    ("channels", "kernel_size"),
    [
        ((576, 1280, 512, 256, 256, 128), 1),  # ssd_mobilenet_v2
        ((576, 1024, 512, 256, 256, 128), 3),  # ssd_inception_v2
    ],
)
def test_variables_of_the_original(channels, kernel_size):
    anchors = (3, 6, 6, 6, 6, 6)
    found = shapes(make(channels, anchors, 91, kernel_size=kernel_size))
    expected = {}
    for i, (depth, num_anchors) in enumerate(
        zip(channels, anchors, strict=True)
    ):
        for head, columns in zip(HEADS, (4, 91), strict=True):
            scope = f"BoxPredictor_{i}/{head}"
            outputs = num_anchors * columns
            expected[f"{scope}/weights"] = (
                kernel_size,
                kernel_size,
                depth,
                outputs,
            )
            expected[f"{scope}/biases"] = (outputs,)
    assert found == expected


def test_rows_go_by_map_then_row_then_column_then_anchor():
    predictor = make()
    variables = naming.checkpoint_variables(predictor)
    maps = feature_maps()
    outputs = predictor(maps)
    assert [output.shape for output in outputs] == [(2, 18, 4), (2, 18, 4)]
    for head, output in zip(HEADS, outputs, strict=True):
        row = 0
        for i, (level, num_anchors) in enumerate(
            zip(maps, (2, 3), strict=True)
        ):
            kernel = variables[f"BoxPredictor_{i}/{head}/weights"]
            for y, x in np.ndindex(level.shape[1:3]):
                expected = level[:, y, x] @ np.asarray(kernel.value)[0, 0]
                np.testing.assert_allclose(
                    output[:, row : row + num_anchors],
                    expected.reshape(2, num_anchors, 4),
                    atol=1e-5,
                )
                row += num_anchors
        assert row == output.shape[1]


def test_one_map_has_no_scope():
    assert set(shapes(make((6,), (2,)))) == {
        f"{head}/{leaf}" for head in HEADS for leaf in ("weights", "biases")
    }


def test_layers_before_have_the_depth_between_the_limits():
    found = shapes(make(num_layers_before_predictor=2, max_depth=5))
    # Channels 6 and 3: at most 5.
    assert found["BoxPredictor_0/Conv2d_0_1x1_5/weights"] == (1, 1, 6, 5)
    assert found["BoxPredictor_0/Conv2d_1_1x1_5/weights"] == (1, 1, 5, 5)
    assert found["BoxPredictor_1/Conv2d_0_1x1_3/weights"] == (1, 1, 3, 3)
    assert found["BoxPredictor_0/ClassPredictor/weights"] == (1, 1, 5, 8)
    for leaf in BATCH_NORM:
        assert found[f"BoxPredictor_0/Conv2d_0_1x1_5/{leaf}"] == (5,)
    found = shapes(
        make(num_layers_before_predictor=1, max_depth=5, min_depth=4)
    )
    assert found["BoxPredictor_1/Conv2d_0_1x1_4/weights"] == (1, 1, 3, 4)
    # The least depth beats the greatest.
    found = shapes(make(num_layers_before_predictor=1, min_depth=9))
    assert found["BoxPredictor_0/Conv2d_0_1x1_9/weights"] == (1, 1, 6, 9)


def test_layers_of_no_depth_are_left_out():
    found = shapes(make(num_layers_before_predictor=2))
    assert not [name for name in found if "Conv2d" in name]


def test_layers_before_are_activated_and_feed_both_heads():
    predictor = make(
        (6,), (2,), num_layers_before_predictor=1, max_depth=5,
        hyperparams=HYPERPARAMS.without_norm(),
    )  # fmt: skip
    variables = {
        name: np.asarray(variable.value)
        for name, variable in naming.checkpoint_variables(predictor).items()
    }
    level = 10 * feature_maps((6,))[0]
    hidden = np.clip(level @ variables["Conv2d_0_1x1_5/weights"][0, 0], 0, 6)
    assert hidden.min() == 0 and hidden.max() == 6
    for head, output in zip(HEADS, predictor([level]), strict=True):
        expected = hidden @ variables[f"{head}/weights"][0, 0]
        np.testing.assert_allclose(
            output, expected.reshape(2, 12, 4), atol=1e-4
        )


def test_kernels_are_not_shrunk_on_small_maps():
    predictor = make(kernel_size=5)
    assert shapes(predictor)["BoxPredictor_1/ClassPredictor/weights"][:2] == (
        5, 5,
    )  # fmt: skip
    boxes, _ = predictor(feature_maps())
    assert boxes.shape == (2, 18, 4)


def test_depthwise_heads():
    found = shapes(make(use_depthwise=True, kernel_size=3, box_code_size=5))
    scope = "BoxPredictor_1/BoxEncodingPredictor"
    assert found[f"{scope}_depthwise/depthwise_weights"] == (3, 3, 3, 1)
    for leaf in BATCH_NORM:
        assert found[f"{scope}_depthwise/{leaf}"] == (3,)
    assert found[f"{scope}/weights"] == (1, 1, 3, 3 * 5)
    assert found[f"{scope}/biases"] == (15,)
    assert len(found) == 2 * 2 * (1 + 4 + 2)
    bare = shapes(
        make(use_depthwise=True, hyperparams=HYPERPARAMS.without_norm())
    )
    assert bare[f"{scope}_depthwise/biases"] == (3,)


@pytest.mark.parametrize("use_depthwise", [False, True])
def test_class_bias_starts_at_its_value_unless_depthwise(use_depthwise):
    variables = naming.checkpoint_variables(
        make(class_prediction_bias_init=-4.6, use_depthwise=use_depthwise)
    )
    for i in (0, 1):
        for head, value in zip(HEADS, (0.0, -4.6), strict=True):
            np.testing.assert_allclose(
                variables[f"BoxPredictor_{i}/{head}/biases"].value,
                0.0 if use_depthwise else value,
                rtol=1e-6,
            )


def test_dropout_is_before_the_class_head_in_training_alone():
    predictor = make(dropout_rate=0.5)
    maps = feature_maps()
    boxes, classes = predictor(maps, training=False)
    np.testing.assert_array_equal(predictor(maps, training=False)[1], classes)
    dropped_boxes, dropped_classes = predictor(maps, training=True)
    np.testing.assert_array_equal(boxes, dropped_boxes)
    assert np.abs(np.asarray(classes) - dropped_classes).max() > 0


@pytest.mark.parametrize("training", [False, True])
def test_sigmoid_is_applied_also_in_training(training):
    predictor = make(applies_sigmoid_to_scores=True)
    maps = [np.zeros_like(level) for level in feature_maps()]
    boxes, scores = predictor(maps, training=training)
    np.testing.assert_array_equal(scores, np.full((2, 18, 4), 0.5))
    np.testing.assert_array_equal(boxes, np.zeros((2, 18, 4)))


def test_predictions_are_float32_under_mixed_precision():
    predictor = make(
        dtype="mixed_bfloat16", num_layers_before_predictor=1, max_depth=5
    )
    for output in predictor(feature_maps(), training=True):
        assert keras.backend.standardize_dtype(output.dtype) == "float32"
    assert {v.dtype for v in predictor.variables} == {"float32"}


def test_regularization_is_of_convolution_weights():
    predictor = make(num_layers_before_predictor=1, max_depth=5)
    expected = sum(
        0.5 * np.sum(np.asarray(variable.value) ** 2)
        for name, variable in naming.checkpoint_variables(predictor).items()
        if name.endswith("weights")
    )
    found = float(predictor.regularization_loss())
    np.testing.assert_allclose(found, expected, rtol=1e-5)
