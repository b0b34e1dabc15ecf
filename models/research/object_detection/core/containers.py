"""The values that the parts of the detector hand to each other.

Dimensions: B image, A anchor (all levels), G groundtruth box (padded), C
class, K class including a background column, D detection. Boxes are corners
(ymin, xmin, ymax, xmax), normalised to the image unless said otherwise.
"""

from typing import Any, NamedTuple

Tensor = Any


class Groundtruth(NamedTuple):
    """Padded groundtruth of a batch; weight 0 marks padding.

    Attributes:
        boxes: float32 [B, G, 4] yxyx, normalised to the (padded) image.
        classes: float32 [B, G, C], one-hot (k-hot for merged boxes), without
            a background column; padded rows are zero.
        weights: float32 [B, G].
        num_boxes: int32 [B], how many of the G rows are real.
        confidences: float32 [B, G, C] in {1, 0, -1}, or None.
        keypoints: float32 [B, G, num_keypoints, 2] (y, x), or None.
    """

    boxes: Tensor
    classes: Tensor
    weights: Tensor
    num_boxes: Tensor
    confidences: Tensor | None = None
    keypoints: Tensor | None = None


class Match(NamedTuple):
    """Which groundtruth box each anchor got.

    Attributes:
        gt_index: int32 [B, A]: a row of the groundtruth, or
            `matcher.UNMATCHED` (-1), or `matcher.IGNORED` (-2).
    """

    gt_index: Tensor


class Targets(NamedTuple):
    """What the predictor should say at each anchor.

    Attributes:
        class_targets: float32 [B, A, K].
        class_weights: float32 [B, A, K], or [B, A, 1] for all classes alike.
        box_codes: float32 [B, A, code_size].
        box_weights: float32 [B, A].
        match: Match.
    """

    class_targets: Tensor
    class_weights: Tensor
    box_codes: Tensor
    box_weights: Tensor
    match: Match
