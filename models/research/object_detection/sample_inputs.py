"""A small set of records and a pipeline config that reads it, for tests."""

import pathlib
from typing import Any

from google.protobuf import text_format

from object_detection.data_decoders import sample_records
from object_detection.protos import pipeline_pb2

BOX = [0.1, 0.2, 0.5, 0.75]
NUM_RECORDS = 11

# Makes a detector on MobileNet small and quick, as `--hparams_overrides`.
SMALL_OVERRIDES = (
    "model.ssd.image_resizer.fixed_shape_resizer.height=64,"
    "model.ssd.image_resizer.fixed_shape_resizer.width=96,"
    "model.ssd.feature_extractor.depth_multiplier=0.25,"
    "model.ssd.feature_extractor.min_depth=4,"
    "batch_size=2"
)


def make_record(number: int, **changes: Any) -> bytes:
    """Returns a record with 0, 1 or 2 equal boxes, in turn.

    Args:
        number: also decides on the image's height and the source id.
        **changes: other values of keys, with `__` for a slash.
    """
    return sample_records.make_example(
        [BOX] * (number % 3),
        ["cat"] * (number % 3),
        {key.replace("__", "/"): value for key, value in changes.items()},
        size_px=(20 + number, 30),
        source_id=str(100 + number),
    )


def write_folder(folder: pathlib.Path) -> pathlib.Path:
    """Writes NUM_RECORDS records in two files, and the label map `map`."""
    records = [make_record(number) for number in range(NUM_RECORDS)]
    sample_records.write_records(folder / "a.record", records[:4])
    sample_records.write_records(folder / "b.record", records[4:])
    (folder / "map").write_text(
        'item { id: 1 name: "cat" } item { id: 2 name: "dog" }'
    )
    return folder


def make_pipeline(
    folder: pathlib.Path,
    reader: str = "",
    train: str = "",
    resizer: str = "fixed_shape_resizer { height: 12 width: 10 }",
) -> pipeline_pb2.TrainEvalPipelineConfig:
    """Returns a config that trains and evaluates on all records of a folder.

    Args:
        folder: see `write_folder`.
        reader: more fields of both readers, as text.
        train: fields of train_config, as text.
        resizer: the one field of image_resizer, as text.
    """
    reader = f"""{{ label_map_path: "{folder}/map"
        max_number_of_boxes: 3 {reader}
        tf_record_input_reader {{ input_path: "{folder}/*.record" }} }}"""
    return text_format.Parse(
        f"""model {{ ssd {{ num_classes: 2 image_resizer {{ {resizer} }} }} }}
        train_config {{ {train} }}
        train_input_reader {reader} eval_input_reader {reader}""",
        pipeline_pb2.TrainEvalPipelineConfig(),
    )
