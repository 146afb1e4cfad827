"""Recognises errors of a torchvision that does not fit torch."""

from glimpse.export.checkpoint.loaders.reasons import chain
from glimpse.export.errors import ExportError, first_line

_INDEX = "https://download.pytorch.org/whl/"


def torchvision_error(error: Exception, library: str) -> ExportError | None:
    """Returns the error to raise if torchvision's import caused `error`; None otherwise.

    Args:
        error: an error of the library.
        library: the library that imports torchvision.
    """
    causes = [one for one in chain(error) if "torchvision" in str(one) or _raised_in_torchvision(one)]
    cause = causes[-1] if causes else None
    if cause is None or (isinstance(cause, ModuleNotFoundError) and cause.name == "torchvision"):
        return None
    import torch

    version, _, build = torch.__version__.partition("+")
    index = f" --index-url {_INDEX}{build}" if build else ""
    message = f"torchvision does not fit torch {torch.__version__} ({first_line(cause)})"
    step = f"install both from one place: pip install --force-reinstall torch=={version} torchvision{index}"
    # Text models do not need it, and transformers imports it only if it is installed.
    other = "; or remove it, as export-text does not need it: pip uninstall torchvision" if library == "hf" else ""
    return ExportError(f"{message}; {step}{other}")


def _raised_in_torchvision(error: BaseException) -> bool:
    """Returns whether an error was raised while torchvision was imported."""
    place = error.__traceback__
    while place is not None:
        if str(place.tb_frame.f_globals.get("__name__", "")).partition(".")[0] == "torchvision":
            return True
        place = place.tb_next
    return False
