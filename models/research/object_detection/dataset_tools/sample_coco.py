"""A small set in COCO's format, for tests."""

import json
import pathlib
from typing import Any

from object_detection.data_decoders import sample_records

# Height and width of each image, by its id; ids and files are not in order.
SIZES_PX = {42: (30, 40), 7: (25, 50), 300: (36, 24)}


def make_content() -> dict[str, Any]:
    """Returns annotations of three images, the last without an object.

    Categories have ids 1, 3 and 90; a crowd has a run-length encoding.
    """
    return {
        "info": {"year": 2017},
        "categories": [
            {"id": 3, "name": "car", "supercategory": "vehicle"},
            {"id": 1, "name": "person"},
            {"id": 90, "name": "toothbrush"},
        ],
        "images": [
            {
                "id": key,
                "file_name": f"{key:06d}.jpg",
                "height": height,
                "width": width,
                "license": 1,
            }
            for key, (height, width) in SIZES_PX.items()
        ],
        "annotations": [
            make_annotation(7, 90, [5, 2.5, 20, 10]),
            make_annotation(42, 3, [4, 6, 10, 15]),
            make_annotation(
                7,
                1,
                [10, 0, 40, 25],
                iscrowd=1,
                # Down the columns, of 25 pixels: ten outside, forty inside.
                segmentation={"size": [25, 50], "counts": [250, 1000]},
            ),
        ],
    }


def make_annotation(
    image_id: int, category_id: int, bbox: list[float], **changes: Any
) -> dict[str, Any]:
    """Returns an annotation whose outline is the lower left half of its box."""
    x, y, width, height = bbox
    return {
        "id": 1,
        "image_id": image_id,
        "category_id": category_id,
        "bbox": bbox,
        "area": abs(width * height) / 2,
        "iscrowd": 0,
        "segmentation": [[x, y, x + width, y + height, x, y + height]],
        **changes,
    }


def write_set(
    folder: pathlib.Path, content: Any = None, name: str = "instances.json"
) -> pathlib.Path:
    """Writes JPEG files to `folder/images`; returns the path of the JSON."""
    images = folder / "images"
    images.mkdir(parents=True, exist_ok=True)
    for key, size_px in SIZES_PX.items():
        (images / f"{key:06d}.jpg").write_bytes(
            sample_records.encode(sample_records.make_pixels(*size_px, key))
        )
    path = folder / name
    path.write_text(json.dumps(make_content() if content is None else content))
    return path
