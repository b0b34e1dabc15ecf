"""Writes the boxes of a set of images in COCO's JSON format."""

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from object_detection.core import errors
from object_detection.data_decoders import annotated_image


def write_json(
    path: str,
    images: Sequence[annotated_image.AnnotatedImage],
    class_ids: Mapping[str, int],
) -> None:
    """Writes a file of annotations, whole or not at all.

    An image has the number that its file or its source id is called by, or
    its place in the set, from 1, when that is not so for all. Ids of
    categories are those of the label map.

    Args:
        path: of the JSON.
        images: checked by `annotated_image.check_objects`; their pixels are
            not needed.
        class_ids: class name -> id, of the label map.

    Raises:
        ResourceError: the disk refuses.
    """
    content = {
        "images": [],
        "annotations": [],
        "categories": [
            {"id": key, "name": name} for name, key in class_ids.items()
        ],
    }
    for image, image_id in zip(images, _image_ids(images), strict=True):
        content["images"].append(
            {
                "id": image_id,
                "file_name": image.filename,
                "height": image.height_px,
                "width": image.width_px,
            }
        )
        for item in image.objects:
            number = len(content["annotations"]) + 1
            content["annotations"].append(
                {
                    "id": number,
                    "image_id": image_id,
                    "category_id": class_ids[item.class_name],
                    **_box_fields(item),
                }
            )
    temporary_path = f"{path}.tmp-{os.getpid()}"
    try:
        with open(temporary_path, "w", encoding="utf-8") as file:
            json.dump(content, file)
        os.replace(temporary_path, path)
    except OSError as error:
        raise errors.ResourceError(
            f"{path}: cannot write: {error.strerror}"
        ) from error


def _image_ids(images: Sequence[annotated_image.AnnotatedImage]) -> list[int]:
    names = [os.path.splitext(image.source_id)[0] for image in images]
    if all(name.isascii() and name.isdigit() for name in names):
        ids = list(map(int, names))
        if len(set(ids)) == len(ids):
            return ids
    return list(range(1, len(images) + 1))


def _box_fields(item: annotated_image.ObjectAnnotation) -> dict[str, Any]:
    ymin, xmin, ymax, xmax = item.box_yxyx_px
    width, height = xmax - xmin, ymax - ymin
    return {
        "bbox": [xmin, ymin, width, height],
        "area": width * height if item.area_px is None else item.area_px,
        "iscrowd": int(item.is_crowd),
    }
