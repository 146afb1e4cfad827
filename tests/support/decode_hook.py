"""Changes the decoding processes, so that a test needs no image that has the same effect."""

from pathlib import Path

import pytest

_HOOK = """
import sys

if "glimpse.backbone.images.decode_worker" in sys.orig_argv:
    from glimpse.backbone.images import decode_cost, preprocess

    decode_cost._SECONDS = {seconds}
    {code}
"""


def hook(folder: Path, monkeypatch: pytest.MonkeyPatch, code: str, seconds: float = 60) -> None:
    """Runs `code` at the start of every further decoding process; it can use the module `preprocess`."""
    (folder / "sitecustomize.py").write_text(_HOOK.format(code=code, seconds=seconds))
    monkeypatch.setenv("PYTHONPATH", str(folder))
