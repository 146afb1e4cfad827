"""`glimpse export vectors`: word vectors as a text backbone."""

from pathlib import Path
from typing import Annotated

import typer

from glimpse.cli.common import options
from glimpse.cli.common.errors import missing_module
from glimpse.cli.export.options import Description, License, Out, check_before, command_line, export, name_of


def vectors(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="word2vec (.bin: binary) or GloVe vectors; .gz is read too.")
    ],
    out: Out,
    words: Annotated[
        int | None, typer.Option("--words", min=1, metavar="N", help="Only the first N, most often the commonest.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="The backbone's name.")] = None,
    description: Description = "",
    license: License = "unknown",
    output: options.Output = options.Format.TABLE,
) -> None:
    """Word vectors: a text's vector is the mean of its words', of length 1; unknown words hardly count.

    Compared with the mean of the file's own vectors before anything is written. Needs the extra `vectors`, no torch.
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
        lambda tell: export_vectors(file, out, words=words, **fields, command=command_line(), progress=tell),
    )
