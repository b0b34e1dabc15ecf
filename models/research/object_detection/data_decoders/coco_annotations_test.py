import json
import math

import pytest

from object_detection.core import errors
from object_detection.data_decoders import coco_annotations, coco_json
from object_detection.dataset_tools import sample_coco
from object_detection.dataset_tools.sample_coco import make_annotation


def read(tmp_path, content, **options):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content))
    return coco_annotations.read_set(str(path), "images", **options)


def read_one(tmp_path, bbox, clips_all_borders=False, **changes):
    """Reads one annotation of the image of height 30 and width 40."""
    content = sample_coco.make_content()
    content["annotations"] = [make_annotation(42, 3, bbox, **changes)]
    found = read(tmp_path, content, clips_all_borders=clips_all_borders)
    return found, [item.annotation for item in found.images[0].objects]


def test_images_keep_their_order_and_get_their_objects(tmp_path):
    found = read(tmp_path, sample_coco.make_content())
    assert [image.source_id for image in found.images] == ["42", "7", "300"]
    assert [image.path for image in found.images][1] == "images/000007.jpg"
    assert [
        (image.height_px, image.width_px) for image in found.images
    ] == list(sample_coco.SIZES_PX.values())
    assert [
        [item.index for item in image.objects] for image in found.images
    ] == [[1], [0, 2], []]
    toothbrush, crowd = (item.annotation for item in found.images[1].objects)
    assert toothbrush.class_name == "toothbrush"
    assert toothbrush.box_yxyx_px == (2.5, 5, 12.5, 25)
    assert toothbrush.area_px == 100
    assert (toothbrush.is_crowd, crowd.is_crowd) == (False, True)
    assert found.class_ids == {"car": 3, "person": 1, "toothbrush": 90}
    assert found.notes == []


def test_categories_alone(tmp_path):
    path = tmp_path / "a.json"
    content = sample_coco.make_content()
    path.write_text(json.dumps({"categories": content["categories"]}))
    ids = coco_annotations.read_category_ids(str(path))
    assert ids == {"car": 3, "person": 1, "toothbrush": 90}
    path.write_text("{}")
    with pytest.raises(errors.DataError, match="a.json.*categories"):
        coco_annotations.read_category_ids(str(path))


def test_outlines_are_kept_on_demand_only(tmp_path):
    content = sample_coco.make_content()
    without = read(tmp_path, content).images[1].objects
    assert [item.segmentation for item in without] == [None, None]
    polygons, runs = (
        item.segmentation
        for item in read(tmp_path, content, with_masks=True).images[1].objects
    )
    assert polygons == [[5, 2.5, 25, 12.5, 5, 12.5]]
    assert runs == {"size": [25, 50], "counts": [250, 1000]}


@pytest.mark.parametrize(
    ("bbox", "fault"),
    [
        ([5, 6, 0, 4], "has no area"),
        ([5, 6, 4, -1], "has no area"),
        ([5, 6, 1e-30, 4], "has no area"),
        ([5, 6, 35.01, 4], "beyond the right or lower border"),
        ([5, 6, 4, 24.01], "beyond the right or lower border"),
        ([-9, 6, 9, 4], "left of the image or above"),
        ([5, -9, 4, 8], "left of the image or above"),
    ],
)
def test_box_that_is_left_out(tmp_path, bbox, fault):
    found, objects = read_one(tmp_path, bbox)
    assert objects == []
    (note,) = found.notes
    assert note.startswith("dropped ") and "a.json: annotations[0]" in note
    assert fault in note
    assert sum(found.reasons.values()) == 1 and fault in str(found.reasons)


def test_box_up_to_the_border_stays(tmp_path):
    found, (item,) = read_one(tmp_path, [5, 6, 35, 24])
    assert item.box_yxyx_px == (6, 5, 30, 40)
    assert found.notes == []


def test_negative_corner_moves_to_the_border_and_keeps_the_rest(tmp_path):
    found, (item,) = read_one(tmp_path, [-2, -3.5, 10, 8], area=33.0)
    assert item.box_yxyx_px == (0, 0, 4.5, 8)
    assert item.area_px == 33
    (note,) = found.notes
    assert note.startswith("clipped ")
    assert dict(found.reasons) == {
        "clipped, reaches beyond the left or upper border": 1
    }


@pytest.mark.parametrize(
    ("bbox", "kept"),
    [
        ([5, 6, 35.01, 4], [(6, 5, 10, 40)]),
        ([-2, 20, 10, 14], [(20, 0, 30, 8)]),
        ([5, 6, 35, 24], [(6, 5, 30, 40)]),
        ([40, 6, 3, 4], []),
    ],
)
def test_boxes_are_cut_at_every_border_on_demand(tmp_path, bbox, kept):
    found, objects = read_one(tmp_path, bbox, clips_all_borders=True)
    assert [item.box_yxyx_px for item in objects] == kept
    assert len(found.notes) == (bbox != [5, 6, 35, 24])


def without(entry, key):
    return {name: value for name, value in entry.items() if name != key}


def changed(place, index, **changes):
    """Returns the sample with changes in one entry; None removes a key."""
    content = sample_coco.make_content()
    entry = {**content[place][index], **changes}
    for key, value in changes.items():
        if value is None:
            del entry[key]
    content[place][index] = entry
    return content


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([], "a.json: expected an object in braces, found []"),
        ({}, "a.json: expected the key 'categories', found none"),
        ({"categories": 3}, "a.json.categories: expected a list, found 3"),
        (
            without(sample_coco.make_content(), "annotations"),
            "expected the key 'annotations', found categories, images",
        ),
        ({"categories": [], "images": []}, "images: expected some, found 0"),
        *(
            (
                changed(place, 1, **{key: None}),
                f"{place}[1]: expected the key {key!r}, found ",
            )
            for place, keys in {
                "categories": ("id", "name"),
                "images": ("id", "file_name", "height", "width"),
                "annotations": (
                    *("image_id", "category_id", "bbox", "area", "iscrowd"),
                ),
            }.items()
            for key in keys
        ),
        (changed("categories", 1, id=3), "categories[1]: id 3 or name"),
        (changed("categories", 1, id=2**70), "categories[1].id: expected an"),
        (changed("categories", 1, name="car"), "name 'car' is already"),
        (changed("images", 2, id=42), "images[2].id: 42 is already that of"),
        (changed("images", 0, id=1.5), "images[0].id: expected an integer"),
        (changed("images", 0, width=0), "images[0].width: expected 1 to"),
        (changed("images", 0, height=2.5), "images[0].height: expected an in"),
        (changed("images", 1, file_name="../x"), "images[1].file_name: "),
        (changed("images", 1, file_name="/etc/x"), "images[1].file_name: "),
        (changed("images", 1, file_name="a\nb"), "'a\\nb'"),
        (changed("images", 1, file_name="\ud800"), "'\\ud800'"),
        (
            changed("annotations", 2, image_id=8),
            "annotations[2].image_id: expected the id of one of 3 images,"
            " found 8",
        ),
        (
            changed("annotations", 2, category_id=2),
            "annotations[2].category_id: expected the id of one of 3"
            " categories, found 2",
        ),
        (changed("annotations", 0, bbox=[1, 2, 3]), "annotations[0].bbox: "),
        (changed("annotations", 0, bbox=[1, 2, 3, "4"]), "found [1, 2, 3, '4'"),
        (changed("annotations", 0, bbox=[1, math.nan, 3, 4]), "[1, nan, 3, 4]"),
        (changed("annotations", 0, bbox=[1, 2, math.inf, 4]), "[1, 2, inf, 4]"),
        (changed("annotations", 0, bbox=[10**400, 2, 3, 4]), "bbox: expected"),
        (changed("annotations", 0, area=math.nan), "annotations[0].area: "),
        (changed("annotations", 0, area=-1), "area: expected a finite number"),
        (changed("annotations", 0, iscrowd=2), "iscrowd: expected 0 or 1"),
        (changed("annotations", 1, bbox=None, area="x"), "key 'bbox'"),
    ],
)
def test_fault_names_file_and_place(tmp_path, content, words):
    with pytest.raises(errors.DataError) as caught:
        read(tmp_path, content)
    message = str(caught.value)
    assert words in message
    assert "a.json" in message and "\n" not in message


def test_category_id_below_one_may_exist_but_not_be_used(tmp_path):
    content = changed("categories", 0, id=0)
    with pytest.raises(errors.DataError, match="expected the id.*found 3"):
        read(tmp_path, content)
    content["annotations"][1]["category_id"] = 0
    with pytest.raises(errors.DataError, match=r"\[1\].category_id: 0: class"):
        read(tmp_path, content)
    del content["annotations"][1]
    assert read(tmp_path, content).class_ids == {"person": 1, "toothbrush": 90}


def test_test_set_needs_no_annotations(tmp_path):
    content = without(sample_coco.make_content(), "annotations")
    found = read(tmp_path, content, needs_annotations=False)
    assert [len(image.objects) for image in found.images] == [0, 0, 0]
    # What is there is read, and checked.
    with pytest.raises(errors.DataError, match="annotations: expected a list"):
        read(tmp_path, {**content, "annotations": 1}, needs_annotations=False)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "not JSON"),
        (b'{"images": [', "not JSON"),
        (b'{"images": "\xff"}', "not JSON"),
        (b'{"images": ' + b"[" * 10**6 + b"]" * 10**6 + b"}", "too deeply"),
        (b'{"images": ' + b'{"id": ' * 10**6, "too deeply"),
        (b"7" * 5000, "not JSON"),
    ],
)
def test_file_that_is_no_json(tmp_path, text, words):
    path = tmp_path / "a.json"
    path.write_bytes(text)
    with pytest.raises(errors.DataError, match=words) as caught:
        coco_annotations.read_set(str(path), "images")
    assert "\n" not in str(caught.value)


def test_file_that_is_absent_or_too_large(tmp_path, monkeypatch):
    path = sample_coco.write_set(tmp_path)
    with pytest.raises(errors.DataError, match="b.json: cannot read"):
        coco_annotations.read_set(str(tmp_path / "b.json"), "images")
    num_bytes = path.stat().st_size
    monkeypatch.setattr(coco_json, "MAX_JSON_BYTES", num_bytes)
    coco_annotations.read_set(str(path), "images")
    monkeypatch.setattr(coco_json, "MAX_JSON_BYTES", num_bytes - 1)
    with pytest.raises(errors.DataError, match=f"at most.*found {num_bytes}"):
        coco_annotations.read_set(str(path), "images")
