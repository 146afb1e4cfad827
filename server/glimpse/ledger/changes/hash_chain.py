"""Each change's digest is of it and of the digest before: two ledgers that agree on one agree on all before it.

A change that adds examples names the digest of each, so that the chain holds what was enrolled as well.
"""

import hashlib
import json
from typing import Any

FIRST = ""


def link(before: str, revision: int, kind: str, collection_id: str, subject: Any, time: int, actor: str) -> str:
    """The digest of a change whose predecessor's is `before`: SHA-256 of both as JSON without spaces, hexadecimal."""
    return hashlib.sha256(_json([before, revision, kind, collection_id, subject, time, actor])).hexdigest()


def content(vector: bytes, *values: Any) -> str:
    """An example's digest: SHA-256 of its values as JSON without spaces and its vector, 32 hexadecimal digits."""
    return hashlib.sha256(_json(values) + vector).hexdigest()[:32]


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
