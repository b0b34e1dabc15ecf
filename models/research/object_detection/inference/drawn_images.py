"""Draws what was found on images and on the frames of videos."""

import collections
import concurrent.futures
import contextlib
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

from object_detection.core import errors
from object_detection.inference import (
    ahead,
    detection_outputs,
    detector,
    image_sources,
)
from object_detection.utils import atomic_file
from object_detection.utils import visualization_utils as vis

_FORMATS = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG"}
_JPEG_QUALITY = 95
_VIDEO_ENDING = ".mp4"
_VIDEO_CODEC = "mp4v"


def draw(
    image: np.ndarray,
    found: detector.Detections,
    class_name: detection_outputs.ClassName,
) -> np.ndarray:
    """Returns the image, uint8 [H, W, 3], with all boxes drawn."""
    labels = [
        vis.Label(
            f"{class_name(class_id)} {score:.0%}",
            vis.class_color(int(class_id)),
        )
        for class_id, score in zip(found.classes, found.scores, strict=True)
    ]
    return vis.draw_boxes(image, found.boxes_px(), labels)


@contextlib.contextmanager
def drawn_images(
    directory: str, class_name: detection_outputs.ClassName
) -> Iterator[detection_outputs.Add]:
    """Writes a picture for each image, and a video for each video.

    Pictures have the name of their image, as JPEG or PNG; videos are MP4.
    Drawing goes on on other threads.

    Args:
        directory: of the files.
        class_name: class id to what is written at a box.
    """
    # Futures of what was drawn, which come to be written in order.
    pending: collections.deque = collections.deque()
    with (
        _Videos(directory) as videos,
        concurrent.futures.ThreadPoolExecutor(ahead.NUM_THREADS) as pool,
    ):

        def finish_first() -> None:
            item, future = pending.popleft()
            picture = future.result()
            if item.frame is not None:
                videos.add(item, picture)

        def add(
            item: image_sources.ImageItem, outcome: detector.Outcome
        ) -> None:
            arguments = (outcome.image, outcome.detections, class_name)
            if item.frame is None:
                path = os.path.join(directory, _picture_name(item))
                future = pool.submit(_save, path, *arguments)
            else:
                future = pool.submit(draw, *arguments)
            pending.append((item, future))
            if len(pending) > 2 * ahead.NUM_THREADS:
                finish_first()

        yield add
        while pending:
            finish_first()


def _picture_name(item: image_sources.ImageItem) -> str:
    ending = os.path.splitext(item.path)[1].lower()
    if ending not in _FORMATS:
        ending = ".png" if item.example is None else ".jpg"
    return detection_outputs.file_name(item.image_id) + ending


def _save(
    path: str,
    image: np.ndarray,
    found: detector.Detections,
    class_name: detection_outputs.ClassName,
) -> None:
    kind = _FORMATS[os.path.splitext(path)[1]]
    with atomic_file.replacing(path) as temporary:
        Image.fromarray(draw(image, found, class_name)).save(
            temporary, format=kind, quality=_JPEG_QUALITY
        )


class _Videos:
    """Writes frames to the video that they belong to, one after the other."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._video = ""
        self._writer: Any = None
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> "_Videos":
        return self

    def __exit__(self, *error: Any) -> bool | None:
        return self._stack.__exit__(*error)

    def add(self, item: image_sources.ImageItem, picture: np.ndarray) -> None:
        """Writes the next frame; another video than before ends that one."""
        if item.frame.video != self._video:
            self._stack.close()
            self._open(item, picture)
        self._writer.write(np.ascontiguousarray(picture[:, :, ::-1]))

    def _open(self, item: image_sources.ImageItem, picture: np.ndarray) -> None:
        import cv2

        name = detection_outputs.file_name(os.path.dirname(item.image_id))
        path = os.path.join(self._directory, name + _VIDEO_ENDING)
        temporary = self._stack.enter_context(atomic_file.replacing(path))
        height, width = picture.shape[:2]
        writer = cv2.VideoWriter(
            temporary,
            cv2.VideoWriter.fourcc(*_VIDEO_CODEC),
            item.frame.per_second,
            (width, height),
        )
        if not writer.isOpened():
            raise errors.ResourceError(
                f"{path}: OpenCV cannot write a video of {width} x {height} "
                "pixels here"
            )
        self._stack.callback(writer.release)
        self._video, self._writer = item.frame.video, writer
