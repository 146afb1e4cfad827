"""Arguments and options that several commands share."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


def group(help_text: str | None = None) -> typer.Typer:
    """Returns the `app` of a subcommand's module.

    The help is plain text, so that it does not need rich. Shell completion is a feature of the root command alone.
    """
    return typer.Typer(
        rich_markup_mode=None, add_completion=False, no_args_is_help=help_text is not None, help=help_text
    )


class Format(StrEnum):
    """Output formats: a table for people, JSON lines or CSV for programs."""

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
        help="The server's address, HOST:PORT or unix:PATH. Default: 127.0.0.1:50051.",
    ),
]
# Every command that takes --server takes these connection options too. They become environment variables of the client.
Tls = Annotated[
    bool,
    typer.Option(
        "--tls", envvar="GLIMPSE_TLS", show_envvar=True, help="Use TLS, and trust the system's certificate authorities."
    ),
]
TlsCa = Annotated[
    Path | None,
    typer.Option(
        "--tls-ca",
        metavar="FILE",
        envvar="GLIMPSE_TLS_CA",
        show_envvar=True,
        help="Use TLS, and trust the certificate authority in this PEM file.",
    ),
]
TlsCert = Annotated[
    Path | None,
    typer.Option(
        "--tls-cert",
        metavar="FILE",
        envvar="GLIMPSE_CLIENT_CERT",
        show_envvar=True,
        help="Client certificate (PEM), for servers that require one.",
    ),
]
TlsKey = Annotated[
    Path | None,
    typer.Option(
        "--tls-key",
        metavar="FILE",
        envvar="GLIMPSE_CLIENT_KEY",
        show_envvar=True,
        help="Private key (PEM) of the client certificate.",
    ),
]
ApiKeyFile = Annotated[
    Path | None,
    typer.Option(
        "--api-key-file",
        metavar="FILE",
        help="File with an API key or token. The variable GLIMPSE_API_KEY takes the key itself. No option does, "
        "because process lists show options.",
    ),
]
Insecure = Annotated[
    bool,
    typer.Option(
        "--insecure",
        envvar="GLIMPSE_CLIENT_INSECURE",
        show_envvar=True,
        help="Allow sending the API key in plain text to another machine.",
    ),
]
Config = Annotated[Path | None, typer.Option("--config", metavar="FILE", help="TOML file with settings of the server.")]
Output = Annotated[
    Format,
    typer.Option(
        "--format",
        envvar="GLIMPSE_FORMAT",
        show_envvar=False,
        help="Output format. json: one object per line; csv: as in RFC 4180.",
    ),
]
CollectionName = Annotated[str, typer.Argument(metavar="COLLECTION", help="The collection's id.")]
Paths = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="PATH",
        help="Pictures; folders, read with their subfolders; .txt files with one text per line; tables (.csv, .tsv, "
        ".jsonl, .parquet) with a column `text`, `path` or `image` (optional: `id`, `label`); - for standard input.",
    ),
]
Texts = Annotated[list[str] | None, typer.Option("--text", metavar="TEXT", help="A text as an input. Repeatable.")]
TextColumn = Annotated[
    str | None,
    typer.Option("--text-column", metavar="NAME", help="Column of a table that holds texts. Default: text."),
]
PathColumn = Annotated[
    str | None,
    typer.Option(
        "--path-column", metavar="NAME", help="Column of a table that names picture files. Default: path or image."
    ),
]
LabelColumn = Annotated[
    str | None,
    typer.Option("--label-column", metavar="NAME", help="Column of a table that holds labels. Default: label."),
]
GroupColumn = Annotated[
    str | None,
    typer.Option(
        "--group-column",
        metavar="NAME",
        help="Column of a table that holds groups, such as clips or documents. Default: group.",
    ),
]
GroupDepth = Annotated[
    int,
    typer.Option(
        "--group-depth",
        min=0,
        metavar="N",
        help="Level of subfolders whose files are one group: 2 for LABEL/GROUP/file. 0: no groups.",
    ),
]
IdColumn = Annotated[
    str | None, typer.Option("--id-column", metavar="NAME", help="Column of a table that holds row ids. Default: id.")
]
AllowOutside = Annotated[
    bool,
    typer.Option("--allow-outside", help="Also read files that a table names outside of its own folder."),
]
Backbone = Annotated[
    str,
    typer.Option("--backbone", metavar="NAME", help="The backbone's name. Not needed if the server has only one."),
]
Timeout = Annotated[
    float,
    typer.Option(
        "--timeout", min=0.1, metavar="SECONDS", help="Limit for each call of up to 32 inputs, retries included."
    ),
]
# Commands that decode pictures themselves take these; the server's settings have the same names.
MaxImageSide = Annotated[
    int, typer.Option("--max-image-side", min=1, metavar="PIXELS", help="Reject pictures with a longer side than this.")
]
MaxImagePixels = Annotated[
    int, typer.Option("--max-image-pixels", min=1, metavar="N", help="Reject pictures with more pixels than this.")
]
MaxDecodeBytes = Annotated[
    int,
    typer.Option(
        "--max-decode-bytes", min=1, metavar="BYTES", help="Memory limit for large pictures decoded at the same time."
    ),
]
TopK = Annotated[int | None, typer.Option("--top", min=1, metavar="N", help="Number of results per input.")]
Region = Annotated[
    str | None,
    typer.Option(
        "--region",
        metavar="X,Y,W,H",
        help="Use only this box of each picture, in parts of 1: left edge, upper edge, width, height.",
    ),
]
Views = Annotated[
    bool,
    typer.Option("--views", help="All inputs show one thing: they get one answer. 2 to 32 inputs."),
]
Domain = Annotated[
    str, typer.Option("--domain", metavar="TEXT", help="Domain of the inputs: their camera, site or style.")
]
