"""Ends a command with one line and the error's exit code, not a trace."""

import sys
from collections.abc import Callable

from object_detection.core import errors


def exits_with_code(
    main: Callable[[list[str]], int | None],
) -> Callable[[list[str]], None]:
    """Wraps a `main` for `absl.app.run`.

    What `main` returns is the exit code. A DetectionError prints its line to
    stderr and ends with the code of its class.
    """

    def wrapped(argv: list[str]) -> None:
        try:
            sys.exit(main(argv))
        except errors.DetectionError as error:
            print(f"ERROR: {error}", file=sys.stderr)
            sys.exit(error.exit_code)

    return wrapped
