import keras
import numpy as np
import pytest

from object_detection.core import hyperparams as hyperparams_lib
from object_detection.core import naming
from object_detection.predictors import (
    weight_shared_convolutional_box_predictor as weight_shared,
)

SCOPE = "WeightSharedConvolutionalBoxPredictor"
HYPERPARAMS = hyperparams_lib.ConvHyperparams(
    keras.initializers.RandomNormal(stddev=0.2),
    keras.regularizers.L2(0.5),
    batch_norm=hyperparams_lib.BatchNormParams(scale=True),
)


def make(
    num_channels=(6, 6),
    anchors=(2, 2),
    hyperparams=HYPERPARAMS,
    dtype=None,
    **rest,
):
    arguments = {"depth": 5, "num_layers_before_predictor": 2, **rest}
    return weight_shared.WeightSharedConvolutionalBoxPredictor(
        num_channels,
        anchors,
        4,
        hyperparams,
        weight_shared.Options(**arguments),
        dtype,
    )


def feature_maps(num_channels=(6, 6)):
    random = np.random.RandomState(0)
    sizes = [(2, 3), (1, 2)]
    return [
        random.normal(size=(2, *size, channels)).astype(np.float32)
        for size, channels in zip(sizes, num_channels, strict=True)
    ]


def names(predictor):
    found = naming.checkpoint_variables(predictor)
    return {name.removeprefix(f"{SCOPE}/") for name in found}


def test_predictions_of_all_maps_in_order():
    boxes, classes = make()(feature_maps())
    num_anchors = 2 * (2 * 3 + 1 * 2)
    assert boxes.shape == (2, num_anchors, 4)
    assert classes.shape == (2, num_anchors, 4)


def test_rows_go_by_map_then_row_then_column_then_anchor():
    predictor = make(depth=0, num_layers_before_predictor=0, kernel_size=1)
    heads = naming.checkpoint_variables(predictor)
    kernel = np.asarray(heads[f"{SCOPE}/BoxPredictor/weights"].value)[0, 0]
    maps = feature_maps()
    boxes, _ = predictor(maps)
    row = 0
    for level in maps:
        for y, x in np.ndindex(level.shape[1:3]):
            # Columns: four numbers of anchor 0, then four of anchor 1.
            expected = (level[:, y, x] @ kernel).reshape(2, 2, 4)
            np.testing.assert_allclose(
                boxes[:, row : row + 2], expected, atol=1e-5
            )
            row += 2
    assert row == boxes.shape[1]


def test_each_level_has_its_normalisation_and_all_share_kernels():
    leaves = ("gamma", "beta", "moving_mean", "moving_variance")
    towers = ("BoxPredictionTower", "ClassPredictionTower")
    expected = {
        f"{tower}/conv2d_{layer}/{rest}"
        for tower in towers
        for layer in (0, 1)
        for rest in [
            "weights",
            *(
                f"BatchNorm/feature_{level}/{leaf}"
                for level in (0, 1)
                for leaf in leaves
            ),
        ]
    } | {
        f"{head}/{leaf}"
        for head in ("BoxPredictor", "ClassPredictor")
        for leaf in ("weights", "biases")
    }
    assert names(make()) == expected


def test_shared_tower_has_one_name():
    found = names(make(share_prediction_tower=True))
    assert "PredictionTower/conv2d_1/weights" in found
    assert not [
        n for n in found if n.startswith(("BoxPredictionT", "ClassPredictionT"))
    ]


def test_shared_tower_feeds_both_heads():
    predictor = make(share_prediction_tower=True)
    variables = naming.checkpoint_variables(predictor)
    before = [np.asarray(x) for x in predictor(feature_maps())]
    variable = variables[f"{SCOPE}/PredictionTower/conv2d_0/weights"]
    variable.assign(-np.asarray(variable.value))
    after = predictor(feature_maps())
    for old, new in zip(before, after, strict=True):
        assert np.abs(old - np.asarray(new)).max() > 0


def test_depthwise_has_two_kernels_in_towers_and_heads():
    found = names(make(use_depthwise=True))
    for part in ("ClassPredictionTower/conv2d_0", "BoxPredictor"):
        assert f"{part}/depthwise_weights" in found
        assert f"{part}/pointwise_weights" in found
        assert f"{part}/weights" not in found
    assert "BoxPredictor/biases" in found


def test_without_normalisation_towers_have_biases():
    found = names(make(hyperparams=HYPERPARAMS.without_norm()))
    assert "BoxPredictionTower/conv2d_0/biases" in found
    assert not [name for name in found if "BatchNorm" in name]


def test_unequal_maps_are_all_projected_to_the_most_common_depth():
    channels = (6, 3)
    predictor = make(num_channels=channels)
    variables = naming.checkpoint_variables(predictor)
    for level, num_channels in enumerate(channels):
        scope = f"{SCOPE}/ProjectionLayer/conv2d_{level}"
        shape = variables[f"{scope}/weights"].shape
        assert tuple(shape) == (1, 1, num_channels, 6)
        assert f"{scope}/BatchNorm/gamma" in variables
    boxes, _ = predictor(feature_maps(channels))
    assert boxes.shape == (2, 16, 4)


@pytest.mark.parametrize("kernel_size", [1, 3, 5])
def test_kernel_size_holds_in_towers_and_heads(kernel_size):
    variables = naming.checkpoint_variables(make(kernel_size=kernel_size))
    sides = {v.shape[0] for n, v in variables.items() if n.endswith("weights")}
    assert sides == {kernel_size}


def test_towers_clip_at_six_whatever_the_activation_is():
    hyperparams = HYPERPARAMS.without_norm().with_activation(None)
    predictor = make(
        hyperparams=hyperparams, num_layers_before_predictor=1, kernel_size=1
    )
    huge = [1e4 * level for level in feature_maps()]
    outputs = predictor._box_tower[0].call_levels(huge)
    assert 0 <= np.min(outputs[0]) and np.max(outputs[0]) == 6


def test_class_bias_alone_starts_at_its_value():
    variables = naming.checkpoint_variables(
        make(class_prediction_bias_init=-4.6)
    )
    for head, value in (("ClassPredictor", -4.6), ("BoxPredictor", 0.0)):
        np.testing.assert_allclose(
            variables[f"{SCOPE}/{head}/biases"].value, value, rtol=1e-6
        )


def test_score_converter_acts_outside_training_alone():
    frozen = HYPERPARAMS.without_norm()
    predictor = make(hyperparams=frozen, converts_scores_to_sigmoid=True)
    maps = feature_maps()
    _, logits = predictor(maps, training=True)
    _, scores = predictor(maps, training=False)
    expected = 1 / (1 + np.exp(-np.asarray(logits)))
    np.testing.assert_allclose(scores, expected, atol=1e-6)


def test_encodings_are_clipped():
    free, _ = make(depth=0, num_layers_before_predictor=0)(feature_maps())
    assert np.abs(free).max() > 0.25
    clipped, _ = make(
        depth=0,
        num_layers_before_predictor=0,
        box_encodings_clip_range=(-0.125, 0.25),
    )(feature_maps())
    assert np.min(clipped) == -0.125
    assert np.max(clipped) == 0.25


def test_dropout_is_before_the_class_head_in_training_alone():
    predictor = make(hyperparams=HYPERPARAMS.without_norm(), dropout_rate=0.5)
    maps = feature_maps()
    boxes, classes = predictor(maps, training=False)
    np.testing.assert_array_equal(predictor(maps, training=False)[1], classes)
    dropped_boxes, dropped_classes = predictor(maps, training=True)
    np.testing.assert_array_equal(boxes, dropped_boxes)
    assert np.abs(np.asarray(classes) - dropped_classes).max() > 0


def test_unequal_numbers_of_anchors_are_refused():
    with pytest.raises(ValueError, match=r"\[2, 3\]"):
        make(anchors=(2, 3))


def test_predictions_are_float32_under_mixed_precision():
    predictor = make(dtype="mixed_bfloat16")
    for output in predictor(feature_maps(), training=True):
        assert keras.backend.standardize_dtype(output.dtype) == "float32"
    assert {v.dtype for v in predictor.variables} == {"float32"}


def test_regularization_counts_a_shared_kernel_once():
    predictor = make()
    variables = naming.checkpoint_variables(predictor)
    expected = sum(
        0.5 * np.sum(np.asarray(v.value) ** 2)
        for name, v in variables.items()
        if name.endswith("weights")
    )
    found = float(predictor.regularization_loss())
    np.testing.assert_allclose(found, expected, rtol=1e-5)
