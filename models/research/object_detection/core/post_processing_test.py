import pathlib

import numpy as np
import pytest
from keras import ops

from object_detection.core import nms_kernels, post_processing

GOLDEN = pathlib.Path(__file__).parent / "testdata" / "nms.npz"
CASES = ("spread", "clustered", "threshold", "few_survivors", "per_class_cap")
UNIT_WINDOW = np.float32([[0.0, 0.0, 1.0, 1.0]])


def suppress(boxes, scores, window=UNIT_WINDOW, **params):
    defaults = dict(
        score_threshold=0.1,
        iou_threshold=0.5,
        max_detections_per_class=10,
        max_total_detections=10,
    )
    return post_processing.multiclass_nms(
        np.float32(boxes),
        np.float32(scores),
        np.tile(window, (len(boxes), 1)),
        post_processing.NmsParams(**{**defaults, **params}),
    )


def kept(detections, image=0):
    """Returns (score, class) of each detection of an image."""
    number = int(detections.num_detections[image])
    return [
        (round(float(score), 4), int(class_id))
        for score, class_id in zip(
            detections.scores[image, :number],
            detections.class_ids[image, :number],
            strict=True,
        )
    ]


@pytest.mark.parametrize("case", CASES)
def test_the_original_gave_the_same(case):
    with np.load(GOLDEN) as golden:
        arrays = {
            key.split("/")[1]: golden[key]
            for key in golden
            if key.startswith(f"{case}/")
        }
    iou, score, per_class, total = arrays["params"]
    found = suppress(
        arrays["boxes"],
        arrays["scores"],
        iou_threshold=float(iou),
        score_threshold=float(score),
        max_detections_per_class=int(per_class),
        max_total_detections=int(total),
    )
    np.testing.assert_array_equal(found.scores, arrays["out_scores"])
    np.testing.assert_array_equal(found.class_ids, arrays["out_classes"])
    np.testing.assert_array_equal(found.num_detections, arrays["out_num"])
    np.testing.assert_allclose(found.boxes, arrays["out_boxes"], atol=1e-6)


def slow_nms(boxes, scores, params):
    """Class by class, box by box, as the definition says."""
    found = []
    for class_id in range(scores.shape[1]):
        mine = []
        for i in np.argsort(-scores[:, class_id], kind="stable"):
            if scores[i, class_id] <= params["score_threshold"]:
                break
            if len(mine) == params["max_detections_per_class"]:
                break
            if all(iou(boxes[i], boxes[j]) <= params["iou_threshold"]
                   for j in mine):  # fmt: skip
                mine.append(i)
        found += [(-scores[i, class_id], class_id, i) for i in mine]
    return [
        (round(float(-score), 4), class_id)
        for score, class_id, _ in sorted(found)
    ][: params["max_total_detections"]]


def iou(a, b):
    height = min(a[2], b[2]) - max(a[0], b[0])
    width = min(a[3], b[3]) - max(a[1], b[1])
    if height <= 0 or width <= 0:
        return 0.0
    area = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return height * width / (area - height * width)


def random_boxes(rng, shape, size=0.3):
    corners = rng.random((*shape, 2)) * (1 - size)
    sizes = rng.uniform(0.05, size, (*shape, 2))
    return np.concatenate([corners, corners + sizes], -1).astype(np.float32)


@pytest.mark.parametrize("seed", range(4))
def test_the_sweep_is_class_by_class_nms(seed):
    rng = np.random.default_rng(seed)
    boxes = random_boxes(rng, (2, 150))
    scores = rng.random((2, 150, 3), np.float32)
    params = dict(
        score_threshold=[0.0, 0.3, 0.6, 0.1][seed],
        iou_threshold=[0.5, 0.1, 0.3, 0.0][seed],
        max_detections_per_class=[100, 7, 20, 3][seed],
        max_total_detections=[100, 20, 20, 3][seed],
    )
    found = suppress(boxes, scores, **params)
    for image in range(2):
        assert kept(found, image) == slow_nms(
            boxes[image], scores[image], params
        )


def test_the_sweep_goes_on_past_thousands_of_suppressed_boxes():
    # All but the last of 5000 boxes are the same; the last is elsewhere.
    boxes = np.tile(np.float32([0.1, 0.1, 0.4, 0.6]), (1, 5000, 1))
    boxes[0, -1] = [0.5, 0.7, 0.9, 0.8]
    scores = np.linspace(0.9, 0.2, 5000, dtype=np.float32)[None, :, None]
    assert 5000 > 2 * nms_kernels.ROUND_SIZE
    found = suppress(boxes, scores)
    assert kept(found) == [(0.9, 0), (0.2, 0)]
    np.testing.assert_array_equal(found.boxes[0, 1], boxes[0, -1])


@pytest.mark.parametrize("round_size, block_size", [(128, 128), (256, 64)])
def test_rounds_and_blocks_do_not_change_the_result(
    monkeypatch, round_size, block_size
):
    rng = np.random.default_rng(9)
    boxes = random_boxes(rng, (2, 700))
    scores = np.round(rng.random((2, 700, 4)), 2)
    expected = suppress(boxes, scores, max_detections_per_class=5)
    monkeypatch.setattr(nms_kernels, "ROUND_SIZE", round_size)
    monkeypatch.setattr(nms_kernels, "BLOCK_SIZE", block_size)
    found = suppress(boxes, scores, max_detections_per_class=5)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_batch_is_suppressed_as_its_images():
    rng = np.random.default_rng(4)
    boxes = random_boxes(rng, (3, 200))
    scores = rng.random((3, 200, 2)) * [[[0.05]], [[1.0]], [[0.5]]]
    batched = suppress(boxes, scores, max_total_detections=40)
    for i in range(3):
        single = suppress(
            boxes[i : i + 1], scores[i : i + 1], max_total_detections=40
        )
        for a, b in zip(batched, single, strict=True):
            np.testing.assert_array_equal(np.asarray(a)[i : i + 1], b)
    assert batched.num_detections[0] == 0.0


def test_equal_scores_are_ordered_by_class_then_anchor():
    boxes = [[[0.5, 0, 0.6, 0.2], [0.1, 0, 0.2, 0.2]]]
    found = suppress(boxes, [[[0.5, 0.5], [0.5, 0.5]]])
    np.testing.assert_array_equal(found.class_ids[0, :4], [0, 0, 1, 1])
    np.testing.assert_array_equal(
        found.boxes[0, :4, 0], np.float32([0.5, 0.1, 0.5, 0.1])
    )


def test_thresholds_are_strict():
    # The boxes share a half: an overlap of exactly 1/3 and 0.5 scores.
    boxes = [[[0, 0, 0.5, 0.5], [0, 0.25, 0.5, 0.75]]]
    scores = [[[0.75], [0.5]]]
    third = float(np.float32(0.125) / np.float32(0.375))
    assert len(kept(suppress(boxes, scores, iou_threshold=third))) == 2
    assert len(kept(suppress(boxes, scores, iou_threshold=0.333))) == 1
    assert len(kept(suppress(boxes, scores, score_threshold=0.5))) == 1


def test_boxes_are_compared_before_they_are_clipped():
    # Outside the window; it suppresses the second all the same.
    boxes = [[[0.0, 1.1, 0.5, 1.6], [0.0, 0.9, 0.5, 1.5]]]
    scores = [[[0.9], [0.8]]]
    assert kept(suppress(boxes, scores, iou_threshold=0.4)) == []
    assert kept(suppress(boxes, scores, iou_threshold=0.9)) == [(0.8, 0)]


def test_boxes_are_clipped_to_the_window_of_their_image():
    boxes = [[[-0.1, -0.2, 0.9, 0.8]]] * 2
    window = np.float32([[0, 0, 0.5, 0.6]])
    found = suppress(boxes, [[[0.9]]] * 2, window)
    np.testing.assert_allclose(found.boxes[1, 0], [0, 0, 0.5, 0.6])


def test_nan_and_negative_scores_are_no_candidates():
    boxes = [[[0, 0, 0.2, 0.1], [0.5, 0.5, 0.7, 0.6], [0.8, 0, 0.9, 0.1]]]
    scores = [[[np.nan], [0.5], [-0.5]]]
    assert kept(suppress(boxes, scores, score_threshold=-1.0)) == [(0.5, 0)]


def test_detections_name_their_anchors():
    rng = np.random.default_rng(5)
    boxes = random_boxes(rng, (2, 7))
    scores = rng.random((2, 7, 3))
    detections = suppress(boxes, scores, max_total_detections=30)
    for image, index in enumerate(np.asarray(detections.anchor_index)):
        number = int(detections.num_detections[image])
        assert number > 7 and not np.any(index[number:])
        class_ids = np.int32(detections.class_ids[image])
        np.testing.assert_allclose(
            scores[image, index, class_ids][:number],
            detections.scores[image, :number],
            rtol=1e-6,
        )


def test_padding_is_zero():
    found = suppress([[[0.1, 0.2, 0.5, 0.9]]], [[[0.5]]])
    assert found.boxes.shape == (1, 10, 4)
    assert not np.any(found.boxes[0, 1:]) and not np.any(found.scores[0, 1:])


@pytest.mark.parametrize("num_values", [1000, 128 * 300])
@pytest.mark.parametrize("k", [1, 40])
def test_top_k_of_many_is_top_k(num_values, k):
    values = np.random.default_rng(2).integers(0, 50, (2, num_values))
    values = values.astype(np.float32)
    found, indices = nms_kernels.top_k_of_many(values, k)
    order = np.argsort(-values, axis=1, kind="stable")[:, :k]
    np.testing.assert_array_equal(indices, order)
    np.testing.assert_array_equal(found, np.take_along_axis(values, order, 1))


def pairs_of(scores, threshold):
    """Returns (score, class, anchor) above it, best first."""
    pairs = [
        (score, class_id, anchor)
        for anchor, row in enumerate(scores)
        for class_id, score in enumerate(row)
        if score > threshold
    ]
    return sorted(pairs, key=lambda pair: (-pair[0], *pair[1:]))


def suppress_pairs(boxes, pairs, threshold, limit):
    kept_pairs = []
    for score, class_id, anchor in pairs:
        if all(
            other != class_id or iou(boxes[anchor], boxes[i]) <= threshold
            for _, other, i in kept_pairs
        ):
            kept_pairs.append((score, class_id, anchor))
    return [(round(float(s), 4), c) for s, c, _ in kept_pairs[:limit]]


def clustered(seed, num_anchors):
    """Returns boxes in clusters, and scores of which many are equal."""
    rng = np.random.default_rng(seed)
    boxes = random_boxes(rng, (2, 60))[:, rng.integers(0, 60, num_anchors)]
    boxes = boxes + rng.uniform(-0.02, 0.02, boxes.shape).astype(np.float32)
    scores = rng.random((2, num_anchors, 4)) ** 2
    return boxes, np.float32(np.round(scores, 2))


@pytest.mark.parametrize("limit, num_anchors", [(1, 90), (20, 90), (60, 150)])
def test_only_the_best_of_a_class_are_candidates(limit, num_anchors):
    # NVIDIA's SSD300: the best of a class, suppressed, the best of all.
    boxes, scores = clustered(11, num_anchors)
    found = suppress(
        boxes,
        scores,
        score_threshold=0.05,
        iou_threshold=0.8,
        max_candidates_per_class=limit,
        max_detections_per_class=150,
        max_total_detections=400,
    )
    for image in range(2):
        pairs = pairs_of(scores[image], 0.05)
        best = [
            pair
            for class_id in range(4)
            for pair in [p for p in pairs if p[1] == class_id][:limit]
        ]
        best.sort(key=lambda pair: (-pair[0], *pair[1:]))
        expected = suppress_pairs(boxes[image], best, 0.8, 400)
        assert kept(found, image) == expected
        everything = suppress_pairs(boxes[image], pairs, 0.8, 400)
        assert len(best) < len(pairs) and expected != everything


@pytest.mark.parametrize("limit", [1, 40, 130, 1500])
def test_only_the_best_of_all_classes_are_candidates(limit, monkeypatch):
    # Of several rounds, too.
    monkeypatch.setattr(nms_kernels, "ROUND_SIZE", 128)
    boxes, scores = clustered(12, 300)
    found = suppress(
        boxes,
        scores,
        score_threshold=0.3,
        max_candidates=limit,
        max_detections_per_class=200,
        max_total_detections=200,
    )
    for image in range(2):
        pairs = pairs_of(scores[image], 0.3)
        assert 130 < len(pairs) < 1500
        assert kept(found, image) == suppress_pairs(
            boxes[image], pairs[:limit], 0.5, 200
        )


@pytest.mark.parametrize("limit", [0, 30])
def test_an_anchor_is_a_candidate_of_its_best_class(limit):
    # SSD-VGG: argmax, the best of all, then suppressed class by class.
    boxes, scores = clustered(13, 90)
    found = suppress(
        boxes,
        scores,
        score_threshold=0.2,
        iou_threshold=0.45,
        max_candidates=limit,
        is_one_class_per_anchor=True,
        max_detections_per_class=200,
        max_total_detections=200,
    )
    for image in range(2):
        best = scores[image].argmax(1)
        only_best = np.where(np.arange(4) == best[:, None], scores[image], 0)
        pairs = pairs_of(only_best, 0.2)
        assert 30 < len(pairs) <= 90
        expected = suppress_pairs(
            boxes[image], pairs[: limit or None], 0.45, 200
        )
        assert kept(found, image) == expected
        index = found.anchor_index[image, : len(expected)]
        assert len(set(np.asarray(index))) == len(expected)


def test_nan_hides_no_other_class_of_its_anchor():
    boxes = [[[0, 0, 0.2, 0.1]]]
    scores = [[[0.3, np.nan, 0.5]]]
    found = suppress(boxes, scores, is_one_class_per_anchor=True)
    assert kept(found) == [(0.5, 2)]


@pytest.mark.parametrize(
    "params",
    [
        {"max_candidates_per_class": -1},
        {"max_candidates": -1},
        {"iou_threshold": 1.5},
        {"iou_threshold": -0.1},
        {"max_detections_per_class": 0},
        {"max_detections_per_class": 11},
    ],
)
def test_bad_params_are_refused(params):
    with pytest.raises(ValueError, match=next(iter(params))):
        suppress(np.zeros((1, 1, 4)), np.zeros((1, 1, 1)), **params)


def detect(logits, **changes):
    processor = post_processing.PostProcessor(
        nms=post_processing.NmsParams(0.0, 0.5, 4, 4),
        **{"score_converter": ops.sigmoid, **changes},
    )
    boxes = np.float32([[[0, 0, 0.2, 0.1]]])
    return kept(processor.detect(boxes, np.float32([[logits]]), UNIT_WINDOW))


def test_scores_are_converted_and_the_background_dropped():
    logits = [4.0, 0.0, np.log(3.0)]
    assert detect(logits) == [(0.75, 1), (0.5, 0)]
    assert detect(logits, has_background_column=False) == [
        (0.982, 0), (0.75, 2), (0.5, 1)
    ]  # fmt: skip
    assert detect(logits, logit_scale=0.5)[0] == (0.9, 1)
    assert detect([0.0, 0.0, np.log(2.0)], score_converter=ops.softmax) == [
        (0.5, 1), (0.25, 0)
    ]  # fmt: skip
    assert detect(
        [0.9, 0.2, 0.3], score_converter=post_processing.identity
    ) == [(0.3, 1), (0.2, 0)]
