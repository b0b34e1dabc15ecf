"""Which of the alternatives of a message is set."""

from collections.abc import Collection

from google.protobuf import message

from object_detection.core import errors


def require(
    config: message.Message,
    oneof_name: str,
    path: str,
    supported: Collection[str],
) -> str:
    """Returns the name of the field that is set.

    Args:
        config: the message that has the oneof.
        oneof_name: the oneof.
        path: of `config` in the pipeline config, for the error.
        supported: fields that are implemented.

    Raises:
        errors.ConfigError: none is set, or one that is not supported.
    """
    kind = config.WhichOneof(oneof_name)
    expected = " or ".join(supported)
    if kind is None:
        raise errors.ConfigError(f"{path}: expected {expected}, got nothing")
    if kind not in supported:
        raise errors.ConfigError(
            f"{path}.{kind}: is not supported; use {expected}"
        )
    return kind
