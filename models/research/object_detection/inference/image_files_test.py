"""Tests of reading and decoding images."""

import functools
import http.server
import io
import threading

import numpy as np
import pytest
from PIL import Image

from object_detection.core import errors
from object_detection.inference import image_files

PIXELS = np.random.default_rng(1).integers(0, 256, (5, 7, 3), np.uint8)


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        """Says nothing."""


def encoded(kind, pixels=PIXELS):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "BMP"])
def test_lossless_files_give_their_pixels(kind):
    np.testing.assert_array_equal(image_files.decode(encoded(kind)), PIXELS)


def test_jpeg_and_gray():
    assert image_files.decode(encoded("JPEG")).shape == (5, 7, 3)
    gray = image_files.decode(encoded("PNG", PIXELS[:, :, 0]))
    np.testing.assert_array_equal(gray, PIXELS[:, :, [0, 0, 0]])


def test_raw_pixels_have_the_stated_size():
    decoded = image_files.decode(PIXELS.tobytes(), b"raw", (5, 7))
    np.testing.assert_array_equal(decoded, PIXELS)


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "is empty"),
        (b"text", r"\(4 bytes, begins with 'text'\): .*unknown image format"),
        (encoded("JPEG")[:200], "200 bytes, a JPEG image"),
        (encoded("PNG")[:60], "60 bytes, a PNG image"),
        (b"GIF8", "begins with 'GIF8'"),
    ],
)
def test_what_cannot_be_decoded_is_described_in_a_line(content, message):
    with pytest.raises(errors.DataError, match=message) as caught:
        image_files.decode(content)
    assert "\n" not in str(caught.value)


def test_a_path_and_an_address(tmp_path):
    (tmp_path / "a.png").write_bytes(encoded("PNG"))
    np.testing.assert_array_equal(image_files.load(tmp_path / "a.png"), PIXELS)
    handler = functools.partial(QuietHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        np.testing.assert_array_equal(
            image_files.load(f"{address}/a.png"), PIXELS
        )
        with pytest.raises(errors.DataError, match="cannot be read: .*404"):
            image_files.load(f"{address}/b.png")
        server.shutdown()


def test_a_missing_file(tmp_path):
    with pytest.raises(errors.DataError, match="cannot be read: No such file"):
        image_files.load(tmp_path / "no.jpg")
