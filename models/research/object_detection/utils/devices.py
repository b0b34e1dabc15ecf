"""What a process does before TensorFlow uses its devices."""

import tensorflow as tf


def set_up(*, uses_gpus: bool = True) -> None:
    """Lets TensorFlow take the memory of GPUs as it needs it.

    Args:
        uses_gpus: false for the CPU alone.
    """
    if not uses_gpus:
        tf.config.set_visible_devices([], "GPU")
    # TensorFlow would take all memory of all GPUs at once.
    for gpu in tf.config.get_visible_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)
