"""`glimpse demo`."""

from pathlib import Path
from typing import Annotated

import typer

from glimpse.cli.common import options
from glimpse.cli.common.errors import CliError, missing_module
from glimpse.cli.common.output_files import check_target, writing
from glimpse.cli.pull.backbones import PLACES, local_backbone
from glimpse.client import Client
from glimpse.inputs import subfolders

app = options.group()
_FORMATS = (".png", ".jpg", ".jpeg", ".webp")


@app.command()
def demo(
    images: Annotated[
        Path | None,
        typer.Option("--images", metavar="DIR", help="Your own pictures: a folder with one subfolder per label."),
    ] = None,
    backbones: Annotated[
        list[Path] | None,
        typer.Option("--backbone", metavar="DIR", help=f"{PLACES} Repeatable. Default: glimpse-mini."),
    ] = None,
    shots: Annotated[int, typer.Option("--shots", min=1, metavar="N", help="Examples per label, with --images.")] = 1,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="File for the picture of the result.")] = Path(
        "glimpse-demo.png"
    ),
    seed: Annotated[
        int, typer.Option("--seed", min=0, metavar="N", help="Choose another alphabet, or other pictures.")
    ] = 0,
) -> None:
    """Try Glimpse on drawings that it makes itself.

    Starts its own server on a free port, with a temporary folder, and stops it at the end. Enrolls one drawing of each
    character of an alphabet that the backbone has never seen, classifies 200 other drawings and 20 drawings that are
    out of distribution, and classifies pictures by text alone. Prints accuracy and latency.
    """
    try:
        from glimpse.cli.demo import contact_sheet, data, report, run, server
        from glimpse.files.scratch import scratch_folder
    except ModuleNotFoundError as error:
        raise missing_module(error, "server") from error
    _check(images, out)
    task = data.folder_task(images, shots, seed) if images else data.drawn_task(seed)
    bundles = [Path(local_backbone(backbone)) for backbone in backbones or ()]
    with (
        scratch_folder() as folder,
        server.own_server(folder, bundles) as address,
        Client(address, api_key="", tls=False) as client,
    ):
        outcome = run.run(client, task)
    report.show(outcome)
    sheet = contact_sheet.draw_sheet(outcome)
    with writing(out):
        sheet.save(out)
    print(f"picture: {out.resolve()}")


def _check(images: Path | None, out: Path) -> None:
    """Checks the options before the run, so that nothing fails after it. Raises BadParameter and CliError."""
    if images is not None and not images.is_dir():
        raise CliError(f"there is no folder {images}", "name a folder with one subfolder per label")
    if out.suffix.lower() not in _FORMATS:
        raise typer.BadParameter(f"--out {out}: the name must end in {' or '.join(_FORMATS)}")
    check_target(out)
    if images is not None and any(out.resolve().is_relative_to(folder.resolve()) for folder in subfolders(images)):
        raise CliError(f"--out {out} is inside a label's folder of pictures", "name a file outside of it with --out")
