import keras
import numpy as np
import pytest

from object_detection.core import hyperparams


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (None, [-1.0, 0.5, 7.0]),
        ("relu", [0.0, 0.5, 7.0]),
        ("relu6", [0.0, 0.5, 6.0]),
    ],
)
def test_activations(name, expected):
    function = hyperparams.activation_function(name)
    inputs = np.array([-1.0, 0.5, 7.0], np.float32)
    np.testing.assert_array_equal(np.asarray(function(inputs)), expected)


def test_unknown_activation_is_refused():
    with pytest.raises(ValueError, match="'swish'"):
        hyperparams.activation_function("swish")


def test_variants_change_one_thing_each():
    params = hyperparams.BatchNormParams(decay=0.5)
    original = hyperparams.ConvHyperparams(
        keras.initializers.Ones(), activation="relu6", batch_norm=params
    )
    assert original.linear().activation is None
    assert original.linear().batch_norm is params
    assert original.without_norm().batch_norm is None
    assert original.without_norm().activation == "relu6"
