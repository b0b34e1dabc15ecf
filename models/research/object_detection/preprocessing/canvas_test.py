import functools

import numpy as np
import pytest
import tensorflow as tf

from object_detection.data_decoders import image_codec
from object_detection.data_decoders.sample_records import encode, make_pixels
from object_detection.preprocessing import canvas, examples

SIZE_PX = (20, 30)
COLOR = tf.constant([200, 150, 7], tf.uint8)


def open_late(image_format="PNG", is_mirrored=False):
    encoded = tf.constant(encode(make_pixels(*SIZE_PX), image_format))
    image = image_codec.open_image(encoded, tf.constant(""), SIZE_PX)
    image = image_codec.mirror_image(image, tf.constant(is_mirrored))
    return image, examples.pixels(image).numpy()


def invert(pixels):
    return 255 - pixels


def halve(pixels):
    return tf.cast(tf.cast(pixels, tf.float32) / 2, tf.uint8)


def do_late(image, steps):
    for name, *values in steps:
        constants = [
            value if callable(value) else tf.constant(value) for value in values
        ]
        if name == "expand":
            late = examples.as_canvas(image)
            image = canvas.expand(late, *constants, COLOR)
        elif name == "change":
            image = examples.change_colors(image, *constants, needs_rgb=True)
        elif name == "crop":
            image = examples.crop_image(image, *constants)
        else:
            image = examples.mirror_image(image, tf.constant(True))
    return image


def do_early(pixels, steps):
    """By NumPy on the whole image, one after the other."""
    for name, *values in steps:
        if name == "expand":
            (height, width), (top, left) = values
            wide = np.empty((height, width, 3), np.uint8)
            wide[:] = COLOR
            rows, columns = pixels.shape[:2]
            wide[top : top + rows, left : left + columns] = pixels
            pixels = wide
        elif name == "change":
            pixels = np.array(values[0](pixels))
        elif name == "crop":
            top, left, height, width = values[0]
            pixels = pixels[top : top + height, left : left + width]
        else:
            pixels = pixels[:, ::-1]
    return pixels


WIDE = ("expand", [50, 70], [10, 25])
ORDERS = {
    "nothing": [],
    "changes": [("change", invert), ("change", halve)],
    "changes in another order": [("change", halve), ("change", invert)],
    "crop and change": [("crop", [3, 5, 10, 12]), ("change", invert)],
    "change and crop": [("change", invert), ("crop", [3, 5, 10, 12])],
    "expand": [WIDE],
    "change and expand": [("change", invert), WIDE],
    "cropped, then expanded": [("crop", [3, 5, 10, 12]), WIDE],
    "mirrored, then expanded": [("change", invert), ("mirror",), WIDE],
    "inside": [WIDE, ("crop", [12, 27, 9, 20])],
    "the image alone": [WIDE, ("crop", [10, 25, 20, 30])],
    "all four borders": [WIDE, ("crop", [5, 20, 30, 40])],
    "upper left": [WIDE, ("crop", [2, 3, 12, 30])],
    "lower right": [WIDE, ("crop", [25, 50, 25, 20])],
    "above": [WIDE, ("crop", [1, 20, 9, 50])],
    "below": [WIDE, ("crop", [30, 20, 9, 50])],
    "to the left": [WIDE, ("crop", [5, 2, 40, 23])],
    "to the right": [WIDE, ("crop", [5, 55, 40, 15])],
    "in a corner": [WIDE, ("crop", [0, 0, 4, 3])],
    "mirrored crop": [WIDE, ("mirror",), ("crop", [2, 3, 12, 30])],
    "crop, mirrored, crop": [
        WIDE,
        ("crop", [2, 3, 40, 60]),
        ("mirror",),
        ("crop", [5, 11, 20, 33]),
        ("mirror",),
        ("crop", [1, 2, 10, 20]),
    ],
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("is_mirrored", [False, True])
def test_late_is_equal_to_one_after_the_other(order, is_mirrored):
    image, pixels = open_late(is_mirrored=is_mirrored)
    late = do_late(image, ORDERS[order])
    expected = do_early(pixels, ORDERS[order])
    assert examples.is_late(late)
    np.testing.assert_array_equal(
        examples.image_size_px(late), expected.shape[:2]
    )
    result = examples.pixels(late)
    assert result.dtype == tf.uint8
    np.testing.assert_array_equal(result, expected)


def test_a_jpeg_is_decoded_in_the_window_alone():
    image, pixels = open_late("JPEG")
    sizes = []

    def look(values):
        sizes.append(tuple(values.shape))
        return values

    steps = [("change", look), WIDE, ("crop", [5, 20, 12, 15])]
    result = examples.pixels(do_late(image, steps))
    assert sizes == [(7, 10, 3)]
    np.testing.assert_array_equal(result[5:, 5:], pixels[:7, :10])
    np.testing.assert_array_equal(result[:5], np.tile(COLOR, (5, 15, 1)))


def test_colours_after_the_canvas_are_changed_at_once():
    image, pixels = open_late()
    late = do_late(image, [WIDE])
    changed = examples.change_colors(late, invert, needs_rgb=True)
    assert not examples.is_late(changed)
    np.testing.assert_array_equal(changed, 255 - do_early(pixels, [WIDE]))
    assert examples.as_canvas(late) is None


def test_floats_of_colour_or_change():
    image, pixels = open_late()
    steps = [WIDE, ("crop", [5, 20, 12, 15])]
    for change, color in (
        (invert, tf.constant([0.5, 1.0, 2.0])),
        (lambda values: tf.cast(values, tf.float32) / 2, COLOR),
    ):
        late = examples.change_colors(image, change, needs_rgb=True)
        late = canvas.expand(late, *map(tf.constant, WIDE[1:]), color)
        late = do_late(late, steps[1:])
        result = examples.pixels(late)
        assert result.dtype == tf.float32
        np.testing.assert_array_equal(result[0, 0], color)
        np.testing.assert_array_equal(
            result[5:, 5:], np.array(change(pixels))[:7, :10]
        )


def test_graphs_know_the_channels():
    encoded = encode(make_pixels(*SIZE_PX), "JPEG")

    @functools.partial(
        tf.function, input_signature=[tf.TensorSpec([], tf.string)]
    )
    def graph(encoded):
        image = image_codec.open_image(
            encoded, tf.constant(""), tf.constant(SIZE_PX)
        )
        return examples.pixels(do_late(image, ORDERS["all four borders"]))

    shapes = graph.get_concrete_function().structured_outputs
    assert shapes.shape.as_list() == [None, None, 3]
    image, _ = open_late("JPEG")
    expected = examples.pixels(do_late(image, ORDERS["all four borders"]))
    np.testing.assert_array_equal(graph(tf.constant(encoded)), expected)
