import os

import pytest
from google.protobuf import text_format

from object_detection.core import errors
from object_detection.protos import string_int_label_map_pb2
from object_detection.utils import label_map_util

DATA = os.path.join(os.path.dirname(os.path.dirname(__file__)), "data")
TEXT = """
    item { id: 2 name: "/m/01" display_name: "cat" }
    item { id: 5 name: "dog" }
    item { id: 0 name: "background" }
"""


def write(tmp_path, text, is_binary=False):
    path = tmp_path / "map.pbtxt"
    content = text.encode()
    if is_binary:
        content = text_format.Parse(
            text, string_int_label_map_pb2.StringIntLabelMap()
        ).SerializeToString()
    path.write_bytes(content)
    return str(path)


@pytest.mark.parametrize("is_binary", [False, True])
def test_text_and_binary(tmp_path, is_binary):
    path = write(tmp_path, TEXT, is_binary)
    assert label_map_util.get_label_map_dict(path) == {
        "/m/01": 2,
        "dog": 5,
        "background": 0,
    }
    assert label_map_util.class_text_to_id(path) == {
        "/m/01": 2,
        "cat": 2,
        "dog": 5,
        "background": 0,
    }
    assert label_map_util.create_category_index_from_labelmap(path) == {
        2: {"id": 2, "name": "cat"},
        5: {"id": 5, "name": "dog"},
    }
    assert label_map_util.create_categories_from_labelmap(
        path, use_display_name=False
    ) == [{"id": 2, "name": "/m/01"}, {"id": 5, "name": "dog"}]


def test_a_shipped_label_map_is_found_from_any_directory(tmp_path, monkeypatch):
    shipped = "object_detection/data/pascal_label_map.pbtxt"
    monkeypatch.chdir(tmp_path)
    assert len(label_map_util.load_labelmap(shipped).item) == 20
    # One that lies where the path says comes first.
    os.makedirs("object_detection/data")
    with open(shipped, "w") as file:
        file.write(TEXT)
    assert len(label_map_util.load_labelmap(shipped).item) == 3
    with pytest.raises(errors.ConfigError, match="^object_detection/none: "):
        label_map_util.load_labelmap("object_detection/none")


def test_a_text_of_two_items_means_the_higher_id(tmp_path):
    path = write(
        tmp_path,
        'item { id: 3 name: "a" display_name: "b" } item { id: 1 name: "b" }',
    )
    assert label_map_util.class_text_to_id(path) == {"a": 3, "b": 3}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('item { id: 1 name: "a" } item { id: 1 name: "b" }', "item 1.*'a'"),
        ('item { id: 0 name: "a" }', "item 0.*count from 1"),
        ('item { id: -2 name: "a" }', "item 0.*-2"),
        ("item { id: 4 }", "item 0.*no name"),
        ("", "no item"),
        ("item { id: 1 nme: 'a' }", "not a label map.*nme"),
        ("\xff\xfe", "not a label map"),
    ],
)
def test_mistakes_name_the_file_and_the_item(tmp_path, text, words):
    path = write(tmp_path, text)
    with pytest.raises(errors.ConfigError, match=words) as caught:
        label_map_util.load_labelmap(path)
    assert path in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    path = str(tmp_path / "none.pbtxt")
    with pytest.raises(errors.ConfigError, match="none.pbtxt.*No such file"):
        label_map_util.load_labelmap(path)


def test_label_map_and_model_must_agree(tmp_path):
    path = write(tmp_path, TEXT)
    label_map_util.check_num_classes(path, 5)
    with pytest.raises(errors.ConfigError, match="'dog'.* 5, .* is 4"):
        label_map_util.check_num_classes(path, 4)
    with pytest.raises(errors.ConfigError, match="up to 5, .* is 90"):
        label_map_util.check_num_classes(path, 90)


@pytest.mark.parametrize(
    ("name", "num_items", "highest_id", "samples"),
    [
        ("mscoco", 80, 90, {1: "person", 13: "stop sign", 90: "toothbrush"}),
        ("pascal", 20, 20, {1: "aeroplane", 15: "person", 20: "tvmonitor"}),
    ],
)
def test_shipped_maps(name, num_items, highest_id, samples):
    path = os.path.join(DATA, f"{name}_label_map.pbtxt")
    index = label_map_util.create_category_index_from_labelmap(path)
    assert len(index) == num_items
    assert max(index) == highest_id
    assert {number: index[number]["name"] for number in samples} == samples


def test_80_contiguous_ids_and_those_of_coco():
    contiguous, original = (
        os.path.join(DATA, f"{name}_label_map.pbtxt")
        for name in ("mscoco_80", "mscoco")
    )
    there = label_map_util.map_ids(contiguous, original)
    assert list(there) == list(range(1, 81))
    # As counted by hand: 11 ids of 91 stand for nothing.
    gaps = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83, 91}
    assert sorted(there.values()) == sorted(set(range(1, 92)) - gaps)
    assert [there[i] for i in (1, 11, 12, 24, 73, 80)] == [
        1,
        11,
        13,
        25,
        82,
        90,
    ]
    back = label_map_util.map_ids(original, contiguous)
    assert {key: back[value] for key, value in there.items()} == {
        key: key for key in there
    }
    names = label_map_util.create_category_index_from_labelmap(original)
    for item in label_map_util.create_categories_from_labelmap(contiguous):
        assert names[there[item["id"]]]["name"] == item["name"]


def test_ids_of_a_class_that_the_other_map_lacks(tmp_path):
    path = write(tmp_path, TEXT)
    other = tmp_path / "other.pbtxt"
    other.write_text('item { id: 9 name: "cat" }')
    with pytest.raises(errors.ConfigError, match="no class 'dog'.*number 5"):
        label_map_util.map_ids(path, str(other))
    other.write_text('item { id: 9 name: "cat" } item { id: 4 name: "dog" }')
    assert label_map_util.map_ids(path, str(other)) == {2: 9, 5: 4}
