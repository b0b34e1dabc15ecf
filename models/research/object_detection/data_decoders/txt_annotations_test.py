import pytest

from object_detection.core import errors
from object_detection.data_decoders import sample_image_sets, txt_annotations

NAMES = {1: "cat", 2: "dog", 3: "toothbrush"}
IMAGES = sample_image_sets.make_images(4)


def read(folder, text=None):
    if text is not None:
        (folder / "boxes.txt").write_text(text)
    return txt_annotations.read_set(
        str(folder / "boxes.txt"), str(folder / "images"), NAMES
    )


@pytest.fixture
def folder(tmp_path):
    return sample_image_sets.write_txt(tmp_path, IMAGES)


def test_order_is_xmin_ymin_xmax_ymax_class(folder):
    items, notes = read(folder, "000002.jpg 5,7,30,11.5,3 1,2,3,4,1\n")
    assert notes == []
    image = txt_annotations.read_item(items[0])
    assert (image.height_px, image.width_px) == (22, 35)
    found = [(item.class_name, item.box_yxyx_px) for item in image.objects]
    assert found == [("toothbrush", (7, 5, 11.5, 30)), ("cat", (2, 1, 4, 3))]


def test_id_is_the_number_of_the_line(folder):
    text = "\n000002.jpg\n  \ngone.jpg 1,2,3,4,1\n000001.jpg 1,2,3,4,2"
    items, notes = read(folder, text)
    images = [txt_annotations.read_item(item) for item in items]
    assert [image.source_id for image in images] == ["2", "5"]
    assert [image.filename for image in images] == ["000002.jpg", "000001.jpg"]
    assert notes == [f"{folder}/boxes.txt:4: no image {folder}/images/gone.jpg"]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("1,2,3,4", "expected xmin,ymin,xmax,ymax,class, .*'1,2,3,4'"),
        ("1,2,3,4,1,5", "expected xmin,ymin,xmax,ymax,class"),
        ("1,2,x,4,1", "expected xmin,ymin,xmax,ymax,class"),
        ("1,2,nan,4,1", "expected xmin,ymin,xmax,ymax,class"),
        ("1,2,3,4,1.5", "expected xmin,ymin,xmax,ymax,class"),
        ("2.jpg 1,2,3,4,1", ".* but the first word are boxes"),
        ("1,2,3,4,0", "class 0 of '1,2,3,4,0' is no id .* has 1 to 3"),
        ("1,2,3,4,4", "class 4 "),
    ],
)
def test_malformed_line_is_named(folder, words, found):
    with pytest.raises(errors.DataError, match=r"boxes.txt:2: " + found) as e:
        read(folder, f"000001.jpg\n000002.jpg {words}\n")
    assert "\n" not in str(e.value)


@pytest.mark.parametrize("path", ["/etc/x", "../x.jpg", "a/../../x", "a\x1bx"])
def test_paths_stay_in_the_folder(folder, path):
    with pytest.raises(errors.DataError, match="boxes.txt:1: expected a path"):
        read(folder, f"{path} 1,2,3,4,1")


def test_nothing_to_read(folder):
    with pytest.raises(errors.DataError, match="found 0 lines"):
        read(folder, "")
    with pytest.raises(errors.DataError, match="found 1 lines, and .* none"):
        read(folder, "gone.jpg")
    (folder / "boxes.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(errors.DataError, match="UTF-8"):
        read(folder)
    (folder / "boxes.txt").unlink()
    with pytest.raises(errors.DataError, match="cannot read the annotations"):
        read(folder)
