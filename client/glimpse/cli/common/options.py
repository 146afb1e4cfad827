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
    """How answers are printed: for people, or for programs."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


Server = Annotated[
    str | None,
    typer.Option(
        "--server",
        metavar="ADDR",
        envvar="GLIMPSE_SERVER",
        show_envvar=True,
        help="HOST:PORT or unix:PATH; default 127.0.0.1:50051.",
    ),
]
# How the server is known, and who calls: of every command that takes --server, as variables for the client.
Tls = Annotated[
    bool,
    typer.Option("--tls", envvar="GLIMPSE_TLS", show_envvar=True, help="Use TLS, with the system's authorities."),
]
TlsCa = Annotated[
    Path | None,
    typer.Option(
        "--tls-ca",
        metavar="FILE",
        envvar="GLIMPSE_TLS_CA",
        show_envvar=True,
        help="Use TLS; PEM of who signed the server's certificate.",
    ),
]
TlsCert = Annotated[
    Path | None,
    typer.Option(
        "--tls-cert",
        metavar="FILE",
        envvar="GLIMPSE_CLIENT_CERT",
        show_envvar=True,
        help="PEM of a certificate of one's own, where the server wants one.",
    ),
]
TlsKey = Annotated[
    Path | None,
    typer.Option(
        "--tls-key", metavar="FILE", envvar="GLIMPSE_CLIENT_KEY", show_envvar=True, help="PEM of that one's key."
    ),
]
ApiKeyFile = Annotated[
    Path | None,
    typer.Option(
        "--api-key-file",
        metavar="FILE",
        help="Holds an API key or token. Or GLIMPSE_API_KEY is one: as an option it would stand in process lists.",
    ),
]
Insecure = Annotated[
    bool,
    typer.Option(
        "--insecure",
        envvar="GLIMPSE_CLIENT_INSECURE",
        show_envvar=True,
        help="Send the API key in plain text to another machine too.",
    ),
]
Config = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="A TOML file with any of the server's settings.")
]
Output = Annotated[
    Format,
    typer.Option(
        "--format", envvar="GLIMPSE_FORMAT", show_envvar=False, help="json: one object a line; csv: RFC 4180."
    ),
]
CollectionName = Annotated[str, typer.Argument(metavar="COLLECTION", help="The collection's id.")]
Paths = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="PATH",
        help="Pictures; folders, read with their subfolders; .txt files with a text a line; tables (.csv, .tsv, "
        ".jsonl, .parquet) with a column `text`, `path` or `image` (and `id`, `label`); - for standard input.",
    ),
]
Texts = Annotated[list[str] | None, typer.Option("--text", metavar="TEXT", help="A text as input. May be repeated.")]
TextColumn = Annotated[
    str | None, typer.Option("--text-column", metavar="NAME", help="A table's column of texts; default: text.")
]
PathColumn = Annotated[
    str | None,
    typer.Option("--path-column", metavar="NAME", help="A table's column of pictures' files; default: path or image."),
]
LabelColumn = Annotated[
    str | None, typer.Option("--label-column", metavar="NAME", help="A table's column of labels; default: label.")
]
IdColumn = Annotated[
    str | None,
    typer.Option("--id-column", metavar="NAME", help="A table's column of what its rows are called; default: id."),
]
AllowOutside = Annotated[
    bool,
    typer.Option("--allow-outside", help="Read files outside of a table's folder too, where the table names some."),
]
Backbone = Annotated[
    str, typer.Option("--backbone", metavar="NAME", help="Its name; may be left out where the server has one.")
]
Timeout = Annotated[
    float,
    typer.Option("--timeout", min=0.1, metavar="SECONDS", help="For each call of up to 32 inputs, retries included."),
]
# Of commands that decode pictures themselves, as the server's settings of the same names.
MaxImageSide = Annotated[
    int, typer.Option("--max-image-side", min=1, metavar="PIXELS", help="The longest side of a picture that is read.")
]
MaxImagePixels = Annotated[
    int, typer.Option("--max-image-pixels", min=1, metavar="N", help="The most pixels of a picture that is read.")
]
MaxDecodeBytes = Annotated[
    int,
    typer.Option("--max-decode-bytes", min=1, metavar="BYTES", help="Memory of large pictures being decoded together."),
]
TopK = Annotated[int | None, typer.Option("--top", min=1, metavar="N", help="How many to return.")]
Domain = Annotated[
    str, typer.Option("--domain", metavar="TEXT", help="Where the inputs come from (camera, site, style).")
]
