"""Ends a command with one line and an exit code in place of a trace.

0 is success, 2 to 7 those of `core.errors`, 130 and 143 SIGINT and SIGTERM.
"""

import argparse
import functools
import math
import sys
from collections.abc import Callable, Sequence

from absl import app, flags

from object_detection.core import errors

_USAGE_EXIT_CODE = errors.ConfigError.exit_code
_SIGINT_EXIT_CODE = 130

flags.DEFINE_boolean(
    "debug", False, "Print the trace of an error instead of its one line."
)


def run(
    main: Callable[[list[str]], None], *, takes_arguments: bool = False
) -> None:
    """Parses the flags, calls `main` and ends the process.

    Args:
        main: gets the arguments that are no flags, the program first.
        takes_arguments: whether there may be such arguments.
    """
    parse = functools.partial(_parse_flags, takes_arguments=takes_arguments)
    app.run(_with_exit_code(main), flags_parser=parse)


def run_with_arguments(
    parser: argparse.ArgumentParser,
    main: Callable[[argparse.Namespace], None],
) -> None:
    """Does the same for a command that does not use absl's flags.

    Args:
        parser: of the command line.
        main: gets what was parsed.
    """
    # Without the usage, whose lines hide what is wrong.
    parser.error = _exit_with_usage
    arguments = parser.parse_args()
    app.run(_with_exit_code(lambda _: main(arguments)), argv=sys.argv[:1])


class _HelpFormatter(
    argparse.ArgumentDefaultsHelpFormatter,
    argparse.RawDescriptionHelpFormatter,
):
    """Shows defaults, and leaves the lines of the description alone."""


def make_parser(description: str | None = None) -> argparse.ArgumentParser:
    """Returns the parser of a command that does not use absl's flags.

    Args:
        description: of the command, whose lines stay as they are.
    """
    return argparse.ArgumentParser(
        description=description,
        formatter_class=_HelpFormatter,
        # So that a flag that there is not is refused.
        allow_abbrev=False,
    )


def true_or_false(text: str) -> bool:
    """The `type` of an argument that is written out as true or false."""
    value = {"true": True, "false": False}.get(text.lower())
    if value is None:
        raise argparse.ArgumentTypeError(f"must be True or False, got {text}")
    return value


def number_from(
    low: float, kind: Callable[[str], float] = int
) -> Callable[[str], float]:
    """Returns the `type` of an argument that is a number.

    Args:
        low: the least that it may be.
        kind: int, or float, which has to be finite.
    """

    def parse(text: str) -> float:
        value = kind(text)
        if not low <= value < math.inf:
            raise argparse.ArgumentTypeError(
                f"must be at least {low:g}, got {text}"
            )
        return value

    # What argparse calls a text that is none.
    parse.__name__ = kind.__name__
    return parse


def _parse_flags(
    arguments: Sequence[str], *, takes_arguments: bool
) -> list[str]:
    try:
        remaining = flags.FLAGS(arguments)
    except flags.Error as error:
        _exit_with_usage(str(error))
    if len(remaining) > 1 and not takes_arguments:
        _exit_with_usage(
            f"unexpected argument {remaining[1]!r}; every argument is a flag, "
            "--name=value"
        )
    return remaining


def _exit_with_usage(problem: str) -> None:
    print(f"ERROR: {problem}; --help lists the flags", file=sys.stderr)
    sys.exit(_USAGE_EXIT_CODE)


def _with_exit_code(
    main: Callable[[list[str]], None],
) -> Callable[[list[str]], None]:
    def wrapped(arguments: list[str]) -> None:
        try:
            main(arguments)
        except errors.DetectionError as error:
            if flags.FLAGS.debug:
                raise
            print(f"ERROR: {error}", file=sys.stderr)
            sys.exit(error.exit_code)
        except KeyboardInterrupt:
            if flags.FLAGS.debug:
                raise
            print("Interrupted", file=sys.stderr)
            sys.exit(_SIGINT_EXIT_CODE)

    return wrapped
