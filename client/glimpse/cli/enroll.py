"""`glimpse enroll`."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated

import typer

from glimpse.cli import options
from glimpse.cli.answers import error_json, evidence_json, tell_truncated, truncated_json
from glimpse.cli.batches import batched, progress
from glimpse.cli.errors import CliError, with_options
from glimpse.cli.inputs import Source, read_labelled
from glimpse.cli.output import print_json, print_record, tell
from glimpse.cli.session import connected
from glimpse.client import AlreadyExists, Client, EnrollResult, NewExample, NotFound

app = options.group()
_TOLD = 10  # failures and conflicts told one by one


@app.command()
def enroll(
    collection: options.CollectionName,
    paths: options.Paths = None,
    label: Annotated[
        str, typer.Option("--label", metavar="LABEL", help="The label of every input that brings none of its own.")
    ] = "",
    texts: options.Texts = None,
    backbone: options.Backbone = "",
    create: Annotated[
        bool, typer.Option("--create", help="Make the collection, and labels, that do not exist yet.")
    ] = False,
    timeout: options.Timeout = 60.0,
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Enroll examples: files, or folders whose subfolders are the labels.

    Enrolling the same file under the same label again changes nothing, so a run that was cut short is simply repeated.
    As JSON it prints an object an input. Exit code 1 where an input failed.
    """
    sources = read_labelled(paths, texts, label)
    tally = _Tally(output)
    with connected(server, timeout) as client:
        _prepare(client, collection, backbone, create)
        with progress("enrolling", len(sources)) as advance:
            for batch in batched(sources):
                examples = [NewExample(source.content, source.label) for source in batch]
                results = client.enroll(collection, examples, create_labels=create).results
                tally.add(batch, results)
                advance(len(batch))
    tally.close()
    if tally.counts["failures"]:
        raise typer.Exit(1)


class _Tally:
    """Counts what became of the examples, and tells of each or of the first few."""

    def __init__(self, output: options.Format) -> None:
        self.counts = {"enrolled": 0, "duplicates": 0, "conflicts": 0, "failures": 0}
        self._output = output
        self._told: list[str] = []

    def add(self, sources: Sequence[Source], results: Sequence[EnrollResult]) -> None:
        """One batch."""
        for source, result in zip(sources, results, strict=True):
            if self._output is options.Format.JSON:
                print_json(**_record(source, result))
            if result.error is not None:
                self.counts["failures"] += 1
                self._told.append(f"failed: {source.name}: {with_options(result.error.message)}")
                continue
            if result.truncated:
                tell_truncated(self._output, source.name)
            self.counts["duplicates" if result.duplicate else "enrolled"] += 1
            if result.conflicts:
                self.counts["conflicts"] += 1
                others = ", ".join(sorted({one.label for one in result.conflicts}))
                self._told.append(f"conflict: {source.name} is {source.label!r}, and the same content is {others!r}")

    def close(self) -> None:
        """The summary; on stderr what went wrong."""
        for line in self._told[:_TOLD]:
            tell(line)
        if len(self._told) > _TOLD:
            tell(f"and {len(self._told) - _TOLD} more")
        if self._output is options.Format.TABLE:
            print_record(self._output, dict(self.counts))


def _prepare(client: Client, collection: str, backbone: str, create: bool) -> None:
    """Sees to it that the collection is there and of the backbone asked for."""
    try:
        found = client.get_collection(collection)
    except NotFound as error:
        if not create:
            raise CliError(f"there is no collection {collection!r}", "add --create to make it") from error
        with suppress(AlreadyExists):  # somebody else was quicker
            client.create_collection(collection, backbone=backbone)
        return
    if backbone and found.backbone.rpartition("/")[2] != backbone.rpartition("/")[2]:
        raise CliError(
            f"the collection {collection!r} is bound to {found.backbone}, not to {backbone}",
            "leave --backbone out, or enroll into another collection",
        )


def _record(source: Source, result: EnrollResult) -> dict[str, object]:
    if result.error is not None:
        return {"input": source.name, "label": source.label, "error": error_json(result.error)}
    return {
        "input": source.name,
        "label": source.label,
        "example": result.unwrap().name,
        "duplicate": result.duplicate,
        "conflicts": evidence_json(result.conflicts),
        **truncated_json(result.truncated),
    }
