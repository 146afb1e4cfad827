"""`glimpse review resolve`: says what items are."""

from typing import Annotated, Any

import typer

from glimpse.cli.common import options
from glimpse.cli.common.errors import CliError
from glimpse.cli.common.output import print_note, print_record
from glimpse.cli.common.progress import spinner
from glimpse.cli.common.records import print_data
from glimpse.cli.common.session import connected
from glimpse.cli.inference.result_rows import error_json
from glimpse.cli.review import names
from glimpse.client import AlreadyExists, NotFound, ReviewGroup, ReviewItemResult, ReviewResolution

_FIGURES = ("accuracy_before", "accuracy_after", "unknown_rate_before", "unknown_rate_after")


def resolve(
    collection: options.CollectionName,
    items: names.Items = None,
    group: names.Group = None,
    label: Annotated[str | None, typer.Option("--label", metavar="LABEL", help="Id of their label.")] = None,
    new_label: Annotated[
        str | None, typer.Option("--new-label", metavar="LABEL", help="Id of a new label, which is created.")
    ] = None,
    negative: Annotated[bool, typer.Option("--negative", help="They are none of the labels.")] = False,
    skip: Annotated[bool, typer.Option("--skip", help="Take them from the queue, and enroll nothing.")] = False,
    measure: Annotated[
        bool, typer.Option("--measure", help="Also print accuracy and unknown rate afterwards.")
    ] = False,
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Say what items are: a label, a new label, none of the labels, or nothing to learn from.

    All but skipped items are enrolled at once. `glimpse review undo` takes it back. An item that somebody else has
    resolved, or that has expired, is reported, and the others are resolved; the exit code is then 1.
    """
    if sum((label is not None, new_label is not None, negative, skip)) != 1:
        raise typer.BadParameter("give exactly one of --label, --new-label, --negative and --skip")
    with connected(server) as client:
        chosen = names.selected(client, collection, items, group)
        try:
            with spinner("resolving"):
                resolution = client.resolve_review_items(
                    collection, chosen, label=label, new_label=new_label, negative=negative, skip=skip, measure=measure
                )
        except AlreadyExists as error:
            raise CliError(error.message, f"resolve them as that label: --label {new_label}") from error
        except NotFound as error:
            if error.reason != "LABEL_NOT_FOUND":
                raise
            raise CliError(error.message, f"create it with: --new-label {label}") from error
    _print(output, resolution)
    if isinstance(chosen, ReviewGroup) and chosen.size > len(chosen.items):
        print_note(f"the group had {chosen.size} items; list groups again for the others")
    if resolution.failed:
        raise typer.Exit(1)


def _print(output: options.Format, resolution: ReviewResolution) -> None:
    record: dict[str, Any] = {
        "resolution": resolution.id or None,
        "resolved": len(resolution.results) - len(resolution.failed),
        "failed": len(resolution.failed),
        "revision": resolution.revision,
        **{name: getattr(resolution, name) for name in _FIGURES},
    }
    if output is not options.Format.TABLE:
        print_data(output, {**record, "results": [_result(result) for result in resolution.results]})
        return
    for result in resolution.failed:
        print_note(f"not resolved: {_reason(result)}")
    print_record(output, {name: value for name, value in record.items() if name not in _FIGURES or value is not None})


def _reason(result: ReviewItemResult) -> str:
    assert result.error is not None  # noqa: S101  (the caller passes results that failed)
    if result.error.reason != "ALREADY_RESOLVED":
        return result.error.message
    by = f" by {result.resolved_by}" if result.resolved_by else ""
    how = f"as {result.resolved_label}" if result.resolved_label else "as skipped"
    return f"{result.name.rpartition('/')[2]} was resolved{by} {how} before"


def _result(result: ReviewItemResult) -> dict[str, Any]:
    return {
        "item": result.name,
        "example": result.example or None,
        "error": result.error and error_json(result.error),
        "resolved_by": result.resolved_by,
        "resolved_label": result.resolved_label,
    }
