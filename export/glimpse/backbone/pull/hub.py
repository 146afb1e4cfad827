"""Asks a hub about a model: its commit, its files with their digests, its licence."""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from glimpse.backbone.pull.download import Downloader
from glimpse.backbone.pull.errors import PullError
from glimpse.backbone.pull.partial_file import RemoteFile
from glimpse.backbone.pull.sources import Source, check_url

# The hub's client sends what it can find out about its user's programs unless this is set before it is imported.
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

_ENDPOINT = "https://huggingface.co"
_TIMEOUT = 30.0
# Licences that forbid commercial use, by their identifiers on the hub.
_NON_COMMERCIAL = re.compile(r"(?:^|[-_ ])(?:nc|non-?commercial|amlr|research)(?:[-_ ]|$)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class HubModel:
    """A model of a hub at one commit.

    Attributes:
        name: `OWNER/NAME`.
        commit: the commit, 40 hexadecimal digits.
        license: the licence that its page states; "unknown" if it states none.
        gated: whether its owner asks for terms to be accepted first.
        files: every file of the model.
    """

    name: str
    commit: str
    license: str
    gated: bool
    files: tuple[RemoteFile, ...]

    @property
    def non_commercial(self) -> bool:
        """True if the licence forbids commercial use, as far as its identifier says so."""
        return is_non_commercial(self.license)


def is_non_commercial(license: str) -> bool:
    """Returns whether a licence's identifier says that commercial use is forbidden."""
    return _NON_COMMERCIAL.search(license) is not None


def is_offline() -> bool:
    """Returns whether the hub's own variable forbids to ask it."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")


def endpoint() -> str:
    """Returns the hub's address: HF_ENDPOINT, or https://huggingface.co. Raises PullError if it is not encrypted."""
    address = (os.environ.get("HF_ENDPOINT") or _ENDPOINT).rstrip("/")
    check_url(address)
    return address


def downloader(max_bytes: int) -> Downloader:
    """Returns a downloader that sends HF_TOKEN to the hub's host alone."""
    from huggingface_hub import get_token

    return Downloader(max_bytes, get_token(), urlsplit(endpoint()).netloc)


def look_up(source: Source) -> HubModel:
    """Asks the hub for a model.

    Raises:
        PullError: there is no such model or revision, it is gated, or the hub does not answer.
        ModuleNotFoundError: huggingface_hub is not installed.
    """
    from huggingface_hub import HfApi, hf_hub_url

    address = endpoint()
    try:
        info = HfApi(address).model_info(source.place, revision=source.revision, files_metadata=True, timeout=_TIMEOUT)
        commit = str(info.sha or "")
        files = tuple(
            RemoteFile(
                one.rfilename,
                hf_hub_url(info.id, one.rfilename, revision=commit, endpoint=address),
                one.size,
                one.lfs.sha256 if one.lfs else None,
                one.blob_id,
            )
            for one in info.siblings or ()
        )
    except Exception as error:  # the exceptions of the hub's client and of the network have no common base
        raise PullError(_refusal(source, error, address)) from error
    if not re.fullmatch(r"[0-9a-f]{40}", commit):
        raise PullError(f"{address} names no commit of {source.place}, so it cannot be pinned; it is no hub of models")
    return HubModel(info.id, commit, _license(info), bool(info.gated), files)


def total_bytes(files: Iterable[RemoteFile], max_bytes: int) -> int:
    """Returns the size of files. Raises PullError if they are larger than allowed, or their size is unknown."""
    total = 0
    for file in files:
        if file.size is None:
            raise PullError(f"the hub does not say how large {file.name} is")
        total += file.size
    if total > max_bytes:
        raise PullError(f"the model has {total:,} bytes, more than {max_bytes:,}; allow them with --max-size")
    return total


def _license(info: Any) -> str:
    card = info.card_data
    stated = card.get("license") if card else None
    if stated == "other":
        stated = card.get("license_name") or stated
    if not isinstance(stated, str):
        tags = [tag.removeprefix("license:") for tag in info.tags or () if tag.startswith("license:")]
        stated = tags[0] if tags else None
    return re.sub(r"[^\w.+-]", "-", stated)[:100] if stated else "unknown"


def _refusal(source: Source, error: Exception, address: str) -> str:
    kind = type(error).__name__
    page = f"{address}/{source.place}"
    if kind == "GatedRepoError":
        return f"{source.place} is gated: accept its terms on {page}, and set HF_TOKEN of that account"
    if kind == "RepositoryNotFoundError":
        return f"there is no model {page}, or it is private; check the name, or set HF_TOKEN"
    if kind == "RevisionNotFoundError":
        return f"{page} has no revision {source.revision!r}; give a branch, a tag or a commit"
    first = next(iter(str(error).strip().splitlines()), kind)
    return f"{address} cannot be asked about {source.place}: {first[:300]}. With --offline, earlier pulls still work"
