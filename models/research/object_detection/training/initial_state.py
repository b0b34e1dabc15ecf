"""What a training begins with: a checkpoint's state, or a new one."""

from typing import Any

from absl import logging

from object_detection.training import (
    checkpoint_manager,
    distributed,
    fine_tune,
    trainer,
)
from object_detection.training.options import TrainOptions


def restored_or_new_state(
    model: Any,
    options: TrainOptions,
    model_dir: str,
    manager: checkpoint_manager.CheckpointManager | None,
) -> trainer.TrainState:
    """Returns the state to train on, with weights from where they come.

    The main process reads them, and gives them to all.

    Args:
        model: a detector.
        options: how to train it, and where first weights come from.
        model_dir: of the run, whose newest checkpoint is continued.
        manager: of its checkpoints, None in all processes but the main one.

    Raises:
        CheckpointError: the checkpoint is damaged or of another model.
        ConfigError: no variable is left to train, or the first weights lie in
            model_dir.
    """

    def latest_checkpoint() -> str | None:
        if options.fine_tune is not None:
            fine_tune.refuse_own_directory(options.fine_tune, model_dir)
        latest = manager.latest
        if latest is None and options.fine_tune is not None:
            fine_tune.initialize(
                model.checkpoint_variables(), options.fine_tune
            ).print()
        return latest

    latest = distributed.from_main(latest_checkpoint)
    distributed.broadcast(model.checkpoint_variables().values())
    # After the weights, because a moving average begins at their values.
    state = trainer.TrainState(model, options)
    if latest is None:
        return state
    missing = distributed.from_main(lambda: state.restore(latest))
    distributed.broadcast(state.checkpoint_variables().values())
    if missing:
        logging.warning(
            "%s has no %s (%d such variables); they start anew",
            latest,
            missing[0],
            len(missing),
        )
    return state
