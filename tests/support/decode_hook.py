"""Changes what decoding processes do, so that a test need not find a picture that does it to them."""

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
    """Runs `code`, which knows the module `preprocess`, at the start of processes that decode, from now on."""
    (folder / "sitecustomize.py").write_text(_HOOK.format(code=code, seconds=seconds))
    monkeypatch.setenv("PYTHONPATH", str(folder))
