"""Collects the boxes of images, one image after the other.

Boxes are in absolute pixels of the original image, corners (ymin, xmin, ymax,
xmax). Dimensions: G groundtruth box, D detection, N row of a table.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from absl import logging

from object_detection.core import errors
from object_detection.metrics import box_rows

# Ids of unknown classes that a warning lists.
_MAX_IDS_LISTED = 10


class Collection(NamedTuple):
    """All that was added of the known classes, images by rising ids."""

    num_images: int
    groundtruth: box_rows.GroundtruthRows
    detections: box_rows.DetectionRows
    image_labels: box_rows.ImageLabelRows


class CollectingEvaluator:
    """The half of an evaluator that is the same for every metric.

    The order in which images are added does not matter: ties are settled by
    image id. Boxes of classes outside `categories` are left out and counted.

    Attributes:
        categories: those given, in the order of rising ids.
    """

    def __init__(
        self, categories: Sequence[Mapping[str, Any]], title: str
    ) -> None:
        """Starts without images.

        Args:
            categories: mappings with a unique positive int 'id' and a 'name'.
            title: what warnings call the metric, such as 'COCO'.

        Raises:
            ValueError: when an id occurs twice, or there is no category.
        """
        counts = Counter(category["id"] for category in categories)
        repeated = [str(id_) for id_, count in counts.items() if count > 1]
        if repeated or not categories:
            raise ValueError(
                "categories must be one or more with unique ids; "
                f"got {len(categories)}, repeated ids: {repeated}"
            )
        self.categories = sorted(categories, key=lambda item: item["id"])
        self._title = title
        self.clear()

    def clear(self) -> None:
        """Forgets all images."""
        self._groundtruth: dict[int, box_rows.GroundtruthRows] = {}
        self._detections: dict[int, box_rows.DetectionRows] = {}
        self._image_labels: dict[int, box_rows.ImageLabelRows] = {}

    def add_single_ground_truth_image_info(
        self, image_id: int, groundtruth_dict: Mapping[str, np.ndarray]
    ) -> None:
        """Adds the boxes to find in one image.

        Args:
            image_id: unique number of the image.
            groundtruth_dict: `groundtruth_boxes` [G, 4] yxyx pixels and
                `groundtruth_classes` [G], category ids; optional
                `groundtruth_is_crowd`, `groundtruth_difficult` and
                `groundtruth_group_of` [G], `groundtruth_area` [G] square
                pixels, where a negative area means that of the box, and
                `groundtruth_image_classes` [any], category ids that the
                image as a whole was checked for.

        Raises:
            DataError: when the image has been added before.
            ValueError: for arrays whose lengths differ.
        """
        if image_id in self._groundtruth:
            raise errors.DataError(
                f"evaluation set: image id {image_id} was added before; "
                "expected every image once: make source ids unique"
            )
        self._groundtruth[image_id] = box_rows.groundtruth_of_image(
            groundtruth_dict
        )
        self._image_labels[image_id] = box_rows.image_labels(groundtruth_dict)

    def add_single_detected_image_info(
        self, image_id: int, detections_dict: Mapping[str, np.ndarray]
    ) -> None:
        """Adds the boxes found in one image.

        Args:
            image_id: an image whose groundtruth has been added.
            detections_dict: `detection_boxes` [D, 4] yxyx pixels,
                `detection_scores` [D] and `detection_classes` [D], category
                ids, which count from 1.

        Raises:
            DataError: when detections of the image have been added before.
            ValueError: without groundtruth of the image, or for arrays whose
                lengths differ.
        """
        if image_id not in self._groundtruth:
            raise ValueError(
                f"add the groundtruth of image {image_id} before its detections"
            )
        if image_id in self._detections:
            raise errors.DataError(
                f"evaluation set: detections of image id {image_id} were added "
                "before; expected every image once: make source ids unique"
            )
        self._detections[image_id] = box_rows.detections_of_image(
            detections_dict
        )

    def _collected(self) -> Collection:
        """Joins the images, and leaves out the classes that are unknown."""
        ids = sorted(self._groundtruth)
        groundtruth = box_rows.join(
            [self._groundtruth[id_] for id_ in ids], box_rows.NO_GROUNDTRUTH
        )
        detections = box_rows.join(
            [self._detections.get(id_, box_rows.NO_DETECTIONS) for id_ in ids],
            box_rows.NO_DETECTIONS,
        )
        labels = box_rows.join(
            [self._image_labels[id_] for id_ in ids], box_rows.NO_IMAGE_LABELS
        )
        return Collection(
            len(ids),
            self._known(groundtruth, "groundtruth boxes"),
            self._known(detections, "detected boxes"),
            self._known(labels, "image-level labels"),
        )

    def _known(self, rows: box_rows.Rows, kind: str) -> box_rows.Rows:
        """Keeps classes of the label map, and warns of others with counts."""
        ids = [category["id"] for category in self.categories]
        is_known = np.isin(rows.category_id, ids)
        if not is_known.all():
            unknown, counts = np.unique(
                rows.category_id[~is_known], return_counts=True
            )
            listed = ", ".join(
                f"{id_} ({count})"
                for id_, count in list(zip(unknown, counts, strict=True))[
                    :_MAX_IDS_LISTED
                ]
            )
            logging.warning(
                "%s evaluation leaves out %d of %d %s: their class ids (how "
                "many) are not in the label map: %s%s",
                self._title,
                np.count_nonzero(~is_known),
                len(is_known),
                kind,
                listed,
                ", ..." if len(unknown) > _MAX_IDS_LISTED else "",
            )
        return box_rows.select(rows, is_known)

    def _warn_of_nothing_to_compare(
        self, collection: Collection, is_wanted: np.ndarray, undefined: str
    ) -> None:
        """Says why values are undefined or 0 although nothing failed.

        Args:
            collection: what is compared.
            is_wanted: bool [N], groundtruth boxes that the metric looks for.
            undefined: the value of a metric without groundtruth.
        """
        num_images = collection.num_images
        wanted = collection.groundtruth.category_id[is_wanted]
        detected = collection.detections.category_id
        if not len(wanted):
            logging.warning(
                "%s evaluation: no groundtruth boxes in %d images, so every "
                "value is %s (not applicable).",
                self._title,
                num_images,
                undefined,
            )
        elif not len(detected):
            logging.warning(
                "%s evaluation: no detections in %d images, so every value "
                "is 0. Is the checkpoint trained, or the score threshold too "
                "high?",
                self._title,
                num_images,
            )
        elif not np.isin(detected, wanted).any():
            logging.warning(
                "%s evaluation: no class is both in the groundtruth (%s) and "
                "in the detections (%s), so every value is 0. Does the label "
                "map fit the model?",
                self._title,
                np.unique(wanted)[:_MAX_IDS_LISTED],
                np.unique(detected)[:_MAX_IDS_LISTED],
            )
