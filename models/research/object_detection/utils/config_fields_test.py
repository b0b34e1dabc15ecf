import ast
import importlib
import pathlib

import pytest

from object_detection.protos import pipeline_pb2
from object_detection.utils import config_fields

PACKAGE = pathlib.Path(__file__).parent.parent
PROTOS = "object_detection.protos"
# They name fields to set or to check them, which honours none.
NOT_READERS = ("config_", "model_hparams")
# Builders refuse these whole, by name.
REFUSED_WHOLE = {
    "DetectionModel.faster_rcnn",
    "PreprocessingStep.convert_class_logits_to_softmax",
}


def names_in(path):
    """Returns attributes, keyword names and string constants of a module."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute):
            names.add(node.attr)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names.add(node.value)
    return names


def names_read_by_builders():
    """Returns what the modules that get config messages mention."""
    names = set()
    for path in PACKAGE.rglob("*.py"):
        if path.name.endswith(("_test.py", "_pb2.py")):
            continue
        if path.name.startswith(NOT_READERS):
            continue
        is_builder = path.parent.name == "builders"
        if is_builder or "object_detection.protos" in path.read_text():
            names |= names_in(path)
    names |= names_in(PACKAGE / "model_job.py")
    names |= names_in(PACKAGE / "model_lib.py")
    return names


def all_messages():
    found = {}

    def collect(message):
        found[message.name] = message
        for nested in message.nested_types:
            collect(nested)

    for path in sorted((PACKAGE / "protos").glob("*_pb2.py")):
        module = importlib.import_module(f"{PROTOS}.{path.stem}")
        for message in module.DESCRIPTOR.message_types_by_name.values():
            collect(message)
    return found


def test_every_field_is_honoured_named_or_refused():
    read = names_read_by_builders()
    ignored, seen = [], set()

    def look_at(message):
        if message.full_name in seen:
            return
        seen.add(message.full_name)
        for field in message.fields:
            key = f"{message.name}.{field.name}"
            if key in config_fields.WITHOUT_EFFECT:
                continue
            if field.name in read:
                if field.message_type and key not in REFUSED_WHOLE:
                    look_at(field.message_type)
            elif not (
                field.containing_oneof and field.containing_oneof.name in read
            ):
                ignored.append(key)

    # `config_util` hands out the fields of the whole one by one.
    root = pipeline_pb2.TrainEvalPipelineConfig.DESCRIPTOR
    read |= set(root.fields_by_name)
    look_at(root)
    assert len(seen) > 40
    assert ignored == [], f"say in config_fields why: {ignored}"


@pytest.mark.parametrize("table", ["WITHOUT_EFFECT", "NEEDS", "RANGES"])
def test_tables_name_fields_that_exist(table):
    messages = all_messages()
    for key in getattr(config_fields, table):
        message, field = key.split(".")
        assert field in messages[message].fields_by_name, key


def test_a_field_needs_another_of_its_message():
    messages = all_messages()
    for key, needed in config_fields.NEEDS.items():
        assert needed in messages[key.split(".")[0]].fields_by_name, key


def test_defaults_are_in_range():
    messages = all_messages()
    for key, allowed in config_fields.RANGES.items():
        message, name = key.split(".")
        field = messages[message].fields_by_name[name]
        assert allowed.contains(field.default_value), key


@pytest.mark.parametrize(
    ("allowed", "words", "inside", "outside"),
    [
        (config_fields.Range(1), "at least 1", [1, 2.5], [0.99, -3]),
        (config_fields.Range(0, 1), "from 0 to 1", [0, 1], [-0.1, 1.1]),
        (
            config_fields.Range(0, is_low_allowed=False),
            "above 0",
            [1e-8],
            [0, -1],
        ),
        (
            config_fields.Range(0, 1, is_low_allowed=False),
            "above 0 and at most 1",
            [0.5, 1],
            [0, 1.5],
        ),
    ],
)
def test_range(allowed, words, inside, outside):
    assert str(allowed) == words
    assert all(map(allowed.contains, inside))
    assert not any(map(allowed.contains, outside))


def test_walk_yields_set_fields_with_indices():
    pipeline = pipeline_pb2.TrainEvalPipelineConfig()
    pipeline.eval_input_reader.add(shuffle=True)
    reader = pipeline.eval_input_reader.add(num_readers=3)
    reader.tf_record_input_reader.input_path.extend(["a", "b"])
    found = {
        path: (type(part).__name__, name, value)
        for path, part, name, value in config_fields.walk(pipeline, "root")
    }
    assert list(found) == [
        "root.eval_input_reader[0]",
        "root.eval_input_reader[0].shuffle",
        "root.eval_input_reader[1]",
        "root.eval_input_reader[1].num_readers",
        "root.eval_input_reader[1].tf_record_input_reader",
        "root.eval_input_reader[1].tf_record_input_reader.input_path[0]",
        "root.eval_input_reader[1].tf_record_input_reader.input_path[1]",
    ]
    assert found["root.eval_input_reader[1].num_readers"] == (
        "InputReader",
        "num_readers",
        3,
    )
