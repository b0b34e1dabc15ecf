import numpy as np
import pytest

from object_detection.core import conv_layers, l2_norm


def test_a_pixel_gets_unit_length_times_the_scale():
    norm = l2_norm.L2Norm("n/norm", 3, 20.0)
    norm.scale.assign([20.0, 10.0, 1.0])
    pixels = np.array([[3, 0, 4], [-1, 2, 2]], "f4").reshape(1, 1, 2, 3)
    np.testing.assert_allclose(
        np.reshape(norm(pixels), (2, 3)),
        [[12, 0, 0.8], [-20 / 3, 20 / 3, 2 / 3]],
        rtol=1e-6,
    )


def test_the_scale_starts_where_it_is_told_and_is_not_regularised():
    norm = l2_norm.L2Norm("n/norm", 2, 20.0)
    (name,) = norm.named_variables()
    assert name == "n/norm/scale"
    np.testing.assert_array_equal(norm.scale.value, [20, 20])
    assert norm.scale.trainable
    assert float(conv_layers.regularization_loss(norm.variables)) == 0


def test_a_pixel_of_zeros_stays_zero():
    norm = l2_norm.L2Norm("n/norm", 4, 20.0)
    np.testing.assert_array_equal(norm(np.zeros((1, 2, 3, 4), "f4")), 0)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_squares_beyond_the_range_of_a_half(dtype):
    norm = l2_norm.L2Norm("n/norm", 2, 20.0, dtype=f"mixed_{dtype}")
    outputs = norm(np.array([600, 800], "f4").reshape(1, 1, 1, 2))
    assert outputs.dtype == dtype
    np.testing.assert_allclose(
        np.ravel(outputs).astype("f4"), [12, 16], rtol=1e-2
    )
    assert norm.scale.dtype == "float32"
