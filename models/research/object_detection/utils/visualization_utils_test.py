"""Drawing: what is drawn, where, and that the input is left as it is."""

import numpy as np
import pytest

from object_detection.utils import visualization_utils as vis

CATEGORIES = {1: {"id": 1, "name": "cat"}, 4: {"id": 4, "name": "dog"}}
RED, BLUE = (255, 0, 0), (0, 0, 255)


def gray(height=60, width=100):
    return np.full((height, width, 3), 128, np.uint8)


def detections(boxes, scores, classes):
    return {
        "detection_boxes": np.array(boxes, np.float32).reshape(-1, 4),
        "detection_scores": np.array(scores, np.float32),
        "detection_classes": np.array(classes, np.int64),
    }


def groundtruth(boxes, classes, **optional):
    return {
        "groundtruth_boxes": np.array(boxes, np.float32).reshape(-1, 4),
        "groundtruth_classes": np.array(classes, np.int64),
    } | {f"groundtruth_{name}": value for name, value in optional.items()}


def has(picture, color):
    return bool((picture == color).all(axis=-1).any())


def test_frame_lies_on_the_corners_ymin_xmin_ymax_xmax():
    image = gray()
    picture = vis.draw_boxes(
        image, np.array([[10, 30, 40, 80.0]]), [vis.Label("", RED)]
    )
    rows, columns = np.nonzero((picture == RED).all(axis=-1))
    assert (rows.min(), rows.max()) == (10, 40)
    assert (columns.min(), columns.max()) == (30, 80)
    assert tuple(picture[25, 55]) == (128, 128, 128)
    assert (image == 128).all()


def test_boxes_outside_the_picture_are_clipped_and_first_box_is_on_top():
    box = [-20, -30, 400, 500.0]
    picture = vis.draw_boxes(
        gray(), np.array([box, box]), [vis.Label("", RED), vis.Label("", BLUE)]
    )
    assert picture.shape == (60, 100, 3)
    assert tuple(picture[0, 0]) == tuple(picture[59, 99]) == RED
    assert not has(picture, BLUE)


def test_inside_out_box_is_drawn_as_a_point_instead_of_failing():
    picture = vis.draw_boxes(
        gray(), np.array([[40, 80, 10, 30.0]]), [vis.Label("", RED)]
    )
    assert has(picture, RED)


def test_labels_of_equal_boxes_do_not_cover_each_other():
    box = [100, 100, 160, 180.0]
    picture = vis.draw_boxes(
        gray(300, 400),
        np.array([box, box]),
        [vis.Label("cat", RED), vis.Label("dog", BLUE)],
    )
    areas = [(picture == color).all(axis=-1).sum() for color in (RED, BLUE)]
    assert min(areas) > 100


def test_colors_of_ninety_classes_differ():
    colors = {vis.class_color(class_id) for class_id in range(1, 91)}
    assert len(colors) == 90


@pytest.mark.parametrize(
    ("kwargs", "expected"),
    [
        ({}, {1}),
        ({"min_score_threshold": 0.2}, {1, 4}),
        ({"min_score_threshold": 0.2, "max_num_boxes": 1}, {1}),
        ({"min_score_threshold": 0.9}, set()),
    ],
)
def test_score_threshold_is_strict_and_best_boxes_come_first(kwargs, expected):
    found = detections([[5, 5, 20, 30], [30, 50, 55, 90]], [0.3, 0.9], [4, 1])
    picture = vis.draw_detections_beside_groundtruth(
        gray(), found, groundtruth([], []), CATEGORIES, **kwargs
    )
    drawn = {id_ for id_ in (1, 4) if has(picture, vis.class_color(id_))}
    assert drawn == expected


def test_groundtruth_is_on_the_right_and_detections_on_the_left():
    box = [10, 10, 40, 60]
    picture = vis.draw_detections_beside_groundtruth(
        gray(),
        detections([box], [0.8], [1]),
        groundtruth([box], [4], is_crowd=np.array([True])),
        CATEGORIES,
    )
    gap = vis.side_by_side(gray(), gray()).shape[1] - 200
    assert picture.shape == (60, 200 + gap, 3)
    left, right = picture[:, :100], picture[:, 100 + gap :]
    cat, dog = vis.class_color(1), vis.class_color(4)
    assert has(left, cat) and not has(left, dog)
    assert has(right, dog) and not has(right, cat)


def test_class_without_a_name_is_drawn_by_its_number():
    picture = vis.draw_detections_beside_groundtruth(
        gray(), detections([], [], []), groundtruth([[1, 2, 9, 9]], [77]), {}
    )
    assert has(picture, vis.class_color(77))


def test_one_pixel_picture_is_drawn_on():
    picture = vis.draw_boxes(
        gray(1, 1), np.array([[0, 0, 1, 1.0]]), [vis.Label("cat", RED)]
    )
    assert picture.shape == (1, 1, 3)
