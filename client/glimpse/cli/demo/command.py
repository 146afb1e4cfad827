"""`glimpse demo`."""

from pathlib import Path
from typing import Annotated

import typer

from glimpse.cli.common import options
from glimpse.cli.common.errors import CliError, missing_module
from glimpse.cli.common.output_files import check_target, writing
from glimpse.client import Client
from glimpse.inputs import subfolders

app = options.group()
_FORMATS = (".png", ".jpg", ".jpeg", ".webp")


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
        from glimpse.backbone import scratch_folder
        from glimpse.cli.demo import contact_sheet, data, report, run, server
    except ModuleNotFoundError as error:
        raise missing_module(error, "server") from error
    _check(images, out)
    task = data.folder_task(images, shots, seed) if images else data.drawn_task(seed)
    with (
        scratch_folder() as folder,
        server.own_server(folder, backbones or ()) as address,
        Client(address, api_key="", tls=False) as client,
    ):
        outcome = run.run(client, task)
    report.show(outcome)
    sheet = contact_sheet.draw_sheet(outcome)
    with writing(out):
        sheet.save(out)
    print(f"picture: {out.resolve()}")


def _check(images: Path | None, out: Path) -> None:
    """Refuses, before the run, what would fail after it. Raises BadParameter and CliError."""
    if images is not None and not images.is_dir():
        raise CliError(f"there is no folder {images}")
    if out.suffix.lower() not in _FORMATS:
        raise typer.BadParameter(f"--out {out}: the name must end in {' or '.join(_FORMATS)}")
    check_target(out)
    if images is not None and any(out.resolve().is_relative_to(folder.resolve()) for folder in subfolders(images)):
        raise CliError(f"--out {out} lies among the pictures of a label", "name another place with --out")
