"""`glimpse demo`."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from glimpse.cli import options
from glimpse.cli.errors import CliError

app = options.group()


@app.command()
def demo(
    images: Annotated[
        Path | None,
        typer.Option("--images", metavar="DIR", help="Your own pictures: a folder with a subfolder a label."),
    ] = None,
    backbones: Annotated[
        list[Path] | None,
        typer.Option("--backbone", metavar="DIR", help="A bundle's folder, in place of the bundled one."),
    ] = None,
    shots: Annotated[int, typer.Option("--shots", min=1, metavar="N", help="Examples a label, with --images.")] = 1,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The picture it makes.")] = Path(
        "glimpse-demo.png"
    ),
    seed: Annotated[int, typer.Option("--seed", min=0, metavar="N", help="Another alphabet, another choice.")] = 0,
) -> None:
    """See it work: enroll one drawing a character, classify the others, make a picture.

    Starts a server of its own, on a free port and a temporary folder, and stops it at the end. It enrolls one drawing
    for each character of an alphabet the backbone never saw, classifies 200 others and 20 strangers, labels pictures
    by text alone, and says how often it was right and how long it took.
    """
    try:
        from glimpse.cli import demo_data, demo_report, demo_run, demo_server, demo_sheet
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != "PIL":
            raise
        raise CliError("the demo runs a server", "install it with: pip install 'glimpse[server]'") from error
    from glimpse.client import Client

    if images is not None and not images.is_dir():
        raise CliError(f"there is no folder {images}")
    task = demo_data.folder_task(images, shots, seed) if images else demo_data.drawn_task(seed)
    with (
        tempfile.TemporaryDirectory(prefix="glimpse-demo-") as folder,
        demo_server.own_server(Path(folder), backbones or ()) as address,
        Client(address) as client,
    ):
        report = demo_run.run(client, task)
    demo_sheet.draw_sheet(report).save(out)
    demo_report.show(report, out)
