"""A hub of models in this process: speaks the routes of the Hugging Face hub, and fails on demand."""

import hashlib
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "c0ffee" * 6 + "beef"


@dataclass
class Model:
    """A model of the hub, and how it misbehaves.

    `large`: names of files that lie behind a redirect to another host, as large files do.
    `break_after`: bytes after which each answer to a GET breaks off, as often as `breaks` says.
    """

    files: dict[str, bytes]
    card: dict[str, Any] = field(default_factory=lambda: {"license": "apache-2.0"})
    gated: bool | str = False
    large: tuple[str, ...] = ()
    commit: str = COMMIT
    break_after: int | None = None
    breaks: int = 0
    errors: list[int] = field(default_factory=list)
    ranges: bool = True
    etag: str | None = None

    def info(self, name: str) -> dict[str, Any]:
        siblings = [
            {
                "rfilename": path,
                "size": len(content),
                "blobId": hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest(),
                **({"lfs": self._lfs(content)} if path in self.large else {}),
            }
            for path, content in self.files.items()
        ]
        about: dict[str, Any] = {"id": name, "sha": self.commit, "gated": self.gated, "tags": [], "private": False}
        return {**about, "cardData": self.card, "siblings": siblings}

    @staticmethod
    def _lfs(content: bytes) -> dict[str, Any]:
        return {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}


@dataclass(frozen=True)
class Seen:
    """A request that arrived."""

    host: str
    method: str
    path: str
    token: str | None
    range: str | None


@dataclass
class Hub:
    """The running hub; its other host holds large files."""

    models: dict[str, Model]
    token: str | None = None
    seen: list[Seen] = field(default_factory=list)
    url: str = ""
    cdn: str = ""
    #: Redirects every question about a model to the other host, as a captured name would.
    moved: bool = False

    def gets(self, end: str) -> list[Seen]:
        return [one for one in self.seen if one.method == "GET" and one.path.endswith(end)]


@contextmanager
def running_hub(models: Mapping[str, Model], token: str | None = None) -> Iterator[Hub]:
    """Serves models on two ports of this machine until the end."""
    hub = Hub(dict(models), token)
    servers = [_server(hub, name) for name in ("hub", "cdn")]
    hub.url, hub.cdn = (f"http://127.0.0.1:{server.server_address[1]}" for server in servers)
    threads = [threading.Thread(target=server.serve_forever, args=(0.02,)) for server in servers]
    for thread in threads:
        thread.start()
    try:
        yield hub
    finally:
        for server, thread in zip(servers, threads, strict=True):
            server.shutdown()
            thread.join()
            server.server_close()


def folder_of(folder: Path) -> dict[str, bytes]:
    """Returns the files of a folder, as a model's."""
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def _server(hub: Hub, host: str) -> ThreadingHTTPServer:
    class Handler(_Handler):
        pass

    Handler.hub, Handler.host = hub, host
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    return server


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    host = ""
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        return

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        headers = self.headers
        self.hub.seen.append(Seen(self.host, self.command, path, headers.get("Authorization"), headers.get("Range")))
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/(.+))?", path):
            self._info(match[1], match[2])
        elif match := re.fullmatch(r"(?:/cdn)?/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            self._file(match[1], match[2], match[3])
        else:
            self._send(404, b"{}")

    def _info(self, name: str, revision: str | None) -> None:
        if self.hub.moved and self.host == "hub":
            self._redirect(f"{self.hub.cdn}{self.path}")
            return
        model = self.hub.models.get(name)
        if model is None:
            self._send(404, b"{}", {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"})
        elif revision not in (None, "main", model.commit):
            self._send(404, b"{}", {"X-Error-Code": "RevisionNotFound", "X-Error-Message": "Invalid rev id"})
        else:
            self._send(200, json.dumps(model.info(name)).encode(), {"Content-Type": "application/json"})

    def _file(self, name: str, revision: str, file: str) -> None:
        model = self.hub.models.get(name)
        if model is None or revision not in ("main", model.commit) or file not in model.files:
            self._send(404, b"")
        elif model.errors:
            self._send(model.errors.pop(0), b"")
        elif model.gated and self.host == "hub" and self.headers.get("Authorization") != f"Bearer {self.hub.token}":
            self._send(401, b"", {"X-Error-Code": "GatedRepo"})
        elif file in model.large and self.host == "hub":
            self._redirect(f"{self.hub.cdn}/cdn/{name}/resolve/{revision}/{file}")
        else:
            self._content(model, model.files[file])

    def _content(self, model: Model, content: bytes) -> None:
        mark = model.etag or f'"{hashlib.sha256(content).hexdigest()[:16]}"'
        start, wanted = 0, re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if wanted and model.ranges and self.headers.get("If-Range") == mark and int(wanted[1]) < len(content):
            start = int(wanted[1])
        body = content[start:]
        self.send_response(206 if start else 200)
        self.send_header("ETag", mark)
        self.send_header("Content-Length", str(len(body)))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        if self.command == "HEAD":
            return
        if model.break_after is not None and model.breaks and len(body) > model.break_after:
            model.breaks -= 1
            self.wfile.write(body[: model.break_after])
            self.wfile.flush()
            self.close_connection = True
            return
        self.wfile.write(body)

    def _redirect(self, place: str) -> None:
        self._send(302, b"", {"Location": place})

    def _send(self, code: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(code)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
