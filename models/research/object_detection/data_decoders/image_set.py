"""Images with annotations, as files in the format of some data set."""

import concurrent.futures
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from object_detection.core import errors
from object_detection.data_decoders import annotated_image, tf_example

# Reading a header waits for the disk, most of the time.
_NUM_THREADS = 16


class Item(Protocol):
    """One image of a set.

    Attributes:
        path: of the image file.
        place: of the annotation, for errors.
    """

    path: str
    place: str


class ImageSet(NamedTuple):
    """What a data set has, and how it is read.

    Attributes:
        name: of the annotations, for the log and errors.
        items: one an image, in order; `Item`s that can be pickled.
        read: (item, is_whole=...) -> AnnotatedImage; `is_whole` says whether
            the image file is read and decoded once, else `encoded` is empty.
        class_ids: class name -> id, of the label map.
        bad_boxes: one of `annotated_image.BAD_BOX_POLICIES`.
        notes: a line for each image or object that was left out or changed.
    """

    name: str
    items: Sequence[Item]
    read: Callable[..., annotated_image.AnnotatedImage]
    class_ids: Mapping[str, int]
    bad_boxes: str
    notes: Sequence[str] = ()


class ImageEntry(NamedTuple):
    """An image whose file is not read yet.

    Attributes:
        item: of the `ImageSet`.
        annotations: all that a record holds beside the bytes of the image.
        size_px: height and width that the annotations are made for.
        num_objects: number of boxes.
        fault: what is wrong with it, "" if nothing is known.
    """

    item: Any
    annotations: bytes = b""
    size_px: tuple[int, int] = (1, 1)
    num_objects: int = 0
    fault: str = ""


def make_entries(
    images: ImageSet, skips_without_objects: bool = False
) -> tuple[list[ImageEntry], list[str]]:
    """Reads the annotations of a set, and no more of an image than its header.

    An image that cannot be read stays, with its fault.

    Args:
        images: the set.
        skips_without_objects: whether images without boxes are left out.

    Returns:
        The entries, and a line for each box that was changed or left out.

    Raises:
        DataError: two images have one source id, or none is left.
    """

    def read(item: Item) -> tuple[ImageEntry, list[str], str | None]:
        try:
            found = images.read(item, is_whole=False)
            checked, notes = check(images, item, found)
        except errors.DataError as error:
            return ImageEntry(item, fault=str(error)), [], None
        entry = ImageEntry(
            item,
            tf_example.serialize_annotations(checked, images.class_ids),
            (checked.height_px, checked.width_px),
            len(checked.objects),
        )
        return entry, notes, checked.source_id

    entries, notes = [], []
    place_of_id: dict[str, str] = {}
    with concurrent.futures.ThreadPoolExecutor(_NUM_THREADS) as pool:
        for entry, notes_of_entry, source_id in pool.map(read, images.items):
            if skips_without_objects and not (entry.num_objects or entry.fault):
                continue
            entries.append(entry)
            notes += notes_of_entry
            place = entry.item.place
            first = place_of_id.setdefault(source_id or place, place)
            if first != place:
                raise errors.DataError(
                    f"{place}: source id {source_id!r} is also that of"
                    f" {first}; evaluation needs one id for each image"
                )
    if not entries:
        raise errors.DataError(
            f"{images.name}: expected images with boxes, found"
            f" {len(images.items)} images without any"
        )
    return entries, notes


def check(
    images: ImageSet, item: Item, image: annotated_image.AnnotatedImage
) -> tuple[annotated_image.AnnotatedImage, list[str]]:
    """As `annotated_image.check_objects`; errors say where the annotation is.

    Raises:
        DataError: an unknown class, or a bad box where the set allows none.
    """
    try:
        return annotated_image.check_objects(
            image, images.class_ids, images.bad_boxes
        )
    except errors.DataError as error:
        raise errors.DataError(f"{item.place}: {error}") from None
