"""Arguments and options that commands share."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


def group(help_text: str | None = None) -> typer.Typer:
    """The `app` of a subcommand's module: plain help, which needs no rich; completion is the whole command's."""
    return typer.Typer(
        rich_markup_mode=None, add_completion=False, no_args_is_help=help_text is not None, help=help_text
    )


class Format(StrEnum):
    """How answers are printed: for people, or one JSON object a line."""

    TABLE = "table"
    JSON = "json"


Server = Annotated[
    str | None,
    typer.Option(
        "--server",
        metavar="ADDR",
        envvar="GLIMPSE_SERVER",
        show_envvar=True,
        help="The server's address; default 127.0.0.1:50051.",
    ),
]
Output = Annotated[
    Format,
    typer.Option("--format", envvar="GLIMPSE_FORMAT", show_envvar=False, help="json: one object a line."),
]
CollectionName = Annotated[str, typer.Argument(metavar="COLLECTION", help="The collection's id.")]
Paths = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="PATH",
        help="Image files; folders, read with their subfolders; .txt files with a text a line; .jsonl files with a "
        "JSON string or an object with `text` (and `id`, `label`) a line.",
    ),
]
Texts = Annotated[list[str] | None, typer.Option("--text", metavar="TEXT", help="A text as input. May be repeated.")]
Backbone = Annotated[
    str, typer.Option("--backbone", metavar="NAME", help="Its name; may be left out where the server has one.")
]
Timeout = Annotated[
    float,
    typer.Option("--timeout", min=0.1, metavar="SECONDS", help="For each call of up to 32 inputs, retries included."),
]
TopK = Annotated[int | None, typer.Option("--top", min=1, metavar="N", help="How many to return.")]
Domain = Annotated[
    str, typer.Option("--domain", metavar="TEXT", help="Where the inputs come from (camera, site, style).")
]
