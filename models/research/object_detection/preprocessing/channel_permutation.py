"""Puts the colours into another order, which waits until they are decoded."""

import tensorflow as tf

from object_detection.core import standard_fields
from object_detection.preprocessing import color_matrices, examples

Fields = standard_fields.InputDataFields


def make_random_channel_permutation(probability: float = 0.5) -> examples.Step:
    """Returns a step that puts the three colours into another order.

    Args:
        probability: that an order is drawn, each of the six as likely.

    Raises:
        ValueError: `probability` is not in [0, 1].
    """
    examples.check_shares(probability=probability)

    def random_channel_permutation(
        example: examples.Example, seed: tf.Tensor
    ) -> examples.Example:
        keys_4 = tf.random.stateless_uniform([4], seed)
        order_3 = tf.argsort(keys_4[1:])
        # A product with zeros and ones is exact and faster than a gather.
        matrix_33 = tf.one_hot(order_3, 3, axis=0)

        def permute(pixels: tf.Tensor) -> tf.Tensor:
            return tf.cond(
                keys_4[0] < probability,
                lambda: color_matrices.as_floats(
                    pixels, lambda c: color_matrices.mix(c, matrix_33)
                ),
                lambda: pixels,
            )

        changed = examples.change_colors(
            example[Fields.image], permute, needs_rgb=True
        )
        return {**example, Fields.image: changed}

    return random_channel_permutation
