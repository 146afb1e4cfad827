"""The libraries that checkpoints are loaded by; each is imported only when it is asked for."""

from glimpse.export.checkpoint.loaders.reasons import reason
from glimpse.export.checkpoint.loaders.torchvision_fit import torchvision_error
from glimpse.export.checkpoint.reference_model import ReferenceModel
from glimpse.export.errors import ExportError


def load(library: str, model: str, pretrained: str | None) -> ReferenceModel:
    """A checkpoint in its own framework.

    Args:
        library: `open_clip`, `timm` or `hf`.
        model: its name for the library, or a folder.
        pretrained: a tag or a local checkpoint; None where the model's name says it all.

    Raises:
        ExportError: no such model, no weights, a library whose own parts do not fit each other.
        ModuleNotFoundError: the library is not installed.
    """
    try:
        return _load(library, model, pretrained)
    except (ExportError, RuntimeError, ImportError, OSError, AttributeError) as error:
        if problem := torchvision_error(error, library):
            raise problem from error
        # transformers says of everything that fails in an import that a module, without a name, is not found.
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
    raise ExportError(f"there is no source {library!r}; there are open_clip, timm and hf")
