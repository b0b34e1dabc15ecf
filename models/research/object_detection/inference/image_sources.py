"""Images of files, folders, patterns, videos and TFRecords, one by one.

What names an image to programs is its id: the path without ending, within the
folder that was given; `clip/000007` of a video; the source id of a record.
"""

import glob
import os
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from google.protobuf import message

from object_detection.core import errors
from object_detection.data_decoders import record_files, record_stream
from object_detection.inference import image_files

IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".gif", ".bmp")
VIDEO_ENDINGS = (
    ".avi",
    ".m4v",
    ".mkv",
    ".mov",
    ".mp4",
    ".mpeg",
    ".mpg",
    ".webm",
)
_RECORD_NAME = re.compile(r".*\.(tf)?records?(-\d+-of-\d+)?")


class Frame(NamedTuple):
    """Where an image stands in a video.

    Attributes:
        video: path of the video.
        per_second: how many are shown in a second.
    """

    video: str
    per_second: float


class ImageItem(NamedTuple):
    """An image that can be loaded.

    Attributes:
        image_id: names it; may be any text.
        path: file, file and record, or file and frame; for messages.
        load: gives uint8 [H, W, 3], or raises DataError.
        example: the record that it is from, serialized.
        frame: of a video.
    """

    image_id: str
    path: str
    load: Callable[[], np.ndarray]
    example: bytes | None = None
    frame: Frame | None = None


class ImageSource(NamedTuple):
    """Images that are found together.

    Attributes:
        num_images: None where it is not known before the end.
        items: gives them in a fixed order.
    """

    num_images: int | None
    items: Callable[[], Iterator[ImageItem]]


def find(inputs: Sequence[str]) -> list[ImageSource]:
    """Returns the images that paths mean.

    Args:
        inputs: each an image file or http address; a folder, for the images
            and records in it and its folders; a video; a TFRecord file
            (`*.record`, `*.tfrecord`, shards of them); or a pattern of such.
            A single path that is not there is an image that cannot be read.

    Raises:
        ConfigError: nothing is given, a pattern or folder has no image, or a
            video cannot be read here.
    """
    if not inputs:
        raise errors.ConfigError(
            "--input: is empty; give images, folders, patterns, videos or "
            "TFRecords"
        )
    return [source for path in inputs for source in _sources_of(path)]


def _sources_of(path: str) -> list[ImageSource]:
    if os.path.isdir(path):
        inside = sorted(
            os.path.join(folder, name)
            for folder, _, names in os.walk(path)
            for name in names
            if name.lower().endswith(IMAGE_ENDINGS)
            or _RECORD_NAME.fullmatch(name)
        )
        if not inside:
            raise errors.ConfigError(
                f"--input: {path} has no image ({', '.join(IMAGE_ENDINGS)}) "
                "and no TFRecord in it"
            )
        return [_source_of_file(one, path) for one in inside]
    if glob.has_magic(path) and not os.path.exists(path):
        matches = sorted(glob.glob(path, recursive=True))
        if not matches:
            raise errors.ConfigError(
                f"--input: {path!r} matches no file (looked from {os.getcwd()})"
            )
        return [source for match in matches for source in _sources_of(match)]
    return [_source_of_file(path, os.path.dirname(path))]


def _source_of_file(path: str, folder: str) -> ImageSource:
    if _RECORD_NAME.fullmatch(os.path.basename(path)):
        return _records(path)
    if path.lower().endswith(VIDEO_ENDINGS):
        return _video(path)
    name = os.path.relpath(path, folder) if folder else path
    item = ImageItem(
        os.path.splitext(name)[0], path, lambda: image_files.load(path)
    )
    return ImageSource(1, lambda: iter([item]))


def _records(path: str) -> ImageSource:
    try:
        (num_images,) = record_files.count_records([path])
    except (errors.DataError, OSError, tf.errors.OpError) as error:
        reason = str(error).strip().split("\n")[0].removeprefix(f"{path}: ")
        item = ImageItem(path, path, _failing(reason))
        return ImageSource(1, lambda: iter([item]))

    def items() -> Iterator[ImageItem]:
        stream = record_stream.RecordStream((path,), reads_past_damage=True)
        for record in stream.dataset().as_numpy_iterator():
            yield _item_of_record(
                path, int(record.index), bytes(record.serialized)
            )

    return ImageSource(num_images, items)


def _item_of_record(path: str, index: int, serialized: bytes) -> ImageItem:
    place = f"{path}: record {index}"
    unnamed = f"{os.path.basename(path)}-{index:06d}"
    if serialized == record_stream.DAMAGED:
        return ImageItem(unnamed, place, _failing("checksum mismatch"))
    example = tf.train.Example()
    try:
        example.ParseFromString(serialized)
    except message.DecodeError:
        return ImageItem(unnamed, place, _failing("is no tf.Example"))
    source_id = _first(example, "image/source_id", b"").decode(
        errors="backslashreplace"
    )
    stated_size_px = tuple(
        _first(example, f"image/{side}", 1) for side in ("height", "width")
    )

    def load() -> np.ndarray:
        return image_files.decode(
            _first(example, "image/encoded", b""),
            _first(example, "image/format", b""),
            stated_size_px,
        )

    return ImageItem(source_id or unnamed, place, load, example=serialized)


def _first(example: tf.train.Example, key: str, default: Any) -> Any:
    """Returns the first value of a feature, of the default's type."""
    feature = example.features.feature.get(key)
    kind = feature.WhichOneof("kind") if feature is not None else None
    values = getattr(feature, kind).value if kind else ()
    found = values[0] if values else default
    return found if isinstance(found, type(default)) else default


def _video(path: str) -> ImageSource:
    try:
        import cv2
    except ImportError as error:
        raise errors.ConfigError(
            f"--input: {path} is a video, which needs OpenCV: pip install "
            "'object-detection-ssd[video]', or opencv-python-headless"
        ) from error
    name = os.path.splitext(os.path.basename(path))[0]
    capture = cv2.VideoCapture(path)
    if not capture.isOpened():
        item = ImageItem(name, path, _failing("cannot be opened as a video"))
        return ImageSource(1, lambda: iter([item]))
    num_frames = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    frame = Frame(path, capture.get(cv2.CAP_PROP_FPS) or 25.0)

    def items() -> Iterator[ImageItem]:
        number = 0
        while True:
            is_there, pixels_bgr = capture.read()
            if not is_there:
                break
            image = np.ascontiguousarray(pixels_bgr[:, :, ::-1])
            yield ImageItem(
                f"{name}/{number:06d}",
                f"{path}: frame {number}",
                lambda image=image: image,
                frame=frame,
            )
            number += 1
        capture.release()
        if number == 0:
            yield ImageItem(name, path, _failing("has no frame"))

    return ImageSource(num_frames if num_frames > 0 else None, items)


def _failing(reason: str) -> Callable[[], np.ndarray]:
    def load() -> np.ndarray:
        raise errors.DataError(reason)

    return load
