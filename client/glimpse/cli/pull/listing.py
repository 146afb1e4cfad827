"""Prints the catalogue of `glimpse pull --list`."""

from dataclasses import asdict

from glimpse.cli.common.errors import missing_module
from glimpse.cli.common.options import Format
from glimpse.cli.common.output import Column, Table, print_note
from glimpse.cli.common.records import print_all

_COLUMNS = (
    Column("NAME", share=3),
    Column("READS", 10),
    Column("LANGUAGES", 9),
    Column("DIM", 4, right=True),
    Column("MB", 5, right=True),
    Column("LICENCE", share=1),
    Column("RECALL", 6, right=True),
    Column("PULLED", 8),
)


def print_catalogue(output: Format) -> None:
    """Prints the catalogue: as a table that fits a terminal, or with every field."""
    try:
        from glimpse.backbone.pull.catalogue import catalogue
        from glimpse.backbone.pull.hub import is_non_commercial
    except ModuleNotFoundError as error:
        raise missing_module(error, "server") from error
    entries = catalogue()
    if output is not Format.TABLE:
        records = [{**asdict(entry), "non_commercial": is_non_commercial(entry.license)} for entry in entries]
        print_all(output, records, tuple(records[0]))
        return
    table = Table(_COLUMNS)
    table.rows(
        [
            entry.name,
            "+".join(entry.modalities),
            "many" if "multilingual" in entry.languages else " ".join(entry.languages) or None,
            entry.dimension,
            entry.megabytes,
            (entry.license or "?") + (" (non-commercial)" if is_non_commercial(entry.license) else ""),
            f"{entry.recall:.1f}" if entry.recall is not None else None,
            "yes" if entry.tested else "untested",
        ]
        for entry in entries
    )
    print_note(
        "untested: no row was pulled from the real hub yet. RECALL: percent, of pictures by captions in English "
        "(Crossmodal-3600), as immich reports it. --format json has sources and pages"
    )
