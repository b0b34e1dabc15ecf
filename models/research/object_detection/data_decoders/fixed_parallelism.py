"""Datasets whose iterators end at once."""

import tensorflow as tf


def with_fixed_parallelism(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Returns the dataset with as many parallel calls as there are cores.

    tf.data would tune their number in a thread that sleeps ever longer, up to a
    minute, and that TensorFlow 2.18 does not always wake when an iterator ends,
    which then waits for it.

    Args:
        dataset: whose `tf.data.AUTOTUNE`, before and after this call, becomes
            the number of cores, 16 at most.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)
