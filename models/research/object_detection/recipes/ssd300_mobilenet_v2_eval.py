r"""Evaluates MindSpore's SSD300 with MobileNet v2.

    python object_detection/recipes/ssd300_mobilenet_v2_eval.py \
        --dataset coco --checkpoint_path ckpt_0/ssd-500_458.ckpt

Flags and log lines are those of its command eval.py. predictions.json has what
was found, under the ids of COCO's file of annotations.
"""

import argparse
import json
import os
import sys

if not __package__:
    # Run as a file: imports begin two directories up, not in this one.
    sys.path[0] = os.path.abspath(__file__).rsplit(os.sep, 3)[0]
    # As with -m, where the package comes before TensorFlow and quietens it.
    import object_detection  # noqa: F401

from absl import logging  # noqa: E402

from object_detection import inputs, model_lib  # noqa: E402
from object_detection.builders import image_set_builder  # noqa: E402
from object_detection.core import errors  # noqa: E402
from object_detection.data_decoders import (  # noqa: E402
    coco_annotations,
    image_set,
)
from object_detection.dataset_tools import coco_writer  # noqa: E402
from object_detection.protos import input_reader_pb2  # noqa: E402
from object_detection.recipes import jobs  # noqa: E402
from object_detection.recipes import (  # noqa: E402
    ssd300_mobilenet_v2_flags as flags,
)
from object_detection.recipes import (  # noqa: E402
    ssd300_mobilenet_v2_log as log,
)
from object_detection.recipes import (  # noqa: E402
    ssd300_mobilenet_v2_overrides as overrides,
)
from object_detection.recipes import (  # noqa: E402
    ssd300_mobilenet_v2_setup as setup,
)
from object_detection.training import checkpoints, distributed  # noqa: E402
from object_detection.utils import command, label_map_util  # noqa: E402

_READER_PATH = "eval_input_reader[0]"
_COCO_LABEL_MAP = "object_detection/data/mscoco_label_map.pbtxt"
_VOC_JSON_NAME = "voc_instances_val.json"


def main(arguments: argparse.Namespace) -> None:
    """Does what the flags say."""
    logging.set_verbosity(logging.INFO)
    with distributed.processes():
        flags.check(arguments, distributed.size())
        compute_dtype = setup.set_up_process(arguments)
        values = overrides.for_evaluation(arguments)
        configs = jobs.read_configs(
            arguments.config_path, values, arguments.hparams_overrides
        )
        if arguments.print_config:
            setup.show_config(arguments, configs)
            return
        distributed.from_main(
            lambda: checkpoints.resolve(arguments.checkpoint_path)
        )
        report = log.setup_report(arguments.json_summary)
        (reader, *_) = configs["eval_input_configs"]
        image_ids = {}
        if arguments.dataset == flags.VOC:
            image_ids = distributed.from_main(
                lambda: _image_ids(arguments, reader)
            )
        whole_reader = input_reader_pb2.InputReader()
        whole_reader.CopyFrom(reader)
        # Records serve every subset.
        whole_reader.skip_images_without_boxes = False
        setup.make_records(whole_reader, _READER_PATH)
        job = jobs.create_job(
            arguments.config_path,
            arguments.output_dir,
            values,
            arguments.hparams_overrides,
            is_training=False,
            compute_dtype=compute_dtype,
        )
        count = inputs.count_examples(
            whole_reader, job.configs["model"], _READER_PATH
        )
        log.say(f"images of the whole set: {count}")
        predictions = log.Predictions(
            arguments.output_dir, _category_ids(reader), image_ids
        )
        model_lib.evaluate_once(
            job,
            arguments.checkpoint_path,
            report,
            look_at=predictions.look_at,
        )


def _category_ids(reader: input_reader_pb2.InputReader) -> dict[int, int]:
    """Returns the id that each class has where the annotations come from.

    Those are the ids of COCO's file, or COCO's own where that was moved away
    and all classes are COCO's.
    """
    path = reader.coco_input_reader.annotations_path
    if os.path.exists(path):
        ids_there = coco_annotations.read_category_ids(path)
        ids = label_map_util.class_text_to_id(reader.label_map_path)
        return {
            ids[name]: id_there
            for name, id_there in ids_there.items()
            if name in ids
        }
    try:
        return label_map_util.map_ids(reader.label_map_path, _COCO_LABEL_MAP)
    except errors.ConfigError:
        return {}


def _image_ids(
    arguments: argparse.Namespace, reader: input_reader_pb2.InputReader
) -> dict[str, int]:
    """Returns the numbers of VOC's images, by the names of their files.

    They are those of the file of boxes in COCO's format, which is written
    unless it is there. Without it and without XML files there are none.
    """
    folder = (
        arguments.voc_root
        or overrides.record_root(arguments)
        or arguments.output_dir
    )
    path = os.path.join(folder, _VOC_JSON_NAME)
    if not os.path.exists(path):
        if not all(map(os.path.isdir, reader.voc_input_reader.input_dir)):
            return {}
        images = image_set_builder.build(reader, _READER_PATH)
        os.makedirs(folder, exist_ok=True)
        coco_writer.write_json(
            path,
            [
                image_set.check(images, i, images.read(i, is_whole=False))[0]
                for i in images.items
            ],
            images.class_ids,
        )
        log.say(f"Wrote {path}")
    try:
        with open(path, encoding="utf-8") as file:
            images = json.load(file)["images"]
            return {image["file_name"]: image["id"] for image in images}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise errors.DataError(
            f"{path}: cannot be read ({error}); remove it, and it is made again"
        ) from error


if __name__ == "__main__":
    command.run_with_arguments(flags.evaluation_parser(__doc__), main)
