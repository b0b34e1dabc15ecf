import io

import numpy as np
import pytest
from PIL import Image

from object_detection.core import errors
from object_detection.data_decoders import annotated_image
from object_detection.data_decoders.annotated_image import ObjectAnnotation

CLASS_IDS = {"cat": 2, "dog": 5}


def encode(height_px=30, width_px=40, image_format="JPEG", mode="RGB"):
    buffer = io.BytesIO()
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (height_px, width_px, 3), dtype=np.uint8)
    Image.fromarray(pixels).convert(mode).save(buffer, image_format)
    return buffer.getvalue()


def image_with(*objects):
    return annotated_image.AnnotatedImage(
        filename="a.jpg",
        source_id="a.jpg",
        encoded=encode(),
        image_format="jpeg",
        height_px=30,
        width_px=40,
        objects=objects,
    )


def test_size_comes_height_first():
    found = annotated_image.check_encoded_image(encode(), "a.jpg")
    assert found == ("jpeg", 30, 40)


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_grayscale_and_cmyk_jpegs_pass(mode):
    encoded = encode(mode=mode)
    assert annotated_image.check_encoded_image(encoded, "a.jpg")[1:] == (30, 40)


@pytest.mark.parametrize(
    ("encoded", "found"),
    [
        (b"", "0 bytes do not decode"),
        (b"not an image", "12 bytes do not decode"),
        (encode()[:-200], "truncated"),
        (encode(image_format="PNG"), "expected a JPEG image, found PNG"),
    ],
)
def test_bad_bytes_are_refused_by_name(encoded, found):
    with pytest.raises(errors.DataError, match="^b.jpg: .*" + found):
        annotated_image.check_encoded_image(encoded, "b.jpg")


def test_image_that_claims_too_many_pixels_is_refused(monkeypatch):
    monkeypatch.setattr(annotated_image, "MAX_PIXELS", 1199)
    with pytest.raises(errors.DataError, match="40 x 30 pixels.*at most 1199"):
        annotated_image.check_encoded_image(encode(), "b.jpg")


def test_jpeg_header_of_a_bomb_is_refused_before_decoding():
    encoded = bytearray(encode())
    start_of_frame = encoded.index(b"\xff\xc0")
    encoded[start_of_frame + 5 : start_of_frame + 9] = b"\xff\xdc\xff\xdc"
    with pytest.raises(errors.DataError, match="pixels"):
        annotated_image.check_encoded_image(bytes(encoded), "bomb.jpg")


def test_unknown_class_names_file_object_and_classes():
    image = image_with(
        ObjectAnnotation("dog", (1, 2, 3, 4)),
        ObjectAnnotation("cow", (1, 2, 3, 4)),
    )
    with pytest.raises(
        errors.DataError, match="a.jpg: object 1 .*'cow'.*'cat', 'dog'"
    ):
        annotated_image.check_objects(image, CLASS_IDS)


@pytest.mark.parametrize(
    ("box", "fault", "clipped"),
    [
        ((5, 6, 5, 20), "has no area", None),
        ((5, 20, 9, 6), "has no area", None),
        ((5, float("nan"), 9, 6), "not finite", None),
        ((5, 6, float("inf"), 9), "not finite", None),
        ((2, 3, 33, 38), "outside the image of height 30", (2, 3, 30, 38)),
        ((-4, 3, 5, 44), "outside", (0, 3, 5, 40)),
        ((2, 41, 9, 49), "outside", None),
    ],
)
def test_bad_box_is_dropped_clipped_or_refused(box, fault, clipped):
    good = ObjectAnnotation("cat", (1, 2, 3, 4))
    bad = ObjectAnnotation("dog", box, area_px=7.0)
    image = image_with(good, bad)

    dropped, notes = annotated_image.check_objects(image, CLASS_IDS, "drop")
    assert dropped.objects == (good,)
    assert len(notes) == 1 and notes[0].startswith("dropped a.jpg: object 1")
    assert fault in notes[0]

    kept, notes = annotated_image.check_objects(image, CLASS_IDS, "clip")
    assert len(notes) == 1
    if clipped is None:
        assert kept.objects == (good,)
    else:
        assert kept.objects[1].box_yxyx_px == clipped
        assert kept.objects[1].area_px is None

    with pytest.raises(errors.DataError, match=fault):
        annotated_image.check_objects(image, CLASS_IDS, "error")


def test_box_one_pixel_outside_is_clipped_in_silence():
    image = image_with(ObjectAnnotation("cat", (-0.5, 3, 31, 40.5)))
    kept, notes = annotated_image.check_objects(image, CLASS_IDS, "error")
    assert kept.objects[0].box_yxyx_px == (0, 3, 30, 40)
    assert notes == []


def test_image_without_objects_passes():
    kept, notes = annotated_image.check_objects(image_with(), CLASS_IDS)
    assert kept.objects == () and notes == []
