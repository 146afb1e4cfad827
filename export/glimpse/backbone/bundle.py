"""Reading and writing bundles."""

import hashlib
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from glimpse.backbone.errors import BundleError
from glimpse.backbone.manifest import IMAGE_GRAPH, MANIFEST_NAME, TEXT_GRAPH, Manifest, problems, read_manifest
from glimpse.backbone.weights import external_files


@dataclass(frozen=True, slots=True)
class Bundle:
    """A backbone's folder whose files are what its manifest says."""

    path: Path
    manifest: Manifest


def load_bundle(path: Path) -> Bundle:
    """Opens a bundle and checks every file against its digest. Raises BundleError naming the file."""
    manifest = read_manifest(path)
    for name, wanted in manifest.files.items():
        file = path / name
        if not file.is_file():
            raise BundleError(file, "is missing, though backbone.json names it; copy the whole folder again")
        if (found := digest(file)) != wanted:
            message = f"has sha256 {found}, but backbone.json says {wanted}; it was changed or cut short"
            raise BundleError(file, message)
    for name in (IMAGE_GRAPH, TEXT_GRAPH):
        if name in manifest.files:
            _check_weights(path / name, manifest)
    return Bundle(path, manifest)


def _check_weights(graph: Path, manifest: Manifest) -> None:
    """Weights outside the graph must be files of the bundle, named after it: what is not digested could be anything."""
    for name in external_files(graph):
        if name not in manifest.files or not name.startswith(graph.name):
            raise BundleError(
                graph, f"keeps weights in {name!r}; they belong in a file {graph.name}.data of the bundle"
            )


def write_bundle(out: Path, fields: Mapping[str, Any], contents: Mapping[str, Path]) -> Bundle:
    """Writes a bundle whole or not at all, and loads it.

    Args:
        out: the folder; it must not exist, or be empty.
        fields: the manifest's fields but for `files` and `embedding_space`, which follow.
        contents: the other files, by their names in the bundle.

    Raises:
        BundleError: where `out` holds something already.
    """
    check_free(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as name:
        folder = Path(name) / "bundle"
        folder.mkdir()
        for file, source in contents.items():
            shutil.copyfile(source, folder / file)
        digests = {file: digest(folder / file) for file in contents}
        try:
            manifest = Manifest(**fields, files=digests).with_space()
        except ValidationError as error:
            raise BundleError(out / MANIFEST_NAME, problems(error)) from error
        (folder / MANIFEST_NAME).write_text(manifest.to_json(), "utf-8")
        if out.exists():
            out.rmdir()
        folder.rename(out)
    return load_bundle(out)


def check_free(out: Path) -> None:
    """Raises BundleError where a bundle's folder would take the place of something."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise BundleError(out, "exists and is not empty; give another folder, or remove it first")


def bundled(name: str = "glimpse-mini") -> Path:
    """The folder of a bundle that ships with the package."""
    return Path(str(files("glimpse.backbone") / "bundled" / name))


def digest(file: Path) -> str:
    """A file's sha256, hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
