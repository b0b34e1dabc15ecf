"""A small set of images with boxes, written in several formats, for tests."""

import json
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

from object_detection.data_decoders import sample_records

# In the order of their ids in the label map, which are far from COCO's.
CLASS_NAMES = ("cat", "dog", "toothbrush")
COCO_IDS = {"cat": 17, "dog": 18, "toothbrush": 90}


class SampleImage(NamedTuple):
    """One image.

    Attributes:
        number: from 1; also decides on its pixels.
        size_px: height and width.
        objects: class name and corners xmin, ymin, xmax, ymax in pixels.
    """

    number: int
    size_px: tuple[int, int]
    objects: tuple[tuple[str, tuple[int, int, int, int]], ...]

    @property
    def name(self) -> str:
        """Of the image file, without what follows the dot."""
        return f"{self.number:06d}"


def make_images(count: int = 7) -> list[SampleImage]:
    """Returns images with 1, 2, 0, 1, 2, 0, ... boxes, all different."""
    images = []
    for number in range(1, count + 1):
        height, width = 20 + number, 31 + 2 * number
        boxes = ((2, 3, 11 + number, 9), (5 + number, 1, width, height))
        names = (CLASS_NAMES[number % 3], CLASS_NAMES[(number + 1) % 3])
        objects = tuple(zip(names, boxes, strict=True))[: number % 3]
        images.append(SampleImage(number, (height, width), objects))
    return images


def encode(image: SampleImage) -> bytes:
    """Returns its JPEG."""
    pixels = sample_records.make_pixels(*image.size_px, image.number)
    return sample_records.encode(pixels)


def write_label_map(folder: pathlib.Path) -> pathlib.Path:
    """Writes a label map with ids from 1, without a gap."""
    path = folder / "map.pbtxt"
    path.write_text(
        "".join(
            f'item {{ id: {number} name: "{name}" }}\n'
            for number, name in enumerate(CLASS_NAMES, start=1)
        )
    )
    return path


def write_voc(
    folder: pathlib.Path,
    images: Sequence[SampleImage],
    image_folder: str = "JPEGImages",
    annotation_folder: str = "Annotations",
    set_name: str = "",
) -> pathlib.Path:
    """Writes XML files and images; with a set name also their list."""
    for name in (image_folder, annotation_folder):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for image in images:
        path = folder / image_folder / f"{image.name}.jpg"
        path.write_bytes(encode(image))
        objects = "".join(
            f"<object><name>{name}</name><bndbox><xmin>{box[0]}</xmin>"
            f"<ymin>{box[1]}</ymin><xmax>{box[2]}</xmax><ymax>{box[3]}</ymax>"
            "</bndbox></object>"
            for name, box in image.objects
        )
        path = folder / annotation_folder / f"{image.name}.xml"
        path.write_text(f"<annotation>{objects}</annotation>")
    if set_name:
        (folder / "ImageSets/Main").mkdir(parents=True, exist_ok=True)
        (folder / f"ImageSets/Main/{set_name}.txt").write_text(
            "".join(f"{image.name}\n" for image in images)
        )
    return folder


def write_txt(
    folder: pathlib.Path, images: Sequence[SampleImage]
) -> pathlib.Path:
    """Writes `images/` and `boxes.txt`."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    lines = []
    for image in images:
        (folder / f"images/{image.name}.jpg").write_bytes(encode(image))
        words = [f"{image.name}.jpg"]
        for name, box in image.objects:
            class_id = CLASS_NAMES.index(name) + 1
            words.append(",".join(map(str, (*box, class_id))))
        lines.append(" ".join(words) + "\n")
    (folder / "boxes.txt").write_text("".join(lines))
    return folder


def write_coco(
    folder: pathlib.Path, images: Sequence[SampleImage]
) -> pathlib.Path:
    """Writes `images/` and `boxes.json`, with COCO's ids of the classes."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    annotations = []
    for image in images:
        (folder / f"images/{image.name}.jpg").write_bytes(encode(image))
        for name, (xmin, ymin, xmax, ymax) in image.objects:
            width, height = xmax - xmin, ymax - ymin
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image.number,
                    "category_id": COCO_IDS[name],
                    "bbox": [xmin, ymin, width, height],
                    "area": width * height / 2,
                    "iscrowd": len(annotations) % 2,
                }
            )
    content = {
        "images": [
            {
                "id": image.number,
                "file_name": f"{image.name}.jpg",
                "height": image.size_px[0],
                "width": image.size_px[1],
            }
            for image in images
        ],
        "categories": [
            {"id": key, "name": name} for name, key in COCO_IDS.items()
        ],
        "annotations": annotations,
    }
    (folder / "boxes.json").write_text(json.dumps(content))
    return folder


def reader_text(kind: str, folder: pathlib.Path) -> str:
    """Returns the field of an input reader that reads what was written."""
    if kind == "voc":
        return f'voc_input_reader {{ input_dir: "{folder}" }}'
    extension = {"coco": "json", "txt": "txt"}[kind]
    return (
        f'{kind}_input_reader {{ image_dir: "{folder}/images" '
        f'annotations_path: "{folder}/boxes.{extension}" }}'
    )


WRITERS = {"coco": write_coco, "voc": write_voc, "txt": write_txt}
