"""Mixed precision: which type to compute in, and the loss scale of float16.

Variables and losses stay float32 under every choice.
"""

import functools
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf
from absl import logging

from object_detection.core import errors

Tensor = Any

POLICIES = {
    "float32": "float32",
    "bfloat16": "mixed_bfloat16",
    "float16": "mixed_float16",
}

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


class DynamicLossScale:
    """Keeps float16 gradients between underflow and overflow.

    The loss is multiplied by the scale before the gradients are taken. An
    update whose gradients overflow is skipped and halves the scale; it
    doubles after `growth_steps` good ones. Micikevicius et al., "Mixed
    Precision Training" (2017).

    Args:
        initial: the first scale, a power of two.
        floor: below it the gradients overflow for another reason.
        growth_steps: good updates before the scale doubles.
    """

    def __init__(
        self,
        initial: float = 2.0**15,
        floor: float = 1.0,
        growth_steps: int = 2000,
    ) -> None:
        self._floor = floor
        self._growth_steps = growth_steps
        self.scale = keras.Variable(initial, trainable=False)
        self._num_good_steps = keras.Variable(0, trainable=False, dtype="int64")

    def update(self, is_finite: Tensor) -> Tensor:
        """Follows one update; returns whether an overflow may be skipped.

        Args:
            is_finite: bool scalar, whether the gradients were.

        Returns:
            bool scalar, false when the gradients overflowed at the floor.
        """
        scale = self.scale.value
        num_good = self._num_good_steps.value + 1
        num_good = tf.where(is_finite, num_good, tf.zeros_like(num_good))
        grows = num_good >= self._growth_steps
        can_shrink = scale > self._floor
        self.scale.assign(
            tf.where(
                is_finite,
                tf.where(grows, scale * 2.0, scale),
                tf.maximum(scale / 2.0, self._floor),
            )
        )
        self._num_good_steps.assign(
            tf.where(grows, tf.zeros_like(num_good), num_good)
        )
        return is_finite | can_shrink

    def checkpoint_variables(self) -> Mapping[str, keras.Variable]:
        """Returns the state that an exact resume needs."""
        return {
            "loss_scale/current_loss_scale": self.scale,
            "loss_scale/good_steps": self._num_good_steps,
        }


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
