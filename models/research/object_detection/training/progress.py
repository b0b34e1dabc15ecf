"""What a person sees of a running training, and how fast it goes."""

import sys
import time
from collections.abc import Callable, Mapping
from types import TracebackType

import rich.console
import rich.progress
import rich.table

from object_detection.core.standard_fields import LossFields

_SECONDS_BETWEEN_REDRAWS = 0.5


class StepRate:
    """Steps per second between two looks at the clock.

    Args:
        step: number of steps made so far.
    """

    def __init__(self, step: int) -> None:
        self._step = step
        self._start_seconds = time.monotonic()

    def restart(self, step: int) -> float:
        """Returns the rate since the last call and starts anew.

        Args:
            step: number of steps made so far.
        """
        now = time.monotonic()
        elapsed_seconds = max(now - self._start_seconds, 1e-9)
        rate = (step - self._step) / elapsed_seconds
        self._step = step
        self._start_seconds = now
        return rate


class Progress:
    """A live line on a terminal, else one line every so many steps.

    Everything goes to standard error, so that standard output stays clean.

    Args:
        start_step: number of steps made before.
        max_steps: the step to reach now, after which the line goes away.
        total_steps: the step to reach in the end.
        log_steps: steps between two lines when the output is no terminal.
        is_shown: whether anything is.
        label: from a step to what stands before the rest, or None.
    """

    def __init__(
        self,
        start_step: int,
        max_steps: int,
        total_steps: int,
        log_steps: int,
        *,
        is_shown: bool = True,
        label: Callable[[int], str] | None = None,
    ) -> None:
        self._is_shown = is_shown
        self._start_step = start_step
        self._max_steps = max_steps
        self._total_steps = total_steps
        self._log_steps = log_steps
        self._label = label
        self._rate = StepRate(start_step)
        self._last_redraw_seconds = 0.0
        self._bar = None
        self._task = None
        console = rich.console.Console(stderr=True)
        if is_shown and console.is_terminal:
            self._bar = rich.progress.Progress(
                rich.progress.BarColumn(bar_width=10),
                # A narrow terminal shows two lines before it cuts one.
                rich.progress.TextColumn(
                    "{task.description}",
                    table_column=rich.table.Column(ratio=1, no_wrap=False),
                ),
                rich.progress.TimeRemainingColumn(),
                console=console,
                transient=True,
            )

    def __enter__(self) -> "Progress":
        if self._bar is not None:
            self._bar.start()
            self._task = self._bar.add_task(
                "first step: compiling",
                total=self._total_steps,
                completed=self._start_step,
            )
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def is_due(self, step: int) -> bool:
        """Returns whether `show` is wanted after this step."""
        if not self._is_shown:
            return False
        if step in (self._start_step + 1, self._max_steps):
            return True
        if self._bar is not None:
            elapsed_seconds = time.monotonic() - self._last_redraw_seconds
            return elapsed_seconds > _SECONDS_BETWEEN_REDRAWS
        return step % self._log_steps == 0

    def show(
        self,
        step: int,
        images_per_step: int,
        losses: Mapping[str, float],
        learning_rate: float,
    ) -> None:
        """Shows the state after a step.

        Args:
            step: number of steps made so far.
            images_per_step: over all processes.
            losses: by the keys of `LossFields`.
            learning_rate: the one the step used.
        """
        steps_per_second = self._rate.restart(step)
        text = (
            f"step {step}/{self._total_steps}  {_format_losses(losses)}  "
            f"lr {learning_rate:.4g}"
        )
        if self._label is not None:
            text = f"{self._label(step)}  {text}"
        # The first step compiles, so its rate foretells nothing.
        if step > self._start_step + 1:
            images_per_second = steps_per_second * images_per_step
            text += f"  {images_per_second:.4g} images/s"
        if self._bar is not None:
            self._last_redraw_seconds = time.monotonic()
            self._bar.update(self._task, completed=step, description=text)
            return
        if step > self._start_step + 1:
            eta_seconds = (self._total_steps - step) / steps_per_second
            text += (
                f"  eta {_format_seconds(eta_seconds)}  "
                f"global_step/sec: {steps_per_second:.6g}"
            )
        print(text, file=sys.stderr, flush=True)


def _format_losses(losses: Mapping[str, float]) -> str:
    parts = ", ".join(
        f"{name.removeprefix('Loss/').removesuffix('_loss')} {value:.4g}"
        for name, value in losses.items()
        if name != LossFields.total_loss
    )
    return f"loss {losses[LossFields.total_loss]:.4g} ({parts})"


def _format_seconds(seconds: float) -> str:
    minutes, whole_seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{whole_seconds:02}"
