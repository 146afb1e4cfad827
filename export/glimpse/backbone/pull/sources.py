"""Parses where a backbone comes from: a hub, a web server, or a folder."""

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Literal
from urllib.parse import urlsplit

from glimpse.backbone.pull.errors import PullError

Kind = Literal["hub", "https", "file"]
_HUB = re.compile(r"hf:(?P<model>[\w.-]{1,96}/[\w.-]{1,96})(?:@(?P<revision>[\w./-]{1,200}))?", re.ASCII)
_HUB_PAGE = re.compile(r"https://huggingface\.co/([\w.-]{1,96}/[\w.-]{1,96})(?:/tree/([\w./-]{1,200}))?/?", re.ASCII)
# The first parts of the hub's pages that are not of models.
_NOT_MODELS = ("datasets", "spaces", "docs", "api", "blog", "collections", "papers")


@dataclass(frozen=True, slots=True)
class Source:
    """The place that a backbone comes from.

    Attributes:
        kind: how it is fetched.
        place: `OWNER/NAME` on the hub, a URL, or a path.
        revision: a branch, a tag or a commit of the hub; None for the default branch.
    """

    kind: Kind
    place: str
    revision: str | None = None

    def __str__(self) -> str:
        if self.kind == "hub":
            return f"hf:{self.place}" + (f"@{self.revision}" if self.revision else "")
        return f"file:{self.place}" if self.kind == "file" else self.place


def is_source(text: str) -> bool:
    """Returns whether a text is a source that must be pulled first, rather than the folder of a bundle."""
    return re.match(r"(hf|https?|file):", text) is not None


def parse_source(text: str) -> Source:
    """Parses `hf:OWNER/NAME[@REVISION]`, `https://…` or `file:PATH`. The URL of a model's page on the hub is `hf:`.

    Raises:
        PullError: the text is none of these, or a URL is not encrypted.
    """
    if text.startswith("hf:"):
        if match := _HUB.fullmatch(text):
            return Source("hub", match["model"], match["revision"])
        raise PullError(f"{text} is not a model of the hub; write hf:OWNER/NAME, or hf:OWNER/NAME@REVISION")
    if text.startswith("file:"):
        return Source("file", text.removeprefix("file://").removeprefix("file:"))
    # A path library may have joined the slashes of a URL.
    url = re.sub(r"^(https?):/(?!/)", r"\1://", text)
    if (page := _HUB_PAGE.fullmatch(url)) and page[1].split("/")[0] not in _NOT_MODELS:
        return Source("hub", page[1], page[2])
    if re.match(r"https?://", url):
        check_url(url)
        return Source("https", url)
    raise PullError(f"{text} is not a source; write hf:OWNER/NAME, https://…, file:FOLDER, or a name of --list")


def check_url(url: str) -> None:
    """Checks that a URL is encrypted, or leads to this machine.

    Raises:
        PullError: it is neither.
    """
    parts = urlsplit(url)
    if not parts.hostname:
        raise PullError(f"{url} names no host")
    if parts.username or parts.password:
        raise PullError("a URL must not contain a password; it would be kept in the bundle")
    if parts.scheme != "https" and not is_loopback(parts.hostname):
        raise PullError(f"{url} is not encrypted; use https://")


def is_loopback(host: str) -> bool:
    """Returns whether a host's name is this machine's own."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
