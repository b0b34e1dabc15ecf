"""The ordered list of augmentations, applied to one example.

An augmentation is made by a function of plain values, `make_x(...) -> Step`,
in one of the modules beside this one; `builders/preprocessor_builder.py`
has one table that maps each config message to such a function.
"""

from collections.abc import Sequence

import tensorflow as tf

from object_detection.core import standard_fields
from object_detection.preprocessing import examples

Fields = standard_fields.InputDataFields


def augment(
    example: examples.Example,
    steps: Sequence[examples.Step],
    seed: tf.Tensor,
) -> examples.Example:
    """Applies the steps in order.

    Args:
        example: tensors of one image; the image may be still encoded.
        steps: augmentations, each with a seed of its own.
        seed: int64 [2]; the same seed gives the same result.

    Returns:
        The augmented example, its image decoded.
    """
    for number, step in enumerate(steps):
        example = step(example, _step_seed(seed, number))
    return {**example, Fields.image: examples.pixels(example[Fields.image])}


def _step_seed(seed: tf.Tensor, number: int) -> tf.Tensor:
    return examples.derive_seed(
        examples.derive_seed(seed, number // 31), number % 31
    )
