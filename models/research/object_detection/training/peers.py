"""Notices when a process of a run dies, hangs or fails, and ends the others.

A process that waits in a collective for one that is gone would wait for ever,
or end with an error that names nobody. So every process holds a connection to
rank 0 and says once a second what it does; rank 0 judges, tells the others, and
all end with exit code 6 and one line. Only threads take part: the main thread
may be stuck in a library.

Messages are lines of JSON; each connection begins with a token that only the
processes of the run know.
"""

import contextlib
import json
import os
import secrets
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from object_detection.core import errors

BUSY = "busy"
WAITING = "waiting"
TAKING_LONG = "taking long"

_EXIT_CODE = errors.DistributedError.exit_code
_SECONDS_BETWEEN_MESSAGES = 1.0
_CONNECT_SECONDS = 10.0
_SECONDS_TO_END = 10.0
# For a last message to be read by the others before the connection breaks.
_LINGER_SECONDS = 0.5


class Address(NamedTuple):
    """Where rank 0 listens.

    Attributes:
        hosts: its addresses, one of which the others reach.
        port: TCP.
        token: what a connection begins with.
    """

    hosts: tuple[str, ...]
    port: int
    token: str


class _Connection:
    """Lines of JSON to and from another process."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._lines = connection.makefile("r", encoding="utf-8")
        self._lock = threading.Lock()

    def send(self, **message: Any) -> None:
        line = json.dumps(message).encode() + b"\n"
        # One that is gone is noticed by its reader.
        with self._lock, contextlib.suppress(OSError):
            self._socket.sendall(line)

    def read(self) -> dict[str, Any]:
        """Returns the next message, empty at the end."""
        line = self._lines.readline()
        return json.loads(line) if line else {}

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)


class _Status:
    """What is known of a process."""

    def __init__(self) -> None:
        self.num_progressed = 0
        self.activity = BUSY
        self.has_left = False
        self.seen_seconds = time.monotonic()

    def take(self, num_progressed: int, activity: str) -> bool:
        """Returns whether anything is new."""
        is_new = (self.num_progressed, self.activity) != (
            num_progressed,
            activity,
        )
        self.num_progressed, self.activity = num_progressed, activity
        self.seen_seconds = time.monotonic()
        return is_new


class Watch:
    """This process's part of the watch; methods may be called by any thread.

    Args:
        rank: of this process.
        hosts: the machine of each process, by rank.
        timeout_seconds: without news of a process, or without progress of
            any, after which the run is ended.
        end_process: ends this process at once with an exit code, from any
            thread.
        aftermath: what comes then, for the error.
    """

    def __init__(
        self,
        rank: int,
        hosts: Sequence[str],
        timeout_seconds: float,
        end_process: Callable[[int], None] = os._exit,
        aftermath: str = (
            "all processes end. The same command goes on from the last "
            "checkpoint"
        ),
    ) -> None:
        self._aftermath = aftermath
        self._end_process = end_process
        self._rank = rank
        self._hosts = list(hosts)
        self._timeout_seconds = timeout_seconds
        self._interval_seconds = min(
            _SECONDS_BETWEEN_MESSAGES, timeout_seconds / 4
        )
        self._num_progressed = 0
        self._activity = BUSY
        self._is_closing = False
        self._listener: socket.socket | None = None
        # To rank 0; in rank 0, to all others.
        self._connections: dict[int, _Connection] = {}
        self._statuses = {number: _Status() for number in range(len(hosts))}
        self._changed_seconds = time.monotonic()
        self._token = secrets.token_hex(16)

    def name(self, number: int) -> str:
        """Returns how a process is called in an error."""
        return f"rank {number} ({self._hosts[number]})"

    def listen(self) -> Address:
        """Opens the port of rank 0."""
        is_one_machine = len(set(self._hosts)) == 1
        self._listener = socket.create_server(
            ("127.0.0.1" if is_one_machine else "", 0),
            backlog=len(self._hosts),
        )
        return Address(
            hosts=tuple(_own_addresses()),
            port=self._listener.getsockname()[1],
            token=self._token,
        )

    def start(self, address: Address) -> None:
        """Connects to rank 0, or waits for the others to connect.

        Raises:
            OSError: this process and rank 0 do not reach each other.
        """
        if self._listener is None:
            is_same_machine = self._hosts[self._rank] == self._hosts[0]
            self._connections[0] = _connect(
                ("127.0.0.1",) if is_same_machine else address.hosts,
                address.port,
            )
            self._connections[0].send(token=address.token, rank=self._rank)
        else:
            self._accept_all()
        now = time.monotonic()
        self._changed_seconds = now
        for number, connection in self._connections.items():
            self._statuses[number].seen_seconds = now
            threading.Thread(
                target=self._read, args=(number, connection), daemon=True
            ).start()
        threading.Thread(target=self._tell_and_judge, daemon=True).start()

    def close(self) -> None:
        """Ends the watch; all processes do so at about the same time."""
        self._is_closing = True
        for connection in self._connections.values():
            connection.send(leaves=True)
            connection.close()

    def progressed(self) -> None:
        """Notes that this process has done something."""
        self._num_progressed += 1

    @contextlib.contextmanager
    def doing(self, activity: str) -> Iterator[None]:
        """Notes that this process is WAITING or TAKING_LONG in the block."""
        outer = self._activity
        # The longest wait decides: a wait within it is no other.
        self._activity = outer if outer == TAKING_LONG else activity
        try:
            yield
        finally:
            self._activity = outer
            self.progressed()

    def report(self, reason: str, exit_code: int) -> None:
        """Tells the others why this process ends; it does so soon, anyway."""
        self._is_closing = True
        if self._rank:
            self._connections[0].send(failed=reason, exit_code=exit_code)
        else:
            self._tell_all(
                f"{self.name(0)} failed: {reason}", _code_for_others(exit_code)
            )
        # What is still connected could keep the process at its end.
        timer = threading.Timer(_SECONDS_TO_END, os._exit, args=(exit_code,))
        timer.daemon = True
        timer.start()

    def _accept_all(self) -> None:
        self._listener.settimeout(max(_CONNECT_SECONDS, self._timeout_seconds))
        with self._listener:
            while len(self._connections) < len(self._hosts) - 1:
                accepted, _ = self._listener.accept()
                accepted.settimeout(_CONNECT_SECONDS)
                connection = _Connection(accepted)
                hello = {}
                # Whoever else finds the port does not know the token.
                with contextlib.suppress(OSError, ValueError):
                    hello = connection.read()
                if hello.get("token") != self._token:
                    connection.close()
                    continue
                accepted.settimeout(None)
                self._connections[int(hello["rank"])] = connection

    def _tell_all(self, verdict: str, exit_code: int = _EXIT_CODE) -> None:
        for connection in self._connections.values():
            connection.send(verdict=verdict, exit_code=exit_code)
            connection.close()

    def _read(self, number: int, connection: _Connection) -> None:
        with contextlib.suppress(OSError, ValueError):
            while message := connection.read():
                self._take(number, message)
        if not self._is_closing and not self._statuses[number].has_left:
            self._end(f"{self.name(number)} died")

    def _take(self, number: int, message: dict[str, Any]) -> None:
        status = self._statuses[number]
        if "verdict" in message:
            # Rank 0 has said it for all.
            if not self._is_closing:
                self._end_process(message["exit_code"])
        elif "failed" in message:
            self._end(
                f"{self.name(number)} failed: {message['failed']}",
                _code_for_others(message["exit_code"]),
            )
        elif "leaves" in message:
            status.has_left = True
        elif status.take(message["progressed"], message["activity"]):
            self._changed_seconds = time.monotonic()

    def _tell_and_judge(self) -> None:
        while not self._is_closing:
            if self._statuses[self._rank].take(
                self._num_progressed, self._activity
            ):
                self._changed_seconds = time.monotonic()
            for connection in self._connections.values():
                connection.send(
                    progressed=self._num_progressed, activity=self._activity
                )
            reason = self._silent() or (None if self._rank else self._hanging())
            if reason and not self._is_closing:
                self._end(reason)
            time.sleep(self._interval_seconds)

    def _silent(self) -> str | None:
        """Says which process has not answered for too long."""
        now = time.monotonic()
        for number in self._connections:
            seconds = now - self._statuses[number].seen_seconds
            has_left = self._statuses[number].has_left
            if seconds > self._timeout_seconds and not has_left:
                return (
                    f"{self.name(number)} hangs: it has not answered for "
                    f"{seconds:.0f} s"
                )
        return None

    def _hanging(self) -> str | None:
        """Says which process the others wait for, if they do for too long."""
        statuses = self._statuses
        if any(s.activity == TAKING_LONG for s in statuses.values()):
            self._changed_seconds = time.monotonic()
        seconds = time.monotonic() - self._changed_seconds
        if seconds < self._timeout_seconds:
            return None
        suspects = [n for n, s in statuses.items() if s.activity == BUSY]
        if not suspects:
            least = min(s.num_progressed for s in statuses.values())
            suspects = [
                n for n, s in statuses.items() if s.num_progressed == least
            ]
        names = ", ".join(map(self.name, suspects))
        return (
            f"{names} {'hangs' if len(suspects) == 1 else 'hang'}: no "
            f"progress for {seconds:.0f} s (--rank_timeout_secs)"
        )

    def _end(self, verdict: str, exit_code: int = _EXIT_CODE) -> None:
        """Ends this process at once, and in rank 0 all others as well."""
        self._is_closing = True
        if self._rank == 0:
            self._tell_all(verdict, exit_code)
        sys.stdout.flush()
        # A library may have written half a line.
        print(
            f"\nERROR: {verdict}; {self._aftermath}",
            file=sys.stderr,
            flush=True,
        )
        time.sleep(_LINGER_SECONDS)
        self._end_process(exit_code)


def _code_for_others(exit_code: int) -> int:
    # A signal ends all alike.
    return exit_code if exit_code > 128 else _EXIT_CODE


def _own_addresses() -> Iterator[str]:
    name = socket.gethostname()
    yield name
    with contextlib.suppress(OSError):
        for entry in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM):
            yield entry[4][0]


def _connect(hosts: Sequence[str], port: int) -> _Connection:
    problem: OSError | None = None
    for host in hosts:
        try:
            connection = socket.create_connection(
                (host, port), timeout=_CONNECT_SECONDS
            )
            connection.settimeout(None)
            return _Connection(connection)
        except OSError as error:
            problem = error
    raise OSError(f"{', '.join(hosts)}, port {port}: {problem}")
