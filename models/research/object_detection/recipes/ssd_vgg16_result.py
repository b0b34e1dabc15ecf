"""The rows of predictions that SSD-VGG for Ascend hands out.

Each is of an anchor: the scores of the classes, that of the background last,
and the box code x, y, w, h.
"""

from object_detection.inference import (
    detection_outputs,
    detector,
    image_sources,
)

# Here the box code is y, x, h, w.
_CODE_XYWH = (1, 0, 3, 2)


def columns(num_columns: int) -> list[int]:
    """Returns which column of the network's rows becomes each of these.

    Args:
        num_columns: of a row.
    """
    num_scores = num_columns - len(_CODE_XYWH)
    return [*range(num_scores), *(num_scores + place for place in _CODE_XYWH)]


def with_these_columns(add: detection_outputs.Add) -> detection_outputs.Add:
    """Returns an output that gets such rows."""

    def reordered(
        item: image_sources.ImageItem, outcome: detector.Outcome
    ) -> None:
        raw = outcome.raw
        add(item, outcome._replace(raw=raw[:, columns(raw.shape[1])]))

    return reordered
