import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from object_detection.core import errors
from object_detection.data_decoders import voc_annotations
from object_detection.dataset_tools import create_pascal_tf_record

OBJECT = """<object><name>{name}</name>{extra}<bndbox><xmin>{xmin}</xmin>
<ymin>{ymin}</ymin><xmax>{xmax}</xmax><ymax>{ymax}</ymax></bndbox></object>"""


def voc_object(name, ymin, xmin, ymax, xmax, extra=""):
    return OBJECT.format(
        name=name, ymin=ymin, xmin=xmin, ymax=ymax, xmax=xmax, extra=extra
    )


def write_voc(root, ids, *objects, list_name="train.txt", size_px=(30, 40)):
    for folder in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for image_id in ids:
        pixels = rng.integers(0, 255, (*size_px, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / f"JPEGImages/{image_id}.jpg")
        (root / f"Annotations/{image_id}.xml").write_text(
            f"<annotation>{''.join(objects)}</annotation>"
        )
    (root / "ImageSets/Main" / list_name).write_text("\n".join(ids) + "\n")


def list_items(root, set_name="train", year="VOC2007"):
    return create_pascal_tf_record.list_items(
        str(root), set_name, year, "Annotations"
    )


def test_plain_folder_in_the_order_of_the_list(tmp_path):
    write_voc(tmp_path, ["b", "a", "c"])
    items, missing = list_items(tmp_path)
    assert [item.image_id for item in items] == ["b", "a", "c"]
    assert missing == []


def test_devkit_with_the_class_list_of_the_original(tmp_path):
    for year, image_id in (("VOC2007", "000007"), ("VOC2012", "2008_12")):
        write_voc(tmp_path / year, [image_id], list_name="x.txt")
        (tmp_path / year / "ImageSets/Main/aeroplane_train.txt").write_text(
            f"{image_id} -1\n"
        )
    ids = [item.image_id for item in list_items(tmp_path, year="VOC2012")[0]]
    assert ids == ["2008_12"]
    ids = [item.image_id for item in list_items(tmp_path, year="merged")[0]]
    assert ids == ["000007", "2008_12"]


def test_ids_without_files_are_named(tmp_path):
    write_voc(tmp_path, ["a", "b", "c"])
    (tmp_path / "JPEGImages/a.jpg").unlink()
    (tmp_path / "Annotations/c.xml").unlink()
    items, missing = list_items(tmp_path)
    assert [item.image_id for item in items] == ["b"]
    assert len(missing) == 2
    assert "a: no JPEG" in missing[0] and "c.xml" in missing[1]


def test_list_that_is_absent_or_empty(tmp_path):
    write_voc(tmp_path, ["a"])
    with pytest.raises(errors.DataError, match="val.txt, found train.txt"):
        list_items(tmp_path, "val")
    (tmp_path / "ImageSets/Main/train.txt").write_text("\n")
    with pytest.raises(errors.DataError, match="expected ids, found none"):
        list_items(tmp_path)
    with pytest.raises(errors.DataError, match="--data_dir"):
        list_items(tmp_path / "JPEGImages")


def test_fields_of_an_object(tmp_path):
    extra = (
        "<pose>Left</pose><difficult>1</difficult><truncated>1</truncated>"
        "<part><name>head</name></part>"
    )
    write_voc(
        tmp_path,
        ["a"],
        voc_object("dog", 3, 10, 15.5, 30, extra),
        voc_object("cat", 1, 2, 3, 4),
    )
    item = list_items(tmp_path)[0][0]
    image = voc_annotations.read_item(item)
    assert (image.height_px, image.width_px) == (30, 40)
    assert (image.filename, image.source_id) == ("a.jpg", "a.jpg")
    dog, cat = image.objects
    assert dog.box_yxyx_px == (3, 10, 15.5, 30)
    assert (dog.is_difficult, dog.is_truncated, dog.view) == (1, 1, "Left")
    assert (cat.is_difficult, cat.is_truncated) == (0, 0)
    assert cat.view == "Unspecified"
    assert voc_annotations.read_item(item, True).objects == (cat,)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("<annotation>", "not XML"),
        ("", "not XML"),
        ("<a><object/></a>", "object 0: expected <bndbox/ymin>"),
        (f"<a>{voc_object('', 1, 2, 3, 4)}</a>", "object 0: expected <name>"),
        (f"<a>{voc_object('d', 1, 'x', 3, 4)}</a>", "object 0: not a number"),
    ],
)
def test_bad_annotation_names_file_and_object(tmp_path, text, found):
    write_voc(tmp_path, ["a"])
    (tmp_path / "Annotations/a.xml").write_text(text)
    with pytest.raises(errors.DataError, match="a.xml: " + found):
        voc_annotations.read_item(list_items(tmp_path)[0][0])


def run_tool(root, *flags):
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "object_detection.dataset_tools.create_pascal_tf_record",
            f"--data_dir={root}",
            f"--label_map_path={root / 'map.pbtxt'}",
            f"--output_path={root / 'out.record'}",
            *flags,
        ],
        capture_output=True,
        text=True,
        check=False,
    )


def test_command_writes_what_the_decoder_reads(tmp_path):
    write_voc(
        tmp_path,
        ["a", "b", "gone"],
        voc_object("dog", 3, 10, 15, 30),
        voc_object("dog", 3, 10, 3, 30),
    )
    (tmp_path / "JPEGImages/gone.jpg").unlink()
    (tmp_path / "map.pbtxt").write_text("item { id: 7 name: 'dog' }")

    refused = run_tool(tmp_path, "--num_workers=1")
    assert refused.returncode == 3
    assert "gone: no JPEG" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (tmp_path / "out.record").exists()

    written = run_tool(
        tmp_path, "--skip_missing", "--num_workers=2", "--num_shards=2"
    )
    assert written.returncode == 0, written.stderr
    assert "missing " in written.stdout and "gone" in written.stdout
    assert "dropped b.jpg: object 1 (dog)" in written.stdout
    assert "2 images, 2 objects (dog 2)" in written.stdout
    record = next(
        tf.data.TFRecordDataset(
            str(tmp_path / "out.record-00001-of-00002")
        ).as_numpy_iterator()
    )
    feature = tf.train.Example.FromString(record).features.feature
    assert feature["image/source_id"].bytes_list.value[0] == b"b.jpg"
    assert feature["image/object/class/label"].int64_list.value == [7]
    assert feature["image/object/area"].float_list.value == [240.0]
    np.testing.assert_allclose(
        feature["image/object/bbox/xmax"].float_list.value, [0.75]
    )
