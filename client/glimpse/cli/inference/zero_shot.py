"""`glimpse zero-shot`: classifies inputs by text prompts."""

from typing import Annotated, Any

import typer

from glimpse.cli.common import options
from glimpse.cli.common.chunking import batched
from glimpse.cli.common.input_reader import TableOptions
from glimpse.cli.common.inputs import read_sources, results_in_order
from glimpse.cli.common.session import connected
from glimpse.cli.inference.result_rows import ResultPrinter
from glimpse.client import ClassifyResult
from glimpse.inputs import Columns

app = options.group()


@app.command()
def zero_shot(
    paths: options.Paths = None,
    prompts: Annotated[
        list[str] | None,
        typer.Option("--prompt", metavar="TEXT", help='A label as a text, such as "a red circle". Repeatable.'),
    ] = None,
    texts: options.Texts = None,
    backbone: options.Backbone = "",
    templates: Annotated[
        bool, typer.Option("--templates/--no-templates", help="Insert each prompt into the backbone's templates.")
    ] = False,
    background: Annotated[
        list[str] | None,
        typer.Option(
            "--background",
            metavar="TEXT",
            help="A text that competes with the prompts; what is nearer to it is UNKNOWN. Repeatable.",
        ),
    ] = None,
    no_background: Annotated[
        bool,
        typer.Option("--no-background", help="Accept the best prompt for every input; nothing competes with it."),
    ] = False,
    top: options.TopK = None,
    text_column: options.TextColumn = None,
    path_column: options.PathColumn = None,
    id_column: options.IdColumn = None,
    allow_outside: options.AllowOutside = False,
    timeout: options.Timeout = 60.0,
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Classify inputs by text prompts, without any example.

    Each --prompt is a label. An input that none of them describes is UNKNOWN: the backbone's background vocabulary
    competes with the prompts. Needs no collection, but a backbone that reads both texts and the inputs. Exit code 1 if
    an input failed.
    """
    if not prompts:
        raise typer.BadParameter("give the labels to choose from, each with --prompt TEXT")
    if background and no_background:
        raise typer.BadParameter("--background and --no-background exclude each other")
    table_options = TableOptions(Columns(id=id_column, text=text_column, path=path_column), allow_outside)
    sources = read_sources(paths, texts, table_options)
    printer = ResultPrinter(output, nearest=False)
    parameters: dict[str, Any] = {"backbone": backbone, "use_templates": templates, "top_k": top}
    parameters["background"] = background or not no_background
    with connected(server, timeout) as client:
        for batch in batched(sources):
            results = results_in_order(
                batch, lambda inputs: client.classify_zero_shot(prompts, inputs, **parameters), ClassifyResult
            )
            printer.show(batch, results)
    if printer.failures:
        raise typer.Exit(1)
