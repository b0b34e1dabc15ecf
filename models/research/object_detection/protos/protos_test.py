"""Holds the config language to the original's: names, numbers, defaults.

testdata/fields.tsv has a line for each field (file, message, number, name,
label, type, default, oneof, "dep" when deprecated) and for each message
without fields; testdata/enums.tsv one for each enum.
"""

import importlib
import os
import pathlib
import subprocess
import sys

import pytest
from google.protobuf import descriptor_pb2, text_format

from object_detection.protos import (
    pipeline_pb2,
    preprocessor_pb2,
    ssd_pb2,
    string_int_label_map_pb2,
)

PROTOS = pathlib.Path(__file__).parent
FIRST_OWN_NUMBER = 1000
OWN_MESSAGES = {
    "CocoInputReader",
    "DefaultBoxGenerator",
    "HardNegativeMiner",
    "ImageNormalization",
    "LossScale",
    "PhotometricDistortion",
    "RandomChannelPermutation",
    "SsdExpand",
    "SsdIouCrop",
    "TxtInputReader",
    "VocInputReader",
    "WeightDecay",
}
TYPE_NAMES = {2: "float", 5: "int32", 8: "bool", 9: "string", 13: "uint32"}


def file_descriptors():
    for path in sorted(PROTOS.glob("*.proto")):
        module = importlib.import_module(
            f"object_detection.protos.{path.stem}_pb2"
        )
        yield path.name, module.DESCRIPTOR


def messages(container):
    nested = getattr(container, "message_types_by_name", None)
    nested = container.nested_types_by_name if nested is None else nested
    for message in nested.values():
        yield message
        yield from messages(message)


def short_name(descriptor):
    return descriptor.full_name.removeprefix("object_detection.protos.")


def default_text(field):
    if not field.has_default_value:
        return "-"
    if field.enum_type:
        return field.enum_type.values_by_number[field.default_value].name
    if field.type == field.TYPE_STRING:
        return f'"{field.default_value}"'
    if field.type == field.TYPE_BOOL:
        return str(field.default_value).lower()
    return canonical(str(field.default_value))


def canonical(default):
    """Returns a number as float32 has it, and other text as it is."""
    try:
        return f"{float(default):.6g}"
    except ValueError:
        return default


def field_row(file_name, message, field):
    inner = field.message_type or field.enum_type
    return (
        file_name,
        short_name(message),
        str(field.number),
        field.name,
        "rep" if field.label == field.LABEL_REPEATED else "opt",
        short_name(inner) if inner else TYPE_NAMES[field.type],
        default_text(field),
        field.containing_oneof.name if field.containing_oneof else "-",
        "dep" if field.GetOptions().deprecated else "-",
    )


def is_own(message):
    """Returns whether the original has no such message."""
    return short_name(message).split(".")[0] in OWN_MESSAGES


def read_table(name):
    lines = (PROTOS / "testdata" / name).read_text().splitlines()
    return [tuple(line.split("\t")) for line in lines]


def test_every_message_and_field_is_the_originals():
    found = []
    for file_name, file in file_descriptors():
        for message in messages(file):
            if is_own(message):
                continue
            rows = [
                field_row(file_name, message, field)
                for field in message.fields
                if field.number < FIRST_OWN_NUMBER
            ]
            found += rows or [(file_name, short_name(message))]
    expected = read_table("fields.tsv")
    assert len({row[0] for row in expected}) == 29
    assert sorted(found) == sorted(
        (*row[:6], canonical(row[6]), *row[7:]) if row[6:] else row
        for row in expected
    )


def test_own_fields_have_numbers_of_their_own_and_say_what_they_are():
    num_found = 0
    for file_name, file in file_descriptors():
        lines = (PROTOS / file_name).read_text().splitlines()
        for message in messages(file):
            for field in message.fields:
                if field.number < FIRST_OWN_NUMBER:
                    continue
                num_found += 1
                (index,) = (
                    i
                    for i, line in enumerate(lines)
                    if f" {field.name} = {field.number}" in line
                )
                before = lines[index - 1].strip()
                assert before.startswith("//"), f"{file_name}: {field.name}"
    assert num_found > 30


@pytest.mark.parametrize("name", sorted(OWN_MESSAGES))
def test_own_messages_are_reached_by_own_fields_and_described(name):
    users = [
        field.number
        for file_name, file in file_descriptors()
        for message in messages(file)
        for field in message.fields
        if field.message_type
        and short_name(field.message_type) == name
        and not is_own(message)
    ]
    assert users and min(users) >= FIRST_OWN_NUMBER
    (text,) = (
        path.read_text()
        for path in PROTOS.glob("*.proto")
        if f"\nmessage {name} " in path.read_text()
    )
    before = text.split(f"\nmessage {name} ")[0].splitlines()[-1]
    assert before.startswith("//")


def test_every_enum_is_the_originals():
    found = []
    for file_name, file in file_descriptors():
        enums = list(file.enum_types_by_name.values())
        for message in messages(file):
            if not is_own(message):
                enums += message.enum_types
        for enum in enums:
            values = ",".join(f"{v.name}={v.number}" for v in enum.values)
            found.append((file_name, short_name(enum), values))
    # Of a message of the original, but only a field of this project has it.
    own = [row for row in found if row[1] == "Loss.Normalization"]
    assert len(own) == 1
    found.remove(own[0])
    assert sorted(found) == sorted(read_table("enums.tsv"))


def test_syntax_package_and_no_required_or_packed_field():
    for file_name, file in file_descriptors():
        assert file.package == "object_detection.protos", file_name
        for message in messages(file):
            for field in message.fields:
                assert field.label != field.LABEL_REQUIRED, field.full_name
                assert not field.GetOptions().packed, field.full_name


def test_extension_and_reserved_ranges():
    pipeline = descriptor_pb2.DescriptorProto()
    pipeline_pb2.TrainEvalPipelineConfig.DESCRIPTOR.CopyToProto(pipeline)
    ranges = [(r.start, r.end) for r in pipeline.extension_range]
    assert ranges == [(1000, 536870912)]
    extractor = descriptor_pb2.DescriptorProto()
    ssd_pb2.SsdFeatureExtractor.DESCRIPTOR.CopyToProto(extractor)
    assert [(r.start, r.end) for r in extractor.reserved_range] == [(6, 7)]


def test_presence_is_observable_without_a_default():
    crop = preprocessor_pb2.SSDRandomCropOperation()
    assert not crop.HasField("min_area")
    crop.min_area = 0.0
    assert crop.HasField("min_area")


def test_second_member_of_a_oneof_clears_the_first():
    step = preprocessor_pb2.PreprocessingStep()
    step.random_horizontal_flip.SetInParent()
    step.random_crop_image.min_area = 0.5
    assert step.WhichOneof("preprocessing_step") == "random_crop_image"


def test_label_map_survives_text_and_binary():
    label_map = string_int_label_map_pb2.StringIntLabelMap()
    label_map.item.add(name="/m/01g317", id=1, display_name="person")
    text = text_format.MessageToString(label_map)
    read = text_format.Parse(text, type(label_map)())
    assert type(label_map).FromString(label_map.SerializeToString()) == read
    assert read.item[0].display_name == "person"


def test_committed_code_is_what_the_compiler_makes(tmp_path):
    output = tmp_path / "output"
    generated = subprocess.run(
        ["sh", str(PROTOS / "generate.sh"), str(output)],
        env={**os.environ, "PYTHON": sys.executable},
        capture_output=True,
        text=True,
    )
    if not output.exists():
        reason = generated.stderr.strip().splitlines()[-1:]
        pytest.skip(f"the protobuf compiler cannot be had: {reason}")
    assert generated.returncode == 0, generated.stderr
    folder = output / "object_detection" / "protos"
    made = {path.name: path.read_text() for path in folder.glob("*_pb2.py")}
    committed = {
        path.name: path.read_text() for path in PROTOS.glob("*_pb2.py")
    }
    assert len(made) == 30
    assert made == committed, "run `make protos`"
