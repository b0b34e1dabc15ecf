r"""Times COCO's metrics on random detections, in both backends.

    python qa/benchmarks/coco_eval.py --images 5000

The size of val2017: 5000 images, 80 classes, 7 objects and 100 detections an
image. The fast backend is the one that evaluation uses; pycocotools is the
reference. Their values must be equal to the last digit, or the exit code
is 1.
"""

import sys
import time
from typing import Any

import harness
import numpy as np

from object_detection.core.standard_fields import (
    DetectionResultFields,
    InputDataFields,
)
from object_detection.metrics import coco_evaluation, coco_tools

_OBJECTS_PER_IMAGE = 7
_DETECTIONS_PER_IMAGE = 100
_NUM_CLASSES = 80
_IMAGE_SIDE_PX = 640.0


def random_boxes(rng: np.random.Generator, count: int) -> np.ndarray:
    """Returns float64 [count, 4] yxyx in pixels."""
    sizes = rng.uniform(8, 300, size=(count, 2))
    corners = rng.uniform(0, _IMAGE_SIDE_PX - sizes)
    return np.concatenate([corners, corners + sizes], axis=1)


def random_image(
    rng: np.random.Generator,
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Returns groundtruth and detections, a part of which match."""
    boxes = random_boxes(rng, _OBJECTS_PER_IMAGE)
    classes = rng.integers(1, _NUM_CLASSES + 1, len(boxes))
    groundtruth = {
        InputDataFields.groundtruth_boxes: boxes,
        InputDataFields.groundtruth_classes: classes,
        InputDataFields.groundtruth_is_crowd: rng.random(len(boxes)) < 0.02,
    }
    num_random = _DETECTIONS_PER_IMAGE - len(boxes)
    found = boxes + rng.normal(0, 6, boxes.shape)
    detections = {
        DetectionResultFields.detection_boxes: np.concatenate(
            [found, random_boxes(rng, num_random)]
        ),
        DetectionResultFields.detection_classes: np.concatenate(
            [classes, rng.integers(1, _NUM_CLASSES + 1, num_random)]
        ),
        DetectionResultFields.detection_scores: rng.random(
            _DETECTIONS_PER_IMAGE
        ),
    }
    return groundtruth, detections


def time_backend(
    backend: str, images: list[tuple[dict[str, Any], dict[str, Any]]]
) -> tuple[float, float, dict[str, float]]:
    """Returns seconds to add the images, seconds to evaluate, and values."""
    categories = [{"id": i, "name": str(i)} for i in range(1, _NUM_CLASSES + 1)]
    evaluator = coco_evaluation.CocoDetectionEvaluator(
        categories, include_metrics_per_category=True, backend=backend
    )
    start = time.perf_counter()
    for image_id, (groundtruth, detections) in enumerate(images):
        evaluator.add_single_ground_truth_image_info(image_id, groundtruth)
        evaluator.add_single_detected_image_info(image_id, detections)
    added = time.perf_counter()
    metrics = evaluator.compute().metrics
    return added - start, time.perf_counter() - added, metrics


def main() -> int:
    parser = harness.parser(__doc__)
    parser.add_argument("--images", type=int, default=5000)
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    images = [random_image(rng) for _ in range(args.images)]
    values, metrics_by_backend = {}, []
    for backend in coco_tools.BACKENDS:
        add_seconds, evaluate_seconds, metrics = time_backend(backend, images)
        seconds = add_seconds + evaluate_seconds
        values[backend] = {
            "add_seconds": round(add_seconds, 3),
            "evaluate_seconds": round(evaluate_seconds, 3),
            "images_per_second": round(args.images / seconds, 1),
        }
        metrics_by_backend.append(metrics)
    first, *others = metrics_by_backend
    is_equal = all(metrics == first for metrics in others)
    harness.report(
        "coco_eval",
        images=args.images,
        detections=args.images * _DETECTIONS_PER_IMAGE,
        is_equal=is_equal,
        **values,
    )
    return 0 if is_equal else 1


if __name__ == "__main__":
    sys.exit(main())
