"""Pascal VOC's rules of matching on boxes small enough to do by hand."""

import numpy as np
import pytest

from object_detection.metrics import box_rows, voc_matching


def groundtruth(boxes, classes=None, images=None, **flags):
    boxes = np.array(boxes, np.float64).reshape(-1, 4)
    count = len(boxes)

    def flag(name):
        return np.array(flags.get(name, [False] * count), bool)

    return box_rows.GroundtruthRows(
        image_index=np.array(images or [0] * count, np.int64),
        category_id=np.array(classes or [5] * count, np.int64),
        boxes_yxyx=boxes,
        area=box_rows.area_of(boxes),
        is_crowd=flag("crowd"),
        is_difficult=flag("difficult"),
        is_group_of=flag("group_of"),
    )


def detections(boxes, classes=None, images=None):
    """Detections in the order of falling scores."""
    boxes = np.array(boxes, np.float64).reshape(-1, 4)
    count = len(boxes)
    return box_rows.DetectionRows(
        image_index=np.array(images or [0] * count, np.int64),
        category_id=np.array(classes or [5] * count, np.int64),
        boxes_yxyx=boxes,
        scores=np.linspace(0.9, 0.1, count),
    )


def verdicts(gt, found, group_of_weight=0.0):
    """'r' right, 'w' wrong, '-' not counted; '+' right by a group_of box."""
    matches = voc_matching.match(gt, found, group_of_weight)
    return "".join(
        {0.0: "w", 1.0: "r"}.get(worth, "+") if counted else "-"
        for counted, worth in zip(*matches, strict=True)
    )


# 20 high and 60 wide.
WIDE = [10, 20, 30, 80]


def test_overlap_of_one_half_is_enough():
    half, less = [10, 20, 20, 80], [10, 20, 19.999, 80]
    assert verdicts(groundtruth([WIDE]), detections([half])) == "r"
    assert verdicts(groundtruth([WIDE]), detections([less])) == "w"
    # 20 * 40 of 1200 + 1200 - 800, and 20 * 39 of 1200 + 1200 - 780.
    assert verdicts(groundtruth([WIDE]), detections([[10, 40, 30, 100]])) == "r"
    assert verdicts(groundtruth([WIDE]), detections([[10, 41, 30, 101]])) == "w"


def test_box_is_found_once_by_the_highest_score():
    near = [10, 20, 30, 70]
    assert verdicts(groundtruth([WIDE]), detections([near, WIDE])) == "rw"


def test_detection_looks_at_the_box_it_overlaps_most_alone():
    other = [12, 20, 32, 80]
    # Both overlap WIDE most, so that the second does not take `other`, which
    # it overlaps by more than a half.
    gt = groundtruth([other, WIDE])
    assert verdicts(gt, detections([WIDE, [10, 21, 30, 80]])) == "rw"
    assert verdicts(gt, detections([WIDE, [12, 21, 32, 80]])) == "rr"


def test_first_of_equal_boxes_is_looked_at():
    gt = groundtruth([WIDE, WIDE], difficult=[False, True])
    assert verdicts(gt, detections([WIDE, WIDE])) == "rw"
    gt = groundtruth([WIDE, WIDE], difficult=[True, False])
    assert verdicts(gt, detections([WIDE, WIDE])) == "--"


def test_class_and_image_must_be_those_of_the_box():
    gt = groundtruth([WIDE, WIDE], classes=[5, 7], images=[0, 3])
    found = detections(
        [WIDE] * 5, classes=[7, 5, 5, 7, 9], images=[0, 3, 0, 3, 0]
    )
    assert verdicts(gt, found) == "wwrrw"


def test_difficult_box_excuses_any_number_of_detections():
    other = [100, 5, 140, 25]
    gt = groundtruth([WIDE, other], difficult=[True, False])
    found = detections([WIDE, other, WIDE, [50, 50, 60, 90], other])
    assert verdicts(gt, found) == "-r-ww"


def test_group_is_measured_by_the_share_of_the_detection_within_it():
    gt = groundtruth([WIDE], group_of=[True])
    # Small parts of the group; half and just less than half within it.
    found = detections([[12, 22, 15, 29], [10, 76, 20, 84], [10, 77, 20, 85]])
    assert verdicts(gt, found, 0.0) == "--w"
    # The best one alone is right where the group is worth something.
    assert verdicts(gt, found, 1.0) == "r-w"
    assert verdicts(gt, found, 0.25) == "+-w"


def test_right_detection_within_a_group_stays_right_a_second_is_excused():
    inside = [12, 22, 22, 42]
    gt = groundtruth([inside, WIDE], group_of=[False, True])
    found = detections([inside, inside, [12, 50, 20, 60]])
    assert verdicts(gt, found, 0.0) == "r--"
    assert verdicts(gt, found, 1.0) == "rr-"


def test_detection_on_a_difficult_box_does_not_find_the_group():
    inside = [12, 22, 22, 42]
    gt = groundtruth(
        [inside, WIDE], difficult=[True, False], group_of=[False, True]
    )
    found = detections([inside, [12, 50, 20, 60]])
    assert verdicts(gt, found, 1.0) == "-r"


def test_detection_in_two_groups_finds_the_one_that_holds_more_of_it():
    left, right = [0, 0, 40, 60], [0, 50, 40, 130]
    gt = groundtruth([left, right], group_of=[True, True])
    # Of ten columns each: 10 in the left and 6 in the right, 4 and 10, 10
    # and 10, of which the first group counts.
    found = detections([[5, 46, 15, 56], [5, 56, 15, 66], [5, 50, 15, 60]])
    assert verdicts(gt, found, 1.0) == "rr-"
    # All in the left one more.
    found = detections([[5, 46, 15, 56], [5, 45, 15, 55], [5, 44, 15, 54]])
    assert verdicts(gt, found, 1.0) == "r--"


def test_crowd_is_a_box_like_others():
    gt = groundtruth([WIDE], crowd=[True])
    assert verdicts(gt, detections([WIDE, WIDE])) == "rw"
    assert voc_matching.num_to_find(gt, 0.0).tolist() == [1.0]


def test_what_there_is_to_find():
    gt = groundtruth(
        [WIDE] * 4,
        difficult=[False, True, False, True],
        group_of=[False, False, True, True],
    )
    assert voc_matching.num_to_find(gt, 0.0).tolist() == [1, 0, 0, 0]
    assert voc_matching.num_to_find(gt, 1.0).tolist() == [1, 0, 1, 1]


@pytest.mark.parametrize("num_boxes", [0, 3])
@pytest.mark.parametrize("num_detections", [0, 2])
def test_nothing_to_match(num_boxes, num_detections):
    gt = groundtruth([WIDE] * num_boxes, images=[4] * num_boxes)
    found = detections([WIDE] * num_detections)
    assert verdicts(gt, found) == "w" * num_detections


def test_pieces_of_any_size_give_the_same_matches(monkeypatch):
    rng = np.random.default_rng(4)

    def boxes(count):
        corner = rng.integers(0, 60, (count, 2))
        return np.hstack([corner, corner + rng.integers(20, 50, (count, 2))])

    def numbers(count, high):
        return rng.integers(1, high, count).tolist()

    gt = groundtruth(
        boxes(80), numbers(80, 3), numbers(80, 9), group_of=rng.random(80) < 0.2
    )
    found = detections(boxes(150), numbers(150, 3), numbers(150, 9))
    expected = verdicts(gt, found, 0.5)
    assert set(expected) == set("rw-+")
    for max_pairs in (1, 7, 100):
        monkeypatch.setattr(voc_matching, "_MAX_PAIRS", max_pairs)
        assert verdicts(gt, found, 0.5) == expected


def test_average_precision_is_the_area_under_the_envelope():
    # Of 4 boxes: recall 1/4, 1/4, 2/4, 3/4; precision 1, 1/2, 2/3, 3/4.
    curve = voc_matching.curve(np.array([1.0, 0.0, 1.0, 1.0]), 4)
    np.testing.assert_allclose(curve.recall, [0.25, 0.25, 0.5, 0.75])
    np.testing.assert_allclose(curve.precision, [1, 0.75, 0.75, 0.75])
    assert voc_matching.average_precision(curve) == pytest.approx(
        0.25 * 1 + 0.5 * 0.75
    )


def test_worth_of_a_group_counts_in_recall_and_precision():
    # Of 2.5: recall 0.2, 0.2, 0.6; precision 1, 1/3, 1.5/2.5.
    curve = voc_matching.curve(np.array([0.5, 0.0, 1.0]), 2.5)
    assert voc_matching.average_precision(curve) == pytest.approx(
        0.2 * 1 + 0.4 * 0.6
    )


def test_no_detection_has_an_area_of_zero():
    curve = voc_matching.curve(np.zeros(0), 3)
    assert voc_matching.average_precision(curve) == 0.0
