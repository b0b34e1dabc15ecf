"""Errors that a user can cause, each with the exit code of the process.

The compute core raises `ValueError`; builders and tools turn what a user can
cause into one of these. A message is one line: what is wrong, where
(file:line:column field, or file:record), what was expected, what was found,
what to do.
"""


class DetectionError(Exception):
    """Base of all errors that end a run with one line instead of a trace."""

    exit_code = 1


class ConfigError(DetectionError):
    """A flag, a config field, a label map or a combination of them."""

    exit_code = 2


class DataError(DetectionError):
    """A record file, a record, an image or an annotation."""

    exit_code = 3


class CheckpointError(DetectionError):
    """A checkpoint or model file that is missing, damaged or another's."""

    exit_code = 4


class NumericsError(DetectionError):
    """A loss or gradient that is NaN or infinite."""

    exit_code = 5


class DistributedError(DetectionError):
    """A process of a distributed run that died, hung or disagrees."""

    exit_code = 6


class ResourceError(DetectionError):
    """Memory, disk or device that is not there or not enough."""

    exit_code = 7
