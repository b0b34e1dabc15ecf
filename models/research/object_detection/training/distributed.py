"""The processes of a run: who they are, and what they tell each other.

The only importer of Horovod, which is needed for more than one process alone.
A run of one process takes the same path through every function here.

    with distributed.processes(timeout_seconds=600.0):
        ...  # the same calls, in the same order, in every process

A collective (`average`, `broadcast`, `gather_objects`, `from_main`) waits for
all processes. What all of them know to be wrong is raised by `raise_together`;
an error of one process ends the others through `peers`.
"""

import contextlib
import math
import os
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NoReturn, TypeVar

import tensorflow as tf

from object_detection.core import errors
from object_detection.training import elastic, peers

Tensor = Any
_T = TypeVar("_T")

# What the launchers (horovodrun, mpirun, srun) tell each process.
_SIZE_VARIABLES = ("HOROVOD_SIZE", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE")
_HOW_TO_INSTALL = "install it by 'make horovod'"
_SECONDS_FOR_VERDICT = 10.0
_LEAST_SECONDS_TO_START = 60

# horovod.tensorflow in a run of several processes, else None.
_hvd: Any = None
_watch: peers.Watch | None = None


@contextlib.contextmanager
def processes(timeout_seconds: float = 600.0) -> Iterator[None]:
    """Joins the other processes of the run, and leaves them at the end.

    Each process takes the GPU of its number on its machine, or its share of
    the cores. While the block runs, a process that dies, hangs or fails ends
    all others with exit code 6 and a line that names it.

    Args:
        timeout_seconds: without any progress, after which a process counts as
            hanging. At the start they wait as long for each other, but at
            least a minute.

    Raises:
        DistributedError: the processes cannot find each other.
    """
    num_started = _num_started()
    if num_started == 1 and not elastic.is_elastic():
        yield
        return
    _join(num_started, timeout_seconds)
    try:
        yield
    except BaseException as error:
        _leave_after(error)
        raise
    gather_objects(None)
    _leave()


def rank() -> int:
    """Returns this process's number among all, from 0."""
    return _hvd.rank() if _hvd else 0


def size() -> int:
    """Returns the number of processes."""
    return _hvd.size() if _hvd else 1


def is_main_process() -> bool:
    """Returns whether this is the one process that writes files."""
    return rank() == 0


def average(
    tensors: Mapping[str, Tensor], *, compress: bool = False
) -> dict[str, Tensor]:
    """Returns the mean over processes of each tensor, in a graph.

    Args:
        tensors: of the same names, shapes and dtypes in every process.
        compress: whether they travel as float16.
    """
    if not _hvd or not tensors:
        return dict(tensors)
    compression = _hvd.Compression.fp16 if compress else _hvd.Compression.none
    means = _hvd.grouped_allreduce(
        list(tensors.values()), op=_hvd.Average, compression=compression
    )
    return dict(zip(tensors, means, strict=True))


def broadcast(variables: Iterable[Any]) -> None:
    """Gives Keras variables the values that they have in the main process."""
    if _hvd:
        with waiting():
            _hvd.broadcast_variables([v.value for v in variables], root_rank=0)


def gather_objects(value: _T) -> list[_T]:
    """Returns the value of each process, by rank."""
    if not _hvd:
        return [value]
    with waiting():
        return _hvd.allgather_object(value)


def from_main(make: Callable[[], _T]) -> _T:
    """Returns to every process what `make` gives in the main process.

    Raises:
        DetectionError: the same in every process, raised by `make`.
    """
    if not _hvd:
        return make()
    outcome = None
    if is_main_process():
        try:
            outcome = make(), None
        except errors.DetectionError as error:
            outcome = None, error
    with waiting():
        value, error = _hvd.broadcast_object(outcome, root_rank=0)
    if error is not None:
        raise_together(error)
    return value


def each_from_main(items: Iterable[_T]) -> Iterator[_T]:
    """Yields the items of the main process in every process.

    The main process may take any time for the next one; None is no item.
    """
    if not _hvd:
        yield from items
        return
    iterator = iter(items)
    while True:
        with taking_long():
            item = from_main(lambda: next(iterator, None))
        if item is None:
            return
        yield item


def raise_together(error: errors.DetectionError | SystemExit) -> NoReturn:
    """Raises what every process raises at this place; one shows it."""
    error.is_of_all_processes = True
    raise error


def require_agreement(
    facts: Mapping[str, str], error: errors.DetectionError | None = None
) -> None:
    """Makes sure that all processes start from the same.

    Args:
        facts: what has to be the same, by what it is called in an error:
            versions, settings, the text of a config.
        error: what stopped this process before, if anything did.

    Raises:
        DetectionError: `error`, when it stopped all processes.
        DistributedError: a process failed alone, or differs from the main
            one; names both values.
    """
    if not _hvd:
        if error is not None:
            raise error
        return
    told = gather_objects((dict(facts), error))
    found = [one_error and str(one_error) for _, one_error in told]
    if error is not None and set(found) == {str(error)}:
        raise_together(error)
    for number, message in enumerate(found):
        if message is not None:
            raise_together(
                errors.DistributedError(f"{_name(number)}: {message}")
            )
    expected = told[0][0]
    for number, (facts_there, _) in enumerate(told):
        difference = _first_difference(expected, facts_there)
        if difference is not None:
            raise_together(
                errors.DistributedError(
                    f"{_name(number)} differs from rank 0: {difference}; give "
                    "every process the same"
                )
            )


def progressed() -> None:
    """Notes that this process has done something: it does not hang."""
    if _watch:
        _watch.progressed()


@contextlib.contextmanager
def waiting() -> Iterator[None]:
    """Notes that in this block the process waits for others."""
    if not _watch:
        yield
        return
    with _watch.doing(peers.WAITING):
        yield


@contextlib.contextmanager
def taking_long() -> Iterator[None]:
    """Notes that this block may take any time, with no one hanging."""
    if not _watch:
        yield
        return
    with _watch.doing(peers.TAKING_LONG):
        yield


def _num_started() -> int:
    for variable in _SIZE_VARIABLES:
        if os.environ.get(variable, "1") != "1":
            return int(os.environ[variable])
    return 1


def _join(num_started: int, timeout_seconds: float) -> None:
    global _hvd, _watch
    # `peers` watches, and ends what hangs.
    os.environ.setdefault("HOROVOD_STALL_CHECK_DISABLE", "1")
    # Where one process starts more than this after another, Horovod aborts.
    os.environ.setdefault(
        "HOROVOD_GLOO_TIMEOUT_SECONDS",
        str(max(_LEAST_SECONDS_TO_START, math.ceil(timeout_seconds))),
    )
    try:
        import horovod.tensorflow as hvd
    except ImportError as error:
        raise errors.DistributedError(
            f"this process was started as one of {num_started}, which needs "
            f"Horovod ({error}): {_HOW_TO_INSTALL}"
        ) from error
    try:
        elastic.take_new_rank()
        hvd.init()
    except Exception as error:
        raise errors.DistributedError(
            f"Horovod cannot join the {num_started} processes: {error}"
        ) from error
    if hvd.size() != num_started and not elastic.is_elastic():
        raise errors.DistributedError(
            f"this process was started as one of {num_started}, but Horovod "
            f"sees {hvd.size()}: it was built without support of this "
            "launcher; start by horovodrun, or install Open MPI and build "
            "Horovod again ('make horovod')"
        )
    _take_share_of_machine(hvd)
    _hvd = hvd
    hosts = hvd.allgather_object(socket.gethostname())
    after_a_loss = {}
    if elastic.is_elastic():
        after_a_loss = {
            "end_process": elastic.begin_again,
            "aftermath": "those that are left go on from the last checkpoint",
        }
    _watch = peers.Watch(hvd.rank(), hosts, timeout_seconds, **after_a_loss)
    try:
        _watch.start(
            hvd.broadcast_object(
                _watch.listen() if is_main_process() else None, root_rank=0
            )
        )
    except OSError as error:
        raise errors.DistributedError(
            f"{_name(rank())} cannot reach rank 0 ({error})"
        ) from error


def _take_share_of_machine(hvd: Any) -> None:
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        cores = len(os.sched_getaffinity(0))
        tf.config.threading.set_intra_op_parallelism_threads(
            max(1, cores // hvd.local_size())
        )
        return
    # A launcher may show each process its own GPU alone.
    is_shown_one = os.environ.get("CUDA_VISIBLE_DEVICES", ",").isdigit()
    number = 0 if is_shown_one else hvd.local_rank()
    if number >= len(gpus):
        raise errors.DistributedError(
            f"rank {hvd.rank()} is process {hvd.local_rank()} on "
            f"{socket.gethostname()}, which has {len(gpus)} GPU(s): start "
            f"{len(gpus)} processes there"
        )
    tf.config.set_visible_devices(gpus[number], "GPU")


def _leave() -> None:
    global _hvd, _watch
    _watch.close()
    _hvd.shutdown()
    _hvd = _watch = None


def _leave_after(error: BaseException) -> None:
    """Tells the others of an error, unless they have the same."""
    code = _exit_code(error)
    if getattr(error, "is_of_all_processes", False):
        is_main = is_main_process()
        gather_objects(None)
        _leave()
        if not is_main:
            raise SystemExit(code) from None
        return
    if _is_of_connection(error):
        # Another process is the reason, and `peers` knows it soon.
        time.sleep(_SECONDS_FOR_VERDICT)
        first_line = str(error).strip().split("\n")[0]
        _watch.report(f"lost the other processes ({first_line})", code)
        raise errors.DistributedError(
            f"{_name(rank())} lost the other processes: {first_line}"
        ) from error
    first_line = str(error).strip().split("\n")[0]
    _watch.report(first_line or type(error).__name__, code)
    if isinstance(error, errors.DetectionError):
        raise type(error)(f"{_name(rank())}: {error}") from error


def _exit_code(error: BaseException) -> int:
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else 1
    return getattr(error, "exit_code", 1)


def _is_of_connection(error: BaseException) -> bool:
    is_of_horovod = isinstance(error, tf.errors.OpError) or (
        type(error).__name__ == "HorovodInternalError"
    )
    return is_of_horovod and "orovod" in f"{type(error).__name__} {error}"


def _name(number: int) -> str:
    return _watch.name(number) if _watch else f"rank {number}"


def _first_difference(
    expected: Mapping[str, str], found: Mapping[str, str]
) -> str | None:
    for name in sorted({*expected, *found}):
        theirs, ours = found.get(name, "none"), expected.get(name, "none")
        if theirs != ours:
            theirs, ours = _first_different_line(theirs, ours)
            return f"its {name} is {theirs!r}, not {ours!r}"
    return None


def _first_different_line(*texts: str) -> Sequence[str]:
    lines = [text.split("\n") for text in texts]
    for pair in zip(*lines, strict=False):
        if pair[0] != pair[1]:
            return pair
    return [f"{len(of_text)} lines long" for of_text in lines]
