"""`glimpse classify`."""

import typer

from glimpse.cli import options
from glimpse.cli.answers import Answers
from glimpse.cli.batches import batched
from glimpse.cli.inputs import read_sources
from glimpse.cli.session import connected

app = options.group()


@app.command()
def classify(
    collection: options.CollectionName,
    paths: options.Paths = None,
    texts: options.Texts = None,
    top: options.TopK = None,
    domain: options.Domain = "",
    timeout: options.Timeout = 60.0,
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Classify inputs by a collection's examples.

    Prints one line an input: what to make of it (MATCH, UNKNOWN, AMBIGUOUS), the best label, its probability, the
    part of the collection's examples that fit no better (where it is calibrated), and the similarity of the nearest
    example. As JSON it also says why. Exit code 1 where
    an input failed.
    """
    sources = read_sources(paths, texts)
    answers = Answers(output)
    with connected(server, timeout) as client:
        for batch in batched(sources):
            inputs = [source.as_input() for source in batch]
            results = client.classify(collection, inputs, top_k=top, domain=domain)
            for source, result in zip(batch, results, strict=True):
                answers.show(source, result)
    if answers.failures:
        raise typer.Exit(1)
