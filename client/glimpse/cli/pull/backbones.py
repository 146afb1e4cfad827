"""Finds the backbone that an option names: a bundle's folder, glimpse-mini, or a source that is pulled first."""

from pathlib import Path
from typing import TYPE_CHECKING

from glimpse.cli.common.errors import CliError, missing_module
from glimpse.cli.pull.run import Wishes, pull_source

if TYPE_CHECKING:
    from glimpse.backbone import Bundle

#: Describes the values of every such option.
PLACES = "Folder of a bundle, glimpse-mini, or a source of `glimpse pull` such as hf:OWNER/NAME, which is pulled once."


def local_backbone(backbone: str | Path, *, offline: bool = False) -> str:
    """Returns what `open_bundle` takes: the folder of a source's bundle, and any other name as it is.

    A source that was pulled before is not asked for again: an update would change the embedding space of what was
    embedded before.

    Args:
        backbone: a folder, a name or a source.
        offline: never ask.

    Raises:
        CliError: a pull fails, or a module that it needs is missing.
    """
    try:
        from glimpse.backbone.pull.sources import is_source

        if not is_source(str(backbone)):
            return str(backbone)
        return str(pull_source(str(backbone), Wishes(refresh=False, offline=offline)).path)
    except ModuleNotFoundError as error:
        raise missing_module(error, "server") from error


def opened_backbone(backbone: str | Path) -> "Bundle":
    """Opens the bundle of a folder, a name or a source. Raises CliError."""
    try:
        from glimpse.backbone import BundleError, open_bundle
    except ModuleNotFoundError as error:
        raise missing_module(error, "server") from error
    try:
        return open_bundle(local_backbone(backbone))
    except BundleError as error:
        raise CliError(str(error)) from error
