"""Each change's digest is of it and of the digest before: two ledgers that agree on one agree on all before it."""

import hashlib
import json
from typing import Any

FIRST = ""


def link(before: str, revision: int, kind: str, collection_id: str, subject: Any, time: int, actor: str) -> str:
    """The digest of a change whose predecessor's is `before`: SHA-256 of both as JSON without spaces, hexadecimal."""
    content = json.dumps(
        [before, revision, kind, collection_id, subject, time, actor], sort_keys=True, separators=(",", ":")
    )
    return hashlib.sha256(content.encode()).hexdigest()
