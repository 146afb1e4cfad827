"""Reads and writes bundles."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from glimpse.backbone.adaptation.training_record import ADAPTATION, read_training_record
from glimpse.backbone.background_validation import check_background
from glimpse.backbone.errors import BundleError
from glimpse.backbone.manifest import (
    BACKGROUND,
    FORMAT_VERSION,
    IMAGE_GRAPH,
    MANIFEST_NAME,
    PLAIN_VERSION,
    READERS,
    TEXT_GRAPH,
    TOKENIZER,
    WEIGHTS,
    Manifest,
)
from glimpse.backbone.manifest_file import problems, read_manifest
from glimpse.backbone.onnx_validation import check_graph
from glimpse.files.digest import digest
from glimpse.files.scratch import scratch_beside

# A million words of a hundred characters with their merges. Loading such a file takes several times as much memory.
_MAX_TOKENIZER_BYTES = 256 << 20


@dataclass(frozen=True, slots=True)
class Bundle:
    """A backbone's folder whose files match their digests in the manifest."""

    path: Path
    manifest: Manifest


def load_bundle(path: Path) -> Bundle:
    """Opens a bundle and checks it.

    Checks that every file has the size and the digest that the manifest names, and that the graphs are safe to open.

    Raises:
        BundleError: a file is missing, changed, or not allowed; the message names the file.
    """
    manifest = read_manifest(path)
    for name, expected in manifest.files.items():
        file = path / name
        if not file.is_file():
            raise BundleError(file, "is missing, though backbone.json names it; copy the whole folder again")
        if file.resolve().parent != path.resolve():
            raise BundleError(file, "is a link out of the bundle's folder; put the file itself there")
        if name == TOKENIZER and file.stat().st_size > _MAX_TOKENIZER_BYTES:
            raise BundleError(file, f"has more than {_MAX_TOKENIZER_BYTES:,} bytes")
        if (size := manifest.sizes.get(name)) is not None and file.stat().st_size != size:
            message = f"has {file.stat().st_size:,} bytes, but backbone.json says {size:,}; it was changed or cut short"
            raise BundleError(file, message)
        if (actual := digest(file)) != expected:
            message = f"has sha256 {actual}, but backbone.json says {expected}; it was changed or cut short"
            raise BundleError(file, message)
    for name in (IMAGE_GRAPH, TEXT_GRAPH):
        if name in manifest.files:
            check_graph(path / name, set(manifest.files))
    if BACKGROUND in manifest.files:
        check_background(path / BACKGROUND, manifest.dimension)
    if ADAPTATION in manifest.files:
        read_training_record(path)
    return Bundle(path, manifest)


def write_bundle(out: Path, fields: Mapping[str, Any], contents: Mapping[str, Path]) -> Bundle:
    """Writes a bundle completely or not at all, and loads it.

    Args:
        out: the bundle's folder; it must be empty or not exist.
        fields: the manifest's fields without `files`, `sizes` and `embedding_space`, which are computed.
        contents: the source of every other file, by its name in the bundle.

    Raises:
        BundleError: `out` is not empty, or `fields` are not a valid manifest.
    """
    check_free(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with scratch_beside(out) as scratch:
        folder = scratch / "bundle"
        folder.mkdir()
        for file, source in contents.items():
            shutil.copyfile(source, folder / file)
        digests = {file: digest(folder / file) for file in contents}
        sizes = {file: (folder / file).stat().st_size for file in contents if file.startswith(WEIGHTS)}
        version = FORMAT_VERSION if fields.get("adaptation") else PLAIN_VERSION
        written = {"format_version": version, "needs_glimpse": READERS[version]}
        try:
            manifest = Manifest(**{**fields, **written, "files": digests, "sizes": sizes}).with_space()
        except ValidationError as error:
            raise BundleError(out / MANIFEST_NAME, problems(error)) from error
        (folder / MANIFEST_NAME).write_text(manifest.to_json(), "utf-8")
        if out.exists():
            out.rmdir()
        folder.rename(out)
    return load_bundle(out)


def check_free(out: Path) -> None:
    """Checks that a bundle may be written to `out`.

    Raises:
        BundleError: `out` is a file, or a folder that is not empty.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise BundleError(out, "exists and is not empty; give another folder, or remove it first")


def bundled(name: str = "glimpse-mini") -> Path:
    """Returns the folder of a bundle that ships with the package."""
    return Path(str(files("glimpse.backbone") / "bundled" / name))
