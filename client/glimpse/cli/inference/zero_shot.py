"""`glimpse zero-shot`."""

from typing import Annotated, Any

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
def label(
    paths: options.Paths = None,
    prompts: Annotated[
        list[str] | None,
        typer.Option("--prompt", metavar="TEXT", help='A label as text: "a red circle". Repeat it for each.'),
    ] = None,
    texts: options.Texts = None,
    backbone: options.Backbone = "",
    templates: Annotated[
        bool, typer.Option("--templates/--no-templates", help="Set each prompt into the backbone's own templates.")
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
    """Label inputs by text alone.

    No collection and no example is needed, but a backbone that reads both text and the inputs.
    """
    if not prompts:
        raise typer.BadParameter("give the labels to choose from, each as --prompt TEXT")
    reading = Reading(Columns(id=id_column, text=text_column, path=path_column), allow_outside)
    sources = read_sources(paths, texts, reading)
    answers = Answers(output, nearest=False)
    how: dict[str, Any] = {"backbone": backbone, "use_templates": templates, "top_k": top}
    with connected(server, timeout) as client:
        for batch in batched(sources):
            results = answered(batch, lambda inputs: client.classify_zero_shot(prompts, inputs, **how), ClassifyResult)
            for source, result in zip(batch, results, strict=True):
                answers.show(source, result)
    if answers.failures:
        raise typer.Exit(1)
