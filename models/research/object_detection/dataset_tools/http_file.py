"""Downloads a file over http or https, from where it was cut."""

import contextlib
import http.client
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import rich.console
import rich.progress

from object_detection.core import errors

_CHUNK_BYTES = 2**20
_TIMEOUT_SECONDS = 60.0
_NETWORK_ERRORS = (OSError, http.client.HTTPException)

# In a row, none with more bytes than any before; each wait doubles.
_MAX_FAILURES = 5
_FIRST_WAIT_SECONDS = 1.0


def download(url: str, path: str, num_bytes: int | None) -> None:
    """Appends to a file what it lacks.

    Args:
        url: http or https.
        path: a part of the file, or nothing.
        num_bytes: size of the whole; None, when it is not known, starts over.

    Raises:
        DataError: the server does not have the file, or several tries in a
            row got nothing more of it; what was downloaded stays.
        ResourceError: the disk refuses.
    """
    num_failures, most = 0, current_size(path)
    while True:
        try:
            _download_rest(url, path, num_bytes)
            return
        except _InterruptedError as error:
            num_now = current_size(path)
            num_failures = 1 if num_now > most else num_failures + 1
            most = max(most, num_now)
            if num_failures == _MAX_FAILURES:
                raise errors.DataError(
                    f"{url}: {error}; {path} keeps {num_now} bytes, from where"
                    " the same command goes on"
                ) from error
            print(f"{url}: {error}; trying again", file=sys.stderr)
            time.sleep(_FIRST_WAIT_SECONDS * 2 ** (num_failures - 1))


def ask_size(url: str) -> int | None:
    """Returns the size of a file, or None when the server does not tell.

    Raises:
        DataError: the server does not answer or does not have the file.
    """
    try:
        with _open(url, {}, "HEAD") as response:
            length = response.headers.get("Content-Length")
    except _InterruptedError as error:
        raise errors.DataError(f"{url}: {error}") from error
    return None if length is None else int(length)


def current_size(path: str) -> int:
    """Returns the bytes of a file, 0 when it is not there."""
    return os.path.getsize(path) if os.path.exists(path) else 0


class _InterruptedError(Exception):
    """The network or the server failed; trying again may help."""


class _NoDowngrade(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but not from https to anything else."""

    def redirect_request(
        self, request: urllib.request.Request, *args: Any
    ) -> urllib.request.Request | None:
        target = args[-1]
        if request.type == "https" and not target.startswith("https:"):
            raise errors.DataError(
                f"{request.full_url}: expected https, redirected to {target}"
            )
        return super().redirect_request(request, *args)


def _open(
    url: str, headers: Mapping[str, str], method: str = "GET"
) -> http.client.HTTPResponse:
    request = urllib.request.Request(url, headers=dict(headers), method=method)
    try:
        opener = urllib.request.build_opener(_NoDowngrade)
        return opener.open(request, timeout=_TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        message = f"status {error.code} {error.reason}"
        if error.code in (408, 429) or error.code >= 500:
            raise _InterruptedError(message) from error
        raise errors.DataError(f"{url}: {message}") from error
    except _NETWORK_ERRORS as error:
        raise _InterruptedError(str(error)) from error


def _download_rest(url: str, path: str, num_bytes: int | None) -> None:
    """Appends what is missing; starts over when the server cannot go on."""
    offset = current_size(path)
    if num_bytes is None or offset > num_bytes:
        offset = 0
    elif offset == num_bytes:
        return
    headers = {"Range": f"bytes={offset}-"} if offset else {}
    with _open(url, headers) as response:
        if response.status != http.HTTPStatus.PARTIAL_CONTENT:
            offset = 0
        content_range = response.headers.get("Content-Range", "")
        if offset and not content_range.startswith(f"bytes {offset}-"):
            raise _InterruptedError(
                f"expected bytes from {offset}, found {content_range!r}"
            )
        length = response.headers.get("Content-Length")
        total = None if length is None else offset + int(length)
        try:
            with (
                open(path, "ab" if offset else "wb") as file,
                _progress(path, offset, total) as advance,
            ):
                while chunk := _read(response):
                    file.write(chunk)
                    advance(len(chunk))
        except OSError as error:
            raise errors.ResourceError(
                f"{path}: cannot write: {error.strerror}"
            ) from error
    if total is not None and current_size(path) != total:
        raise _InterruptedError(
            f"the connection closed at {current_size(path)} of {total} bytes"
        )


def _read(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read(_CHUNK_BYTES)
    except _NETWORK_ERRORS as error:
        raise _InterruptedError(str(error)) from error


@contextlib.contextmanager
def _progress(
    path: str, offset: int, total: int | None
) -> Iterator[Callable[[int], None]]:
    console = rich.console.Console(file=sys.stderr)
    with rich.progress.Progress(
        rich.progress.TextColumn("{task.description}"),
        rich.progress.BarColumn(),
        rich.progress.DownloadColumn(),
        rich.progress.TransferSpeedColumn(),
        rich.progress.TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    ) as progress:
        task = progress.add_task(
            os.path.basename(path), total=total, completed=offset
        )
        yield lambda num_bytes: progress.advance(task, num_bytes)
