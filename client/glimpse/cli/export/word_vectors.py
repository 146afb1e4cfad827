"""`glimpse export vectors`: exports word vectors as a text backbone."""

from pathlib import Path
from typing import Annotated

import typer

from glimpse.cli.common import options
from glimpse.cli.common.errors import missing_module
from glimpse.cli.export.options import Description, License, Out, check_before, command_line, export, name_of


def vectors(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="word2vec or GloVe vectors (.bin: binary word2vec), also as .gz.")
    ],
    out: Out,
    words: Annotated[
        int | None,
        typer.Option(
            "--words", min=1, metavar="N", help="Use only the first N words. Files usually start with the commonest."
        ),
    ] = None,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="The backbone's name.")] = None,
    description: Description = "",
    license: License = "unknown",
    output: options.Output = options.Format.TABLE,
) -> None:
    """Export word vectors as a text backbone.

    The vector of a text is the mean of its words' vectors, scaled to length 1. Unknown words have almost no weight.
    The bundle is compared with the file's own vectors before it is written. Needs the extra `vectors`, but no torch.
    """
    try:
        from glimpse.export.word_vectors import export_vectors
    except ModuleNotFoundError as error:
        raise missing_module(error, "vectors") from error
    fields = {"name": name or name_of(file.name.split(".")[0]), "description": description, "license": license}
    check_before(fields["name"], out)
    export(
        out,
        output,
        lambda report_step: export_vectors(
            file, out, words=words, **fields, command=command_line(), progress=report_step
        ),
    )
