import subprocess
import sys

import pytest

from object_detection.core import errors
from object_detection.data_decoders import sample_image_sets, sample_records
from object_detection.dataset_tools import check_dataset

BOXES = [(0.1, 0.2, 0.5, 0.9), (0.0, 0.0, 0.3, 0.2)]


@pytest.fixture
def label_map(tmp_path):
    path = tmp_path / "label_map.pbtxt"
    path.write_text('item { id: 1 name: "cat" }\nitem { id: 3 name: "dog" }\n')
    return str(path)


def write(tmp_path, name, *records):
    return sample_records.write_records(tmp_path / name, records)


def example(source_id, texts=("cat", "dog"), **arguments):
    return sample_records.make_example(
        BOXES[: len(texts)], texts, source_id=source_id, **arguments
    )


def test_right_records_are_counted(tmp_path, label_map):
    write(tmp_path, "a.record", example("1"), example("2", ("dog",)))
    write(tmp_path, "b.record", example("3", ()))
    by_label = {
        "image/object/class/text": None,
        "image/object/class/label": [3, 3],
    }
    write(tmp_path, "c.record", example("4", changes=by_label))
    summary = check_dataset.check_dataset([f"{tmp_path}/*.record"], label_map)
    assert summary.problems == []
    assert (summary.num_files, summary.num_images) == (3, 4)
    assert summary.num_images_without_objects == 1
    assert summary.num_objects == {"cat": 1, "dog": 4}


def test_every_bad_record_is_named_and_the_rest_counted(tmp_path, label_map):
    path = write(
        tmp_path,
        "a.record",
        example("1", ("cat", "cow")),
        example("2"),
        example("3", changes={"image/object/bbox/ymax": [0.05, 0.3]}),
        example("2"),
    )
    summary = check_dataset.check_dataset([path], label_map)
    unknown_class, bad_box, repeated_id = summary.problems
    assert unknown_class.startswith(f"{path}: record 0 (source id ")
    assert "cow" in unknown_class
    assert bad_box.startswith(f"{path}: record 2 ")
    assert repeated_id.startswith(f"{path}: record 3: source id '2'")
    assert f"{path}: record 1" in repeated_id
    assert summary.num_images == 2


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda content: content[:-7], "is cut"),
        (lambda content: content[:-9] + b"\0" + content[-8:], "damaged"),
    ],
)
def test_damaged_file_is_named_and_others_are_read(
    tmp_path, label_map, damage, words
):
    bad = tmp_path / "a.record"
    write(tmp_path, "a.record", example("1"), example("2"))
    bad.write_bytes(damage(bad.read_bytes()))
    good = write(tmp_path, "b.record", example("3"))
    summary = check_dataset.check_dataset([str(bad), good], label_map)
    (problem,) = summary.problems
    assert problem.startswith(f"{bad}: record 1 ")
    assert words in problem
    assert "not read" in problem
    assert summary.num_images == 2


def test_no_record_and_no_file(tmp_path, label_map):
    path = write(tmp_path, "a.record")
    (problem,) = check_dataset.check_dataset([path], label_map).problems
    assert "no record" in problem
    with pytest.raises(errors.ConfigError, match="matches no file"):
        check_dataset.check_dataset([f"{tmp_path}/x*"], label_map)


def test_readers_of_a_config(tmp_path):
    images = sample_image_sets.make_images(5)
    label_map = sample_image_sets.write_label_map(tmp_path)
    voc = sample_image_sets.write_voc(tmp_path / "voc", images)
    txt = sample_image_sets.write_txt(tmp_path / "txt", images)
    cut = voc / "JPEGImages/000002.jpg"
    cut.write_bytes(cut.read_bytes()[:-200])
    (voc / "Annotations/000004.xml").write_text("<annotation>")
    readers = [
        f'label_map_path: "{label_map}" '
        + sample_image_sets.reader_text(kind, folder)
        for kind, folder in (("voc", voc), ("txt", txt))
    ]
    config = tmp_path / "ssd.config"
    config.write_text(
        f"""model {{ ssd {{ num_classes: 3 }} }}
        train_input_reader {{ {readers[0]} }}
        eval_input_reader {{ {readers[1]} }}"""
    )
    module = "object_detection.dataset_tools.check_dataset"
    done = subprocess.run(
        [sys.executable, "-m", module, f"--pipeline_config_path={config}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert done.stderr.endswith("ERROR: 2 problems, all named above\n")
    lines = done.stdout.splitlines()
    assert lines[0] == "train_input_reader:"
    assert lines[1].startswith(f"{cut} ({voc}/Annotations/000002.xml): image/")
    assert lines[2].startswith(f"{voc}/Annotations/000004.xml: not XML: ")
    assert lines[3:] == [
        "3 images, 1 of them without an object, 3 objects "
        "(cat 1, dog 1, toothbrush 1)",
        "eval_input_reader[0]:",
        "5 images, 1 of them without an object, 6 objects "
        "(cat 2, dog 2, toothbrush 2)",
    ]
