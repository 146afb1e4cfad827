"""The hash chain: each change's digest covers the change and the digest before it.

Two ledgers that agree on one digest agree on all changes before it. A change that adds examples contains the digest of
each, so the chain also covers what was enrolled.
"""

import hashlib
import json
from typing import Any

FIRST = ""


def link(before: str, revision: int, kind: str, collection_id: str, subject: Any, time: int, actor: str) -> str:
    """Returns the digest of a change after one with digest `before`: SHA-256 of both as compact JSON, hexadecimal."""
    return hashlib.sha256(_json([before, revision, kind, collection_id, subject, time, actor])).hexdigest()


def content(vector: bytes, *values: Any) -> str:
    """Returns an example's digest: SHA-256 of its values as compact JSON and its vector, 32 hexadecimal digits."""
    return hashlib.sha256(_json(values) + vector).hexdigest()[:32]


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
