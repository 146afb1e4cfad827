"""The digest of a file."""

import hashlib
from pathlib import Path


def digest(file: Path) -> str:
    """Returns a file's SHA-256 in hexadecimal. Raises OSError."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
