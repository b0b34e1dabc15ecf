"""Non-maximum suppression of all classes in one falling-score sweep.

Running NMS class by class, joining the results and keeping the best
`max_total` visits every box of every class. The sweep visits the (class,
anchor) pairs of all classes in order of falling score instead, keeps a pair
unless a kept pair of its class overlaps it, and stops once `max_total` visible
ones are kept. Greedy NMS never looks at lower scores, so the result is the same
to the last bit. It usually ends within the first few hundred pairs.

Pairs are numbered class-major, class * A + anchor, and of equal scores the
lower number comes first: the order that joining per-class results gives.

Letters: B image, A anchor, C class, N = C * A pairs, R ranked pair of a round,
J pair of a block, P box kept of a class, D detection. Boxes are yxyx.
"""

from typing import Any, NamedTuple

from keras import ops

from object_detection.core import box_ops, gather

Tensor = Any

# Pairs that are ranked at a time, and of those the pairs that are compared
# with each other at a time: small enough to stop early, large enough to fill
# vector units. The result does not depend on them.
ROUND_SIZE = 1024
BLOCK_SIZE = 128
_GROUP_SIZE = 128


class Kept(NamedTuple):
    """What the sweep has kept so far.

    Attributes:
        class_boxes: float32 [B, C, P + 1, 4], the boxes kept of each class;
            unused rows are zero, the last row takes what is thrown away.
        class_count: int32 [B, C], how many rows are used.
        pair: int32 [B, D + 1], the visible pairs in order of score; the last
            takes what is thrown away.
        num_pairs: int32 [B], how many are used, D at most.
        num_visited: int32 [B, C], candidates of each class that were decided
            on; counted where there is a limit to them.
    """

    class_boxes: Tensor
    class_count: Tensor
    pair: Tensor
    num_pairs: Tensor
    num_visited: Tensor


class Cursor(NamedTuple):
    """The last pair that the sweep has ranked; those before it are done.

    Attributes:
        score: float32 [B].
        pair: int32 [B].
        num_ranked: int32 scalar, pairs ranked so far of each image.
    """

    score: Tensor
    pair: Tensor
    num_ranked: Tensor


class Limits(NamedTuple):
    """When a sweep may leave candidates aside, and when it ends.

    Attributes:
        iou_threshold: a box is dropped above it, not at it.
        max_per_class: P, boxes kept of a class, visible or not.
        max_total: D, boxes returned for an image.
        max_candidates_per_class: only so many of the best pairs of a class
            are candidates; 0 for all.
        max_candidates: only so many of the best pairs of an image are; 0 for
            all.
    """

    iou_threshold: float
    max_per_class: int
    max_total: int
    max_candidates_per_class: int = 0
    max_candidates: int = 0


class Ranked(NamedTuple):
    """Pairs in order of falling score; [B, R] or a block's [B, J].

    Attributes:
        scores: float32, negative where there is no candidate.
        pairs: int32, the pair's number.
        class_ids: int32, its class.
        boxes: float32 [B, R, 4], its box.
        is_visible: bool, whether its box is returned when kept.
    """

    scores: Tensor
    pairs: Tensor
    class_ids: Tensor
    boxes: Tensor
    is_visible: Tensor


def sweep(
    boxes_BA4: Tensor,
    scores_BCA: Tensor,
    is_visible_BA: Tensor,
    limits: Limits,
) -> tuple[Tensor, Tensor]:
    """Keeps the best boxes that no better box of their class overlaps.

    Args:
        boxes_BA4: float32 [B, A, 4].
        scores_BCA: float32 [B, C, A]; negative for pairs that are no
            candidates.
        is_visible_BA: bool [B, A]; boxes that are not visible suppress others
            and count for `max_per_class`, but are not returned.
        limits: how much is kept.

    Returns:
        int32 [B, D] pairs in order of falling score, padded with 0; int32 [B]
        how many there are.
    """
    num_images, num_classes, num_anchors = ops.shape(scores_BCA)
    boxes_BA4 = box_ops.order_corners_yxyx(boxes_BA4)
    scores_BN = _pad_scores(ops.reshape(scores_BCA, (num_images, -1)))
    pair_N = ops.arange(ops.shape(scores_BN)[1], dtype="int32")
    round_size = min(ROUND_SIZE, scores_BN.shape[1] or ROUND_SIZE)

    def is_unfinished(cursor: Cursor, kept: Kept) -> Tensor:
        return ops.any(
            ops.logical_and(
                cursor.score >= 0, kept.num_pairs < limits.max_total
            )
        )

    def run_round(cursor: Cursor, kept: Kept) -> tuple[Cursor, Kept]:
        comes_later_BN = ops.logical_or(
            scores_BN < cursor.score[:, None],
            ops.logical_and(
                ops.equal(scores_BN, cursor.score[:, None]),
                pair_N > cursor.pair[:, None],
            ),
        )
        scores_BR, pairs_BR = top_k_of_many(
            ops.where(comes_later_BN, scores_BN, -1.0), round_size
        )
        if limits.max_candidates:
            rank_R = cursor.num_ranked + ops.arange(round_size, dtype="int32")
            scores_BR = ops.where(
                rank_R < limits.max_candidates, scores_BR, -1.0
            )
        # Padding, which never is a candidate, may point beyond the last.
        pairs_BR = ops.minimum(pairs_BR, num_classes * num_anchors - 1)
        anchors_BR = pairs_BR % num_anchors
        ranked = Ranked(
            scores=scores_BR,
            pairs=pairs_BR,
            class_ids=pairs_BR // num_anchors,
            boxes=gather.take_rows(boxes_BA4, anchors_BR),
            is_visible=gather.take_rows(is_visible_BA, anchors_BR),
        )
        cursor = Cursor(
            scores_BR[:, -1], pairs_BR[:, -1], cursor.num_ranked + round_size
        )
        return cursor, _sweep_round(ranked, kept, limits)

    start = Cursor(
        score=ops.full((num_images,), float("inf"), dtype="float32"),
        pair=ops.full((num_images,), -1, dtype="int32"),
        num_ranked=ops.convert_to_tensor(0, "int32"),
    )
    nothing = Kept(
        class_boxes=ops.zeros(
            (num_images, num_classes, limits.max_per_class + 1, 4)
        ),
        class_count=ops.zeros((num_images, num_classes), dtype="int32"),
        pair=ops.zeros((num_images, limits.max_total + 1), dtype="int32"),
        num_pairs=ops.zeros((num_images,), dtype="int32"),
        num_visited=ops.zeros((num_images, num_classes), dtype="int32"),
    )
    _, kept = ops.while_loop(is_unfinished, run_round, (start, nothing))
    return kept.pair[:, :-1], kept.num_pairs


def top_k_of_many(values_BN: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Returns the k largest of each row, ties by lower index, as `ops.top_k`.

    Much faster for a large N: the k largest values lie in the k groups of
    neighbours whose maxima are the largest (ties by lower index again), so
    that only k * group size values need ranking.

    Args:
        values_BN: float32 [B, N].
        k: at most N.

    Returns:
        float32 [B, k] values, falling; int32 [B, k] indices.
    """
    num_values = values_BN.shape[1]
    has_enough_groups = (
        num_values is not None
        and num_values % _GROUP_SIZE == 0
        and num_values > 2 * k * _GROUP_SIZE
    )
    if not has_enough_groups:
        return _top_k(values_BN, k)
    groups_BMS = ops.reshape(
        values_BN, (-1, num_values // _GROUP_SIZE, _GROUP_SIZE)
    )
    _, best_groups_Bk = _top_k(ops.max(groups_BMS, axis=-1), k)
    best_groups_Bk = ops.sort(best_groups_Bk, axis=-1)
    finalists_BkS = gather.take_rows(groups_BMS, best_groups_Bk)
    values_Bk, place_Bk = _top_k(
        ops.reshape(finalists_BkS, (-1, k * _GROUP_SIZE)), k
    )
    groups_Bk = gather.take_rows(best_groups_Bk, place_Bk // _GROUP_SIZE)
    return values_Bk, groups_Bk * _GROUP_SIZE + place_Bk % _GROUP_SIZE


def _top_k(values: Tensor, k: int) -> tuple[Tensor, Tensor]:
    top_values, indices = ops.top_k(values, k)
    return top_values, ops.cast(indices, "int32")


def _pad_scores(scores_BN: Tensor) -> Tensor:
    """Appends pairs that are no candidates, so that rounds are full."""
    num_pairs = scores_BN.shape[1]
    if num_pairs is None:
        num_padding = ROUND_SIZE
    else:
        multiple = BLOCK_SIZE if num_pairs < ROUND_SIZE else _GROUP_SIZE
        num_padding = -num_pairs % multiple
    padding = ops.full((ops.shape(scores_BN)[0], num_padding), -1.0)
    return ops.concatenate([scores_BN, padding], axis=1)


def _sweep_round(ranked: Ranked, kept: Kept, limits: Limits) -> Kept:
    """Goes through ranked pairs block by block until enough are kept."""
    num_blocks = ranked.scores.shape[1] // BLOCK_SIZE
    blocks = Ranked(
        *(
            ops.reshape(x, (-1, num_blocks, BLOCK_SIZE, *x.shape[2:]))
            for x in ranked
        )
    )

    def is_unfinished(i: Tensor, kept: Kept) -> Tensor:
        has_next = ops.take(
            blocks.scores[:, :, 0], ops.minimum(i, num_blocks - 1), axis=1
        )
        is_wanted = ops.logical_and(
            has_next >= 0, kept.num_pairs < limits.max_total
        )
        return ops.logical_and(i < num_blocks, ops.any(is_wanted))

    def run_block(i: Tensor, kept: Kept) -> tuple[Tensor, Kept]:
        block = Ranked(*(ops.take(x, i, axis=1) for x in blocks))
        return i + 1, _sweep_block(block, kept, limits)

    _, kept = ops.while_loop(
        is_unfinished, run_block, (ops.convert_to_tensor(0, "int32"), kept)
    )
    return kept


def _sweep_block(block: Ranked, kept: Kept, limits: Limits) -> Kept:
    """Decides on all pairs of a block and adds the kept ones."""
    iou_threshold, max_per_class, max_total, *_ = limits
    count_BJ = gather.take_rows(kept.class_count, block.class_ids)
    earlier_BJP4 = gather.take_rows(kept.class_boxes, block.class_ids)
    earlier_BJP4 = earlier_BJP4[:, :, :max_per_class]
    iou_BJ1P = box_ops.pairwise_iou(block.boxes[:, :, None], earlier_BJP4)
    is_free_BJ = ops.logical_not(ops.any(iou_BJ1P > iou_threshold, axis=(2, 3)))
    is_scored_BJ = block.scores >= 0
    is_candidate_BJ = ops.logical_and(is_free_BJ, is_scored_BJ)

    same_class_BJJ = ops.equal(
        block.class_ids[:, :, None], block.class_ids[:, None, :]
    )
    row_J = ops.arange(BLOCK_SIZE, dtype="int32")
    rival_BJJ = ops.logical_and(same_class_BJJ, row_J[:, None] < row_J)
    num_visited_BC = kept.num_visited
    if limits.max_candidates_per_class:
        num_visited_BJ = gather.take_rows(
            num_visited_BC, block.class_ids
        ) + _count_before(is_scored_BJ, rival_BJJ)
        is_candidate_BJ = ops.logical_and(
            is_candidate_BJ, num_visited_BJ < limits.max_candidates_per_class
        )
        num_visited_BC += _count_by_class(
            is_scored_BJ, block.class_ids, num_visited_BC.shape[1]
        )
    overlaps_BJJ = ops.logical_and(
        rival_BJJ,
        box_ops.pairwise_iou(block.boxes, block.boxes) > iou_threshold,
    )
    is_kept_BJ = greedy_keep(is_candidate_BJ, overlaps_BJJ)
    num_before_BJ = _count_before(is_kept_BJ, rival_BJJ)
    slot_BJ = count_BJ + num_before_BJ
    is_kept_BJ = ops.logical_and(is_kept_BJ, slot_BJ < max_per_class)

    is_shown_BJ = ops.logical_and(is_kept_BJ, block.is_visible)
    shown_BJ = ops.cast(is_shown_BJ, "int32")
    position_BJ = kept.num_pairs[:, None] + ops.cumsum(shown_BJ, axis=1) - 1
    is_shown_BJ = ops.logical_and(is_shown_BJ, position_BJ < max_total)
    image_BJ = ops.cumsum(ops.ones_like(position_BJ), axis=0) - 1
    num_new_BC = _count_by_class(
        is_kept_BJ, block.class_ids, kept.class_count.shape[1]
    )
    return Kept(
        class_boxes=write_slots(
            kept.class_boxes,
            [image_BJ, block.class_ids],
            ops.where(is_kept_BJ, slot_BJ, max_per_class),
            block.boxes,
        ),
        class_count=kept.class_count + num_new_BC,
        pair=write_slots(
            kept.pair,
            [image_BJ],
            ops.where(is_shown_BJ, position_BJ, max_total),
            block.pairs,
        ),
        num_pairs=ops.minimum(
            kept.num_pairs + ops.sum(shown_BJ, axis=1), max_total
        ),
        num_visited=num_visited_BC,
    )


def greedy_keep(is_candidate_BJ: Tensor, overlaps_BJJ: Tensor) -> Tensor:
    """Keeps each candidate that no kept one before it overlaps.

    All candidates are kept at first; then each is asked again whether a kept
    one before it overlaps it, until no answer changes. The first j answers are
    final after j times, usually everything is after a few.

    Args:
        is_candidate_BJ: bool [B, J], best first.
        overlaps_BJJ: bool [B, J, J]: whether row, if kept, drops column; true
            only for rows before columns.

    Returns:
        bool [B, J].
    """
    overlaps_BJJ = ops.cast(overlaps_BJJ, "float32")

    def is_unsettled(before_BJ: Tensor, now_BJ: Tensor) -> Tensor:
        return ops.any(ops.not_equal(before_BJ, now_BJ))

    def ask_again(before_BJ: Tensor, now_BJ: Tensor) -> tuple[Tensor, Tensor]:
        del before_BJ
        kept_B1J = ops.cast(now_BJ, "float32")[:, None]
        is_dropped_BJ = ops.matmul(kept_B1J, overlaps_BJJ)[:, 0] > 0
        return now_BJ, ops.logical_and(
            is_candidate_BJ, ops.logical_not(is_dropped_BJ)
        )

    answers = ask_again(is_candidate_BJ, is_candidate_BJ)
    return ops.while_loop(is_unsettled, ask_again, answers)[1]


def _count_before(is_it_BJ: Tensor, rival_BJJ: Tensor) -> Tensor:
    counts_BJJ = ops.logical_and(is_it_BJ[:, :, None], rival_BJJ)
    return ops.sum(ops.cast(counts_BJJ, "int32"), axis=1)


def _count_by_class(
    is_it_BJ: Tensor, class_ids_BJ: Tensor, num_classes: int
) -> Tensor:
    """Returns int32 [B, C]: of how many pairs it is true."""
    one_hot_BJC = ops.one_hot(
        ops.where(is_it_BJ, class_ids_BJ, -1), num_classes, dtype="int32"
    )
    return ops.sum(one_hot_BJC, axis=1)


def write_slots(
    target: Tensor, rows: list[Tensor], slot_BJ: Tensor, values: Tensor
) -> Tensor:
    """Writes values[b, j] to target[rows..., slot], the same for every j."""
    indices = ops.stack([*rows, slot_BJ], axis=-1)
    depth = indices.shape[-1]
    return ops.scatter_update(
        target,
        ops.reshape(indices, (-1, depth)),
        ops.reshape(values, (-1, *target.shape[depth:])),
    )
