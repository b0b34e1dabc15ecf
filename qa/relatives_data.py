r"""Writes one Pascal VOC set in every layout that the relatives read.

    python qa/relatives_data.py --bccd_dir=/path/to/bccd --output_dir=DIR

Training images are those of `trainval`, images to measure those of `test`.
The output has, of the same images:

    pascal-voc/trainval/VOCdevkit/VOC2007    Annotations, JPEGImages, ImageSets
    voc_flat/{train,eval}                    images and XML files side by side
    voc_two_folders/{train,eval}             Images and Annotations
    txt/{train,val}.txt, txt/images          a line an image
    coco/{train2017,val2017,annotations}     COCO's JSON
    records/{train,val}.record-*             TFRecords
    label_map.pbtxt
"""

import argparse
import pathlib
import shutil
from collections.abc import Mapping, Sequence

from object_detection.builders import image_set_builder
from object_detection.data_decoders import (
    annotated_image,
    image_set,
    tf_record_writer,
)
from object_detection.dataset_tools import coco_writer
from object_detection.protos import input_reader_pb2

_LABEL_MAP = (
    pathlib.Path(__file__).resolve().parents[1]
    / "models/research/object_detection/data/bccd_label_map.pbtxt"
)
# Image set of the source, folder of VOC, name of the records, folder of COCO.
_SPLITS = (
    ("trainval", "train", "train", "train2017"),
    ("test", "eval", "val", "val2017"),
)


def copy_files(
    source: pathlib.Path,
    ids: Sequence[str],
    images: pathlib.Path,
    annotations: pathlib.Path,
) -> None:
    """Copies images and XML files to two folders, perhaps the same one."""
    for folder in (images, annotations):
        folder.mkdir(parents=True, exist_ok=True)
    for name in ids:
        shutil.copy(source / "JPEGImages" / f"{name}.jpg", images)
        shutil.copy(source / "Annotations" / f"{name}.xml", annotations)


def write_derived(
    voc_dir: pathlib.Path, output: pathlib.Path, name: str, coco: str
) -> None:
    """Writes text, COCO and records of a folder of images and XML files."""
    images = image_set_builder.build(
        input_reader_pb2.InputReader(
            label_map_path=str(output / "label_map.pbtxt"),
            voc_input_reader=input_reader_pb2.VocInputReader(
                input_dir=[str(voc_dir)]
            ),
        ),
        "voc_input_reader",
    )
    checked = [
        image_set.check(images, item, images.read(item, is_whole=False))[0]
        for item in images.items
    ]
    txt, json, records = (output / x for x in ("txt", "coco", "records"))
    for folder in (txt / "images", json / coco, json / "annotations", records):
        folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for image, item in zip(checked, images.items, strict=True):
        shutil.copy(item.path, txt / "images")
        shutil.copy(item.path, json / coco)
        lines.append(text_line(image, images.class_ids))
    (txt / f"{name}.txt").write_text("\n".join(lines) + "\n")
    coco_writer.write_json(
        str(json / "annotations" / f"instances_{coco}.json"),
        checked,
        images.class_ids,
    )
    tf_record_writer.write_dataset(
        images.items,
        images.read,
        images.class_ids,
        str(records / f"{name}.record"),
        num_shards=2,
        bad_boxes="drop",
    ).print()


def text_line(
    image: annotated_image.AnnotatedImage, class_ids: Mapping[str, int]
) -> str:
    """Returns `images/name xmin,ymin,xmax,ymax,class ...`."""
    words = [f"images/{image.filename}"]
    for found in image.objects:
        ymin, xmin, ymax, xmax = (int(side) for side in found.box_yxyx_px)
        class_id = class_ids[found.class_name]
        words.append(f"{xmin},{ymin},{xmax},{ymax},{class_id}")
    return " ".join(words)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--bccd_dir", type=pathlib.Path, required=True)
    parser.add_argument("--output_dir", type=pathlib.Path, required=True)
    args = parser.parse_args()
    output = args.output_dir
    year = output / "pascal-voc" / "trainval" / "VOCdevkit" / "VOC2007"
    for folder in ("Annotations", "JPEGImages", "ImageSets"):
        shutil.copytree(
            args.bccd_dir / folder, year / folder, dirs_exist_ok=True
        )
    shutil.copy(_LABEL_MAP, output / "label_map.pbtxt")
    for image_set_name, folder, name, coco in _SPLITS:
        listed = args.bccd_dir / "ImageSets" / "Main" / f"{image_set_name}.txt"
        ids = listed.read_text().split()
        flat = output / "voc_flat" / folder
        two = output / "voc_two_folders" / folder
        copy_files(args.bccd_dir, ids, flat, flat)
        copy_files(args.bccd_dir, ids, two / "Images", two / "Annotations")
        write_derived(flat, output, name, coco)


if __name__ == "__main__":
    main()
