import numpy as np
import pytest
import tensorflow as tf

from object_detection.core.standard_fields import InputDataFields as Fields
from object_detection.preprocessing import augment_images
from object_detection.preprocessing.image_resizer import (
    FixedShapeResizer,
    ResizeMethod,
)
from object_detection.preprocessing.sample_examples import (
    assert_uniform,
    draw_many,
    make_example,
    seed_of,
)

PIXELS = np.random.default_rng(4).integers(1, 256, (6, 9, 3), dtype=np.uint8)
BOXES = [[0.1, 0.2, 0.5, 0.75], [0.0, 0.25, 1.0, 0.625]]
MASKS = Fields.groundtruth_instance_masks


def scale(image, ratio, **changes):
    step = augment_images.make_random_image_scale(ratio, ratio)
    return step(make_example(image, **changes), seed_of(0))


def test_scale_keeps_the_corners_where_they_are():
    image = np.float32([[[10 * y + x] for x in range(2)] for y in range(2)])
    result = scale(image, 2.0)[Fields.image][..., 0]
    third = np.arange(4) / 3
    expected = 10 * third[:, None] + third
    np.testing.assert_allclose(result, expected, atol=1e-5)
    assert scale(PIXELS, 0.55)[Fields.image].shape == (3, 4, 3)
    assert scale(PIXELS, 0.01)[Fields.image].shape == (1, 1, 3)


@pytest.mark.parametrize(("ratio", "size"), [(0.6, (3, 5)), (1.7, (10, 15))])
def test_masks_scale_to_the_nearest_pixel(ratio, size):
    masks = np.float32(np.random.default_rng(0).integers(0, 2, (4, 6, 9)))
    result = scale(PIXELS, ratio, groundtruth_instance_masks=masks)
    rows, columns = (
        np.floor(np.arange(out) * (length - 1) / (out - 1) + 0.5).astype(int)
        for out, length in zip(size, (6, 9), strict=True)
    )
    np.testing.assert_array_equal(result[MASKS], masks[:, rows][..., columns])
    assert result[Fields.image].shape == (*size, 3)


def test_one_number_scales_both_sides():
    step = augment_images.make_random_image_scale(0.25, 1.5)
    sizes = draw_many(
        step,
        make_example(np.zeros((40, 2000, 1), np.uint8)),
        1000,
        lambda result: tf.cast(tf.shape(result[Fields.image])[:2], tf.float32),
    )
    # Rounded down, to which half a pixel is added again.
    assert_uniform((sizes[:, 1] + 0.5) / 2000, 0.25, 1.5)
    np.testing.assert_array_equal(sizes[:, 0], sizes[:, 1] // 50)


@pytest.mark.parametrize("method", ResizeMethod)
def test_resize_image_samples_as_the_resizer(method):
    step = augment_images.make_resize_image(4, 7, method)
    result = step(make_example(PIXELS, BOXES), seed_of(0))
    resizer = FixedShapeResizer(4, 7, method)
    np.testing.assert_array_equal(result[Fields.image], resizer(PIXELS)[0])
    masks = make_example(PIXELS, BOXES)[MASKS]
    np.testing.assert_array_equal(result[MASKS], resizer.resize_masks(masks))
    np.testing.assert_array_equal(
        result[Fields.groundtruth_boxes], np.float32(BOXES)
    )


def test_each_method_is_as_likely():
    step = augment_images.make_random_resize_method(4, 7)
    given = make_example(PIXELS, BOXES)
    results = draw_many(step, given, 800, lambda result: result[Fields.image])
    counts = [
        np.sum(np.all(results == image.numpy(), axis=(1, 2, 3)))
        for image, _ in (
            FixedShapeResizer(4, 7, method)(PIXELS) for method in ResizeMethod
        )
    ]
    assert sum(counts) == 800
    assert max(abs(count - 200) for count in counts) < 4 * 150**0.5
    assert step(given, seed_of(0))[MASKS].shape == (2, 4, 7)


def lanczos(image, size_px):
    """Sums of 6 x 6 pixels with the weights of Lanczos' filter of radius 3."""
    for axis, size in enumerate(size_px):
        length = image.shape[axis]
        centers = (np.arange(size) + 0.5) * length / size - 0.5
        distances = centers[:, np.newaxis] - np.arange(length)
        weights = np.sinc(distances) * np.sinc(distances / 3)
        weights[np.abs(distances) >= 3] = 0
        weights /= weights.sum(axis=1, keepdims=True)
        image = np.moveaxis(np.tensordot(weights, image, (1, axis)), 0, axis)
    return np.clip(image, 0, 255)


def test_lanczos_is_one_of_five_methods_when_asked_for():
    step = augment_images.make_random_resize_method(4, 7, include_lanczos=True)
    given = make_example(PIXELS, BOXES)
    results = draw_many(step, given, 800, lambda result: result[Fields.image])
    expected = lanczos(np.float64(PIXELS), (4, 7))
    is_lanczos = np.abs(results - expected).max(axis=(1, 2, 3)) < 0.05
    assert abs(is_lanczos.sum() - 160) < 4.5 * 128**0.5
    assert len(np.unique(results, axis=0)) == 5
    edges = np.tile(np.uint8([0, 255, 255, 0, 0]), 3)[:, np.newaxis]
    edges = np.tile(edges[..., np.newaxis], (1, 12, 3))
    sharp = augment_images.make_random_resize_method(
        23, 12, include_lanczos=True
    )
    # What goes beyond is clipped.
    expected = lanczos(np.float64(edges), (23, 12))
    results = [
        sharp(make_example(edges), seed_of(i))[Fields.image] for i in range(12)
    ]
    differences = [np.abs(result - expected).max() for result in results]
    assert min(differences) < 0.05


def patches(image, position=0, **values):
    step = augment_images.make_random_black_patches(**values)
    return step(make_example(image), seed_of(position))[Fields.image].numpy()


def test_patches_are_black_squares_and_the_rest_stays():
    image = np.full((40, 70, 4), 9, np.uint8)
    for position in range(20):
        black = patches(image, position, max_black_patches=1, probability=1.0)
        assert black.dtype == np.uint8
        y, x = np.where(black[..., 0] == 0)
        # int(40 * 0.1) is the side, and it is one square in all channels.
        assert y.size == x.size == 16
        assert np.ptp(y) == np.ptp(x) == 3
        assert np.sum(black == 0) == 4 * 16 and np.max(black) == 9


def first_pixels(count, **values):
    """y and x of the only patch, or -1 where there is none."""
    height, width = 100, 200
    step = augment_images.make_random_black_patches(1, **values)

    def read(result):
        black = tf.where(result[Fields.image][..., 0] == 0)
        first = tf.concat([black, [[-1, -1]]], axis=0)[0]
        return tf.cast(first, tf.float32)

    image = np.full((height, width, 1), 7, np.uint8)
    return draw_many(step, make_example(image), count, read)


def test_patches_are_anywhere_inside():
    first = first_pixels(1000, probability=1.0, size_to_image_ratio=0.25)
    assert_uniform((first[:, 0] + 0.5) / 100, 0, 0.75)
    assert_uniform((first[:, 1] + 0.5) / 200, 0, 0.75)
    assert abs(np.corrcoef(first.T)[0, 1]) < 5 / 1000**0.5


def test_tries_make_a_patch_by_their_probability():
    first = first_pixels(1000, probability=0.3, size_to_image_ratio=0.1)
    is_drawn = first[:, 0] >= 0
    assert abs(np.mean(is_drawn) - 0.3) < 4 * (0.21 / 1000) ** 0.5
    # Where it is tells nothing of whether it is.
    assert_uniform((first[is_drawn, 0] + 0.5) / 100, 0, 0.9)
    assert_uniform((first[is_drawn, 1] + 0.5) / 200, 0, 0.9)


def test_number_of_patches():
    # Squares of one pixel on so many pixels hardly ever meet.
    step = augment_images.make_random_black_patches(20, 0.5, 1 / 400)
    counts = draw_many(
        step,
        make_example(np.full((400, 500, 1), 7, np.uint8)),
        200,
        lambda result: tf.reduce_sum(
            tf.cast(result[Fields.image] == 0, tf.float32)
        ),
    )
    assert abs(counts.mean() - 10) < 5 * (5 / 200) ** 0.5
    assert 3 < counts.var() < 8
    assert counts.max() <= 20


def test_extremes_of_patches():
    np.testing.assert_array_equal(patches(PIXELS, max_black_patches=0), PIXELS)
    # A negligible chance is left of a draw of exactly 0.
    np.testing.assert_array_equal(patches(PIXELS, probability=0.0), PIXELS)
    black = patches(PIXELS, probability=1.0, size_to_image_ratio=1.0)
    assert (black[:, :6] == 0).all() and (black[:, 6:] == PIXELS[:, 6:]).all()


@pytest.mark.parametrize(
    ("make", "values", "words"),
    [
        ("random_image_scale", (0.0, 1.0), "scale ratios.*0 and 1"),
        ("random_image_scale", (2.0, 1.0), "scale ratios.*2 and 1"),
        ("resize_image", (0, 5), "height: expected above 0, got 0"),
        ("random_resize_method", (5, -1), "width: expected above 0, got -1"),
        ("random_black_patches", (-1,), "max_black_patches.*-1"),
        ("random_black_patches", (1, 1.5), "probability.*1.5"),
        ("random_black_patches", (1, 0.5, 2.0), "size_to_image_ratio.*2"),
    ],
)
def test_values_out_of_range_are_refused(make, values, words):
    with pytest.raises(ValueError, match=words):
        getattr(augment_images, f"make_{make}")(*values)
