import hashlib

import numpy as np
import pytest
import tensorflow as tf

from object_detection.core import errors
from object_detection.data_decoders import annotated_image, tf_example
from object_detection.data_decoders.annotated_image import ObjectAnnotation


def features(**changes):
    image = annotated_image.AnnotatedImage(
        **{
            "filename": "a.jpg",
            "source_id": "17",
            "encoded": b"bytes",
            "image_format": "jpeg",
            "height_px": 30,
            "width_px": 40,
            **changes,
        }
    )
    serialized = tf_example.serialize(image, {"cat": 2, "dog": 5})
    found = {}
    for key, feature in tf.train.Example.FromString(
        serialized
    ).features.feature.items():
        kind = feature.WhichOneof("kind")
        found[key] = list(getattr(feature, kind).value) if kind else []
    return found


def test_image_keys():
    found = features()
    assert found["image/height"] == [30]
    assert found["image/width"] == [40]
    assert found["image/filename"] == [b"a.jpg"]
    assert found["image/source_id"] == [b"17"]
    assert found["image/encoded"] == [b"bytes"]
    assert found["image/format"] == [b"jpeg"]
    digest = hashlib.sha256(b"bytes").hexdigest().encode()
    assert found["image/key/sha256"] == [digest]


def test_boxes_are_divided_by_their_own_side():
    found = features(
        objects=(
            ObjectAnnotation("dog", (3, 10, 15, 30), view="Left"),
            ObjectAnnotation(
                "cat",
                (6, 0, 30, 8),
                area_px=11.0,
                is_crowd=True,
                is_difficult=True,
                is_truncated=True,
            ),
        )
    )
    bbox = "image/object/bbox/"
    np.testing.assert_allclose(found[bbox + "ymin"], [0.1, 0.2])
    np.testing.assert_allclose(found[bbox + "xmin"], [0.25, 0.0])
    np.testing.assert_allclose(found[bbox + "ymax"], [0.5, 1.0])
    np.testing.assert_allclose(found[bbox + "xmax"], [0.75, 0.2])
    assert found["image/object/class/text"] == [b"dog", b"cat"]
    assert found["image/object/class/label"] == [5, 2]
    assert found["image/object/area"] == [240.0, 11.0]
    assert found["image/object/is_crowd"] == [0, 1]
    assert found["image/object/difficult"] == [0, 1]
    assert found["image/object/truncated"] == [0, 1]
    assert found["image/object/view"] == [b"Left", b""]


OPTIONAL_KEYS = {
    "image/object/group_of",
    "image/object/weight",
    "image/object/mask",
    "image/object/keypoint/y",
    "image/object/keypoint/x",
    "image/class/text",
    "image/class/label",
    "image/additional_channels/encoded",
}


def test_optional_keys_are_absent_when_unused():
    found = features(objects=(ObjectAnnotation("dog", (3, 10, 15, 30)),))
    assert not OPTIONAL_KEYS & found.keys()


def test_optional_keys():
    found = features(
        image_classes=("dog",),
        additional_channels=(b"infrared",),
        objects=(
            ObjectAnnotation(
                "dog",
                (3, 10, 15, 30),
                is_group_of=True,
                weight=0.5,
                mask_png=b"png",
                keypoints_yx_px=((3, 10), (15, 20)),
            ),
        ),
    )
    assert found["image/object/group_of"] == [1]
    assert found["image/object/weight"] == [0.5]
    assert found["image/object/mask"] == [b"png"]
    np.testing.assert_allclose(found["image/object/keypoint/y"], [0.1, 0.5])
    np.testing.assert_allclose(found["image/object/keypoint/x"], [0.25, 0.5])
    assert found["image/class/text"] == [b"dog"]
    assert found["image/class/label"] == [5]
    assert found["image/additional_channels/encoded"] == [b"infrared"]


def test_masks_for_some_objects_only_are_refused():
    with pytest.raises(errors.DataError, match="a.jpg: .* 1 for 2 objects"):
        features(
            objects=(
                ObjectAnnotation("dog", (3, 10, 15, 30), mask_png=b"png"),
                ObjectAnnotation("dog", (3, 10, 15, 30)),
            )
        )


def test_same_image_gives_the_same_bytes():
    image = annotated_image.AnnotatedImage("a", "1", b"x", "jpeg", 3, 4)
    first = tf_example.serialize(image, {})
    assert first == tf_example.serialize(image, {})


@pytest.mark.parametrize("num_bytes", [0, 1, 113, 127, 128, 16_500, 300_000])
def test_annotations_and_image_make_the_whole(num_bytes):
    image = annotated_image.AnnotatedImage(
        filename="a.jpg",
        source_id="7",
        encoded=np.random.default_rng(0).bytes(num_bytes),
        image_format="jpeg",
        height_px=20,
        width_px=50,
        objects=(ObjectAnnotation("cat", (1, 2, 3.5, 5)),),
    )
    whole = tf.train.Example.FromString(tf_example.serialize(image, {"cat": 3}))
    annotations = tf_example.serialize_annotations(image, {"cat": 3})
    joined = tf_example.append_image(
        tf.constant(annotations), tf.constant(image.encoded)
    ).numpy()
    del whole.features.feature["image/key/sha256"]
    assert tf.train.Example.FromString(joined) == whole
    encoded = {"image/encoded": tf.io.FixedLenFeature([], tf.string)}
    parsed = tf.io.parse_single_example(joined, encoded)
    assert parsed["image/encoded"].numpy() == image.encoded
