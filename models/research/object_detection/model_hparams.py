"""Reads `--hparams_overrides`.

batch_size=16,learning_rate=0.01,train_input_path=[/a/*.record,/b/*.record]
model.ssd.loss.localization_weight=2,eval_input_reader[0].shuffle=false
"""

from object_detection.core import errors
from object_detection.utils import config_overrides, config_paths, config_util


def apply_hparams_overrides(
    configs: config_util.Configs, hparams_overrides: str | None
) -> config_util.Configs:
    """Returns the configs with the flag's overrides applied in order.

    Args:
        configs: parts of a config as `config_util` gives them; not changed.
        hparams_overrides: the flag's value; None and "" change nothing.

    Raises:
        ConfigError: a key or value is malformed, unknown or does not fit.
    """
    try:
        overrides = create_hparams(hparams_overrides)
        return config_overrides.apply_overrides(configs, overrides)
    except errors.ConfigError as error:
        raise errors.ConfigError(f"--hparams_overrides: {error}") from None


def create_hparams(hparams_overrides: str | None = None) -> dict[str, str]:
    """Returns the text of each value by key, in the order given.

    Pairs are separated by commas. A comma inside brackets, braces or quotes
    belongs to the value.

    Args:
        hparams_overrides: such as "train_steps=100,train_shuffle=false".

    Raises:
        ConfigError: not `key=value`, an unclosed bracket, a key given twice.
    """
    overrides: dict[str, str] = {}
    if not hparams_overrides or not hparams_overrides.strip():
        return overrides
    for pair in config_paths.split_top_level(hparams_overrides):
        key, equals, value = (part.strip() for part in pair.partition("="))
        if not key or not equals:
            raise errors.ConfigError(
                f"expected key=value, got '{pair}'; a list goes in [...], text "
                "with commas in quotes"
            )
        if key in overrides:
            raise errors.ConfigError(f"{key}: is given twice")
        if not value and "." not in key:
            raise errors.ConfigError(f"{key}: has no value")
        overrides[key] = value
    return overrides
