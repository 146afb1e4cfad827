"""Reports of other libraries' errors: their cause, and the fix for a torchvision that does not fit torch."""

import sys
from types import SimpleNamespace

import pytest

from glimpse.export.checkpoint.loaders.reasons import reason
from glimpse.export.checkpoint.loaders.torchvision_fit import torchvision_error


def lazily(cause: Exception) -> Exception:
    """As transformers reports an import that failed."""
    try:
        try:
            raise cause
        except Exception as error:
            raise ModuleNotFoundError("Could not import module 'BertModel'. Are its requirements there?") from error
    except ModuleNotFoundError as error:
        return error


NMS = RuntimeError("operator torchvision::nms does not exist")


def test_the_cause_follows_the_message() -> None:
    assert reason(lazily(OSError("libx.so: no such file"))) == (
        "Could not import module 'BertModel' (libx.so: no such file)"
    )
    assert reason(ValueError("too short. And more")) == "too short"


@pytest.mark.parametrize(
    ("version", "index"),
    [("2.14.1+cpu", " --index-url https://download.pytorch.org/whl/cpu"), ("2.14.1", "")],
)
def test_a_torchvision_that_does_not_fit_names_cause_and_cure(
    version: str, index: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(__version__=version))
    cure = f"install both from one place: pip install --force-reinstall torch==2.14.1 torchvision{index}"
    found = f"torchvision does not fit torch {version} (operator torchvision::nms does not exist); {cure}"
    assert str(torchvision_error(NMS, "timm")) == found
    assert str(torchvision_error(lazily(NMS), "hf")).startswith(f"{found}; or remove it")


def test_a_library_that_torchvision_cannot_load_is_its_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(__version__="2.14.1"))
    code = compile("raise OSError('libcudart.so.12: cannot open shared object file')", "__init__.py", "exec")
    with pytest.raises(OSError, match="libcudart") as raised:
        exec(code, {"__name__": "torchvision.extension"})
    assert "libcudart.so.12" in str(torchvision_error(raised.value, "timm"))


def test_other_errors_are_not_torchvisions() -> None:
    missing = ModuleNotFoundError("No module named 'torchvision'", name="torchvision")
    assert torchvision_error(ValueError("no such model"), "hf") is None
    assert torchvision_error(missing, "timm") is None
