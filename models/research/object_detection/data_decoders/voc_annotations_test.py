import pytest

from object_detection.core import errors
from object_detection.data_decoders import sample_image_sets, voc_annotations

IMAGES = sample_image_sets.make_images(4)


@pytest.mark.parametrize(
    ("image_folder", "annotation_folder"),
    [
        ("JPEGImages", "Annotations"),
        ("Images", "Annotations"),
        ("", ""),
        ("", "Annotations"),
    ],
)
def test_layouts_of_a_folder(tmp_path, image_folder, annotation_folder):
    sample_image_sets.write_voc(
        tmp_path, IMAGES[::-1], image_folder, annotation_folder
    )
    (tmp_path / annotation_folder / "000003.xml").unlink()
    items, num_alone = voc_annotations.list_folder(str(tmp_path))
    assert [item.image_id for item in items] == ["000001", "000002", "000004"]
    assert num_alone == 1
    image = voc_annotations.read_item(items[1])
    header_alone = voc_annotations.read_item(items[1], is_whole=False)
    assert image.encoded == sample_image_sets.encode(IMAGES[1])
    assert header_alone.encoded == b""
    for found in (image, header_alone):
        assert (found.height_px, found.width_px) == (22, 35)
        assert found.source_id == "000002.jpg"
        boxes = [item.box_yxyx_px for item in found.objects]
        assert boxes == [(3, 2, 9, 13), (1, 7, 22, 35)]


def test_listed_images_in_the_order_of_the_list(tmp_path):
    sample_image_sets.write_voc(tmp_path, IMAGES)
    sample_image_sets.write_voc(tmp_path, IMAGES[2:0:-1], set_name="val")
    list_path, items = voc_annotations.list_set(str(tmp_path), "val")
    assert list_path == f"{tmp_path}/ImageSets/Main/val.txt"
    assert [item.image_id for item in items] == ["000003", "000002"]


def test_files_that_are_not_there(tmp_path):
    sample_image_sets.write_voc(tmp_path, IMAGES, set_name="val")
    (tmp_path / "JPEGImages/000001.jpg").unlink()
    (tmp_path / "Annotations/000002.xml").unlink()
    no_image, no_xml, *_ = voc_annotations.list_set(str(tmp_path), "val")[1]
    with pytest.raises(errors.DataError, match="1.jpg: cannot read the image"):
        voc_annotations.read_item(no_image)
    with pytest.raises(errors.DataError, match="2.xml: cannot read the ann"):
        voc_annotations.read_item(no_xml)


def test_a_devkit_is_named_by_its_parts(tmp_path):
    sample_image_sets.write_voc(tmp_path / "VOC2007", IMAGES)
    with pytest.raises(errors.DataError, match="found none; .* as VOC2007"):
        voc_annotations.list_folder(str(tmp_path))
