r"""Trains each relative's network on one data set in each of its layouts.

    python qa/relatives_data.py --bccd_dir=/path/to/bccd --output_dir=DATA
    python qa/relatives_training.py --data_dir=DATA [--work_dir=DIR]

Each config of a relative meets the images as a COCO file, as a folder of Pascal
VOC and as a text file: model_main trains some steps from random weights, goes
on for as many again from the checkpoint, and evaluates it in a run of its own.
Prints a line for each pair, with the mean loss of the first and of the last
steps. Exit code 1 when a command fails, a loss does not fall, the second run
does not go on from the first one's checkpoint, or there is no mAP.
"""

import argparse
import dataclasses
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import time

_ROOT = pathlib.Path(__file__).resolve().parents[1]
_RATE = (
    "train_config.optimizer.momentum_optimizer.learning_rate."
    "constant_learning_rate.learning_rate"
)
# The recipe's own rate of one device, or what it would be at this batch size,
# without its warmup, which takes longer than these runs.
_RATES = {
    "ssd300_resnet50_coco": 0.001,
    "ssd300_mobilenet_v2_coco": 0.01,
    "ssd300_vgg16_voc": 0.00075,
    "ssd512_vgg16_voc": 0.00075,
}
_READERS = {
    "coco": (
        "coco_input_reader",
        {
            "image_dir": "coco/{coco}2017",
            "annotations_path": "coco/annotations/instances_{coco}2017.json",
        },
    ),
    "voc": ("voc_input_reader", {"input_dir": "voc_flat/{voc}"}),
    "txt": (
        "txt_input_reader",
        {"image_dir": "txt", "annotations_path": "txt/{coco}.txt"},
    ),
}
_SPLITS = (
    ("train_input_reader", {"coco": "train", "voc": "train"}),
    ("eval_input_reader[0]", {"coco": "val", "voc": "eval"}),
)
_LOSS = re.compile(r"^step (\d+)/\d+  loss (\S+) ", re.M)
_RESUMED = re.compile(r"Resuming from step (\d+) of")
_MAP = re.compile(r"Boxes_Precision/mAP(?:@0\.5IOU)? = ([^,\s]+)")


@dataclasses.dataclass(frozen=True)
class Options:
    """What the command line says; sizes in steps and images."""

    data_dir: pathlib.Path
    work_dir: pathlib.Path
    steps: int
    batch_size: int
    eval_every_nth: int

    def model_dir(self, config: str, layout: str) -> pathlib.Path:
        """Where the checkpoints and logs of a pair go."""
        return self.work_dir / f"{config}-{layout}"


class CheckError(Exception):
    """One line about what was expected and what was found."""


def overrides(config: str, layout: str, options: Options) -> str:
    """Returns the --hparams_overrides of a config on a layout of the data."""
    reader, fields = _READERS[layout]
    values: dict[str, object] = {
        "model.ssd.num_classes": 3,
        "label_map_path": options.data_dir / "label_map.pbtxt",
        "train_config.batch_size": options.batch_size,
        "train_config.fine_tune_checkpoint": "",
        _RATE: _RATES[config],
        "eval_config.batch_size": options.batch_size,
        "eval_input_reader[0].sample_1_of_n_examples": options.eval_every_nth,
    }
    for place, names in _SPLITS:
        values[f"{place}.record_dir"] = ""
        text = " ".join(
            f'{field}: "{options.data_dir / path.format(**names)}"'
            for field, path in fields.items()
        )
        values[f"{place}.{reader}"] = f"{{ {text} }}"
    return ",".join(f"{name}={value}" for name, value in values.items())


def run_model_main(
    config: str, layout: str, options: Options, name: str, *flags: str
) -> str:
    """Runs model_main, and returns what it printed.

    Raises:
        CheckError: it failed.
    """
    model_dir = options.model_dir(config, layout)
    command = [
        *(sys.executable, "-m", "object_detection.model_main"),
        f"--pipeline_config_path={_ROOT}/configs/{config}.config",
        f"--hparams_overrides={overrides(config, layout, options)}",
        *("--log_steps=1", "--seed=1", *flags),
    ]
    result = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": str(_ROOT / "models/research")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    (model_dir / f"{name}.log").write_text(result.stdout)
    if result.returncode:
        last = (result.stdout.strip().splitlines() or ["nothing"])[-1]
        raise CheckError(f"{name}: exit code {result.returncode}: {last}")
    return result.stdout


def measure(config: str, layout: str, options: Options) -> str:
    """Trains, goes on and evaluates; returns what is to be seen of it.

    Raises:
        CheckError: a command failed, or its output is not as it should be.
    """
    model_dir = options.model_dir(config, layout)
    shutil.rmtree(model_dir, ignore_errors=True)
    model_dir.mkdir(parents=True)
    losses: dict[int, float] = {}
    resumed = None
    for part in (1, 2):
        printed = run_model_main(
            config,
            layout,
            options,
            f"train-{part}",
            f"--model_dir={model_dir}",
            "--eval_count=0",
            f"--num_train_steps={part * options.steps}",
        )
        losses |= {int(at): float(x) for at, x in _LOSS.findall(printed)}
        resumed = _RESUMED.search(printed)
    if list(losses) != list(range(1, 2 * options.steps + 1)):
        raise CheckError(f"expected a loss of each step, got {losses}")
    if resumed is None or int(resumed[1]) != options.steps:
        raise CheckError(f"the second run did not resume at {options.steps}")
    count = max(1, options.steps // 3)
    values = list(losses.values())
    first, last = (
        statistics.fmean(x) for x in (values[:count], values[-count:])
    )
    if not last < first:
        raise CheckError(f"the loss went from {first:.3f} to {last:.3f}")
    printed = run_model_main(
        config,
        layout,
        options,
        "evaluate",
        f"--checkpoint_dir={model_dir}",
        f"--model_dir={model_dir}/evaluated",
        "--run_once",
    )
    found = _MAP.search(printed)
    if found is None:
        raise CheckError("the evaluation printed no mAP")
    return f"loss {first:7.3f} -> {last:7.3f}   mAP {float(found[1]):.4f}"


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--data_dir", type=pathlib.Path, required=True)
    add("--work_dir", type=pathlib.Path, default="/tmp/relatives_training")
    add("--steps", type=int, default=6, help="of each of the two runs (6)")
    add("--batch_size", type=int, default=2, help="(2)")
    add("--eval_every_nth", type=int, default=9, help="image is measured (9)")
    add("--configs", nargs="+", choices=_RATES, default=list(_RATES))
    add("--layouts", nargs="+", choices=_READERS, default=list(_READERS))
    arguments = vars(parser.parse_args())
    configs, layouts = arguments.pop("configs"), arguments.pop("layouts")
    options = Options(**arguments)
    failures = 0
    for config in configs:
        for layout in layouts:
            start = time.monotonic()
            try:
                seen = measure(config, layout, options)
            except CheckError as error:
                failures += 1
                seen = f"FAILED {error}"
            seconds = time.monotonic() - start
            print(f"{config:25s} {layout:5s} {seen}   {seconds:4.0f} s")
            sys.stdout.flush()
    print(f"{failures} failed; logs and checkpoints: {options.work_dir}")
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
