"""Checkpoint names of the variables of a network."""

import keras

# The training steps made so far.
GLOBAL_STEP = "global_step"


def checkpoint_variables(
    *layers: keras.layers.Layer,
) -> dict[str, keras.Variable]:
    """Collects checkpoint name -> variable from all layers and their parts.

    A leaf layer says its own names through `named_variables()`; a layer that
    is used in several places counts once.

    Raises:
        ValueError: two variables have one name.
    """
    named: dict[str, keras.Variable] = {}
    for layer in layers:
        # Keras has no public walk over the layers inside a layer.
        for part in layer._flatten_layers():
            if not hasattr(part, "named_variables"):
                continue
            for name, variable in part.named_variables().items():
                if named.setdefault(name, variable) is not variable:
                    raise ValueError(f"two variables are called {name!r}")
    return named
