import subprocess
import sys

import numpy as np

from object_detection.builders import small_detector
from object_detection.utils import configured_detector, print_anchors

# Two shapes at two places, by shape.
BY_SHAPE = np.float32(
    [
        [0.25, 0.5, 0.1, 0.2],
        [0.75, 0.5, 0.1, 0.2],
        [0.25, 0.5, 0.3, 0.4],
        [0.75, 0.5, 0.3, 0.4],
    ]
)


def test_lines_by_hand():
    maps = [
        print_anchors.MapAnchors((1, 2), 2, BY_SHAPE, True),
        print_anchors.MapAnchors((1, 1), 1, BY_SHAPE[1:2], True),
    ]
    lines = list(print_anchors.describe(maps, (30, 60), has_all=False))
    assert lines == [
        "image 30 x 60 px, boxes cx cy w h by map, shape, row, column",
        "map 0: 1 x 2 places of 2, 4 boxes",
        "  shapes 0.10000 x 0.20000, 0.30000 x 0.40000",
        "  first  0.25000 0.50000 0.10000 0.20000",
        "  last   0.75000 0.50000 0.30000 0.40000",
        "map 1: 1 x 1 places of 1, 1 boxes",
        "  shapes 0.10000 x 0.20000",
        "  first  0.75000 0.50000 0.10000 0.20000",
        "  last   0.75000 0.50000 0.10000 0.20000",
        "total: 5 boxes",
    ]
    lines = list(print_anchors.describe(maps, (30, 60), has_all=True))
    assert lines[3:7] == [
        "  0.25000 0.50000 0.10000 0.20000",
        "  0.75000 0.50000 0.10000 0.20000",
        "  0.25000 0.50000 0.30000 0.40000",
        "  0.75000 0.50000 0.30000 0.40000",
    ]
    assert len(lines) == 1 + (2 + 4) + (2 + 1) + 1


def test_shapes_by_cell():
    by_cell = print_anchors.MapAnchors((1, 2), 2, BY_SHAPE[[0, 2, 1, 3]], False)
    np.testing.assert_array_equal(by_cell.shapes, BY_SHAPE[[0, 2], 2:])


def test_anchors_of_each_map_of_a_detector():
    model = small_detector.build()
    detector = configured_detector.ConfiguredDetector(model, (64, 128))
    maps = print_anchors.anchors_by_map(detector)
    assert [anchors.grid for anchors in maps] == [(4, 8), (2, 4), (1, 2)]
    assert [len(anchors.boxes) for anchors in maps] == [64, 16, 4]
    # A square of 64 px; one of ratio 2.
    root = np.sqrt(0.5)
    np.testing.assert_allclose(
        maps[0].shapes, [[0.5, 1.0], [root, root]], rtol=1e-5
    )
    np.testing.assert_allclose(
        maps[0].boxes[0], [8 / 128, 8 / 64, 0.5, 1.0], rtol=1e-5
    )


def test_the_command_takes_no_config_for_an_answer(tmp_path):
    result = subprocess.run(
        [
            sys.executable,
            "-m",
            "object_detection.utils.print_anchors",
            f"--pipeline_config_path={tmp_path}/none.config",
        ],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 2 and result.stdout == ""
    assert result.stderr.startswith(f"ERROR: {tmp_path}/none.config: cannot")
