"""What matchers have in common.

Letters: B image, G groundtruth box (padded), A anchor.
"""

from typing import Any

from keras import ops

Tensor = Any

# What an entry of `Match.gt_index` means when it is not a row.
UNMATCHED = -1  # a negative: the anchor shows background
IGNORED = -2  # neither: the anchor takes no part in the loss


def rows_of_anchors(anchor_BG: Tensor, num_anchors: Tensor) -> Tensor:
    """Turns the anchor that each box has into the box that each anchor has.

    Args:
        anchor_BG: int32 [B, G], -1 for a box without anchor.
        num_anchors: A.

    Returns:
        int32 [B, A]: a row, the lowest where several have the anchor, or -1.
    """
    num_rows = ops.shape(anchor_BG)[1]
    anchor_A = ops.arange(num_anchors, dtype="int32")
    is_its_BGA = ops.equal(anchor_BG[:, :, None], anchor_A)
    # Lower rows count higher, so that the maximum is the first claimant.
    priority_G1 = num_rows - ops.arange(num_rows, dtype="int32")[:, None]
    highest_BA = ops.max(ops.where(is_its_BGA, priority_G1, 0), axis=1)
    return ops.where(highest_BA > 0, num_rows - highest_BA, -1)
