"""The smallest detector and data that still have every part, for tests."""

import pathlib

from google.protobuf import text_format

from object_detection.dataset_tools import create_shapes_tf_record
from object_detection.protos import pipeline_pb2
from object_detection.utils import config_util

_CONFIG = (
    pathlib.Path(__file__).resolve().parents[2]
    / "configs"
    / "ssd_mobilenet_v1_fpn_shapes.config"
)


def record_path(directory: pathlib.Path, num_images: int) -> str:
    """Draws images of shapes; returns their one record file."""
    create_shapes_tf_record.create_shapes_dataset(
        str(directory / "shapes"),
        num_train=1,
        num_val=num_images,
        num_shards=1,
        num_workers=1,
        seed=0,
    )
    return str(directory / "shapes" / "shapes_val.record")


def write_config(
    directory: pathlib.Path,
    train_path: str | pathlib.Path,
    eval_path: str | pathlib.Path,
    *,
    batch_size: int = 2,
    in_order: bool = False,
) -> pathlib.Path:
    """Writes a config of a small detector whose normalisations are frozen.

    Args:
        directory: gets the config and the label map.
        train_path: records.
        eval_path: records.
        batch_size: of training, in each process.
        in_order: whether training takes the records as they are.
    """
    pipeline = text_format.Parse(
        _CONFIG.read_text(), pipeline_pb2.TrainEvalPipelineConfig()
    )
    ssd = pipeline.model.ssd
    ssd.image_resizer.fixed_shape_resizer.height = 64
    ssd.image_resizer.fixed_shape_resizer.width = 96
    ssd.feature_extractor.depth_multiplier = 0.25
    ssd.feature_extractor.min_depth = 4
    ssd.freeze_batchnorm = True
    ssd.enforce_freeze_batchnorm = True
    pipeline.train_config.batch_size = batch_size
    label_map = directory / "label_map.pbtxt"
    create_shapes_tf_record.write_label_map(str(label_map))
    readers = (pipeline.train_input_reader, pipeline.eval_input_reader[0])
    for reader, path in zip(readers, (train_path, eval_path), strict=True):
        reader.label_map_path = str(label_map)
        reader.tf_record_input_reader.input_path[:] = [str(path)]
    if in_order:
        del pipeline.train_config.data_augmentation_options[:]
        pipeline.train_input_reader.shuffle = False
        pipeline.train_input_reader.num_readers = 1
    config_util.save_pipeline_config(pipeline, str(directory))
    return directory / config_util.PIPELINE_CONFIG_NAME
