"""From groundtruth boxes to what the predictor should say at each anchor.

Letters: B image, G groundtruth box (padded), A anchor, C class, K class
including a background column.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from keras import ops

from object_detection.core import containers, gather
from object_detection.matchers import matcher

Tensor = Any


class BoxCoder(Protocol):
    """What `box_coders` offer.

    A coder whose `num_keypoints` is not 0 takes the keypoints of the boxes,
    float32 [..., num_keypoints, 2] (y, x), as a third argument of
    `encode_boxes`, and also has `decode_keypoints(codes, anchors)`.
    """

    code_size: int
    num_keypoints: int

    def encode_boxes(
        self, boxes: Tensor, anchors: Tensor, *keypoints: Tensor
    ) -> Tensor: ...

    def decode_boxes(self, codes: Tensor, anchors: Tensor) -> Tensor: ...


class Matcher(Protocol):
    """What `matchers` offer."""

    def match(
        self, similarity_BGA: Tensor, is_real_BG: Tensor, can_force_BG: Tensor
    ) -> containers.Match: ...


@dataclasses.dataclass(frozen=True)
class TargetAssigner:
    """Assigns targets to the anchors of a batch, all images at once.

    Attributes:
        similarity: function (boxes_BG4, anchors_A4) -> [B, G, A].
        matcher: chooses a groundtruth box, or none, for each anchor.
        box_coder: expresses the chosen box as a code.
        unmatched_class_label: K numbers, the class target of an anchor
            without a box.
        negative_class_weight: class weight of negative anchors.
    """

    similarity: Callable[[Tensor, Tensor], Tensor]
    matcher: Matcher
    box_coder: BoxCoder
    unmatched_class_label: tuple[float, ...]
    negative_class_weight: float = 1.0

    def assign_targets(
        self, anchors_A4: Tensor, groundtruth: containers.Groundtruth
    ) -> containers.Targets:
        """Matches groundtruth with anchors and writes the targets out.

        A matched anchor takes class, code and weight of its box. A negative
        one has the unmatched label, `negative_class_weight` and no box weight;
        an ignored one has no weight at all.

        Args:
            anchors_A4: float32 [A, 4] yxyx, in the unit of the boxes.
            groundtruth: of B images; its class vectors have K columns, or K -
                1 and get a background column of zeros in front.

        Returns:
            Targets; `class_weights` is [B, A, 1], for all classes alike.

        Raises:
            ValueError: the class vectors are neither K nor K - 1 long, or the
                coder wants keypoints and there are none.
        """
        groundtruth = _with_a_row(groundtruth)
        classes_BGK = self._with_background_column(groundtruth.classes)
        row_G = ops.arange(ops.shape(classes_BGK)[1], dtype="int32")
        num_boxes_B = ops.cast(groundtruth.num_boxes, "int32")
        is_real_BG = row_G < num_boxes_B[:, None]
        match = self.matcher.match(
            self.similarity(groundtruth.boxes, anchors_A4),
            is_real_BG,
            groundtruth.weights > 0,
        )
        is_matched_BA = match.gt_index >= 0
        row_BA = ops.maximum(match.gt_index, 0)
        weight_BA = ops.where(
            is_matched_BA, gather.take_rows(groundtruth.weights, row_BA), 0.0
        )
        is_negative_BA = ops.equal(match.gt_index, matcher.UNMATCHED)
        class_weight_BA = ops.where(
            is_negative_BA, self.negative_class_weight, weight_BA
        )
        class_targets_BAK = ops.where(
            is_matched_BA[:, :, None],
            gather.take_rows(classes_BGK, row_BA),
            np.asarray(self.unmatched_class_label, np.float32),
        )
        box_codes = self._encode_rows(groundtruth, row_BA, anchors_A4)
        return containers.Targets(
            class_targets=class_targets_BAK,
            class_weights=class_weight_BA[:, :, None],
            box_codes=ops.where(is_matched_BA[:, :, None], box_codes, 0.0),
            box_weights=weight_BA,
            match=match,
        )

    def _encode_rows(
        self,
        groundtruth: containers.Groundtruth,
        row_BA: Tensor,
        anchors_A4: Tensor,
    ) -> Tensor:
        boxes_BA4 = gather.take_rows(groundtruth.boxes, row_BA)
        if not self.box_coder.num_keypoints:
            return self.box_coder.encode_boxes(boxes_BA4, anchors_A4)
        if groundtruth.keypoints is None:
            raise ValueError(
                f"expected groundtruth with {self.box_coder.num_keypoints} "
                "keypoints a box, got none"
            )
        return self.box_coder.encode_boxes(
            boxes_BA4,
            anchors_A4,
            gather.take_rows(groundtruth.keypoints, row_BA),
        )

    def _with_background_column(self, classes: Tensor) -> Tensor:
        num_slots = len(self.unmatched_class_label)
        num_missing = num_slots - classes.shape[-1]
        if num_missing not in (0, 1):
            raise ValueError(
                f"expected groundtruth class vectors of {num_slots} or "
                f"{num_slots - 1} columns, got {classes.shape[-1]}"
            )
        return ops.pad(classes, [[0, 0], [0, 0], [num_missing, 0]])


def _with_a_row(groundtruth: containers.Groundtruth) -> containers.Groundtruth:
    """Adds a row of padding where there may be no row to index."""
    num_rows = ops.shape(groundtruth.boxes)[1]
    if isinstance(num_rows, int) and num_rows > 0:
        return groundtruth
    keypoints = groundtruth.keypoints
    if keypoints is not None:
        keypoints = ops.pad(keypoints, [[0, 0], [0, 1], [0, 0], [0, 0]])
    return groundtruth._replace(
        boxes=ops.pad(groundtruth.boxes, [[0, 0], [0, 1], [0, 0]]),
        classes=ops.pad(groundtruth.classes, [[0, 0], [0, 1], [0, 0]]),
        weights=ops.pad(groundtruth.weights, [[0, 0], [0, 1]]),
        keypoints=keypoints,
    )
