"""A torchvision that does not fit torch: how to tell from the errors of what imports it, and what to do."""

from glimpse.export.checkpoint.loaders.reasons import chain
from glimpse.export.errors import ExportError, first_line

_INDEX = "https://download.pytorch.org/whl/"


def torchvision_error(error: Exception, library: str) -> ExportError | None:
    """What to say where torchvision's import is behind an error of `library`; None where it is not."""
    causes = [one for one in chain(error) if "torchvision" in str(one) or _raised_in_torchvision(one)]
    cause = causes[-1] if causes else None
    if cause is None or (isinstance(cause, ModuleNotFoundError) and cause.name == "torchvision"):
        return None
    import torch

    version, _, build = torch.__version__.partition("+")
    index = f" --index-url {_INDEX}{build}" if build else ""
    message = f"torchvision does not fit torch {torch.__version__} ({first_line(cause)})"
    step = f"install both from one place: pip install --force-reinstall torch=={version} torchvision{index}"
    # Text models need none, and transformers imports it only where it is installed.
    other = "; or do without it, as the extra export-text does: pip uninstall torchvision" if library == "hf" else ""
    return ExportError(f"{message}; {step}{other}")


def _raised_in_torchvision(error: BaseException) -> bool:
    """Whether an error, of a library that cannot be loaded say, was raised while torchvision was imported."""
    place = error.__traceback__
    while place is not None:
        if str(place.tb_frame.f_globals.get("__name__", "")).partition(".")[0] == "torchvision":
            return True
        place = place.tb_next
    return False
