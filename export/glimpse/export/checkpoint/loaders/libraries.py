"""Selects the library that loads a checkpoint; each is imported only when it is needed."""

from glimpse.export.checkpoint.loaders.reasons import reason
from glimpse.export.checkpoint.loaders.torchvision_fit import torchvision_error
from glimpse.export.checkpoint.reference_model import ReferenceModel
from glimpse.export.errors import ExportError


def load(library: str, model: str, pretrained: str | None) -> ReferenceModel:
    """Loads a checkpoint in its own framework.

    Args:
        library: `open_clip`, `timm` or `hf`.
        model: the library's name of the model, or a folder.
        pretrained: a tag or a local checkpoint; None if the model's name is enough.

    Raises:
        ExportError: the model or its weights are unavailable, or the library's parts do not fit each other.
        ModuleNotFoundError: the library is not installed.
    """
    try:
        return _load(library, model, pretrained)
    except (ExportError, RuntimeError, ImportError, OSError, AttributeError) as error:
        if problem := torchvision_error(error, library):
            raise problem from error
        # transformers reports every failed import as a ModuleNotFoundError without a name.
        if isinstance(error, ImportError) and error.name is None:
            raise ExportError(f"{library} cannot be imported: {reason(error)}; install its parts again") from error
        raise


def _load(library: str, model: str, pretrained: str | None) -> ReferenceModel:
    if library == "open_clip":
        from glimpse.export.checkpoint.loaders.from_open_clip import load_open_clip

        return load_open_clip(model, pretrained)
    if library == "timm":
        from glimpse.export.checkpoint.loaders.from_timm import load_timm

        return load_timm(model, pretrained)
    if library == "hf":
        from glimpse.export.checkpoint.loaders.from_hf import load_hf

        return load_hf(model, pretrained)
    raise ExportError(f"unknown source {library!r}; the sources are open_clip, timm and hf")
