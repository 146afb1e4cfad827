"""Runs a pull for a command: finds the source, shows progress, asks for consent."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import typer

from glimpse.cli.common.errors import CliError
from glimpse.cli.common.output import print_note
from glimpse.cli.common.progress import bytes_progress

if TYPE_CHECKING:
    from collections.abc import Callable

    from glimpse.backbone import Bundle


@dataclass(frozen=True)
class Wishes:
    """The options of `glimpse pull`; see its help."""

    out: Path | None = None
    name: str = ""
    variant: str = ""
    pooling: Literal["mean", "cls", "last"] | None = None
    prompt: str | None = None
    prefix: str | None = None
    languages: tuple[str, ...] = ()
    photographs: Path | None = None
    logit_scale: float | None = None
    logit_bias: float | None = None
    license: str = "unknown"
    max_bytes: int = 4 * 10**9
    offline: bool = False
    accept: bool = False
    unchecked: bool = False
    refresh: bool = True


def pull_source(text: str, wishes: Wishes) -> "Bundle":
    """Pulls a source, or a model of the catalogue.

    Raises:
        CliError: the pull fails; the message says what to do.
        ModuleNotFoundError: a module is missing.
    """
    from glimpse.backbone import BundleError
    from glimpse.backbone.pull.catalogue import find_entry
    from glimpse.backbone.pull.errors import PullError
    from glimpse.backbone.pull.sources import parse_source
    from glimpse.export.errors import ExportError
    from glimpse.export.foreign.options import ForeignOptions
    from glimpse.export.foreign.pull import pull
    from glimpse.export.foreign.pull_options import PullOptions, Reporter

    entry = find_entry(text)
    foreign = ForeignOptions(
        wishes.name,
        wishes.license,
        variant=wishes.variant or (entry.variant if entry else ""),
        pooling=wishes.pooling or (entry.pooling if entry else None),
        prompt=wishes.prompt,
        prefix=wishes.prefix if wishes.prefix is not None or wishes.prompt or not entry else entry.prefix,
        languages=wishes.languages or (entry.languages if entry else ()),
        logit_scale=wishes.logit_scale,
        logit_bias=wishes.logit_bias,
        photographs=_photographs(wishes.photographs),
        unchecked=wishes.unchecked,
    )
    pulled = PullOptions(foreign, wishes.out, wishes.refresh, wishes.offline, wishes.max_bytes)
    reporter = Reporter(lambda step: print_note(f"{step} …"), _bar, lambda question: _consent(question, wishes))
    try:
        return pull(parse_source(entry.source if entry else text), pulled, reporter)
    except (PullError, ExportError, BundleError) as error:
        raise CliError(str(error)) from error


def _photographs(folder: Path | None) -> list[bytes]:
    from glimpse.cli.export.options import photographs_in
    from glimpse.export.foreign.settings_check import MIN_PHOTOGRAPHS

    if folder is None:
        return []
    found = photographs_in(folder, "--photographs")
    if len(found) < MIN_PHOTOGRAPHS:
        raise CliError(f"{folder} has {len(found)} photographs", f"name a folder of at least {MIN_PHOTOGRAPHS}")
    return found


def _consent(question: str, wishes: Wishes) -> bool:
    if wishes.accept:
        return True
    return sys.stdin.isatty() and typer.confirm(question, err=True)


@contextmanager
def _bar(title: str, total: int) -> Iterator[Any]:
    print_note(f"downloading {title}: {total / 1e6:,.0f} MB")
    with bytes_progress(title, total) as advance:
        moved: Callable[[int], None] = advance
        yield moved
