"""Mixed precision: which type to compute in, and the loss scale of float16.

Variables and losses stay float32 under every choice.
"""

import functools
from collections.abc import Mapping
from typing import Any, Protocol

import keras
import tensorflow as tf
from absl import logging

from object_detection.core import errors
from object_detection.training import options

Tensor = Any

POLICIES = {
    "float32": "float32",
    "bfloat16": "mixed_bfloat16",
    "float16": "mixed_float16",
}

# How many updates in a row may overflow at a scale that stays: as many as the
# usual scale, 2^15, takes to fall to 1.
MAX_STATIC_OVERFLOWS = 15

# So that it stays finite where no gradient ever overflows.
_MAX_SCALE = 2.0**126

# What the CPU flags of Linux call instructions for bfloat16 products.
_BFLOAT16_CPU_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})


def fastest_dtype() -> str:
    """Returns the type in which this machine gains by mixed precision.

    bfloat16 has float32's range and needs no loss scale, so it is preferred
    where the hardware multiplies it: GPUs from compute capability 8 on and
    some CPUs. Older GPUs multiply float16.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        details = tf.config.experimental.get_device_details(gpus[0])
        capability = details.get("compute_capability", (0, 0))
        return "bfloat16" if capability >= (8, 0) else "float16"
    if _cpu_flags() & _BFLOAT16_CPU_FLAGS:
        return "bfloat16"
    logging.warning(
        "--amp: this CPU has no bfloat16 instructions, so training stays in "
        "float32; --amp_dtype=bfloat16 computes in it anyway, slower"
    )
    return "float32"


def compute_dtype(is_wanted: bool, dtype: str | None = None) -> str:
    """Returns the type of the flags --amp and --amp_dtype.

    Args:
        is_wanted: whether to use mixed precision.
        dtype: a key of POLICIES, or None to choose by the machine.

    Raises:
        ConfigError: a type is chosen but mixed precision is not wanted.
    """
    if not is_wanted:
        if dtype is not None:
            raise errors.ConfigError(
                f"--amp_dtype={dtype} has no effect without --amp; add it"
            )
        return "float32"
    return dtype or fastest_dtype()


class LossScale(Protocol):
    """What the loss is multiplied by before the gradients are taken.

    An update whose gradients overflow is skipped.
    """

    scale: keras.Variable

    def update(self, is_finite: Tensor) -> Tensor:
        """Follows one update; returns whether training may go on.

        Args:
            is_finite: bool scalar, whether the gradients were.

        Returns:
            bool scalar, false for an overflow that no scale will mend.
        """

    def checkpoint_variables(self) -> Mapping[str, keras.Variable]:
        """Returns the state that an exact resume needs."""


class DynamicLossScale:
    """Keeps float16 gradients between underflow and overflow.

    The scale halves at every `overflows_before_shrink`-th update with overflow
    since it last changed, and doubles after `growth_steps` updates without, in
    a row: as ExponentialUpdateLossScaleManager of TF1. Micikevicius et al.,
    "Mixed Precision Training" (2017).

    Args:
        initial: the first scale, a power of two.
        floor: at it, gradients that overflow do so for another reason.
        growth_steps: good updates before the scale doubles.
        overflows_before_shrink: bad ones before it halves.
    """

    def __init__(
        self,
        initial: float = 2.0**15,
        floor: float = 1.0,
        growth_steps: int = 2000,
        overflows_before_shrink: int = 1,
    ) -> None:
        self._floor = min(floor, initial)
        self._growth_steps = growth_steps
        self._overflows_before_shrink = overflows_before_shrink
        self.scale = keras.Variable(initial, trainable=False)
        self._num_good_steps = _counter()
        self._num_overflows = _counter()

    def update(self, is_finite: Tensor) -> Tensor:
        """Changes the scale when it is time; see `LossScale`."""
        scale = self.scale.value
        num_good = _count_on(self._num_good_steps, is_finite)
        num_bad = self._num_overflows.value + tf.cast(
            ~is_finite, self._num_overflows.dtype
        )
        grows = num_good >= self._growth_steps
        shrinks = num_bad >= self._overflows_before_shrink
        can_shrink = scale > self._floor
        self.scale.assign(
            tf.where(
                shrinks,
                tf.maximum(scale / 2.0, self._floor),
                tf.where(grows, tf.minimum(scale * 2.0, _MAX_SCALE), scale),
            )
        )
        zero = tf.zeros_like(num_good)
        self._num_good_steps.assign(tf.where(grows, zero, num_good))
        self._num_overflows.assign(tf.where(shrinks | grows, zero, num_bad))
        return ~shrinks | can_shrink

    def checkpoint_variables(self) -> Mapping[str, keras.Variable]:
        """Returns the scale and its counts; see `LossScale`."""
        variables = {
            "loss_scale/current_loss_scale": self.scale,
            "loss_scale/good_steps": self._num_good_steps,
        }
        # Else it is 0 after each update.
        if self._overflows_before_shrink > 1:
            variables["loss_scale/overflows"] = self._num_overflows
        return variables


class StaticLossScale:
    """Stays as it is.

    Args:
        scale: the scale.
    """

    def __init__(self, scale: float) -> None:
        self.scale = keras.Variable(scale, trainable=False)
        self._num_overflows = _counter()

    def update(self, is_finite: Tensor) -> Tensor:
        """Allows `MAX_STATIC_OVERFLOWS` in a row; see `LossScale`."""
        num_overflows = _count_on(self._num_overflows, ~is_finite)
        self._num_overflows.assign(num_overflows)
        return num_overflows <= MAX_STATIC_OVERFLOWS

    def checkpoint_variables(self) -> Mapping[str, keras.Variable]:
        """Returns the count alone: the scale is the config's."""
        return {"loss_scale/overflows": self._num_overflows}


def make_loss_scale(wanted: options.LossScaleOptions) -> LossScale:
    """Makes the loss scale of a training."""
    if wanted.is_static:
        return StaticLossScale(wanted.initial)
    return DynamicLossScale(
        wanted.initial,
        growth_steps=wanted.growth_steps,
        overflows_before_shrink=wanted.overflows_before_shrink,
    )


def _counter() -> keras.Variable:
    return keras.Variable(0, trainable=False, dtype="int64")


def _count_on(counter: keras.Variable, is_one_more: Tensor) -> Tensor:
    """Returns the count and 1, or 0 where the row of them ends."""
    count = counter.value
    return tf.where(is_one_more, count + 1, tf.zeros_like(count))


@functools.lru_cache(maxsize=1)
def _cpu_flags() -> frozenset[str]:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith(("flags", "Features")):
                    return frozenset(line.split(":", 1)[1].split())
    except OSError:
        pass
    return frozenset()
