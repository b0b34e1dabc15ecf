r"""Makes of a data set what a training reads: records and a pipeline config.

    python -m object_detection.dataset_tools.process_dataset \
        --data-source=pascal_voc --data-dir=pascal-voc --preset=vgg300

writes train.record, valid.record, valid.json (in COCO's format), the label
map, with --annotate also annotated/{train,valid}/ with the boxes drawn, and
pipeline.config, which is that of the preset with these paths and with what
--expand-probability and --sampler-trials say. Images without boxes are left
out. Names of flags may have - or _ between their words.
"""

import os
import sys
from typing import NamedTuple

import numpy as np
from absl import flags
from google.protobuf import text_format
from PIL import Image

from object_detection.core import errors
from object_detection.data_decoders import (
    annotated_image,
    image_set,
    image_stream,
    tf_record_writer,
)
from object_detection.dataset_tools import coco_writer, data_sources
from object_detection.protos import input_reader_pb2, pipeline_pb2
from object_detection.utils import (
    command,
    config_util,
    label_map_util,
    visualization_utils,
)

PRESETS = {
    "vgg300": "ssd300_vgg16_voc.config",
    "vgg512": "ssd512_vgg16_voc.config",
}
LABEL_MAP_NAME = "label_map.pbtxt"

_CHECKOUT = os.path.abspath(__file__).rsplit(os.sep, 5)[0]


class Augmentation(NamedTuple):
    """What is changed in the augmentation of a preset; None changes nothing.

    Attributes:
        expand_probability: of `ssd_expand`.
        sampler_trials: `max_trials` of `ssd_iou_crop`.
    """

    expand_probability: float | None = None
    sampler_trials: int | None = None


def split(
    source: data_sources.DataSource,
    validation_fraction: float,
    with_test: bool = False,
) -> dict[str, image_set.ImageSet]:
    """Returns the sets to write, by name.

    Args:
        source: the parts of a data set.
        validation_fraction: part of the training images that validates, at
            equal distances, where the data set has no such part of its own; 0
            for no validation at all.
        with_test: whether the test images are among them.

    Raises:
        DataError: test images are asked for, and there are none.
    """
    sets = {"train": source.train}
    if validation_fraction and source.validation is not None:
        sets["valid"] = source.validation
    elif validation_fraction:
        items = list(source.train.items)
        count = round(len(items) * validation_fraction)
        chosen = set(
            np.linspace(0, len(items) - 1, count).round().astype(int).tolist()
        )
        for name, is_chosen in (("train", False), ("valid", True)):
            kept = [
                item
                for number, item in enumerate(items)
                if (number in chosen) == is_chosen
            ]
            if kept:
                sets[name] = source.train._replace(items=kept)
    if with_test:
        if source.test is None:
            raise errors.DataError(
                "--process_test: the data have no test images with boxes"
            )
        sets["test"] = source.test
    return sets


def write_set(
    name: str,
    images: image_set.ImageSet,
    output_dir: str,
    *,
    is_annotated: bool = False,
    num_workers: int = 1,
) -> tf_record_writer.Summary:
    """Writes the records and the JSON of one set, and pictures if wanted.

    Raises:
        DataError: a bad image or annotation.
        ResourceError: the disk refuses.
    """
    entries, notes = image_set.make_entries(images, skips_without_objects=True)
    for entry in entries:
        if entry.fault:
            raise errors.DataError(entry.fault)
    kept = images._replace(items=[entry.item for entry in entries])
    summary = tf_record_writer.write_dataset(
        kept.items,
        kept.read,
        kept.class_ids,
        os.path.join(output_dir, f"{name}.record"),
        num_shards=image_stream.num_files(len(kept.items)),
        num_workers=num_workers,
        uses_threads=True,
        bad_boxes=kept.bad_boxes,
        description=f"{name} images",
    )
    summary.notes = [*images.notes, *notes]
    coco_writer.write_json(
        os.path.join(output_dir, f"{name}.json"),
        [
            image_set.check(kept, item, kept.read(item, is_whole=False))[0]
            for item in kept.items
        ],
        kept.class_ids,
    )
    if is_annotated:
        _draw(kept, os.path.join(output_dir, "annotated", name))
    return summary


def make_pipeline(
    preset: pipeline_pb2.TrainEvalPipelineConfig,
    output_dir: str,
    records: dict[str, str],
    augmentation: Augmentation,
) -> pipeline_pb2.TrainEvalPipelineConfig:
    """Returns a preset's config that reads what was written.

    Args:
        preset: a pipeline config, left as it is.
        output_dir: has the label map and the records.
        records: set name -> pattern of its records.
        augmentation: what to change.

    Raises:
        ConfigError: the preset has no such step.
    """
    pipeline = pipeline_pb2.TrainEvalPipelineConfig()
    pipeline.CopyFrom(preset)
    label_map_path = os.path.join(output_dir, LABEL_MAP_NAME)
    ids = label_map_util.get_label_map_dict(label_map_path).values()
    pipeline.model.ssd.num_classes = max(ids)
    readers = {"train": pipeline.train_input_reader}
    measured = next((s for s in ("valid", "test") if s in records), None)
    del pipeline.eval_input_reader[1:]
    if measured is None:
        pipeline.ClearField("eval_input_reader")
    else:
        if not pipeline.eval_input_reader:
            pipeline.eval_input_reader.add(shuffle=False)
        readers[measured] = pipeline.eval_input_reader[0]
    for name, reader in readers.items():
        reader.label_map_path = label_map_path
        reader.ClearField("record_dir")
        # There are none in the records.
        reader.ClearField("skip_images_without_boxes")
        reader.tf_record_input_reader.CopyFrom(
            input_reader_pb2.TFRecordInputReader(input_path=[records[name]])
        )
    changes = {
        ("ssd_expand", "probability"): augmentation.expand_probability,
        ("ssd_iou_crop", "max_trials"): augmentation.sampler_trials,
    }
    for (step, field), value in changes.items():
        if value is not None:
            _set_in_steps(pipeline, step, field, value)
    return pipeline


def _set_in_steps(
    pipeline: pipeline_pb2.TrainEvalPipelineConfig,
    name: str,
    field: str,
    value: float,
) -> None:
    options = pipeline.train_config.data_augmentation_options
    steps = [getattr(o, name) for o in options if o.HasField(name)]
    if not steps:
        raise errors.ConfigError(
            f"train_config.data_augmentation_options: expected {name}, of which"
            f" {field} is to be {value}; found none in the preset"
        )
    for step in steps:
        setattr(step, field, value)


def _draw(images: image_set.ImageSet, folder: str) -> None:
    """Draws the boxes of every image, as JPEG files by its own name."""
    for item in images.items:
        found, _ = image_set.check(
            images, item, images.read(item, is_whole=False)
        )
        path = os.path.join(folder, os.path.splitext(found.filename)[0])
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with Image.open(item.path) as image:
            pixels = np.asarray(image.convert("RGB"))
        drawn = visualization_utils.draw_boxes(
            pixels,
            np.reshape([one.box_yxyx_px for one in found.objects], (-1, 4)),
            [_label(one, images) for one in found.objects],
        )
        Image.fromarray(drawn).save(f"{path}.jpg", quality=90)


def _label(
    item: annotated_image.ObjectAnnotation, images: image_set.ImageSet
) -> visualization_utils.Label:
    color = visualization_utils.class_color(images.class_ids[item.class_name])
    return visualization_utils.Label(item.class_name, color)


def define_flags() -> None:
    """Defines this command's flags; only a process that runs it has them."""
    flags.DEFINE_string(
        "data_source",
        "pascal_voc",
        f"{', '.join(data_sources.SOURCES)}, or package.module:function, see"
        " dataset_tools/data_sources.py.",
    )
    flags.DEFINE_string("data_dir", "pascal-voc", "Folder of the data.")
    flags.DEFINE_string(
        "output_dir", None, "Where to write; --data_dir without it."
    )
    flags.DEFINE_string(
        "label_map_path", "", "Label map; without it that of the data source."
    )
    flags.DEFINE_float(
        "validation_fraction",
        0.025,
        "Part of the images that validates, where the data have no such part;"
        " 0 for none.",
        lower_bound=0.0,
        upper_bound=0.5,
    )
    flags.DEFINE_float(
        "expand_probability",
        None,
        "Probability of ssd_expand; that of the preset, 0.5, without it.",
        lower_bound=0.0,
        upper_bound=1.0,
    )
    flags.DEFINE_integer(
        "sampler_trials",
        None,
        "Crops that ssd_iou_crop tries; those of the preset, 50, without it.",
        lower_bound=1,
    )
    _define_switch("annotate", False, "Also draw the boxes, in annotated/.")
    _define_switch("compute_td", True, "Write pipeline.config.")
    flags.DEFINE_enum(
        "preset", "vgg300", list(PRESETS), "Which pipeline.config is written."
    )
    flags.DEFINE_string(
        "pipeline_config_path", None, "Another one in place of the preset."
    )
    _define_switch("process_test", False, "Also write the test images.")
    flags.DEFINE_integer(
        "num_workers", os.cpu_count() or 1, "Threads that read images."
    )


def _define_switch(name: str, default: bool, description: str) -> None:
    """A flag that takes its value behind a blank, too: --annotate true."""
    flags.DEFINE(
        flags.BooleanParser(),
        name,
        default,
        f"{description} true or false.",
        serializer=flags.ArgumentSerializer(),
    )


def main(_: list[str]) -> None:
    args = flags.FLAGS
    preset = _read_preset(args) if args.compute_td else None
    output_dir = os.path.abspath(args.output_dir or args.data_dir)
    source = data_sources.find(
        args.data_source, args.data_dir, args.label_map_path
    )
    sets = split(source, args.validation_fraction, args.process_test)
    os.makedirs(output_dir, exist_ok=True)
    _write_label_map(source.label_map_path, output_dir)
    records, counts = {}, {}
    for name, images in sets.items():
        summary = write_set(
            name,
            images,
            output_dir,
            is_annotated=args.annotate,
            num_workers=args.num_workers,
        )
        summary.print()
        counts[name] = summary.num_images
        base = os.path.join(output_dir, f"{name}.record")
        records[name] = base if len(summary.paths) == 1 else f"{base}-*"
    if preset is not None:
        augmentation = Augmentation(
            args.expand_probability, args.sampler_trials
        )
        config_util.save_pipeline_config(
            make_pipeline(preset, output_dir, records, augmentation),
            output_dir,
        )
    print(f"# training samples: {counts['train']}")
    print(f"# validation samples: {counts.get('valid', 0)}")
    if "test" in counts:
        print(f"# test samples: {counts['test']}")
    num_classes = len(
        label_map_util.create_categories_from_labelmap(source.label_map_path)
    )
    print(f"# classes: {num_classes}")


def _write_label_map(path: str, output_dir: str) -> None:
    text = text_format.MessageToString(label_map_util.load_labelmap(path))
    with open(
        os.path.join(output_dir, LABEL_MAP_NAME), "w", encoding="utf-8"
    ) as file:
        file.write(text)


def _read_preset(
    args: flags.FlagValues,
) -> pipeline_pb2.TrainEvalPipelineConfig:
    path = args.pipeline_config_path or os.path.join(
        _CHECKOUT, "configs", PRESETS[args.preset]
    )
    return config_util.read_pipeline_config(path)


def with_underscores(argument: str) -> str:
    """--data-source=a-b is --data_source=a-b, as in the original's command."""
    name, equals, value = argument.partition("=")
    if name.startswith("--"):
        name = "--" + name[2:].replace("-", "_")
    return name + equals + value


if __name__ == "__main__":
    define_flags()
    sys.argv[1:] = map(with_underscores, sys.argv[1:])
    command.run(main)
