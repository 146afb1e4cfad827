"""Tests that need a GPU fail where one is expected, and are skipped elsewhere."""

import pytest

from support.gpu import gpu_missing


@pytest.mark.parametrize(("expected", "outcome"), [("1", pytest.fail.Exception), ("0", pytest.skip.Exception)])
def test_a_missing_gpu_is_a_failure_only_where_one_is_expected(
    monkeypatch: pytest.MonkeyPatch, expected: str, outcome: type[BaseException]
) -> None:
    monkeypatch.setenv("GLIMPSE_GPU", expected)
    with pytest.raises(outcome, match="FAISS sees no GPU"):
        gpu_missing("this FAISS sees no GPU")


@pytest.mark.parametrize("exists", [True, False])
def test_a_machine_with_a_gpu_is_expected_to_use_it(monkeypatch: pytest.MonkeyPatch, exists: bool) -> None:
    monkeypatch.delenv("GLIMPSE_GPU", raising=False)
    monkeypatch.setattr("pathlib.Path.exists", lambda path: exists and str(path) == "/dev/nvidia0")
    with pytest.raises(pytest.fail.Exception if exists else pytest.skip.Exception):
        gpu_missing("none")
