"""A bundle compared with its checkpoint once more, where both are at hand."""

from glimpse.backbone import Bundle
from glimpse.export.errors import ExportError
from glimpse.export.tolerance import Check


def compare_again(bundle: Bundle, model: str | None, pretrained: str | None) -> list[Check]:
    """Loads the checkpoint that a bundle says it was made of, and compares.

    `model`, `pretrained`: where the checkpoint lies now, if it is not there any more.

    Raises:
        ExportError: the bundle does not say, or the checkpoint cannot be had.
        ModuleNotFoundError: no torch here, or not the checkpoint's library.
    """
    source = bundle.manifest.provenance.get("source")
    if not isinstance(source, dict):
        raise ExportError(f"{bundle.manifest.name} was not made of a checkpoint that can be loaded again")
    from glimpse.export.checkpoint.loaders.libraries import load
    from glimpse.export.checkpoint.parity import compare
    from glimpse.export.checkpoint.reference_model import with_prefix

    original = load(source["library"], model or source["model"], pretrained or source.get("pretrained"))
    if (prefix := source.get("prefix")) is not None:
        original = with_prefix(original, prefix)
    return compare(original, bundle)
