"""`glimpse experiments`: lists and compares the runs that `glimpse evaluate --track` keeps."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from glimpse.cli.common import options
from glimpse.cli.common.errors import CliError, missing_module
from glimpse.cli.common.output import print_note, printable
from glimpse.cli.common.records import print_all, print_data

app = options.group("List and compare the runs that glimpse evaluate keeps.")
_LIST_FIELDS = (
    *("run", "time", "data.source", "data.digest", "data.kind", "data.inputs", "data.labels", "backbones", "shots"),
    *("seeds", "verdict", "command", "versions", "seconds"),
)
_COMPARE_FIELDS = (
    *("reference.run", "reference.backbone", "run", "backbone", "head", "shots", "figure"),
    *(f"{part}.{name}" for part in ("reference_value", "value", "difference") for name in ("mean", "low", "high")),
    *("draws", "draws_left_out", "clear"),
)
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The folder of glimpse evaluate --track DIR.")]


@app.command("list", short_help="List the kept runs.")
def list_(folder: Folder, output: options.Output = options.Format.TABLE) -> None:
    """List the kept runs, the earliest first.

    DATA has the first digits of the digest of all inputs with their labels: runs with the same digest are of the same
    data, wherever the files lay.
    """
    with _evaluate():
        from glimpse.cli.experiments import report
        from glimpse.evaluate.tracking.run_folder import read_runs

        runs = read_runs(folder)
    if output is not options.Format.TABLE:
        print_all(output, map(report.run_record, runs), _LIST_FIELDS)
    elif runs:
        report.show_runs(runs)
    else:
        print_note(printable(f"{folder} has no runs"))


@app.command(short_help="Compare runs on the draws that they share.")
def compare(
    folder: Folder,
    ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="[RUN]…", help="The runs; the first is the reference. Default: all, with the earliest."),
    ] = None,
    figure: Annotated[
        str,
        typer.Option("--figure", metavar="NAME", help="The figure to compare, by its name in evaluation.json."),
    ] = "accuracy",
    output: options.Output = options.Format.TABLE,
) -> None:
    """Compare runs on the draws that they share: the same examples and the same queries.

    The first backbone of the first run is the reference. Every other backbone, of that run and of the others, is
    compared with it at each head and number of examples. Differences are taken within each draw, with a 95 % interval
    by Student's t. What was measured on other data or other draws is named and not compared.
    """
    with _evaluate():
        from glimpse.cli.experiments import report
        from glimpse.evaluate.tracking.run_comparison import compare_runs
        from glimpse.evaluate.tracking.run_folder import find_run, read_runs

        runs = read_runs(folder)
        chosen = [find_run(runs, id, folder) for id in dict.fromkeys(ids)] if ids else runs
        comparison = compare_runs(chosen, figure)
    if output is options.Format.JSON:
        print_data(output, report.comparison_record(comparison))
    elif output is options.Format.CSV:
        print_all(output, report.comparison_record(comparison)["differences"], _COMPARE_FIELDS)
    else:
        report.show_differences(comparison)
    for one in () if output is options.Format.JSON else comparison.not_compared:  # the JSON record has them
        print_note(printable(f"not compared: {one.entry.run.id} {one.entry.backbone}: {one.reason}"))
    if not comparison.differences:
        raise CliError("nothing could be compared", "evaluate the same data with the same --shots and --seeds")


@contextmanager
def _evaluate() -> Iterator[None]:
    """Reports a missing extra, and the errors of runs, as errors of the command."""
    try:
        from glimpse.evaluate import EvaluationError
    except ModuleNotFoundError as error:
        raise missing_module(error, "server") from error
    try:
        yield
    except ModuleNotFoundError as error:
        raise missing_module(error, "evaluate" if error.name == "matplotlib" else "server") from error
    except EvaluationError as error:
        raise CliError(str(error), error.next_step) from error
