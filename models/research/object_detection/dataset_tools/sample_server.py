"""A file server on 127.0.0.1 that knows ranges and cuts answers, for tests."""

import contextlib
import functools
import http.server
import os
import re
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple


class FileServer(NamedTuple):
    """A running server.

    Attributes:
        url: without a slash at its end.
        requests: method, path and range of each request so far.
        cuts: path -> how many bytes of the next answer to send, one for each
            answer that is to be cut.
    """

    url: str
    requests: list[tuple[str, str, str]]
    cuts: dict[str, list[int]]


class _Handler(http.server.BaseHTTPRequestHandler):
    def __init__(
        self, *args: Any, folder: str, ranges: bool, **shared: Any
    ) -> None:
        self._folder, self._ranges, self._shared = folder, ranges, shared
        super().__init__(*args)

    def do_HEAD(self) -> None:  # noqa: N802
        self._answer(has_body=False)

    def do_GET(self) -> None:  # noqa: N802
        self._answer(has_body=True)

    def _answer(self, has_body: bool) -> None:
        wanted = self.headers.get("Range", "")
        self._shared["requests"].append((self.command, self.path, wanted))
        path = os.path.join(self._folder, self.path.lstrip("/"))
        if not os.path.isfile(path):
            self.send_error(404)
            return
        with open(path, "rb") as file:
            content = file.read()
        match = re.fullmatch(r"bytes=(\d+)-", wanted)
        start = int(match[1]) if match and self._ranges else 0
        self.send_response(206 if start else 200)
        if start:
            last = len(content) - 1
            total = len(content)
            self.send_header("Content-Range", f"bytes {start}-{last}/{total}")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        if has_body:
            cuts = self._shared["cuts"].get(self.path)
            length = cuts.pop(0) if cuts else len(content)
            self.wfile.write(content[start : start + length])

    def log_message(self, *_: Any) -> None:
        pass


@contextlib.contextmanager
def serve(folder: str, ranges: bool = True) -> Iterator[FileServer]:
    """Serves the files of a folder while the context lasts.

    Args:
        folder: the root.
        ranges: whether an answer can begin within a file.
    """
    requests: list[tuple[str, str, str]] = []
    cuts: dict[str, list[int]] = {}
    handler = functools.partial(
        _Handler,
        folder=str(folder),
        ranges=ranges,
        requests=requests,
        cuts=cuts,
    )
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(
        target=server.serve_forever, args=(0.01,), daemon=True
    )
    thread.start()
    try:
        yield FileServer(
            f"http://127.0.0.1:{server.server_port}", requests, cuts
        )
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
