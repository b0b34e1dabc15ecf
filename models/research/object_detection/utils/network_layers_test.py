import keras
import numpy as np
from keras import ops

from object_detection.builders import small_detector
from object_detection.core.standard_fields import PredictionFields
from object_detection.utils import network_layers

Layer = network_layers.Layer


class SmallNetwork:
    """A few layers, none of which is square."""

    num_image_channels = 2

    def __init__(self):
        shapes = {
            "net/first/weights": (3, 2, 2, 4),
            "net/first/biases": (4,),
            "net/second/depthwise_weights": (3, 5, 4, 1),
            "net/third/weights": (3, 3, 4, 6),
        }
        self._variables = {
            name: keras.Variable(np.ones(shape, np.float32))
            for name, shape in shapes.items()
        }

    def checkpoint_variables(self):
        return self._variables

    def predict(self, images, true_image_shapes, training):
        assert true_image_shapes is None and training
        first, biases, second, third = (
            variable.value for variable in self._variables.values()
        )
        outputs = ops.conv(images, first, strides=(2, 1), padding="same")
        outputs = ops.relu(outputs + biases)
        outputs = ops.max_pool(outputs, (3, 2), strides=(1, 2), padding="same")
        # In two ways, so that neither follows the other.
        left = ops.depthwise_conv(outputs, second, padding="same")
        right = ops.average_pool(outputs, (2, 3), strides=1, padding="valid")
        right = ops.conv(
            right, 2.0 * third, dilation_rate=(2, 3), padding="same"
        )
        return {"left": left, "right": ops.relu6(right)}


def test_layers_by_hand():
    trace = network_layers.trace(SmallNetwork(), (21, 30))
    assert trace.layers == [
        Layer(
            "net/first", "conv", (3, 2), (2, 1), (1, 1), (11, 30, 4),
            ("biases", "relu"),
        ),
        Layer("", "max pool", (3, 2), (1, 2), (1, 1), (11, 15, 4), ()),
        Layer(
            "net/second", "depthwise", (3, 5), (1, 1), (1, 1), (11, 15, 4), ()
        ),
        Layer("", "average pool", (2, 3), (1, 1), (1, 1), (10, 13, 4), ()),
        Layer(
            "net/third", "conv", (3, 3), (1, 1), (2, 3), (10, 13, 6),
            ("relu6",),
        ),
    ]  # fmt: skip
    assert trace.predictions == {
        "left": (1, 11, 15, 4),
        "right": (1, 10, 13, 6),
    }


def trace_detector(overrides=""):
    model = small_detector.build(overrides, is_training=True)
    trace = network_layers.trace(model, (128, 128))
    return trace, {layer.name: layer for layer in trace.layers}


def test_layers_of_a_detector():
    trace, layers = trace_detector()
    assert trace.predictions[PredictionFields.box_encodings] == (
        1, small_detector.NUM_ANCHORS, 4
    )  # fmt: skip
    first = layers["FeatureExtractor/MobilenetV1/Conv2d_0"]
    assert first[1:4] == ("conv", (3, 3), (2, 2))
    assert first.outputs == (64, 64, 8)
    assert first.then == ("batch norm", "relu6")
    predictor = "WeightSharedConvolutionalBoxPredictor"
    # The only one that is not normalised; of three maps, the last is left.
    head = layers[f"{predictor}/BoxPredictor"]
    assert head.then == ("biases",) and head.outputs == (2, 2, 2 * 4)
    heads = [x for x in trace.layers if x.name == f"{predictor}/BoxPredictor"]
    assert [x.outputs[0] for x in heads] == [8, 4, 2]


def test_a_frozen_normalisation_is_told():
    _, layers = trace_detector("ssd { enforce_freeze_batchnorm: true }")
    first = layers["FeatureExtractor/MobilenetV1/Conv2d_0"]
    assert first.then == ("frozen batch norm", "relu6")
