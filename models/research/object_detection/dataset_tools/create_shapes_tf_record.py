r"""Renders the demo's data set: scenes of shapes, in TFRecords.

    python -m object_detection.dataset_tools.create_shapes_tf_record \
        --output_dir=demo/data

writes shapes_train.record-?????-of-00004, shapes_val.record-?????-of-00004
and shapes_label_map.pbtxt. Picture i of a split depends on the seed, the split
and i alone.
"""

import functools
import io
import os

import numpy as np
from absl import flags
from PIL import Image

from object_detection.data_decoders import annotated_image, tf_record_writer
from object_detection.dataset_tools import shapes_scene
from object_detection.utils import command

LABEL_MAP_NAME = "shapes_label_map.pbtxt"
SPLITS = ("train", "val")


def render_example(
    index: int, *, split: str, seed: int
) -> annotated_image.AnnotatedImage:
    """Renders picture `index` of a split, as JPEG."""
    rng = np.random.default_rng([seed, SPLITS.index(split), index])
    style = shapes_scene.SceneStyle()
    pixels, objects = shapes_scene.render_scene(rng, style)
    buffer = io.BytesIO()
    quality = int(rng.integers(70, 96))
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    # Integer source ids, so that evaluation needs no hash: the splits differ.
    source_id = str(SPLITS.index(split) * 1_000_000 + index)
    return annotated_image.AnnotatedImage(
        filename=f"shapes_{split}_{index:06d}.jpg",
        source_id=source_id,
        encoded=buffer.getvalue(),
        image_format="jpeg",
        height_px=style.height_px,
        width_px=style.width_px,
        objects=tuple(objects),
    )


def write_label_map(path: str) -> dict[str, int]:
    """Writes the label map; ids count from 1. Returns class name -> id."""
    class_ids = {
        name: index
        for index, name in enumerate(shapes_scene.CLASS_NAMES, start=1)
    }
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        for name, class_id in class_ids.items():
            file.write(f'item {{\n  id: {class_id}\n  name: "{name}"\n}}\n')
    return class_ids


def create_shapes_dataset(
    output_dir: str,
    *,
    num_train: int,
    num_val: int,
    num_shards: int,
    num_workers: int,
    seed: int,
) -> list[tf_record_writer.Summary]:
    """Writes both splits and the label map to `output_dir`."""
    class_ids = write_label_map(os.path.join(output_dir, LABEL_MAP_NAME))
    return [
        tf_record_writer.write_dataset(
            range(num_images),
            functools.partial(render_example, split=split, seed=seed),
            class_ids,
            os.path.join(output_dir, f"shapes_{split}.record"),
            num_shards=num_shards,
            num_workers=num_workers,
            bad_boxes="error",
            description=f"rendering {split}",
        )
        for split, num_images in zip(SPLITS, (num_train, num_val), strict=True)
    ]


def define_flags() -> None:
    """Defines this command's flags; only a process that runs it has them."""
    flags.DEFINE_string("output_dir", None, "Where to write.")
    flags.DEFINE_integer("num_train", 1600, "Training pictures.")
    flags.DEFINE_integer("num_val", 200, "Validation pictures.")
    flags.DEFINE_integer("num_shards", 4, "Files for each split.")
    flags.DEFINE_integer(
        "num_workers", os.cpu_count() or 1, "Processes that render."
    )
    flags.DEFINE_integer("seed", 0, "Of all pictures.")
    flags.mark_flag_as_required("output_dir")


def main(_: list[str]) -> None:
    args = flags.FLAGS
    for summary in create_shapes_dataset(
        args.output_dir,
        num_train=args.num_train,
        num_val=args.num_val,
        num_shards=args.num_shards,
        num_workers=args.num_workers,
        seed=args.seed,
    ):
        summary.print()


if __name__ == "__main__":
    define_flags()
    command.run(main)
