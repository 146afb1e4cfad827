"""Downloads files over HTTP: resumes, checks size and digest, keeps a token from every redirect.

The hub's own client removes what a broken download has received (seen in huggingface_hub 2.4.0, for its cache and for
folders). A model of gigabytes needs to resume in the next process too, so the bytes are fetched here.
"""

import hashlib
import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from glimpse.backbone.pull.errors import PullError
from glimpse.backbone.pull.partial_file import RemoteFile, mark_of, write_note
from glimpse.backbone.pull.sources import check_url, is_loopback
from glimpse.files.digest import digest

#: Is called with the number of bytes that arrived.
Received = Callable[[int], None]
_BLOCK = 1 << 20
_TIMEOUT = 30.0
_AGENT = "glimpse"
# Codes of a server that may answer later.
_LATER = (408, 425, 429, 500, 502, 503, 504)
# Errors of a connection that broke.
_BROKEN = (OSError, http.client.HTTPException)


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects without the token, only to encrypted places, and to this machine only from this machine."""

    max_redirections = 5

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        check_url(newurl)
        hosts = [urlsplit(url).hostname or "" for url in (newurl, req.full_url)]
        if is_loopback(hosts[0]) and not is_loopback(hosts[1]):
            raise PullError(f"{req.full_url} redirects to this machine ({newurl}), which a hub has no reason to do")
        following = super().redirect_request(req, fp, code, msg, headers, newurl)
        if following is not None:
            following.remove_header("Authorization")
        return following


@dataclass(frozen=True, slots=True)
class Downloader:
    """Downloads files into a folder.

    Attributes:
        max_bytes: the most bytes of one file.
        token: is sent as a bearer token to `token_host`, and nowhere else.
        token_host: host and port that the token belongs to.
        attempts: how often a broken download is resumed before it fails.
        wait: seconds before the second attempt; they double each time.
    """

    max_bytes: int
    token: str | None = None
    token_host: str = ""
    attempts: int = 5
    wait: float = 1.0

    def fetch(self, file: RemoteFile, folder: Path, received: Received = lambda _: None) -> Path:
        """Downloads a file, or continues a download that broke off in this process or in an earlier one.

        Args:
            file: what to download.
            folder: where to put it; `NAME.part` holds what has arrived.
            received: is called with the bytes of each block.

        Raises:
            PullError: the server refuses, the file is too large, or its content is not what was announced.
        """
        target = folder / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        part, note = (target.with_name(f"{target.name}{ending}") for ending in (".part", ".part.json"))
        for attempt in range(self.attempts):
            try:
                self._receive(file, part, note, received)
                break
            except urllib.error.HTTPError as error:
                if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
                    _emptied(part)  # the file became shorter than what has arrived
                elif error.code not in _LATER or attempt == self.attempts - 1:
                    raise PullError(_refusal(file.url, error.code)) from error
            except _BROKEN as error:
                if attempt == self.attempts - 1:
                    size = part.stat().st_size if part.is_file() else 0
                    message = f"{file.url} broke off after {size:,} bytes ({_reason(error)}); run the command again"
                    raise PullError(f"{message}: it resumes") from error
            time.sleep(self.wait * 2**attempt)
        self._check(file, part, note)
        note.unlink(missing_ok=True)
        part.replace(target)
        return target

    def _receive(self, file: RemoteFile, part: Path, note: Path, received: Received) -> None:
        have = part.stat().st_size if part.is_file() else 0
        if file.size is not None and have == file.size and part.is_file():
            return
        mark = mark_of(note, file) if have else None
        headers = {"User-Agent": _AGENT, "Accept-Encoding": "identity"}
        if have and mark:
            headers |= {"Range": f"bytes={have}-", "If-Range": mark}
        elif have:
            have = _emptied(part)
        request = urllib.request.Request(file.url, headers=headers)
        check_url(file.url)
        if self.token and urlsplit(file.url).netloc == self.token_host:
            request.add_unredirected_header("Authorization", f"Bearer {self.token}")
        with urllib.request.build_opener(_Redirects).open(request, timeout=_TIMEOUT) as answer:
            if answer.status != http.client.PARTIAL_CONTENT or not _continues(answer, have):
                have = _emptied(part)
            write_note(note, file, answer.headers.get("ETag"))
            self._limit(file, have + _length(answer))
            with part.open("ab") as stream:
                self._copy(answer, stream, file, have, received)
            if answer.length:  # http.client ends a broken body without an error
                raise http.client.IncompleteRead(b"", answer.length)

    def _copy(self, answer: Any, stream: BinaryIO, file: RemoteFile, have: int, received: Received) -> None:
        while block := answer.read(_BLOCK):
            have += len(block)
            self._limit(file, have)
            stream.write(block)
            received(len(block))

    def _limit(self, file: RemoteFile, size: int) -> None:
        most = self.max_bytes if file.size is None else min(self.max_bytes, file.size)
        if size > most:
            raise PullError(f"{file.url} has more than the {most:,} bytes that are announced or allowed (--max-size)")

    def _check(self, file: RemoteFile, part: Path, note: Path) -> None:
        """Checks size and digest, and removes what does not fit. Raises PullError."""
        size = part.stat().st_size
        problem = f"has {size:,} bytes, not {file.size:,}" if file.size is not None and size != file.size else ""
        if not problem and file.sha256 and digest(part) != file.sha256:
            problem = f"has not the sha256 {file.sha256} that the hub announces"
        if not problem and not file.sha256 and file.git_id and _git_id(part) != file.git_id:
            problem = f"has not the git id {file.git_id} that the hub announces"
        if problem:
            for left in (part, note):
                left.unlink(missing_ok=True)
            raise PullError(f"{file.url} {problem}; it changed on the way. Run the command again")


def _git_id(file: Path) -> str:
    """Returns the id that Git gives a file's content."""
    header = hashlib.sha1(f"blob {file.stat().st_size}\0".encode(), usedforsecurity=False)
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: header).hexdigest()


def _emptied(part: Path) -> int:
    part.unlink(missing_ok=True)
    return 0


def _continues(answer: Any, have: int) -> bool:
    """Returns whether a partial answer begins where the file ends."""
    return str(answer.headers.get("Content-Range", "")).startswith(f"bytes {have}-")


def _length(answer: Any) -> int:
    text = str(answer.headers.get("Content-Length", "0"))
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else 0


def _refusal(url: str, code: int) -> str:
    advice = {
        401: "the model is private or gated: accept its terms on its page, and set HF_TOKEN",
        403: "access is not granted: accept the model's terms on its page, and set HF_TOKEN of that account",
        404: "there is no such file; check name and revision",
    }
    return f"{url} answers {code}; {advice.get(code, 'try again later')}"


def _reason(error: BaseException) -> str:
    reason = getattr(error, "reason", None)
    return str(reason or error or type(error).__name__)
