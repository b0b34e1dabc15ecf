import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from object_detection.data_decoders import image_codec
from object_detection.data_decoders.sample_records import encode, make_pixels

SIZE = (37, 53)


def open_bytes(encoded, image_format="jpeg", stated_size_px=(1, 1)):
    return image_codec.open_image(
        tf.constant(encoded),
        tf.constant(image_format),
        tf.constant(stated_size_px, tf.int32),
    )


def decode(image):
    return image_codec.decode_pixels(image).numpy()


@pytest.mark.parametrize(
    "options",
    [
        {"subsampling": 0},
        {"subsampling": 1},
        {"subsampling": 2},
        {"subsampling": 2, "progressive": True},
        {"mode": "L"},
        {"mode": "CMYK"},
    ],
)
def test_a_window_of_a_jpeg_equals_that_of_the_whole_image(options):
    rng = np.random.default_rng(3)
    encoded = encode(make_pixels(*SIZE), **options)
    whole = tf.io.decode_image(encoded, channels=3).numpy()
    image = open_bytes(encoded)
    np.testing.assert_array_equal(image.size_px, SIZE)
    np.testing.assert_array_equal(decode(image), whole)
    windows = [(5, 16, 20, 1), (0, 32, 37, 16), (3, 15, 9, 38), (36, 52, 1, 1)]
    for _ in range(12):
        top, left = rng.integers(0, SIZE)
        windows.append(
            (
                top,
                left,
                rng.integers(1, SIZE[0] - top + 1),
                rng.integers(1, SIZE[1] - left + 1),
            )
        )
    for top, left, height, width in windows:
        window = tf.constant([top, left, height, width], tf.int32)
        np.testing.assert_array_equal(
            decode(image_codec.crop_image(image, window)),
            whole[top : top + height, left : left + width],
        )


@pytest.mark.parametrize("image_format", ["PNG", "BMP", "GIF"])
def test_other_formats_crop_and_mirror_alike(image_format):
    encoded = encode(make_pixels(*SIZE), image_format)
    whole = tf.io.decode_image(
        encoded, channels=3, expand_animations=False
    ).numpy()
    image = open_bytes(encoded)
    np.testing.assert_array_equal(image.size_px, SIZE)
    cropped = image_codec.crop_image(image, tf.constant([4, 7, 20, 31]))
    np.testing.assert_array_equal(decode(cropped), whole[4:24, 7:38])


@pytest.mark.parametrize("image_format", ["JPEG", "PNG"])
def test_steps_equal_those_on_pixels_in_any_order(image_format):
    image = open_bytes(encode(make_pixels(*SIZE), image_format))
    pixels = decode(image)
    mirror, crop = image_codec.mirror_image, image_codec.crop_image
    yes = tf.constant(True)
    first, second = tf.constant([2, 5, 30, 40]), tf.constant([3, 1, 11, 17])
    expected = pixels[:, ::-1][2:32, 5:45][:, ::-1][3:14, 1:18]
    result = crop(mirror(crop(mirror(image, yes), first), yes), second)
    np.testing.assert_array_equal(decode(result), expected)
    result = mirror(crop(mirror(image, yes), first), tf.constant(False))
    np.testing.assert_array_equal(decode(result), pixels[:, ::-1][2:32, 5:45])


def test_raw_pixels_take_their_size_from_the_record():
    pixels = make_pixels(3, 5)
    image = open_bytes(pixels.tobytes(), "RAW", (3, 5))
    np.testing.assert_array_equal(decode(image), pixels)


def test_sixteen_bits_keep_the_upper_eight_and_alpha_is_dropped():
    gray = (make_pixels(6, 9)[:, :, 0].astype(np.uint16) << 8) + 200
    decoded = decode(open_bytes(encode(gray, "PNG")))
    np.testing.assert_array_equal(decoded[:, :, 1], gray >> 8)
    rgba = np.concatenate([make_pixels(6, 9), make_pixels(6, 9)[..., :1]], -1)
    np.testing.assert_array_equal(
        decode(open_bytes(encode(rgba, "PNG"))), rgba[..., :3]
    )


def test_an_animation_gives_its_first_frame():
    frames = [make_pixels(6, 9, seed) for seed in (0, 1)]
    encoded = encode(
        frames[0],
        "GIF",
        save_all=True,
        append_images=[Image.fromarray(frames[1])],
    )
    assert decode(open_bytes(encoded)).shape == (6, 9, 3)


def test_the_size_is_that_of_the_header_not_of_the_record():
    image = open_bytes(encode(make_pixels(*SIZE)), "jpeg", (999, 1))
    np.testing.assert_array_equal(image.size_px, SIZE)


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1)])
def test_thin_images(size):
    pixels = make_pixels(*size)
    assert decode(open_bytes(encode(pixels))).shape == (*size, 3)


@pytest.mark.parametrize(
    "encoded", [b"", b"no image at all", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n"]
)
def test_what_is_no_image_is_refused(encoded):
    with pytest.raises(tf.errors.InvalidArgumentError):
        image_codec.decode_pixels(open_bytes(encoded))


def test_a_decompression_bomb_is_refused_by_its_header():
    encoded = bytearray(encode(make_pixels(8, 8)))
    start_of_frame = encoded.index(b"\xff\xc0")
    encoded[start_of_frame + 5 : start_of_frame + 9] = b"\xff\xdc" * 2
    with pytest.raises(tf.errors.InvalidArgumentError, match="65500"):
        open_bytes(bytes(encoded))
