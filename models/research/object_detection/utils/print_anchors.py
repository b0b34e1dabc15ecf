r"""Prints the anchors of a config, feature map by feature map.

    python -m object_detection.utils.print_anchors \
        --pipeline_config_path=pipeline.config

Boxes are centre and size, cx cy w h, as shares of the image, in the order that
the predictions have.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from absl import flags

from object_detection.core import box_ops
from object_detection.utils import command, configured_detector


class MapAnchors(NamedTuple):
    """The anchors of one feature map.

    Attributes:
        grid: height and width of the map.
        num_shapes: anchors at one place.
        boxes: float32 [A, 4], cx, cy, w, h.
        is_shape_major: whether they go by shape, y, x; else by y, x, shape.
    """

    grid: tuple[int, int]
    num_shapes: int
    boxes: np.ndarray
    is_shape_major: bool

    @property
    def shapes(self) -> np.ndarray:
        """float32 [num_shapes, 2], w and h of the anchors at one place."""
        num_places = len(self.boxes) // self.num_shapes
        step = num_places if self.is_shape_major else 1
        return self.boxes[: self.num_shapes * step : step, 2:]


def anchors_by_map(
    detector: configured_detector.ConfiguredDetector,
) -> list[MapAnchors]:
    """Returns the anchors of each feature map, finest first."""
    generator = detector.model.anchor_generator
    shapes = detector.model.feature_map_shapes(detector.image_size_px)
    grids = [shape[:2] for shape in shapes]
    anchors = generator.generate(grids, detector.image_size_px)
    boxes = np.asarray(box_ops.yxyx_to_cyxhw(anchors))[:, [1, 0, 3, 2]]
    num_shapes = generator.num_anchors_per_location
    ends = np.cumsum(np.prod(grids, axis=1) * num_shapes)
    return [
        MapAnchors(grid, num, part, generator.is_shape_major)
        for grid, num, part in zip(
            grids, num_shapes, np.split(boxes, ends[:-1]), strict=True
        )
    ]


def describe(
    maps: list[MapAnchors], image_size_px: tuple[int, int], has_all: bool
) -> Iterator[str]:
    """Yields the lines to print.

    Args:
        maps: from `anchors_by_map`.
        image_size_px: height and width.
        has_all: whether every box gets a line, or the first and the last.
    """
    height, width = image_size_px
    order = (
        "shape, row, column"
        if maps[0].is_shape_major
        else ("row, column, shape")
    )
    yield f"image {height} x {width} px, boxes cx cy w h by map, {order}"
    for i, anchors in enumerate(maps):
        rows, columns = anchors.grid
        yield (
            f"map {i}: {rows} x {columns} places of {anchors.num_shapes}, "
            f"{len(anchors.boxes)} boxes"
        )
        shapes = [f"{w:.5f} x {h:.5f}" for w, h in anchors.shapes]
        yield f"  shapes {', '.join(shapes)}"
        if has_all:
            for box in anchors.boxes:
                yield f"  {_numbers(box)}"
        else:
            yield f"  first  {_numbers(anchors.boxes[0])}"
            yield f"  last   {_numbers(anchors.boxes[-1])}"
    yield f"total: {sum(len(anchors.boxes) for anchors in maps)} boxes"


def _numbers(box: np.ndarray) -> str:
    return " ".join(f"{number:.5f}" for number in box)


def define_flags() -> None:
    """Defines this command's flags; only a process that runs it has them."""
    configured_detector.define_flags()
    flags.DEFINE_boolean(
        "all", False, "Print every box in place of the first and the last."
    )


def main(_: list[str]) -> None:
    detector = configured_detector.from_flags()
    for line in describe(
        anchors_by_map(detector), detector.image_size_px, flags.FLAGS.all
    ):
        print(line)


if __name__ == "__main__":
    define_flags()
    command.run(main)
