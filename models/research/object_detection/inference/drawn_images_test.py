"""Tests of the pictures of detections."""

import numpy as np
import pytest
from PIL import Image

from object_detection.inference import detector, drawn_images, image_sources
from object_detection.utils import visualization_utils as vis

GRAY = np.full((120, 160, 3), 128, np.uint8)


def found(boxes, classes):
    return detector.Detections(
        np.float32(boxes).reshape(-1, 4),
        np.linspace(0.9, 0.5, len(classes), dtype=np.float32),
        np.int64(classes),
        (120, 160),
    )


ONE = found([(0.5, 0.25, 0.75, 0.5)], [2])


def class_name(class_id):
    return f"c{class_id}"


def outcome(detections=ONE, image=GRAY):
    return detector.Outcome(None, detections, None, image)


def item(image_id, path, example=None, frame=None):
    return image_sources.ImageItem(image_id, path, None, example, frame)


def test_a_box_has_the_colour_of_its_class():
    picture = drawn_images.draw(GRAY, ONE, class_name)
    color = vis.class_color(2)
    assert tuple(picture[90, 60]) == color  # bottom, y 90, x 40..80
    assert tuple(picture[75, 40]) == color  # left
    assert tuple(picture[75, 60]) == (128, 128, 128)
    assert (GRAY == 128).all()


def test_pictures_keep_name_and_kind(tmp_path):
    with drawn_images.drawn_images(str(tmp_path), class_name) as add:
        add(item("x/a", "in/x/a.png"), outcome())
        add(item("b", "in/b.JPG"), outcome())
        add(item("c", "in/c.bmp"), outcome(found([], [])))
        add(item("7", "in/v.record: record 0", b""), outcome())
    names = sorted(
        path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*")
    )
    assert names == ["7.jpg", "b.jpg", "c.png", "x/a.png"]
    np.testing.assert_array_equal(
        np.asarray(Image.open(tmp_path / "x/a.png")),
        drawn_images.draw(GRAY, ONE, class_name),
    )
    np.testing.assert_array_equal(Image.open(tmp_path / "c.png"), GRAY)


def test_frames_become_a_video_each(tmp_path):
    cv2 = pytest.importorskip("cv2")
    frames = [
        (image_sources.Frame("in/long.mp4", 10.0), 12),
        (image_sources.Frame("in/short.avi", 5.0), 1),
    ]
    with drawn_images.drawn_images(str(tmp_path), class_name) as add:
        for frame, count in frames:
            name = frame.video[3:-4]
            for number in range(count):
                # Red tells colours apart, which OpenCV has the other way round.
                image = np.full((120, 160, 3), 10 * number, np.uint8)
                image[:, :, 0] += 100
                add(
                    item(f"{name}/{number:06d}", "", frame=frame),
                    outcome(ONE, image),
                )
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "long.mp4",
        "short.mp4",
    ]
    capture = cv2.VideoCapture(str(tmp_path / "long.mp4"))
    assert capture.get(cv2.CAP_PROP_FPS) == 10
    levels = []
    while True:
        is_there, image = capture.read()
        if not is_there:
            break
        assert image.shape == (120, 160, 3)
        levels.append(image[10:40].mean((0, 1)))
    blue_green_red = 10.0 * np.arange(12)[:, None] + [0, 0, 100]
    np.testing.assert_allclose(levels, blue_green_red, atol=8)
