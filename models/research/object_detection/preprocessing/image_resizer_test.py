import numpy as np
import pytest
import tensorflow as tf

from object_detection.preprocessing import image_resizer
from object_detection.preprocessing.image_resizer import (
    FixedShapeResizer,
    KeepAspectRatioResizer,
    ResizeMethod,
)

# Recorded from the original with two photographs of 480 x 640 resized to
# 300 x 300: output pixel, the 2 x 2 input pixels it lies between, its value.
RECORDED = [
    (
        (136, 24),
        [
            [[187, 178, 169], [188, 178, 169]],
            [[194, 188, 176], [195, 187, 176]],
        ],
        [191.40005493164062, 183.88006591796875, 173.20005798339844],
    ),
    (
        (184, 232),
        [
            [[186, 157, 159], [186, 157, 159]],
            [[186, 157, 159], [187, 158, 160]],
        ],
        [186.3733367919922, 157.3733367919922, 159.3733367919922],
    ),
    (
        (288, 264),
        [
            [[190, 184, 172], [186, 178, 167]],
            [[194, 191, 176], [191, 185, 171]],
        ],
        [192.56004333496094, 188.40005493164062, 174.2000274658203],
    ),
]


def legacy_bilinear(image, height, width):
    """Output pixel i reads i * in / out, in the plainest way."""
    out = np.empty((height, width, image.shape[2]))
    for i in range(height):
        for j in range(width):
            y, x = i * image.shape[0] / height, j * image.shape[1] / width
            top, left = int(y), int(x)
            bottom = min(top + 1, image.shape[0] - 1)
            right = min(left + 1, image.shape[1] - 1)
            dy, dx = y - top, x - left
            out[i, j] = (1 - dy) * (
                (1 - dx) * image[top, left] + dx * image[top, right]
            ) + dy * (
                (1 - dx) * image[bottom, left] + dx * image[bottom, right]
            )
    return out


def image(height, width, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(("pixel", "neighbours", "value"), RECORDED)
def test_bilinear_equals_the_recorded_values(pixel, neighbours, value):
    row, column = pixel
    top, left = int(row * 480 / 300), int(column * 640 / 300)
    photograph = np.zeros((480, 640, 3), np.uint8)
    photograph[top : top + 2, left : left + 2] = neighbours
    for given in (photograph, photograph.astype(np.float32)):
        resized, _ = FixedShapeResizer(300, 300)(tf.constant(given))
        np.testing.assert_allclose(resized[row, column], value, atol=2e-5)


@pytest.mark.parametrize("size", [(7, 11), (30, 13), (1, 1), (3, 5), (9, 40)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_bilinear_is_the_legacy_formula(size, dtype):
    given = image(13, 17).astype(dtype)
    resized, true_shape = FixedShapeResizer(*size)(tf.constant(given))
    np.testing.assert_allclose(
        resized, legacy_bilinear(given, *size), atol=1e-3
    )
    np.testing.assert_array_equal(true_shape, [*size, 3])
    assert resized.dtype == tf.float32


def test_a_batch_equals_its_images():
    given = np.stack([image(13, 17, seed) for seed in (0, 1)])
    resizer = FixedShapeResizer(6, 9)
    resized, true_shapes = resizer(tf.constant(given))
    for number in (0, 1):
        np.testing.assert_array_equal(
            resized[number], resizer(tf.constant(given[number]))[0]
        )
    np.testing.assert_array_equal(true_shapes, [[6, 9, 3]] * 2)


def test_nearest_neighbour_reads_the_pixel_above_left():
    given = image(4, 6)
    resized, _ = FixedShapeResizer(3, 4, ResizeMethod.NEAREST_NEIGHBOR)(given)
    np.testing.assert_array_equal(resized, given[[0, 1, 2]][:, [0, 1, 3, 4]])


def test_area_is_the_mean_of_the_area():
    given = image(4, 6)
    resized, _ = FixedShapeResizer(2, 2, ResizeMethod.AREA)(given)
    expected = given.reshape(2, 2, 2, 3, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(resized, expected, rtol=1e-6)


def test_bicubic_keeps_a_constant_and_differs_from_bilinear():
    flat = np.full((5, 7, 3), 93, np.uint8)
    resizer = FixedShapeResizer(8, 9, ResizeMethod.BICUBIC)
    np.testing.assert_allclose(resizer(flat)[0], 93, rtol=1e-5)
    given = image(5, 7)
    bilinear = FixedShapeResizer(8, 9)(given)[0]
    assert np.abs(resizer(given)[0] - bilinear).max() > 1


def test_grayscale_weighs_the_channels():
    given = np.tile(np.uint8([200, 100, 50]), (4, 6, 1))
    resized, true_shape = FixedShapeResizer(2, 3, convert_to_grayscale=True)(
        given
    )
    np.testing.assert_allclose(
        resized[..., 0], 0.2989 * 200 + 0.587 * 100 + 0.114 * 50, rtol=1e-5
    )
    np.testing.assert_array_equal(true_shape, [2, 3, 1])


@pytest.mark.parametrize(
    ("size_px", "expected"),
    [
        # The shorter side becomes 20; 20 / 30 * 45 = 30.
        ((30, 45), (20, 30)),
        ((45, 30), (30, 20)),
        # 20 / 10 * 40 = 80 is above 50, so the longer side becomes 50:
        # 10 * 50 / 40 = 12.5 rounds to even.
        ((10, 40), (12, 50)),
        ((40, 10), (50, 12)),
        ((20, 50), (20, 50)),
        ((5, 5), (20, 20)),
    ],
)
@pytest.mark.parametrize("is_static", [True, False])
def test_keep_aspect_ratio_sizes(size_px, expected, is_static):
    resizer = KeepAspectRatioResizer(20, 50)
    shape = [*size_px, 3] if is_static else [None, None, 3]
    resize = tf.function(
        resizer, input_signature=[tf.TensorSpec(shape, tf.uint8)]
    )
    given = image(*size_px)
    resized, true_shape = resize(given)
    np.testing.assert_array_equal(true_shape, [*expected, 3])
    np.testing.assert_allclose(
        resized, legacy_bilinear(given, *expected), atol=1e-3
    )


@pytest.mark.parametrize("is_static", [True, False])
def test_a_thin_image_keeps_one_pixel(is_static):
    shape = [1, 100, 3] if is_static else [None, None, 3]
    resize = tf.function(
        KeepAspectRatioResizer(20, 49),
        input_signature=[tf.TensorSpec(shape, tf.uint8)],
    )
    np.testing.assert_array_equal(resize(image(1, 100))[1], [1, 49, 3])


def test_padding_is_at_the_bottom_and_right_and_boxes_move():
    resizer = KeepAspectRatioResizer(
        20,
        40,
        pad_to_max_dimension=True,
        per_channel_pad_value=(7.0, 8.0, 9.5),
    )
    given = image(30, 45)
    padded, true_shape = resizer(given)
    assert resizer.static_size_px == (40, 40)
    np.testing.assert_array_equal(true_shape, [20, 30, 3])
    assert padded.shape == (40, 40, 3)
    np.testing.assert_allclose(
        padded[:20, :30], legacy_bilinear(given, 20, 30), atol=1e-3
    )
    for rest in (padded[20:], padded[:, 30:]):
        np.testing.assert_array_equal(
            np.unique(np.reshape(rest, (-1, 3)), axis=0), [[7, 8, 9.5]]
        )
    boxes = tf.constant([[0.0, 0.2, 0.5, 1.0]])
    np.testing.assert_allclose(
        resizer.move_boxes(boxes, true_shape), [[0, 0.15, 0.25, 0.75]]
    )
    unpadded = KeepAspectRatioResizer(20, 40)
    np.testing.assert_array_equal(unpadded.move_boxes(boxes, true_shape), boxes)


@pytest.mark.parametrize(
    "make",
    [
        lambda **gray: FixedShapeResizer(20, 30, **gray),
        lambda **gray: KeepAspectRatioResizer(
            20, 40, per_channel_pad_value=(10.0, 20.0, 30.0), **gray
        ),
        lambda **gray: KeepAspectRatioResizer(
            20,
            40,
            pad_to_max_dimension=True,
            per_channel_pad_value=(10.0, 20.0, 30.0),
            **gray,
        ),
    ],
)
def test_gray_before_or_after_resizing_is_the_same(make):
    given = image(30, 45)
    colors, _ = make()(given)
    expected = np.dot(colors, [0.2989, 0.587, 0.114])[..., np.newaxis]
    resizer = make(convert_to_grayscale=True)
    gray_already = tf.image.rgb_to_grayscale(tf.cast(given, tf.float32))
    for images in (given, gray_already):
        gray, true_shape = resizer(images)
        np.testing.assert_allclose(gray, expected, atol=1e-3)
        np.testing.assert_array_equal(true_shape, [20, 30, 1])


def test_masks_are_resized_and_padded_like_the_image():
    masks = np.float32(np.random.default_rng(0).random((2, 30, 45)) > 0.5)
    resizer = KeepAspectRatioResizer(20, 40, pad_to_max_dimension=True)
    resized = resizer.resize_masks(tf.constant(masks))
    assert resized.shape == (2, 40, 40)
    rows = np.arange(20) * 30 // 20
    np.testing.assert_array_equal(
        resized[:, :20, :30],
        masks[:, rows][:, :, rows[0] + np.arange(30) * 3 // 2],
    )
    assert not np.any(resized[:, 20:]) and not np.any(resized[:, :, 30:])
    fixed = FixedShapeResizer(10, 9).resize_masks(tf.constant(masks))
    np.testing.assert_array_equal(fixed, masks[:, ::3, ::5])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FixedShapeResizer(0, 5), "^height: .* got 0"),
        (lambda: FixedShapeResizer(5, -1), "^width: .* got -1"),
        (lambda: KeepAspectRatioResizer(50, 20), "^min_dimension: .* 20, got"),
        (lambda: KeepAspectRatioResizer(0, 20), "^min_dimension: .* got 0"),
    ],
)
def test_values_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_every_method_has_a_kernel():
    for method in image_resizer.ResizeMethod:
        assert FixedShapeResizer(3, 3, method)(image(4, 5))[0].shape == (
            3,
            3,
            3,
        )
