"""Reads backbone.json."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from glimpse.backbone.errors import BundleError
from glimpse.backbone.manifest import FORMAT_VERSION, MANIFEST_NAME, READERS, VERSION_PATTERN, Manifest

_MAX_MANIFEST_BYTES = 16 << 20


def read_manifest(folder: Path) -> Manifest:
    """Reads the manifest of a bundle's folder.

    Raises:
        BundleError: the manifest is missing or not valid; the message names file and field.
    """
    file = folder / MANIFEST_NAME
    try:
        if file.stat().st_size > _MAX_MANIFEST_BYTES:
            raise BundleError(file, f"has more than {_MAX_MANIFEST_BYTES:,} bytes")
        values = json.loads(file.read_text("utf-8"))
    except FileNotFoundError as error:
        message = "is missing; a bundle is a folder with a backbone.json (make one with `glimpse export`)"
        raise BundleError(file, message) from error
    except (OSError, ValueError, RecursionError) as error:
        raise BundleError(file, f"cannot be read as JSON: {error}") from error
    version = values.get("format_version") if isinstance(values, Mapping) else None
    if type(version) is not int or version not in READERS:
        raise BundleError(file, _refusal(version, values))
    try:
        manifest = Manifest.model_validate(values)
    except ValidationError as error:
        raise BundleError(file, problems(error)) from error
    if manifest.embedding_space != manifest.computed_space():
        raise BundleError(
            file,
            "embedding_space does not match the other fields: the file was edited, or made by another version. Export "
            "the backbone again",
        )
    return manifest


def _refusal(version: object, values: object) -> str:
    message = f"has format version {version!r}; this Glimpse reads 1 to {FORMAT_VERSION}"
    if isinstance(version, int) and version > FORMAT_VERSION:
        reader = values.get("needs_glimpse") if isinstance(values, Mapping) else None
        if isinstance(reader, str) and re.fullmatch(VERSION_PATTERN, reader):
            return f"{message}. Glimpse {reader} and later read it: update Glimpse"
        return f"{message}. A newer Glimpse than {READERS[FORMAT_VERSION]} wrote it: update Glimpse"
    return f"{message}. Export the backbone again"


def problems(error: ValidationError) -> str:
    """Returns the errors of a validation, field by field, as one line."""
    return "; ".join(
        f"{'.'.join(map(str, problem['loc'])) or 'manifest'}: {problem['msg']}" for problem in error.errors()
    )
