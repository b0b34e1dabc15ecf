"""Which variables get a gradient, and how large it may become."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf
from absl import logging

Tensor = Any
Variables = Mapping[str, keras.Variable]

_BIASES_SUFFIX = "/biases"


def multiply_biases(
    gradients: Mapping[str, Tensor], factor: float
) -> dict[str, Tensor]:
    """Multiplies the gradients of biases, the variables called `.../biases`.

    A normalisation's beta is none of them.

    Args:
        gradients: tensors by checkpoint name.
        factor: 1 leaves them as they are.
    """
    if factor == 1.0:
        return dict(gradients)
    return {
        name: g * factor if name.endswith(_BIASES_SUFFIX) else g
        for name, g in gradients.items()
    }


def add_weight_decay(
    gradients: Mapping[str, Tensor], variables: Variables, weight: float
) -> dict[str, Tensor]:
    """Adds `weight * w` to the gradient of each of the variables w.

    Args:
        gradients: tensors by checkpoint name; a variable without one is left
            alone.
        variables: those that decay, from `select_decayed`.
        weight: 0 leaves the gradients as they are.
    """
    if not weight:
        return dict(gradients)
    return {
        name: g + weight * variables[name].value if name in variables else g
        for name, g in gradients.items()
    }


def clip_by_global_norm(
    gradients: Mapping[str, Tensor], clip_norm: float, global_norm: Tensor
) -> dict[str, Tensor]:
    """Scales all gradients by one factor so that their norm is in bounds.

    Args:
        gradients: tensors by name.
        clip_norm: the largest norm; 0 leaves the gradients as they are.
        global_norm: float32 scalar, the L2 norm over all gradients.
    """
    if clip_norm <= 0:
        return dict(gradients)
    scale = clip_norm / tf.maximum(global_norm, clip_norm)
    return {name: g * scale for name, g in gradients.items()}


def select_variables(
    variables: Variables,
    update_patterns: Sequence[str] = (),
    freeze_patterns: Sequence[str] = (),
) -> dict[str, keras.Variable]:
    """Returns the variables that training shall update.

    Args:
        variables: by checkpoint name.
        update_patterns: regular expressions; when there are any, a name must
            contain a match of one of them.
        freeze_patterns: regular expressions; a name that contains a match of
            one of them is left out, an included one too.

    A pattern that matches nothing is warned about.

    Raises:
        ValueError: nothing is left, or an expression is malformed.
    """
    included = (
        _matching(variables, update_patterns, "update_trainable_variables")
        if update_patterns
        else set(variables)
    )
    frozen = _matching(variables, freeze_patterns, "freeze_variables")
    selected = {
        name: variable
        for name, variable in variables.items()
        if name in included and name not in frozen
    }
    if not selected:
        raise ValueError(
            "no variable is left to train: update_trainable_variables "
            f"{list(update_patterns)} matches {len(included)} of "
            f"{len(variables)}, freeze_variables {list(freeze_patterns)} "
            f"matches {len(frozen)}"
        )
    return selected


def select_decayed(
    variables: Variables, exclude_patterns: Sequence[str]
) -> dict[str, keras.Variable]:
    """Returns the variables that weight decay pulls towards zero.

    Args:
        variables: by checkpoint name.
        exclude_patterns: regular expressions; a name that one of them matches
            as a whole is left out. One that matches nothing is warned about.

    Raises:
        ValueError: an expression is malformed.
    """
    excluded = _matching(
        variables,
        exclude_patterns,
        "weight_decay.exclude_variables",
        is_whole=True,
    )
    return {n: v for n, v in variables.items() if n not in excluded}


def _matching(
    names: Variables,
    patterns: Sequence[str],
    field: str,
    is_whole: bool = False,
) -> set[str]:
    """Returns the names that contain a match, or are one as a whole."""
    matching = set()
    for pattern in patterns:
        try:
            expression = re.compile(pattern)
        except re.error as error:
            raise ValueError(
                f"{field}: {pattern!r} is no regular expression: {error}"
            ) from error
        finds = expression.fullmatch if is_whole else expression.search
        found = [name for name in names if finds(name)]
        if not found:
            logging.warning(
                "train_config.%s: %r matches none of the %d trainable "
                "variables, whose names are such as %r",
                field,
                pattern,
                len(names),
                next(iter(names), "none"),
            )
        matching.update(found)
    return matching
