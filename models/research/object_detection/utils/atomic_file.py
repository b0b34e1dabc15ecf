"""Files that appear complete or not at all."""

import contextlib
import os
from collections.abc import Iterator

from object_detection.core import errors


@contextlib.contextmanager
def replacing(path: str) -> Iterator[str]:
    """Gives a path to write to, which becomes `path` when the block ends well.

    Directories on the way are made. The temporary file lies beside `path`,
    with its ending, and is removed when the block fails.

    Raises:
        ResourceError: the disk refuses.
    """
    directory, name = os.path.split(path)
    temporary = os.path.join(directory, f".tmp-{os.getpid()}-{name}")
    try:
        os.makedirs(directory or ".", exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise errors.ResourceError(
            f"{path}: cannot be written: {error.strerror or error}"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            os.remove(temporary)
