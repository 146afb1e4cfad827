"""Tests of foreign models embed a part of the background vocabulary: all of it takes longer than everything else."""

import pytest

from glimpse.backbone.background import background_words


@pytest.fixture(autouse=True)
def few_background_words(monkeypatch: pytest.MonkeyPatch) -> None:
    words = background_words()[::20]
    monkeypatch.setattr("glimpse.export.background.background_words", lambda: words)
