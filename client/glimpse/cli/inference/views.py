"""Regions of pictures, and several inputs that show one thing."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from glimpse.cli.common.errors import CliError
from glimpse.cli.common.input_reader import Source
from glimpse.cli.common.inputs import Sources, failed_result
from glimpse.client import ClassifyResult, Image, Input, Region, Text, Views

_MIN_VIEWS, _MAX_VIEWS = 2, 32


def parse_region(text: str | None) -> Region | None:
    """Returns the region that `--region X,Y,W,H` names. Raises CliError."""
    if text is None:
        return None
    try:
        region = Region(*map(float, text.split(",")))
    except (TypeError, ValueError) as error:
        step = "give four numbers from 0 to 1, for example --region 0.25,0.1,0.5,0.5"
        raise CliError(f"--region {text!r} is no box X,Y,W,H", step) from error
    return region


def of_region(item: Input, region: Region | None) -> Input:
    """Returns an input with the region of its picture; other inputs have none."""
    if region is None or not isinstance(item.content, Path | bytes):
        return item
    return replace(item, content=Image(item.content, region))


def ask_about_views(
    sources: Sources, region: Region | None, call: Callable[[list[Input]], Sequence[ClassifyResult]]
) -> tuple[Source, ClassifyResult]:
    """Asks about one thing that all inputs show.

    Args:
        sources: The inputs.
        region: The region of each picture; None for all of it.
        call: Sends inputs to the server and returns its results.

    Returns:
        The thing, and its result. If an input cannot be read, the result has its error.

    Raises:
        CliError: There are too few or too many inputs.
    """
    if not _MIN_VIEWS <= len(sources) <= _MAX_VIEWS:
        raise CliError(f"--views takes {_MIN_VIEWS} to {_MAX_VIEWS} inputs that show one thing, not {len(sources)}")
    views = list(sources)
    thing = Source(f"{views[0].name} and {len(views) - 1} more", "")
    for view in views:
        if view.failure:
            return replace(thing, name=view.name), failed_result(ClassifyResult, view.failure)
    contents = [Text(view.content) if isinstance(view.content, str) else Image(view.content, region) for view in views]
    [result] = call([Input(Views(contents))])
    return thing, result
