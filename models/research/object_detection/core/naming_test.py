import keras
import pytest

from object_detection.core import conv_layers, naming
from object_detection.core import hyperparams as hyperparams_lib

HYPERPARAMS = hyperparams_lib.ConvHyperparams(keras.initializers.Ones())


class Pair(keras.layers.Layer):
    def __init__(self, first, second):
        super().__init__()
        self.parts = [first, second]


def conv(scope):
    return conv_layers.Conv2D(scope, 2, 3, 1, HYPERPARAMS)


def test_finds_the_layers_inside_layers():
    first, second = conv("a"), conv("b/c")
    named = naming.checkpoint_variables(Pair(first, second))
    assert named == {
        "a/weights": first.variables[0],
        "b/c/weights": second.variables[0],
    }


def test_a_shared_layer_counts_once():
    shared = conv("a")
    named = naming.checkpoint_variables(Pair(shared, conv("b")), shared)
    assert sorted(named) == ["a/weights", "b/weights"]


def test_two_variables_of_one_name_are_refused():
    with pytest.raises(ValueError, match="'a/weights'"):
        naming.checkpoint_variables(Pair(conv("a"), conv("a")))
