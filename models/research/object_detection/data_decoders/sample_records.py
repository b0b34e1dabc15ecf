"""Small images and records for tests."""

import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image


def make_pixels(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Returns uint8 [height, width, 3]: smooth colours and some noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    waves = np.stack([np.sin(y / 7 + x / 5), np.cos(x / 9), np.sin(y / 4)], -1)
    noise = rng.normal(0, 12, waves.shape)
    return np.clip(128 + 90 * waves + noise, 0, 255).astype(np.uint8)


def encode(
    pixels: np.ndarray,
    image_format: str = "JPEG",
    mode: str | None = None,
    **options: Any,
) -> bytes:
    """Returns an image file, of Pillow's format name and colour mode."""
    image = Image.fromarray(pixels)
    if mode is not None:
        image = image.convert(mode)
    stream = io.BytesIO()
    image.save(stream, image_format, **options)
    return stream.getvalue()


def make_example(
    boxes_yxyx: Sequence[Sequence[float]] = (),
    class_texts: Sequence[str] = (),
    changes: Mapping[str, list | None] | None = None,
    size_px: tuple[int, int] = (24, 32),
    source_id: str = "7",
) -> bytes:
    """Returns a record of a JPEG image.

    Args:
        boxes_yxyx: normalised boxes.
        class_texts: their classes.
        changes: values of other keys, or None to leave a key out.
        size_px: height and width.
        source_id: of the image.
    """
    height, width = size_px
    columns = list(zip(*boxes_yxyx, strict=True)) or [()] * 4
    values: dict[str, list | None] = {
        "image/encoded": [encode(make_pixels(height, width))],
        "image/format": ["jpeg"],
        "image/height": [height],
        "image/width": [width],
        "image/source_id": [source_id],
        "image/filename": [f"{source_id}.jpg"],
        "image/object/class/text": list(class_texts),
        **{
            f"image/object/bbox/{corner}": [float(value) for value in column]
            for corner, column in zip(
                ("ymin", "xmin", "ymax", "xmax"), columns, strict=True
            )
        },
        **(changes or {}),
    }
    return tf.train.Example(
        features=tf.train.Features(
            feature={
                key: _feature(entries)
                for key, entries in values.items()
                if entries is not None
            }
        )
    ).SerializeToString()


def write_records(path: str, records: Iterable[bytes]) -> str:
    """Writes a TFRecord file and returns its path."""
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)
    return str(path)


def _feature(values: list) -> tf.train.Feature:
    if not values:
        return tf.train.Feature()
    if isinstance(values[0], float):
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))
    if isinstance(values[0], int):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
    return tf.train.Feature(
        bytes_list=tf.train.BytesList(
            value=[
                value.encode() if isinstance(value, str) else value
                for value in values
            ]
        )
    )
