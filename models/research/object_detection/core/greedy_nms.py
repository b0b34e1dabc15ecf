"""Non-maximum suppression of one class that may keep thousands of boxes.

Boxes are visited in order of falling score, a block of each image at a time:
first those are dropped that a box kept before overlaps, then those that a
kept one of their own block does. Thus the work is done on squares of pairs in
place of box by box.

Letters: B image, A box, J box of a block, T block, P box kept, Q of a chunk of
those. Boxes are yxyx.
"""

from typing import Any, NamedTuple

import numpy as np
from keras import ops

from object_detection.core import box_ops, gather, nms_kernels

Tensor = Any

# Boxes that are decided on at a time, and boxes kept that they are compared
# with at a time: small enough for the cache, large enough to keep a GPU busy.
# The result does not depend on them.
BLOCK_SIZE = 128
CHUNK_SIZE = 512


class Kept(NamedTuple):
    """What has been kept so far.

    Attributes:
        boxes: float32 [B, P, 4], used rows first; others are zero, but for
            the last one, which takes what is thrown away.
        num_boxes: int32 [B], how many are used.
        is_kept: bool [B, T, J], of the boxes in order of falling score.
    """

    boxes: Tensor
    num_boxes: Tensor
    is_kept: Tensor


def greedy_nms(
    boxes_BA4: Tensor,
    scores_BA: Tensor,
    *,
    iou_threshold: float,
    max_kept: int | Tensor,
) -> tuple[Tensor, Tensor]:
    """Keeps the best boxes that no better kept box overlaps.

    Of equal scores the lower-numbered box comes first.

    Args:
        boxes_BA4: float32 [B, A, 4].
        scores_BA: float32 [B, A].
        iou_threshold: a box is dropped above it, not at it.
        max_kept: boxes kept of an image.

    Returns:
        int32 [B, A], all boxes in order of falling score; bool [B, A],
        whether each of them, in that order, is kept.
    """
    order_BA = ops.cast(ops.argsort(-scores_BA, axis=1), "int32")
    num_images, num_boxes = ops.shape(scores_BA)
    num_blocks = (num_boxes + BLOCK_SIZE - 1) // BLOCK_SIZE
    padding = num_blocks * BLOCK_SIZE - num_boxes
    sorted_BA4 = gather.take_rows(
        box_ops.order_corners_yxyx(boxes_BA4), order_BA
    )
    blocks_BTJ4 = ops.reshape(
        ops.pad(sorted_BA4, [[0, 0], [0, padding], [0, 0]]),
        (num_images, num_blocks, BLOCK_SIZE, 4),
    )
    row_J = ops.arange(BLOCK_SIZE, dtype="int32")

    def is_unfinished(i: Tensor, kept: Kept) -> Tensor:
        has_room = ops.any(kept.num_boxes < max_kept)
        return ops.logical_and(i < num_blocks, has_room)

    def run_block(i: Tensor, kept: Kept) -> tuple[Tensor, Kept]:
        block_BJ4 = ops.take(blocks_BTJ4, i, axis=1)
        is_box_J = i * BLOCK_SIZE + row_J < num_boxes
        is_kept_BJ = _decide(block_BJ4, is_box_J, kept, iou_threshold)
        return i + 1, _add(i, block_BJ4, is_kept_BJ, kept, max_kept)

    # What is thrown away gets a chunk that nothing is compared with.
    num_chunks = (max_kept + CHUNK_SIZE - 1) // CHUNK_SIZE + 1
    nothing = Kept(
        boxes=ops.zeros((num_images, num_chunks * CHUNK_SIZE, 4)),
        num_boxes=ops.zeros((num_images,), "int32"),
        is_kept=ops.zeros((num_images, num_blocks, BLOCK_SIZE), "bool"),
    )
    _, kept = ops.while_loop(
        is_unfinished, run_block, (ops.convert_to_tensor(0, "int32"), nothing)
    )
    is_kept_BA = ops.reshape(kept.is_kept, (num_images, -1))[:, :num_boxes]
    return order_BA, is_kept_BA


def _decide(
    block_BJ4: Tensor, is_box_J: Tensor, kept: Kept, iou_threshold: float
) -> Tensor:
    """Returns bool [B, J]: which boxes of a block are kept."""
    num_images, num_slots, _ = ops.shape(kept.boxes)
    chunks = ops.reshape(
        kept.boxes, (num_images, num_slots // CHUNK_SIZE, CHUNK_SIZE, 4)
    )
    max_num_kept = ops.max(kept.num_boxes)

    def has_more(i: Tensor, is_free_BJ: Tensor) -> Tensor:
        del is_free_BJ
        return i * CHUNK_SIZE < max_num_kept

    def compare(i: Tensor, is_free_BJ: Tensor) -> tuple[Tensor, Tensor]:
        # Unused rows are empty boxes, which overlap nothing.
        iou_BQJ = box_ops.pairwise_iou(ops.take(chunks, i, 1), block_BJ4)
        is_hit_BJ = ops.any(iou_BQJ > iou_threshold, axis=1)
        return i + 1, ops.logical_and(is_free_BJ, ops.logical_not(is_hit_BJ))

    is_free_BJ = ops.broadcast_to(is_box_J, (num_images, BLOCK_SIZE))
    _, is_free_BJ = ops.while_loop(
        has_more, compare, (ops.convert_to_tensor(0, "int32"), is_free_BJ)
    )
    comes_before_JJ = np.triu(np.ones((BLOCK_SIZE, BLOCK_SIZE), bool), k=1)
    overlaps_BJJ = ops.logical_and(
        comes_before_JJ,
        box_ops.pairwise_iou(block_BJ4, block_BJ4) > iou_threshold,
    )
    return nms_kernels.greedy_keep(is_free_BJ, overlaps_BJJ)


def _add(
    i: Tensor,
    block_BJ4: Tensor,
    is_kept_BJ: Tensor,
    kept: Kept,
    max_kept: int | Tensor,
) -> Kept:
    """Adds the kept boxes of block i, as far as there is room."""
    one_each_BJ = ops.cast(is_kept_BJ, "int32")
    num_before_BJ = ops.cumsum(one_each_BJ, axis=1) - one_each_BJ
    slot_BJ = kept.num_boxes[:, None] + num_before_BJ
    is_kept_BJ = ops.logical_and(is_kept_BJ, slot_BJ < max_kept)
    last_slot = ops.shape(kept.boxes)[1] - 1
    return Kept(
        boxes=nms_kernels.write_slots(
            kept.boxes,
            [ops.cumsum(ops.ones_like(slot_BJ), axis=0) - 1],
            ops.where(is_kept_BJ, slot_BJ, last_slot),
            block_BJ4,
        ),
        num_boxes=kept.num_boxes
        + ops.sum(ops.cast(is_kept_BJ, "int32"), axis=1),
        is_kept=ops.slice_update(kept.is_kept, (0, i, 0), is_kept_BJ[:, None]),
    )
