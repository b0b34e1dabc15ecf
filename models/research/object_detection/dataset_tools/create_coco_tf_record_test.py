import io
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from PIL import Image

from object_detection import inputs
from object_detection.core import errors
from object_detection.core.standard_fields import InputDataFields as Fields
from object_detection.data_decoders import sample_records, tf_example_decoder
from object_detection.dataset_tools import (
    check_dataset,
    create_coco_tf_record,
    sample_coco,
)
from object_detection.protos import pipeline_pb2

LABEL_MAP = """item { id: 1 name: "/m/01g317" display_name: "person" }
item { id: 3 name: "/m/0k4j" display_name: "car" }
item { id: 90 name: "/m/012xff" display_name: "toothbrush" }"""


def convert(tmp_path, content=None, output="out/x.record", **options):
    json_path = sample_coco.write_set(tmp_path, content)
    return create_coco_tf_record.convert(
        str(json_path),
        str(tmp_path / "images"),
        str(tmp_path / output),
        **options,
    )


def read_features(path):
    return [
        tf.train.Example.FromString(record).features.feature
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    ]


def test_keys_and_values(tmp_path):
    convert(tmp_path)
    _, found, empty = read_features(tmp_path / "out/x.record")
    encoded = (tmp_path / "images/000007.jpg").read_bytes()
    for key, expected in {
        "image/height": [25],
        "image/width": [50],
        "image/filename": [b"000007.jpg"],
        "image/source_id": [b"7"],
        "image/format": [b"jpeg"],
        "image/encoded": [encoded],
        "image/object/class/text": [b"toothbrush", b"person"],
        "image/object/class/label": [90, 1],
        "image/object/is_crowd": [0, 1],
        "image/object/area": [100, 500],
    }.items():
        kind = found[key].WhichOneof("kind")
        assert list(getattr(found[key], kind).value) == expected, key
    for corner, expected in {
        "ymin": [2.5 / 25, 0],
        "xmin": [5 / 50, 10 / 50],
        "ymax": [12.5 / 25, 1],
        "xmax": [25 / 50, 1],
    }.items():
        values = found[f"image/object/bbox/{corner}"].float_list.value
        np.testing.assert_allclose(values, expected, rtol=1e-6)
    assert "image/object/mask" not in found
    assert len(found["image/key/sha256"].bytes_list.value[0]) == 64
    # An image without objects is kept.
    assert empty["image/source_id"].bytes_list.value == [b"300"]
    assert not empty["image/object/class/text"].bytes_list.value


def test_decoder_gives_boxes_classes_and_masks(tmp_path):
    convert(tmp_path, include_masks=True)
    decoder = tf_example_decoder.TfExampleDecoder(
        tf_example_decoder.DecoderOptions(
            tf_example_decoder.ClassRules(
                90, {"person": 1, "car": 3, "toothbrush": 90}
            ),
            load_instance_masks=True,
            mask_type=tf_example_decoder.MaskType.PNG,
        )
    )
    dataset = tf.data.TFRecordDataset(str(tmp_path / "out/x.record"))
    found = list(dataset.map(decoder.decode))[1]
    np.testing.assert_allclose(
        found[Fields.groundtruth_boxes],
        [[0.1, 0.1, 0.5, 0.5], [0, 0.2, 1, 1]],
        rtol=1e-6,
    )
    assert found[Fields.groundtruth_classes].numpy().tolist() == [90, 1]
    assert found[Fields.groundtruth_is_crowd].numpy().tolist() == [False, True]
    masks = found[Fields.groundtruth_instance_masks].numpy()
    assert masks.shape == (2, 25, 50)
    # The lower left half of rows 2.5 to 12.5, columns 5 to 25.
    assert masks[0, 11, 6] == 1 and masks[0, 4, 20] == 0
    assert masks[0].sum() == pytest.approx(100, abs=15)
    expected = np.zeros((25, 50))
    expected[:, 10:] = 1
    np.testing.assert_array_equal(masks[1], expected)


def test_shards_do_not_depend_on_the_number_of_workers(tmp_path):
    contents = []
    for num_workers in (1, 2):
        summary = convert(
            tmp_path,
            output=f"{num_workers}/x.record",
            num_shards=2,
            num_workers=num_workers,
            include_masks=True,
        )
        contents.append([open(path, "rb").read() for path in summary.paths])
    assert contents[0] == contents[1]
    ids = [
        [item["image/source_id"].bytes_list.value[0] for item in items]
        for items in map(read_features, summary.paths)
    ]
    assert ids == [[b"42", b"300"], [b"7"]]


def test_png_is_kept_as_it_is(tmp_path):
    content = sample_coco.make_content()
    content["images"][0]["file_name"] = "png/a.png"
    (tmp_path / "images/png").mkdir(parents=True)
    pixels = sample_records.make_pixels(*sample_coco.SIZES_PX[42])
    Image.fromarray(pixels).save(tmp_path / "images/png/a.png")
    convert(tmp_path, content)
    found = read_features(tmp_path / "out/x.record")[0]
    assert found["image/format"].bytes_list.value == [b"png"]
    assert found["image/filename"].bytes_list.value == [b"png/a.png"]
    encoded = found["image/encoded"].bytes_list.value[0]
    np.testing.assert_array_equal(Image.open(io.BytesIO(encoded)), pixels)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda path: path.unlink(), r"images\[1\].file_name: .*cannot read"),
        (lambda path: path.write_bytes(path.read_bytes()[:-99]), "truncated"),
        (lambda path: path.write_bytes(b"GIF89a"), "do not decode"),
        (
            lambda path: Image.new("RGB", (25, 50)).save(path),
            r"images\[1\]: expected height 25 and width 50, found 50 and 25",
        ),
    ],
)
def test_bad_image_is_named(tmp_path, damage, words):
    sample_coco.write_set(tmp_path)
    path = tmp_path / "images/000007.jpg"
    damage(path)
    (tmp_path / "a.json").write_text(json.dumps(sample_coco.make_content()))
    with pytest.raises(errors.DataError, match=words) as caught:
        create_coco_tf_record.convert(
            str(tmp_path / "a.json"), str(tmp_path / "images"), "x.record"
        )
    assert "000007.jpg" in str(caught.value)


def test_bad_outline_is_named(tmp_path):
    content = sample_coco.make_content()
    content["annotations"][2]["segmentation"]["counts"] = [1250, 1]
    words = r"instances.json: annotations\[2\].segmentation.counts"
    with pytest.raises(errors.DataError, match=words):
        convert(tmp_path, content, include_masks=True)
    convert(tmp_path, content)


def run_tool(*flags):
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "object_detection.dataset_tools.create_coco_tf_record",
            *flags,
        ],
        capture_output=True,
        text=True,
        check=False,
    )


def test_command_writes_the_sets_that_are_given(tmp_path):
    content = sample_coco.make_content()
    for bbox in ([1, 1, 0, 5], [1, 1, 40, 5], [-1, 1, 9, 5]):
        content["annotations"].append(sample_coco.make_annotation(42, 3, bbox))
    train = sample_coco.write_set(tmp_path, content)
    del content["annotations"]
    test = sample_coco.write_set(tmp_path, content, "test.json")
    result = run_tool(
        f"--train_image_dir={tmp_path}/images",
        f"--train_annotations_file={train}",
        f"--test_image_dir={tmp_path}/images",
        f"--testdev_annotations_file={test}",
        f"--output_dir={tmp_path}/out",
        "--num_testdev_shards=2",
        "--num_workers=1",
    )
    assert result.returncode == 0, result.stderr
    assert sorted(os.listdir(tmp_path / "out")) == sorted(
        [f"coco_train.record-{i:05d}-of-00100" for i in range(100)]
        + [f"coco_testdev.record-{i:05d}-of-00002" for i in range(2)]
    )
    lines = result.stdout.splitlines()
    assert [line.split(" ")[0] for line in lines[:3]] == [
        "dropped",
        "dropped",
        "clipped",
    ]
    assert "3 images, 4 objects (car 2, person 1, toothbrush 1)" in lines[3]
    assert lines[4] == (
        "3 objects dropped or clipped, named above (dropped, has no area: 1;"
        " dropped, reaches beyond the right or lower border: 1;"
        " clipped, reaches beyond the left or upper border: 1)"
    )
    assert "3 images, 0 objects" in lines[5]

    label_map = tmp_path / "map.pbtxt"
    label_map.write_text(LABEL_MAP)
    checked = check_dataset.check_dataset(
        [f"{tmp_path}/out/coco_train*"], str(label_map)
    )
    assert checked.problems == []
    assert checked.num_objects == {"person": 1, "car": 2, "toothbrush": 1}


def test_refusals_of_the_command(tmp_path):
    content = sample_coco.make_content()
    content["annotations"][1]["bbox"][2] = float("nan")
    path = sample_coco.write_set(tmp_path, content)
    result = run_tool(
        f"--val_image_dir={tmp_path}/images",
        f"--val_annotations_file={path}",
        f"--output_dir={tmp_path}/out",
        "--num_workers=1",
    )
    assert result.returncode == 3
    assert f"ERROR: {path}: annotations[1].bbox: " in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({}, errors.ConfigError, "no set is given"),
        (
            {"val_image_dir": "/"},
            errors.ConfigError,
            "--val_annotations_file is missing",
        ),
        (
            {"testdev_annotations_file": "x"},
            errors.ConfigError,
            "--test_image_dir is missing",
        ),
        (
            {"val_image_dir": "/no", "val_annotations_file": "x"},
            errors.DataError,
            "--val_image_dir: no such folder: /no",
        ),
    ],
)
def test_sets_that_are_incomplete(given, error, words):
    with pytest.raises(error, match=words):
        create_coco_tf_record.given_splits(given)


CONFIG = """
    model { ssd { num_classes: 90 image_resizer {
        fixed_shape_resizer { height: 12 width: 10 } } } }
    train_input_reader { label_map_path: "FOLDER/map" max_number_of_boxes: 4
        tf_record_input_reader { input_path: "FOLDER/out/*" } }
    eval_input_reader { label_map_path: "FOLDER/map" max_number_of_boxes: 4
        shuffle: false
        tf_record_input_reader { input_path: "FOLDER/out/*" } }
"""


def test_training_and_evaluation_read_the_records(tmp_path):
    convert(tmp_path, num_shards=5)
    (tmp_path / "map").write_text(LABEL_MAP)
    config = text_format.Parse(
        CONFIG.replace("FOLDER", str(tmp_path)),
        pipeline_pb2.TrainEvalPipelineConfig(),
    )
    features, labels = next(
        iter(
            inputs.create_train_input_fn(
                config.train_config,
                config.train_input_reader,
                config.model,
                batch_size=3,
                seed=1,
            )()
        )
    )
    assert features[Fields.image].shape == (3, 12, 10, 3)
    assert sorted(labels[Fields.num_groundtruth_boxes].numpy()) == [0, 1, 2]
    batches = inputs.create_eval_input_fn(
        config.eval_config,
        config.eval_input_reader[0],
        config.model,
        batch_size=1,
    )()
    classes = {
        features[Fields.source_id].numpy()[0]: np.flatnonzero(
            labels[Fields.groundtruth_classes].numpy().sum((0, 1))
        ).tolist()
        for features, labels in batches
    }
    assert classes == {b"42": [2], b"7": [0, 89], b"300": []}
