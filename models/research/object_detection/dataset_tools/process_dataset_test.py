import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from PIL import Image

from object_detection.core import errors
from object_detection.data_decoders import coco_annotations, sample_image_sets
from object_detection.dataset_tools import data_sources, process_dataset
from object_detection.protos import pipeline_pb2
from object_detection.utils import config_util

IMAGES = sample_image_sets.make_images(9)
PRESET = """
    model { ssd { num_classes: 20 } }
    train_config { data_augmentation_options { ssd_expand { max_ratio: 3 } }
        data_augmentation_options { ssd_iou_crop { max_trials: 50 } } }
    train_input_reader { shuffle_buffer_size: 77 record_dir: "/x"
        voc_input_reader { input_dir: "/y" } }
    eval_input_reader { max_number_of_boxes: 9 }
    eval_input_reader { name: "second" }"""


@pytest.fixture
def label_map(tmp_path):
    return str(sample_image_sets.write_label_map(tmp_path))


def find(name, folder, label_map):
    return data_sources.find(name, str(folder), label_map)


def ids(images):
    return images and [images.read(i).source_id for i in images.items]


def test_devkits_as_they_are_downloaded(tmp_path, label_map):
    for path, first, set_name in (
        ("trainval/VOCdevkit/VOC2007", 0, "trainval"),
        ("trainval/VOCdevkit/VOC2012", 2, "trainval"),
        ("test/VOCdevkit/VOC2007", 4, "test"),
    ):
        sample_image_sets.write_voc(
            tmp_path / path, IMAGES[first : first + 2], set_name=set_name
        )
    validating = tmp_path / "trainval/VOCdevkit/VOC2012"
    sample_image_sets.write_voc(validating, IMAGES[6:8])
    # Later test images come without annotations.
    unpublished = tmp_path / "test/VOCdevkit/VOC2012/JPEGImages"
    unpublished.mkdir(parents=True)
    source = find("pascal_voc", tmp_path, label_map)
    assert ids(source.train) == [f"{n:06d}.jpg" for n in range(1, 7)]
    assert ids(source.validation) == ["000007.jpg", "000008.jpg"]
    assert source.test is None


def test_other_layouts(tmp_path, label_map):
    sample_image_sets.write_voc(tmp_path / "a", IMAGES)
    sample_image_sets.write_voc(tmp_path / "a", IMAGES[:5], set_name="trainval")
    source = find("pascal_voc", tmp_path / "a", label_map)
    assert (len(source.train.items), len(source.validation.items)) == (5, 4)
    sample_image_sets.write_voc(tmp_path / "b/train", IMAGES[:3], "", "")
    sample_image_sets.write_voc(tmp_path / "b/eval", IMAGES[3:4], "Images")
    source = find("pascal_voc", tmp_path / "b", label_map)
    assert ids(source.train) == ["000001.jpg", "000002.jpg", "000003.jpg"]
    assert ids(source.validation) == ["000004.jpg"]
    sample_image_sets.write_txt(tmp_path / "c/images", IMAGES[:4])
    lines = (tmp_path / "c/images/boxes.txt").read_text()
    for name in ("train", "val"):
        (tmp_path / f"c/{name}.txt").write_text(
            "".join(f"images/images/{line}\n" for line in lines.split("\n")[:4])
        )
    source = find("txt", tmp_path / "c", label_map)
    assert ids(source.train) == ids(source.validation) == list("1234")
    sample_image_sets.write_coco(tmp_path / "d", IMAGES)
    (tmp_path / "d/annotations").mkdir()
    (tmp_path / "d/boxes.json").rename(
        tmp_path / "d/annotations/instances_train2017.json"
    )
    (tmp_path / "d/images").rename(tmp_path / "d/train2017")
    source = find("coco", tmp_path / "d", label_map)
    assert ids(source.train) == list("123456789")
    assert source.validation is None


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "nothing",
            "expected pascal_voc, coco, txt or package.module:function",
        ),
        ("no.module:f", "cannot import no.module:f: No module named 'no'"),
        ("json:nothing", "cannot import json:nothing: .* no attribute"),
        ("os.path:join", "returned str, expected a DataSource"),
    ],
)
def test_unknown_source(tmp_path, name, words):
    with pytest.raises(errors.ConfigError, match=f"^--data_source: .*{words}"):
        find(name, tmp_path, "x")


def test_fraction_of_a_set_without_validation(tmp_path, label_map):
    sample_image_sets.write_voc(tmp_path / "train", IMAGES, "", "")
    source = find("pascal_voc", tmp_path, label_map)
    sets = process_dataset.split(source, 0.3)
    assert ids(sets["valid"]) == ["000001.jpg", "000005.jpg", "000009.jpg"]
    assert len(sets["train"].items) == 6
    assert not {*ids(sets["train"])} & {*ids(sets["valid"])}
    assert list(process_dataset.split(source, 0)) == ["train"]
    with pytest.raises(errors.DataError, match="no test images"):
        process_dataset.split(source, 0.3, with_test=True)
    own = source._replace(validation=sets["train"], test=sets["valid"])
    sets = process_dataset.split(own, 0.3, with_test=True)
    assert [len(s.items) for s in sets.values()] == [9, 6, 3]


def test_pipeline_has_paths_and_chosen_augmentation(tmp_path, label_map):
    preset = text_format.Parse(PRESET, pipeline_pb2.TrainEvalPipelineConfig())
    (tmp_path / "label_map.pbtxt").write_text(open(label_map).read())
    records = {"train": "/t-*", "valid": "/v"}
    made = process_dataset.make_pipeline(
        preset,
        str(tmp_path),
        records,
        process_dataset.Augmentation(sampler_trials=7),
    )
    expand, crop = made.train_config.data_augmentation_options
    assert not expand.ssd_expand.HasField("probability")
    assert crop.ssd_iou_crop.max_trials == 7
    assert made.model.ssd.num_classes == 3
    train, evaluation = made.train_input_reader, *made.eval_input_reader
    assert train.tf_record_input_reader.input_path == ["/t-*"]
    assert evaluation.tf_record_input_reader.input_path == ["/v"]
    assert (train.shuffle_buffer_size, train.record_dir) == (77, "")
    assert evaluation.max_number_of_boxes == 9
    made = process_dataset.make_pipeline(
        preset,
        str(tmp_path),
        {"train": "/t"},
        process_dataset.Augmentation(expand_probability=0.25),
    )
    expand, _ = made.train_config.data_augmentation_options
    assert expand.ssd_expand.probability == 0.25
    assert not made.eval_input_reader
    preset.train_config.ClearField("data_augmentation_options")
    with pytest.raises(errors.ConfigError, match="ssd_expand.*probability"):
        process_dataset.make_pipeline(
            preset,
            str(tmp_path),
            records,
            process_dataset.Augmentation(expand_probability=0.25),
        )


# A set of another format, found by module and function: names of images
# alone, each with one dog over all of it.
PLUG_IN = """
from object_detection.data_decoders import annotated_image, image_set
from object_detection.dataset_tools import data_sources
import os, typing

class Item(typing.NamedTuple):
    path: str
    place: str

def read(item, is_whole=True):
    encoded, *rest = annotated_image.read_image_file(
        item.path, is_whole=is_whole)
    name = os.path.basename(item.path)
    dog = annotated_image.ObjectAnnotation("dog", (0, 0, rest[1], rest[2]))
    return annotated_image.AnnotatedImage(name, name, encoded, *rest, (dog,))

def get_source(data_dir, label_map_path):
    items = [Item(os.path.join(data_dir, n), n)
             for n in sorted(os.listdir(data_dir)) if n.endswith(".jpg")]
    images = image_set.ImageSet(data_dir, items, read, {"dog": 2}, "error")
    return data_sources.DataSource(images, None, None, label_map_path)
"""


def test_command_with_a_source_of_ones_own(tmp_path, label_map):
    data = tmp_path / "data"
    data.mkdir()
    for image in IMAGES:
        (data / f"{image.name}.jpg").write_bytes(
            sample_image_sets.encode(image)
        )
    (tmp_path / "my_source.py").write_text(PLUG_IN)
    (tmp_path / "preset.config").write_text(PRESET)
    out = tmp_path / "out"
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "object_detection.dataset_tools.process_dataset",
            "--data-source",
            "my_source:get_source",
            f"--data-dir={data}",
            f"--output-dir={out}",
            f"--label-map-path={label_map}",
            f"--pipeline-config-path={tmp_path}/preset.config",
            "--validation-fraction=0.2",
            "--sampler-trials=7",
            "--annotate",
            "true",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-3:] == [
        "# training samples: 7",
        "# validation samples: 2",
        "# classes: 3",
    ]
    pipeline = config_util.read_pipeline_config(out / "pipeline.config")
    (pattern,) = pipeline.train_input_reader.tf_record_input_reader.input_path
    assert len(list(tf.data.TFRecordDataset(pattern))) == 7
    content = json.loads((out / "valid.json").read_text())
    assert [image["id"] for image in content["images"]] == [1, 9]
    assert content["annotations"][1]["bbox"] == [0, 0, 49, 29]
    assert content["annotations"][1]["category_id"] == 2
    found = coco_annotations.read_set(str(out / "valid.json"), str(data))
    assert found.class_ids == {"dog": 2}
    assert [len(image.objects) for image in found.images] == [1, 1]
    drawn = out / "annotated/train/000002.jpg"
    pixels = np.asarray(Image.open(drawn), int)
    plain = np.asarray(Image.open(data / "000002.jpg"), int)
    assert pixels.shape == plain.shape
    assert np.abs(pixels - plain)[0].mean() > 20
    assert len(list((out / "annotated/valid").iterdir())) == 2
