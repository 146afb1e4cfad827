"""A real console process, and a client of plain HTTP that may lie about its host and origin."""

import http.client
import os
import re
import signal
import ssl
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import urlencode, urlsplit

from support.server import GLIMPSE


class ConsoleProcess:
    """Runs `glimpse console` on a free port, in a folder of its own. As a context manager it always stops it."""

    def __init__(
        self, folder: Path, server: str, *options: object, listen: str = "127.0.0.1:0", authority: Path | None = None
    ) -> None:
        self.folder = folder
        #: Trusts the console's certificate. None: it has none.
        self.tls = ssl.create_default_context(cafile=authority) if authority else None
        self._command = [*GLIMPSE, "console", "--server", server, "--listen", listen, *map(str, options)]
        self._process: subprocess.Popen[str] | None = None
        self.url = ""

    def __enter__(self) -> Self:
        # NiceGUI leaves its processes behind where it sees a variable of pytest.
        left_out = ("GLIMPSE_", "PYTEST_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
        with (self.folder / "console.log").open("a") as log:
            self._process = subprocess.Popen(
                self._command,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=kept,
                cwd=self.folder,
                start_new_session=True,
            )
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line.startswith("console at "):
            self.__exit__()
            raise AssertionError(f"the console did not start: {line}\n{self.log()}")
        self.url = line.split()[-1]
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process
        assert self._process.stdout
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process.stdout.close()
        assert self._has_ended(), "the console left processes behind"

    def _has_ended(self) -> bool:
        """Waits until no process of the console is left; kills what is left after ten seconds."""
        assert self._process
        for _ in range(100):
            try:
                os.killpg(self._process.pid, 0)
            except ProcessLookupError:
                return True
            time.sleep(0.1)
        os.killpg(self._process.pid, signal.SIGKILL)
        return False

    @property
    def origin(self) -> str:
        """The origin of the console's pages on this machine."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def port(self) -> int:
        port = urlsplit(self.url).port
        assert port
        return port

    def log(self) -> str:
        return (self.folder / "console.log").read_text()


@dataclass(frozen=True)
class Answer:
    """A response."""

    status: int
    headers: http.client.HTTPMessage
    text: str

    @property
    def cookie(self) -> str:
        """The name and the value of the cookie that the response sets; empty if it sets none."""
        return (self.headers["set-cookie"] or "").partition(";")[0]


def ask(
    console: ConsoleProcess,
    path: str,
    method: str = "GET",
    *,
    form: Mapping[str, str] | None = None,
    host: str = "",
    **headers: str,
) -> Answer:
    """Sends one request. Headers are named with underscores; a form is sent from the console's own origin.

    Args:
        console: The console.
        path: Path and query.
        method: Method; POST with a form.
        form: Fields of a form.
        host: Host header. Empty: the address of the console.
        headers: More headers; an empty one is left out.
    """
    connection: http.client.HTTPConnection
    if console.tls:
        connection = http.client.HTTPSConnection("127.0.0.1", console.port, timeout=20, context=console.tls)
    else:
        connection = http.client.HTTPConnection("127.0.0.1", console.port, timeout=20)
    try:
        connection.putrequest("POST" if form is not None else method, path, skip_host=True)
        sent = {"host": host or f"127.0.0.1:{console.port}", **headers}
        body = b""
        if form is not None:
            body = urlencode(form).encode()
            sent = {"origin": console.origin, "content-type": "application/x-www-form-urlencoded", **sent}
            sent["content-length"] = str(len(body))
        for name, value in sent.items():
            if value:
                connection.putheader(name.replace("_", "-"), value)
        connection.endheaders(body or None)
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read().decode("utf-8", "replace"))
    finally:
        connection.close()


def page_id(page: Answer) -> str:
    """Returns NiceGUI's id of a page, which its socket names."""
    match = re.search(r"'client_id': '([0-9a-f-]{36})'", page.text)
    assert match, page.text[-3000:]
    return match[1]
