import io

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from object_detection.core import errors
from object_detection.dataset_tools import coco_masks


def draw(segmentation, height_px=5, width_px=8):
    encoded = coco_masks.encode_mask(
        segmentation, height_px, width_px, "a.json: annotations[3].segmentation"
    )
    image = Image.open(io.BytesIO(encoded))
    assert (image.format, image.mode) == ("PNG", "L")
    return np.asarray(image)


def rectangle(ymin, xmin, ymax, xmax):
    return [xmin, ymin, xmax, ymin, xmax, ymax, xmin, ymax]


def test_polygon():
    expected = np.zeros((5, 8), np.uint8)
    expected[1:3, 2:7] = 1
    np.testing.assert_array_equal(draw([rectangle(1, 2, 3, 7)]), expected)


def test_polygons_are_joined():
    expected = np.zeros((5, 8), np.uint8)
    expected[1:3, 2:5] = 1
    expected[2:5, 4:8] = 1
    found = draw([rectangle(1, 2, 3, 5), rectangle(2, 4, 5, 8)])
    np.testing.assert_array_equal(found, expected)


def test_runs_go_down_the_columns_and_begin_outside():
    expected = np.zeros((5, 8), np.uint8)
    expected[4, 0] = expected[0, 1] = expected[1, 1] = 1
    found = draw({"size": [5, 8], "counts": [4, 3, 33]})
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("seed", range(5))
def test_text_of_runs(seed):
    rng = np.random.default_rng(seed)
    pixels_HW = (rng.random((130, 70)) < rng.random()).astype(np.uint8)
    runs = coco_mask.encode(np.asfortranarray(pixels_HW))
    segmentation = {"size": [130, 70], "counts": runs["counts"].decode()}
    np.testing.assert_array_equal(draw(segmentation, 130, 70), pixels_HW)


@pytest.mark.parametrize(
    ("segmentation", "words"),
    [
        (None, "segmentation: expected polygons or .* found neither"),
        ([], "found an empty list"),
        ([[1, 2, 3, 4]], r"segmentation\[0\]: expected at least three"),
        ([rectangle(1, 2, 3, 5), [1, 2, 3, 4, 5, 6, 7]], r"\[1\]: "),
        ([[1, 2, 3, float("nan"), 5, 6]], "at most 16 pixels"),
        ([[1, 2, 3, 17, 5, 6]], "at most 16 pixels"),
        ([["1", 2, 3, 4, 5, 6]], "three corners"),
        ({"counts": [40]}, r"size: expected .* \[5, 8\], found None"),
        ({"size": [8, 5], "counts": [40]}, r"found \[8, 5\]"),
        ({"size": [5, 8]}, "counts: expected lengths"),
        ({"size": [5, 8], "counts": [39]}, "counts: expected lengths"),
        ({"size": [5, 8], "counts": [41, -1]}, "counts: expected lengths"),
        ({"size": [5, 8], "counts": [40.0]}, "counts: expected lengths"),
        ({"size": [5, 8], "counts": ""}, "counts: expected lengths"),
        ({"size": [5, 8], "counts": "\u20ac"}, "counts: expected lengths"),
        ({"size": [5, 8], "counts": "oo"}, "counts: expected lengths"),
        ({"size": [5, 8], "counts": "o" * 10**6}, "counts: expected lengths"),
    ],
)
def test_bad_outline_names_its_place(segmentation, words):
    with pytest.raises(
        errors.DataError, match=r"^a.json: annotations\[3\].*" + words
    ):
        draw(segmentation)
