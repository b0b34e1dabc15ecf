r"""Shows the whole way from pictures to a trained and measured detector.

    python -m object_detection.demo --output_dir=demo

draws the shapes data set, trains `configs/ssd_mobilenet_v1_fpn_shapes.config`
on it by `model_main`, which evaluates it too, and writes `report.html`. About
three minutes on two cores. Each run starts afresh; the commands are printed,
to be used on data of one's own.
"""

import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import time

from absl import flags

from object_detection.core import errors
from object_detection.dataset_tools import create_shapes_tf_record
from object_detection.training import model_dir_lock
from object_detection.utils import (
    command,
    config_util,
    evaluation_files,
    report,
)

CONFIG_NAME = "ssd_mobilenet_v1_fpn_shapes.config"

# What the config reaches with room to spare; less means that something broke.
EXPECTED_MAP_50 = 0.6

_MAP_50_KEY = "DetectionBoxes_Precision/mAP@.50IOU"


def default_config_path() -> str:
    """Returns the shapes config of the checkout that this module is in."""
    root = pathlib.Path(__file__).resolve().parents[3]
    return str(root / "configs" / CONFIG_NAME)


def remove_earlier_model(model_dir: str) -> bool:
    """Removes what an earlier demo trained, so that training starts at 0.

    Returns:
        Whether there was something to remove.

    Raises:
        ConfigError: the directory holds something else than a training, or a
            training that is running.
    """
    if not os.path.isdir(model_dir) or not os.listdir(model_dir):
        return False
    config_path = os.path.join(model_dir, config_util.PIPELINE_CONFIG_NAME)
    if not os.path.isfile(config_path):
        raise errors.ConfigError(
            f"--output_dir: {model_dir} is no training of an earlier demo;"
            " choose another directory"
        )
    with model_dir_lock.locked(model_dir):
        shutil.rmtree(model_dir)
    return True


def commands(output_dir: str, config_path: str) -> list[list[str]]:
    """Returns the commands that draw the data, and that train on it."""
    data_dir = os.path.join(output_dir, "data")
    label_map = os.path.join(data_dir, create_shapes_tf_record.LABEL_MAP_NAME)
    train_records = os.path.join(data_dir, "shapes_train.record-*")
    val_records = os.path.join(data_dir, "shapes_val.record-*")
    draw = [
        "object_detection.dataset_tools.create_shapes_tf_record",
        f"--output_dir={data_dir}",
    ]
    train = [
        "object_detection.model_main",
        f"--pipeline_config_path={config_path}",
        f"--model_dir={os.path.join(output_dir, 'model')}",
        f"--raport_file={os.path.join(output_dir, 'summary.json')}",
        f'--hparams_overrides=label_map_path="{label_map}",'
        f'train_input_path="{train_records}",eval_input_path="{val_records}"',
    ]
    return [[sys.executable, "-m", *arguments] for arguments in (draw, train)]


def run(arguments: list[str]) -> None:
    """Prints and runs a command; ends this process when the command fails."""
    print(f"\n$ {shlex.join(arguments)}", flush=True)
    with subprocess.Popen(arguments) as process:
        while True:
            try:
                exit_code = process.wait()
                break
            except KeyboardInterrupt:
                # The command got the signal too, and saves before it ends.
                continue
    if exit_code:
        sys.exit(exit_code if exit_code > 0 else 128 - exit_code)


def define_flags() -> None:
    """Defines this command's flags; only a process that runs it has them."""
    flags.DEFINE_string("output_dir", "demo", "Where everything is written.")
    flags.DEFINE_string(
        "pipeline_config_path", default_config_path(), "What is trained."
    )


def main(_: list[str]) -> None:
    start = time.monotonic()
    output_dir = flags.FLAGS.output_dir
    model_dir = os.path.join(output_dir, "model")
    if remove_earlier_model(model_dir):
        print(f"Removed {model_dir}, which an earlier demo trained")
    config_path = flags.FLAGS.pipeline_config_path
    for arguments in commands(output_dir, config_path):
        run(arguments)
    report_path = os.path.join(output_dir, "report.html")
    report.write(model_dir, report_path)
    evaluations = evaluation_files.read_records(os.path.join(model_dir, "eval"))
    last = evaluations[-1]
    map_50 = last.metrics[_MAP_50_KEY]
    minutes, seconds = divmod(round(time.monotonic() - start), 60)
    print(
        f"\nmAP@.50 is {map_50:.3f} on {last.num_images} pictures that training"
        f" did not see (expected: {EXPECTED_MAP_50} or more).\n"
        f"Took {minutes} min {seconds} s. Curves, tables and pictures: "
        f"{report_path}"
    )
    if map_50 < EXPECTED_MAP_50:
        sys.exit(1)


if __name__ == "__main__":
    define_flags()
    command.run(main)
