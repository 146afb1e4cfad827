"""Loads the checkpoint of a bundle again, and compares both."""

from typing import TYPE_CHECKING

from glimpse.backbone import Bundle
from glimpse.export.errors import ExportError
from glimpse.export.tolerance import Check

if TYPE_CHECKING:
    from glimpse.export.checkpoint.reference_model import ReferenceModel


def compare_again(bundle: Bundle, model: str | None, pretrained: str | None) -> list[Check]:
    """Loads the checkpoint that a bundle was made from, and compares both.

    Args:
        bundle: the bundle.
        model: where the checkpoint is now; None for the place in the bundle's provenance.
        pretrained: like `model`, for the weights.

    Raises:
        ExportError: the bundle does not name its checkpoint, or the checkpoint is unavailable.
        ModuleNotFoundError: torch or the checkpoint's library is not installed.
    """
    original = load_again(bundle, model, pretrained)
    from glimpse.export.checkpoint.parity import compare

    return compare(original, bundle)


def load_again(bundle: Bundle, model: str | None = None, pretrained: str | None = None) -> "ReferenceModel":
    """Loads the checkpoint that a bundle was made from. Arguments and errors are those of `compare_again`."""
    source = bundle.manifest.provenance.get("source")
    if not isinstance(source, dict):
        raise ExportError(f"{bundle.manifest.name} was not made of a checkpoint that can be loaded again")
    from glimpse.export.checkpoint.loaders.libraries import load
    from glimpse.export.checkpoint.reference_model import with_prefix

    original = load(source["library"], model or source["model"], pretrained or source.get("pretrained"))
    prefix = source.get("prefix")
    return original if prefix is None else with_prefix(original, prefix)
