"""Reads COCO's instance annotations: checked, grouped by image.

Needs no TensorFlow, so worker processes start without it.
"""

import collections
import dataclasses
import os
from typing import Any, NamedTuple

from object_detection.core import errors
from object_detection.data_decoders import annotated_image, coco_json

# What is read of the JSON. The rest is dropped while it is parsed, which for
# the outlines of all objects is most of the memory.
_KEYS = frozenset(
    ("images", "annotations", "categories", "id", "name", "file_name")
    + ("height", "width", "image_id", "category_id", "bbox", "area", "iscrowd")
)
_MASK_KEYS = _KEYS | {"segmentation", "size", "counts"}


class CocoObject(NamedTuple):
    """One annotation that is kept.

    Attributes:
        index: in the JSON's list of annotations.
        annotation: what a record holds of it, except for the mask.
        segmentation: its outline as in the JSON; None when masks are not read.
    """

    index: int
    annotation: annotated_image.ObjectAnnotation
    segmentation: Any


class CocoImage(NamedTuple):
    """One image of the JSON's list.

    Attributes:
        json_path: of the annotations.
        index: in the JSON's list of images.
        source_id: its id in the JSON.
        filename: as in the JSON, relative to the folder of images.
        path: of the image file.
        height_px: as in the JSON.
        width_px: as in the JSON.
        objects: in the order of the JSON.
    """

    json_path: str
    index: int
    source_id: str
    filename: str
    path: str
    height_px: int
    width_px: int
    objects: tuple[CocoObject, ...] = ()

    @property
    def place(self) -> str:
        """File and position of the annotation."""
        return f"{self.json_path}: images[{self.index}]"


@dataclasses.dataclass
class CocoSet:
    """A file of annotations.

    Attributes:
        images: in the order of the JSON, those without objects included.
        class_ids: category name -> id.
        notes: one line for each object changed or left out.
        reasons: why -> number of them.
    """

    images: list[CocoImage]
    class_ids: dict[str, int]
    notes: list[str] = dataclasses.field(default_factory=list)
    reasons: collections.Counter = dataclasses.field(
        default_factory=collections.Counter
    )


def read_set(
    json_path: str,
    image_dir: str,
    *,
    with_masks: bool = False,
    needs_annotations: bool = True,
    clips_all_borders: bool = False,
) -> CocoSet:
    """Reads and checks a file of annotations.

    As the original's converter, leaves out objects without width or height
    and, unless `clips_all_borders`, those that reach beyond the right or lower
    border. Differs from it in corners left of the image or above: they are
    moved to the border, where the original wrote negative coordinates; an
    object of which nothing remains is left out. Areas stay as annotated.

    Args:
        json_path: in COCO's format, with `images` and `categories`.
        image_dir: folder of the image files.
        with_masks: whether outlines are kept.
        needs_annotations: whether `annotations` must be there.
        clips_all_borders: whether boxes are cut at the right and lower border
            as well.

    Raises:
        DataError: naming file and place within it: no JSON, a key that is
            missing or of another kind, a repeated id, an annotation of an
            image or category that is not there, a box that is not finite.
    """
    content = coco_json.parse(json_path, _MASK_KEYS if with_masks else _KEYS)
    names = _read_categories(content, json_path)
    images = _read_images(content, json_path, image_dir)
    found = CocoSet([], {name: key for key, name in names.items() if key > 0})
    objects: dict[int | str, list[CocoObject]] = {key: [] for key in images}
    annotations = []
    if needs_annotations or "annotations" in content:
        annotations = coco_json.list_field(content, "annotations", json_path)
    for index, entry in enumerate(annotations):
        where = f"{json_path}: annotations[{index}]"
        image_id = coco_json.id_field(entry, "image_id", where)
        if image_id not in images:
            raise errors.DataError(
                f"{where}.image_id: expected the id of one of"
                f" {len(images)} images, found {coco_json.shown(image_id)}"
            )
        item = _read_object(
            entry,
            index,
            where,
            images[image_id],
            names,
            found,
            clips_all_borders,
        )
        if item is not None:
            objects[image_id].append(item)
    found.images = [
        image._replace(objects=tuple(objects[key]))
        for key, image in images.items()
    ]
    return found


def read_category_ids(json_path: str) -> dict[str, int]:
    """Returns name -> id of the categories in a file of annotations.

    Raises:
        DataError: naming file and place within it.
    """
    content = coco_json.parse(
        json_path, frozenset(("categories", "id", "name"))
    )
    names = _read_categories(content, json_path)
    return {name: key for key, name in names.items()}


def read_item(
    item: CocoImage, *, is_whole: bool = True
) -> annotated_image.AnnotatedImage:
    """Returns an image without masks.

    Args:
        item: of a `CocoSet`.
        is_whole: whether the image file is read and decoded once; else it is
            not looked at, and the size is that of the JSON.

    Raises:
        DataError: an image that is missing, does not decode or has another
            size than the JSON says.
    """
    encoded = b""
    image_format = "png" if item.path.lower().endswith(".png") else "jpeg"
    if is_whole:
        try:
            encoded, image_format, *size_px = annotated_image.read_image_file(
                item.path, ("jpeg", "png")
            )
        except errors.DataError as error:
            raise errors.DataError(f"{item.place}.file_name: {error}") from None
        if size_px != [item.height_px, item.width_px]:
            raise errors.DataError(
                f"{item.place}: expected height {item.height_px} and width"
                f" {item.width_px}, found {size_px[0]} and {size_px[1]} in"
                f" {item.path}"
            )
    return annotated_image.AnnotatedImage(
        filename=item.filename,
        source_id=item.source_id,
        encoded=encoded,
        image_format=image_format,
        height_px=item.height_px,
        width_px=item.width_px,
        objects=tuple(found.annotation for found in item.objects),
    )


def _read_categories(content: Any, json_path: str) -> dict[int, str]:
    """Returns id -> name."""
    names: dict[int, str] = {}
    for index, entry in enumerate(
        coco_json.list_field(content, "categories", json_path)
    ):
        where = f"{json_path}: categories[{index}]"
        key = coco_json.field(entry, "id", where, int, "an integer")
        name = coco_json.text_field(entry, "name", where)
        if not coco_json.is_number(key):
            raise errors.DataError(
                f"{where}.id: expected an integer below"
                f" {coco_json.MAX_NUMBER:g}, found {coco_json.shown(key)}"
            )
        if key in names or name in names.values():
            raise errors.DataError(
                f"{where}: id {key} or name {name!r} is already that of"
                " another category"
            )
        names[key] = name
    return names


def _read_images(
    content: Any, json_path: str, image_dir: str
) -> dict[int | str, CocoImage]:
    """Returns id -> image, without its objects."""
    images: dict[int | str, CocoImage] = {}
    for index, entry in enumerate(
        coco_json.list_field(content, "images", json_path)
    ):
        where = f"{json_path}: images[{index}]"
        key = coco_json.id_field(entry, "id", where)
        if key in images:
            raise errors.DataError(
                f"{where}.id: {coco_json.shown(key)} is already that of"
                f" images[{images[key].index}]"
            )
        filename = coco_json.text_field(entry, "file_name", where)
        if os.path.isabs(filename) or ".." in filename.split("/"):
            raise errors.DataError(
                f"{where}.file_name: expected a path within the folder of"
                f" images, found {coco_json.shown(filename)}"
            )
        images[key] = CocoImage(
            json_path=json_path,
            index=index,
            source_id=str(key),
            filename=filename,
            path=os.path.join(image_dir, filename),
            height_px=_side_px(entry, "height", where),
            width_px=_side_px(entry, "width", where),
        )
    if not images:
        raise errors.DataError(f"{json_path}: images: expected some, found 0")
    return images


def _read_object(
    entry: Any,
    index: int,
    where: str,
    image: CocoImage,
    names: dict[int, str],
    found: CocoSet,
    clips_all_borders: bool,
) -> CocoObject | None:
    """Reads one annotation; notes in `found` what is changed or left out."""
    class_name = _class_name(entry, where, names)
    bbox = coco_json.field(entry, "bbox", where, list, "[x, y, width, height]")
    if len(bbox) != 4 or not all(map(coco_json.is_number, bbox)):
        raise errors.DataError(
            f"{where}.bbox: expected four finite numbers x, y, width, height,"
            f" found {coco_json.shown(bbox)}"
        )
    area_px = coco_json.field(entry, "area", where, (int, float), "a number")
    if not coco_json.is_number(area_px) or area_px < 0:
        raise errors.DataError(
            f"{where}.area: expected a finite number from 0, found"
            f" {coco_json.shown(area_px)}"
        )
    is_crowd = coco_json.field(entry, "iscrowd", where, (int, bool), "0 or 1")
    if is_crowd not in (0, 1):
        raise errors.DataError(
            f"{where}.iscrowd: expected 0 or 1, found"
            f" {coco_json.shown(is_crowd)}"
        )
    fault, box = _fault_and_box(
        bbox, image.height_px, image.width_px, clips_all_borders
    )
    if fault:
        deed = "dropped" if box is None else "clipped"
        found.reasons[f"{deed}, {fault}"] += 1
        x, y, width, height = bbox
        found.notes.append(
            f"{deed} {where} ({class_name}): box x {x:g} y {y:g} width"
            f" {width:g} height {height:g} {fault}; the image has height"
            f" {image.height_px} and width {image.width_px}"
        )
    if box is None:
        return None
    annotation = annotated_image.ObjectAnnotation(
        class_name, box, float(area_px), bool(is_crowd)
    )
    return CocoObject(index, annotation, entry.get("segmentation"))


def _class_name(entry: Any, where: str, names: dict[int, str]) -> str:
    category = coco_json.field(entry, "category_id", where, int, "an integer")
    if category not in names:
        raise errors.DataError(
            f"{where}.category_id: expected the id of one of {len(names)}"
            f" categories, found {coco_json.shown(category)}"
        )
    if category < 1:
        raise errors.DataError(
            f"{where}.category_id: {category}: class ids count from 1; give"
            f" {names[category]!r} and the others higher ids"
        )
    return names[category]


def _fault_and_box(
    bbox: list[float], height_px: int, width_px: int, clips_all_borders: bool
) -> tuple[str, tuple[float, float, float, float] | None]:
    """Returns what is wrong, "" if nothing, and the box to keep, if any."""
    x, y, width, height = map(float, bbox)
    ymin, xmin, ymax, xmax = y, x, y + height, x + width
    # The sums, because a width may be lost in rounding.
    if not (xmax > xmin and ymax > ymin):
        return "has no area", None
    if xmax <= 0 or ymax <= 0:
        return "is left of the image or above", None
    is_beyond = xmax > width_px or ymax > height_px
    if is_beyond and not clips_all_borders:
        return "reaches beyond the right or lower border", None
    if xmin >= width_px or ymin >= height_px:
        return "is right of the image or below", None
    box = (
        max(ymin, 0.0),
        max(xmin, 0.0),
        min(ymax, float(height_px)),
        min(xmax, float(width_px)),
    )
    if is_beyond:
        return "reaches beyond the right or lower border", box
    if xmin < 0 or ymin < 0:
        return "reaches beyond the left or upper border", box
    return "", box


def _side_px(entry: Any, key: str, where: str) -> int:
    value = coco_json.field(entry, key, where, int, "an integer")
    if not 1 <= value <= annotated_image.MAX_PIXELS:
        raise errors.DataError(
            f"{where}.{key}: expected 1 to {annotated_image.MAX_PIXELS},"
            f" found {coco_json.shown(value)}"
        )
    return value
