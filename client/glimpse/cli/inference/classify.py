"""`glimpse classify`."""

import typer

from glimpse.cli.common import options
from glimpse.cli.common.inputs import Reading, answered, read_sources
from glimpse.cli.common.progress import batched
from glimpse.cli.common.session import connected
from glimpse.cli.inference.result_rows import Answers
from glimpse.client import ClassifyResult
from glimpse.inputs import Columns

app = options.group()


@app.command()
def classify(
    collection: options.CollectionName,
    paths: options.Paths = None,
    texts: options.Texts = None,
    top: options.TopK = None,
    domain: options.Domain = "",
    label_column: options.LabelColumn = None,
    text_column: options.TextColumn = None,
    path_column: options.PathColumn = None,
    id_column: options.IdColumn = None,
    allow_outside: options.AllowOutside = False,
    timeout: options.Timeout = 60.0,
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Classify inputs by a collection's examples.

    Prints one line an input: what to make of it (MATCH, UNKNOWN, AMBIGUOUS), the best label, its probability, the
    part of the collection's examples that fit no better (where it is calibrated), and the similarity of the nearest
    example. As JSON it also says why. An input that cannot be read is reported in its place and the others are
    answered; the exit code is then 1.
    """
    columns = Columns(id=id_column, label=label_column, text=text_column, path=path_column)
    sources = read_sources(paths, texts, Reading(columns, allow_outside))
    answers = Answers(output)
    with connected(server, timeout) as client:
        for batch in batched(sources):
            results = answered(
                batch, lambda inputs: client.classify(collection, inputs, top_k=top, domain=domain), ClassifyResult
            )
            for source, result in zip(batch, results, strict=True):
                answers.show(source, result)
    if answers.failures:
        raise typer.Exit(1)
