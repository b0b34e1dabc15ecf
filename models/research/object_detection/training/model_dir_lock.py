"""One training process to a model_dir."""

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator

from absl import logging

from object_detection.core import errors

_LOCK_FILE = ".lock"


@contextlib.contextmanager
def locked(model_dir: str) -> Iterator[None]:
    """Makes the directory and owns it while the block runs.

    The system frees the lock when the process ends, however it ends, so there
    is nothing to clean up after a kill.

    Raises:
        ConfigError: another process trains into the directory.
        ResourceError: the directory cannot be made or written.
    """
    path = os.path.join(model_dir, _LOCK_FILE)
    try:
        os.makedirs(model_dir, exist_ok=True)
        file = open(path, "a+", encoding="utf-8")  # noqa: SIM115
    except FileExistsError as error:
        raise errors.ConfigError(
            f"--model_dir {model_dir}: is a file, expected a directory"
        ) from error
    except OSError as error:
        raise errors.ResourceError(
            f"--model_dir {model_dir}: cannot be written ({error.strerror})"
        ) from error
    with file:
        _lock(file.fileno(), model_dir, path)
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def _lock(descriptor: int, model_dir: str, path: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        with open(path, encoding="utf-8") as file:
            owner = file.read().strip() or "unknown"
        raise errors.ConfigError(
            f"--model_dir {model_dir}: process {owner} trains into it; wait "
            "for its end or give another directory"
        ) from error
    except OSError as error:
        # Some network file systems have no locks.
        if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
            raise
        logging.warning(
            "%s is on a file system without locks; take care that no second "
            "process trains into it",
            model_dir,
        )
