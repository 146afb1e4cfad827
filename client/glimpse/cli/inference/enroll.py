"""`glimpse enroll`."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Annotated

import typer

from glimpse.cli.common import options
from glimpse.cli.common.enum_names import role_name
from glimpse.cli.common.errors import CliError
from glimpse.cli.common.inputs import Reading, Source, Sources, failed, read_labelled_sources
from glimpse.cli.common.progress import batched, progress
from glimpse.cli.common.session import connected
from glimpse.cli.inference.enroll_report import Tally
from glimpse.cli.inference.example_files import file_metadata, file_of
from glimpse.client import (
    AlreadyExists,
    Client,
    Enrollment,
    EnrollResult,
    Label,
    LabelRole,
    NewExample,
    NotFound,
)
from glimpse.inputs import Columns, Rejected, domain_of

app = options.group()


@app.command()
def enroll(
    collection: options.CollectionName,
    paths: options.Paths = None,
    label: Annotated[
        str, typer.Option("--label", metavar="LABEL", help="The label of every input that brings none of its own.")
    ] = "",
    texts: options.Texts = None,
    domain: options.Domain = "",
    negative: Annotated[
        bool, typer.Option("--negative", help="The inputs are strangers: what is like them is UNKNOWN.")
    ] = False,
    unlabeled: Annotated[
        bool, typer.Option("--unlabeled", help="The inputs are of classes nobody told: they show their domain alone.")
    ] = False,
    backbone: options.Backbone = "",
    create: Annotated[
        bool, typer.Option("--create", help="Make the collection, and labels, that do not exist yet.")
    ] = False,
    label_column: options.LabelColumn = None,
    text_column: options.TextColumn = None,
    path_column: options.PathColumn = None,
    id_column: options.IdColumn = None,
    allow_outside: options.AllowOutside = False,
    timeout: options.Timeout = 60.0,
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Enroll examples: files, tables, or folders whose subfolders are the labels.

    Enrolling the same file under the same label again changes nothing, so a run that was cut short is simply repeated.
    A file's name is kept in its example's metadata, under `file`.
    With --negative or --unlabeled the label is made with that role where it is not there yet: glimpse enroll birds
    clutter/ --label none --negative. As JSON it prints an object an input. Exit code 1 where an input failed.
    """
    if negative and unlabeled:
        raise typer.BadParameter("--negative and --unlabeled contradict each other")
    columns = Columns(id=id_column, label=label_column, text=text_column, path=path_column)
    sources = read_labelled_sources(paths, texts, label, Reading(columns, allow_outside))
    where, done = _domain(domain), 0
    tally = Tally(output)
    with connected(server, timeout) as client:
        _prepare(client, collection, backbone, create)
        if negative or unlabeled:
            _prepare_labels(client, collection, sources, LabelRole.NEGATIVE if negative else LabelRole.UNLABELED)
        with progress("enrolling", len(sources)) as advance:
            for batch in batched(sources):
                done += len(batch)
                examples = [_example(source, where) for source in batch if not source.failure]
                # Measuring takes time that grows with the collection: only with what comes last.
                last = done >= len(sources)
                enrollment = Enrollment((), 0)
                if examples:
                    enrollment = client.enroll(
                        collection, examples, create_labels=create, measure_accuracy=last, raise_on_failure=False
                    )
                tally.add(batch, _with_failures(batch, enrollment))
                advance(len(batch))
        tally.close(lambda example: file_of(client, example))
    if tally.counts["failures"]:
        raise typer.Exit(1)


def _example(source: Source, domain: str) -> NewExample:
    return NewExample(source.as_input().content, source.label, domain=domain, metadata=file_metadata(source))


def _domain(domain: str) -> str:
    """The domain in the form that the server compares. Raises CliError."""
    try:
        return domain_of(domain) or ""
    except Rejected as error:
        raise CliError(f"--domain: {error}") from error


def _with_failures(batch: Sequence[Source], enrollment: Enrollment) -> Enrollment:
    """With a result that failed in the place of each input that was not sent."""
    results = iter(enrollment.results)
    merged = (failed(EnrollResult, source.failure) if source.failure else next(results) for source in batch)
    return replace(enrollment, results=tuple(merged))


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


def _prepare_labels(client: Client, collection: str, sources: Sources, role: LabelRole) -> None:
    """Sees to it that the inputs' labels are there and of a role. Raises CliError."""
    for name in sorted({source.label for source in sources if not source.failure}):
        found = _label(client, collection, name, role)
        if found.role is not role:
            raise CliError(
                f"the label {name!r} is there with the role {role_name(found.role)}, not {role_name(role)}",
                "give another one with --label; a role is for good",
            )


def _label(client: Client, collection: str, name: str, role: LabelRole) -> Label:
    """A label, made with a role where it is not there."""
    with suppress(NotFound):
        return client.get_label(collection, name)
    with suppress(AlreadyExists):  # somebody else was quicker
        return client.create_label(collection, name, role=role)
    return client.get_label(collection, name)
