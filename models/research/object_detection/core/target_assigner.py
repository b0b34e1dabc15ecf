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
        implicit_example_weight: class weight of what nobody has looked at;
            None trains on classes, else training is on confidences.
        has_background_column: whether column 0 of a class target is the
            background; counts with confidences only.
    """

    similarity: Callable[[Tensor, Tensor], Tensor]
    matcher: Matcher
    box_coder: BoxCoder
    unmatched_class_label: tuple[float, ...]
    negative_class_weight: float = 1.0
    implicit_example_weight: float | None = None
    has_background_column: bool = True

    def assign_targets(
        self,
        anchors_A4: Tensor,
        groundtruth: containers.Groundtruth,
        training: bool = False,
    ) -> containers.Targets:
        """Matches groundtruth with anchors and writes the targets out.

        A matched anchor takes class, code and weight of its box. A negative
        one has the unmatched label, `negative_class_weight` and no box weight;
        an ignored one has no weight at all.

        In training on confidences an anchor with a class of confidence above
        0 is a positive: it takes the code of its box with weight 1. The class
        targets are the confidences, with 0 for those below; what has a
        confidence other than 0 was looked at and weighs 1, everything else,
        ignored anchors too, `implicit_example_weight`. The background is 1,
        and was not looked at, where there is no positive. The weights of the
        boxes and `unmatched_class_label` do not count.

        Args:
            anchors_A4: float32 [A, 4] yxyx, in the unit of the boxes.
            groundtruth: of B images; its class vectors have K columns, or K -
                1 and get a background column of zeros in front.
            training: whether confidences count, if there are any.

        Returns:
            Targets; `class_weights` is [B, A, 1], for all classes alike,
            unless confidences count.

        Raises:
            ValueError: the class vectors are neither K nor K - 1 long, or the
                coder wants keypoints, or training confidences, and there are
                none.
        """
        groundtruth = _with_a_row(groundtruth)
        row_G = ops.arange(ops.shape(groundtruth.boxes)[1], dtype="int32")
        num_boxes_B = ops.cast(groundtruth.num_boxes, "int32")
        match = self.matcher.match(
            self.similarity(groundtruth.boxes, anchors_A4),
            row_G < num_boxes_B[:, None],
            groundtruth.weights > 0,
        )
        box_codes = self._encode_rows(
            groundtruth, ops.maximum(match.gt_index, 0), anchors_A4
        )
        if training and self.implicit_example_weight is not None:
            return self._targets_by_confidence(groundtruth, match, box_codes)
        return self._targets_by_class(groundtruth, match, box_codes)

    def _targets_by_class(
        self,
        groundtruth: containers.Groundtruth,
        match: containers.Match,
        box_codes: Tensor,
    ) -> containers.Targets:
        is_matched_BA = match.gt_index >= 0
        row_BA = ops.maximum(match.gt_index, 0)
        weight_BA = ops.where(
            is_matched_BA, gather.take_rows(groundtruth.weights, row_BA), 0.0
        )
        is_negative_BA = ops.equal(match.gt_index, matcher.UNMATCHED)
        class_weight_BA = ops.where(
            is_negative_BA, self.negative_class_weight, weight_BA
        )
        classes_BGK = self._with_background_column(groundtruth.classes)
        class_targets_BAK = ops.where(
            is_matched_BA[:, :, None],
            gather.take_rows(classes_BGK, row_BA),
            np.asarray(self.unmatched_class_label, np.float32),
        )
        return containers.Targets(
            class_targets=class_targets_BAK,
            class_weights=class_weight_BA[:, :, None],
            box_codes=ops.where(is_matched_BA[:, :, None], box_codes, 0.0),
            box_weights=weight_BA,
            match=match,
        )

    def _targets_by_confidence(
        self,
        groundtruth: containers.Groundtruth,
        match: containers.Match,
        box_codes: Tensor,
    ) -> containers.Targets:
        if groundtruth.confidences is None:
            raise ValueError("expected groundtruth with confidences, got none")
        rows_BGK = self._with_background_column(groundtruth.confidences)
        confidences_BAK = ops.where(
            match.gt_index[:, :, None] >= 0,
            gather.take_rows(rows_BGK, ops.maximum(match.gt_index, 0)),
            0.0,
        )
        if self.has_background_column:
            confidences_BAC = confidences_BAK[:, :, 1:]
        else:
            confidences_BAC = confidences_BAK
        is_positive_BA1 = ops.any(confidences_BAC > 0, axis=-1, keepdims=True)
        positive_BA1 = ops.cast(is_positive_BA1, "float32")
        class_targets = ops.maximum(confidences_BAC, 0.0)
        was_seen = ops.not_equal(confidences_BAC, 0.0)
        if self.has_background_column:
            class_targets = ops.concatenate(
                [1.0 - positive_BA1, class_targets], axis=-1
            )
            was_seen = ops.concatenate([is_positive_BA1, was_seen], axis=-1)
        return containers.Targets(
            class_targets=class_targets,
            class_weights=ops.where(
                was_seen, 1.0, float(self.implicit_example_weight)
            ),
            box_codes=ops.where(is_positive_BA1, box_codes, 0.0),
            box_weights=positive_BA1[:, :, 0],
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
    confidences = groundtruth.confidences
    if confidences is not None:
        confidences = ops.pad(confidences, [[0, 0], [0, 1], [0, 0]])
    return groundtruth._replace(
        boxes=ops.pad(groundtruth.boxes, [[0, 0], [0, 1], [0, 0]]),
        classes=ops.pad(groundtruth.classes, [[0, 0], [0, 1], [0, 0]]),
        weights=ops.pad(groundtruth.weights, [[0, 0], [0, 1]]),
        confidences=confidences,
        keypoints=keypoints,
    )
