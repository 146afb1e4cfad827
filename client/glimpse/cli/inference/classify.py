"""`glimpse classify`: classifies inputs with a collection."""

from collections.abc import Sequence

import typer

from glimpse.cli.common import options
from glimpse.cli.common.chunking import batched
from glimpse.cli.common.input_reader import TableOptions
from glimpse.cli.common.inputs import read_sources, results_in_order
from glimpse.cli.common.session import connected
from glimpse.cli.inference.result_rows import ResultPrinter
from glimpse.cli.inference.views import ask_about_views, of_region, parse_region
from glimpse.client import ClassifyResult, Input
from glimpse.inputs import Columns

app = options.group()


@app.command()
def classify(
    collection: options.CollectionName,
    paths: options.Paths = None,
    texts: options.Texts = None,
    top: options.TopK = None,
    region: options.Region = None,
    views: options.Views = False,
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
    """Classify inputs with a collection's examples.

    Prints one line per input: the decision (MATCH, UNKNOWN or AMBIGUOUS), the best label, its probability, the p-value
    (the fraction of the collection's examples that fit their label no better; only if it is calibrated), and the
    similarity of the nearest example. If labels are independent, it prints all that hold, composed ones too. JSON also
    contains the reasons. An input that cannot be read is reported, and the others are classified; the exit code is
    then 1.

    With --views the inputs are several pictures of one thing, for example frames or angles, and there is one line. A
    note says how many of them have another best label of their own; JSON contains each view's own answer.
    """
    columns = Columns(id=id_column, label=label_column, text=text_column, path=path_column)
    sources = read_sources(paths, texts, TableOptions(columns, allow_outside))
    box = parse_region(region)
    printer = ResultPrinter(output)
    with connected(server, timeout) as client:

        def call(inputs: list[Input]) -> Sequence[ClassifyResult]:
            return client.classify(collection, [of_region(item, box) for item in inputs], top_k=top, domain=domain)

        if views:
            thing, result = ask_about_views(sources, box, call)
            printer.show([thing], [result])
        else:
            for batch in batched(sources):
                printer.show(batch, results_in_order(batch, call, ClassifyResult))
    if printer.failures:
        raise typer.Exit(1)
