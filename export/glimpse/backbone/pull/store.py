"""The folder of pulled bundles: one folder for each commit of a model, and what each revision meant when it was pulled.

backbones/hf--OWNER--NAME/refs/REVISION     the name of a folder of bundles
backbones/hf--OWNER--NAME/COMMIT/           a bundle
backbones/hf--OWNER--NAME/.downloads/       files of a download that broke off
"""

import fcntl
import hashlib
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from glimpse.backbone.manifest import MANIFEST_NAME
from glimpse.backbone.pull.sources import Source
from glimpse.files.cache import cache_folder

_DEFAULT = "default"
_FOLDER = re.compile(r"[0-9a-f]{40,64}(-[0-9a-f]{8})?")


class PulledBundles:
    """The pulled bundles of one model."""

    def __init__(self, source: Source) -> None:
        """Names the folder; it is made when something is stored."""
        if source.kind == "hub":
            name = f"hf--{source.place.replace('/', '--')}"
        else:
            name = f"https--{hashlib.sha256(source.place.encode()).hexdigest()[:32]}"
        self._folder = cache_folder() / "backbones" / name
        self._revision = source.revision or _DEFAULT

    @property
    def downloads(self) -> Path:
        """The folder of files that are being downloaded."""
        return self._folder / ".downloads"

    def find(self) -> Path | None:
        """Returns the bundle that the source's revision meant when it was last pulled, or None."""
        try:
            name = self._reference().read_text("utf-8").strip()
        except OSError:
            name = self._revision
        folder = self._folder / name
        return folder if _FOLDER.fullmatch(name) and (folder / MANIFEST_NAME).is_file() else None

    def place(self, commit: str, changes: str) -> Path:
        """Returns the folder for the bundle of a commit; `changes` are the options that make another bundle of it."""
        suffix = f"-{hashlib.sha256(changes.encode()).hexdigest()[:8]}" if changes else ""
        return self._folder / f"{commit}{suffix}"

    def remember(self, folder: Path) -> None:
        """Notes that the source's revision means the bundle in `folder`, and removes what was downloaded for it."""
        reference = self._reference()
        reference.parent.mkdir(parents=True, exist_ok=True)
        fresh = reference.with_name(f"{reference.name}.new")
        fresh.write_text(folder.name, "utf-8")
        fresh.replace(reference)
        shutil.rmtree(self.downloads, ignore_errors=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lets one process at a time pull the model; others wait."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / ".lock").open("a") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield

    def _reference(self) -> Path:
        return self._folder / "refs" / self._revision.replace("/", "--")
