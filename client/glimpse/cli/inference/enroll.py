"""`glimpse enroll`: enrolls labelled inputs as examples."""

from collections.abc import Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from typing import Annotated

import typer

from glimpse.cli.common import options
from glimpse.cli.common.chunking import batched
from glimpse.cli.common.enum_names import role_name
from glimpse.cli.common.errors import CliError
from glimpse.cli.common.input_reader import Source, TableOptions
from glimpse.cli.common.inputs import Sources, failed_result, read_labelled_sources
from glimpse.cli.common.progress import progress
from glimpse.cli.common.records import on_terminal
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
        str, typer.Option("--label", metavar="LABEL", help="Label of the inputs whose row has none.")
    ] = "",
    texts: options.Texts = None,
    domain: options.Domain = "",
    negative: Annotated[
        bool, typer.Option("--negative", help="Enroll negative examples: inputs like them are UNKNOWN.")
    ] = False,
    unlabeled: Annotated[
        bool, typer.Option("--unlabeled", help="Enroll examples of unknown classes, which describe inputs to come.")
    ] = False,
    backbone: options.Backbone = "",
    create: Annotated[
        bool, typer.Option("--create", help="Create the collection and the labels if they do not exist.")
    ] = False,
    label_column: options.LabelColumn = None,
    group_column: options.GroupColumn = None,
    group_depth: options.GroupDepth = 0,
    text_column: options.TextColumn = None,
    path_column: options.PathColumn = None,
    id_column: options.IdColumn = None,
    allow_outside: options.AllowOutside = False,
    timeout: options.Timeout = 60.0,
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Enroll examples from files, folders or tables.

    Without --label, the label of a file is the subfolder that contains it, and the label of a table row is its column
    `label`. Enrolling the same file under the same label again changes nothing, so an interrupted run can be repeated.
    The name of a file is stored in the metadata of its example as `file`.

    Inputs that are parts of one thing, such as the frames of a clip, are no independent evidence. Give them a group, by
    --group-column or --group-depth: they are left out together when the collection is measured.

    With --negative or --unlabeled, labels that do not exist are created with that role: glimpse enroll birds clutter/
    --label none --negative. Exit code 1 if an input failed.
    """
    if negative and unlabeled:
        raise typer.BadParameter("--negative and --unlabeled exclude each other; use one of them")
    columns = Columns(id=id_column, label=label_column, text=text_column, path=path_column, group=group_column)
    sources = read_labelled_sources(paths, texts, label, TableOptions(columns, allow_outside, group_depth))
    domain_name, done = _domain(domain), 0
    tally = Tally(output)
    with connected(server, timeout) as client:
        _prepare(client, collection, backbone, create)
        if negative or unlabeled:
            _prepare_labels(client, collection, sources, LabelRole.NEGATIVE if negative else LabelRole.UNLABELED)
        # rich would wrap records that a terminal shows beside a bar; the records show the progress themselves.
        hidden = output is not options.Format.TABLE and on_terminal()
        with nullcontext(lambda _: None) if hidden else progress("enrolling", len(sources)) as advance:
            for batch in batched(sources):
                done += len(batch)
                examples = [_example(source, domain_name) for source in batch if not source.failure]
                # Measure accuracy only with the last batch, because its time grows with the collection.
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
    content, metadata = source.as_input().content, file_metadata(source)
    return NewExample(content, source.label, domain=domain, metadata=metadata, group=source.group)


def _domain(domain: str) -> str:
    """Returns the domain in the form that the server compares. Raises CliError if it is invalid."""
    try:
        return domain_of(domain) or ""
    except Rejected as error:
        raise CliError(f"--domain: {error}") from error


def _with_failures(batch: Sequence[Source], enrollment: Enrollment) -> Enrollment:
    """Inserts a failed result in the place of each input that was not sent."""
    results = iter(enrollment.results)
    merged = (failed_result(EnrollResult, source.failure) if source.failure else next(results) for source in batch)
    return replace(enrollment, results=tuple(merged))


def _prepare(client: Client, collection: str, backbone: str, create: bool) -> None:
    """Creates the collection if allowed, and checks its backbone. Raises CliError."""
    try:
        existing = client.get_collection(collection)
    except NotFound as error:
        if not create:
            raise CliError(f"there is no collection {collection!r}", "add --create to create it") from error
        with suppress(AlreadyExists):  # another caller created it in the meantime
            client.create_collection(collection, backbone=backbone)
        return
    if backbone and existing.backbone.rpartition("/")[2] != backbone.rpartition("/")[2]:
        raise CliError(
            f"the collection {collection!r} uses {existing.backbone}, not {backbone}",
            "leave out --backbone, or enroll into another collection",
        )


def _prepare_labels(client: Client, collection: str, sources: Sources, role: LabelRole) -> None:
    """Creates the inputs' labels with a role, or checks that they have it. Raises CliError."""
    for name in sorted({source.label for source in sources if not source.failure}):
        label = _label(client, collection, name, role)
        if label.role is not role:
            raise CliError(
                f"the label {name!r} exists with the role {role_name(label.role)}, not {role_name(role)}",
                "use another label with --label; a role cannot be changed",
            )


def _label(client: Client, collection: str, name: str, role: LabelRole) -> Label:
    """Returns a label. Creates it with the role if it does not exist."""
    with suppress(NotFound):
        return client.get_label(collection, name)
    with suppress(AlreadyExists):  # another caller created it in the meantime
        return client.create_label(collection, name, role=role)
    return client.get_label(collection, name)
