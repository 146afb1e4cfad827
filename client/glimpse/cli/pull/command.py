"""`glimpse pull`: makes a bundle of a ready model, from a hub, a web server or a folder."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from glimpse.cli.common import options
from glimpse.cli.common.errors import CliError, missing_module
from glimpse.cli.pull.listing import print_catalogue
from glimpse.cli.pull.run import Wishes, pull_source
from glimpse.cli.pull.summary import print_bundle

app = options.group()
_UNITS = {"K": 10**3, "M": 10**6, "G": 10**9}


class Pooling(StrEnum):
    """Ways to reduce the states of a text encoder's tokens to one vector."""

    MEAN = "mean"
    CLS = "cls"
    LAST = "last"


@app.command()
def pull(
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="SOURCE",
            help="hf:OWNER/NAME[@REVISION], the https:// URL of a bundle, file:FOLDER, or a name of --list.",
        ),
    ] = None,
    catalogue: Annotated[bool, typer.Option("--list", help="List models that are known, and pull nothing.")] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Folder for the bundle. Default: the cache; needed for file:."),
    ] = None,
    name: Annotated[
        str, typer.Option("--name", metavar="NAME", help="The backbone's name. Default: the model's.")
    ] = "",
    variant: Annotated[
        str,
        typer.Option("--variant", metavar="NAME", help="The graph whose file ends so: fp16 for model_fp16.onnx."),
    ] = "",
    pooling: Annotated[
        Pooling | None, typer.Option("--pooling", help="Texts: how to pool the tokens' states. Default: the model's.")
    ] = None,
    prompt: Annotated[
        str | None,
        typer.Option("--prompt", metavar="NAME", help="Texts: which of the model's prompts to put before every text."),
    ] = None,
    prefix: Annotated[
        str | None, typer.Option("--prefix", metavar="TEXT", help="Texts: text to put before every input.")
    ] = None,
    logit_scale: Annotated[
        float | None,
        typer.Option(
            "--logit-scale",
            min=0.01,
            metavar="N",
            help="Images and texts: the factor of cosines that the model was trained with. Default: the graph's.",
        ),
    ] = None,
    logit_bias: Annotated[
        float | None,
        typer.Option("--logit-bias", metavar="N", help="The same of its bias, if it was trained with a sigmoid."),
    ] = None,
    languages: Annotated[
        str,
        typer.Option("--languages", metavar="CODES", help="Languages to check, such as de,fr,zh. English always is."),
    ] = "",
    photographs: Annotated[
        Path | None,
        typer.Option(
            "--photographs",
            metavar="DIR",
            help="Folder of at least 32 photographs, to check mean, deviation and channels with.",
        ),
    ] = None,
    license: Annotated[
        str, typer.Option("--license", metavar="ID", help="Licence of the weights. Default: what the hub states.")
    ] = "unknown",
    max_size: Annotated[
        str, typer.Option("--max-size", metavar="SIZE", help="The most to download, such as 800M or 4G.")
    ] = "4G",
    offline: Annotated[bool, typer.Option("--offline", help="Never ask; use what was pulled before.")] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Accept a licence without commercial use, and the terms of a gated model.")
    ] = False,
    skip_check: Annotated[
        bool, typer.Option("--skip-check", help="Write the bundle even if the self-check fails; it is recorded.")
    ] = False,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Pull a ready model as a backbone bundle, without torch.

    The model's ONNX files and settings are downloaded, wrapped and checked. The bundle names the commit and the digest
    of every file. HF_TOKEN is sent to the hub alone; HF_ENDPOINT names another hub.
    """
    if catalogue:
        print_catalogue(output)
        return
    if source is None:
        raise CliError("no source is given", "name one, or see the catalogue: glimpse pull --list")
    if logit_bias is not None and logit_scale is None:
        raise typer.BadParameter("--logit-bias belongs to a scale: give --logit-scale too")
    wishes = Wishes(
        out=out,
        name=name,
        variant=variant,
        pooling=pooling.value if pooling else None,
        prompt=prompt,
        prefix=prefix,
        languages=tuple(filter(None, map(str.strip, languages.split(",")))),
        logit_scale=logit_scale,
        logit_bias=logit_bias,
        photographs=photographs,
        license=license,
        max_bytes=_bytes(max_size),
        offline=offline,
        accept=yes,
        unchecked=skip_check,
    )
    try:
        bundle = pull_source(source, wishes)
    except ModuleNotFoundError as error:
        raise missing_module(error, "server") from error
    print_bundle(bundle, output)


def _bytes(text: str) -> int:
    """Returns the bytes of a size such as `800M`. Raises CliError."""
    number, unit = (text[:-1], text[-1:].upper()) if text[-1:].upper() in _UNITS else (text, "")
    if not number.isascii() or not number.isdecimal():
        raise CliError(f"--max-size {text} is not a size", "write bytes, or 800M, or 4G")
    return int(number) * _UNITS.get(unit, 1)
