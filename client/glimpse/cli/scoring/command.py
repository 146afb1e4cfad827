"""`glimpse test`."""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glimpse.cli.common import options
from glimpse.cli.common.errors import CliError, with_options
from glimpse.cli.common.output import print_note
from glimpse.cli.common.progress import Advance, progress, spinner
from glimpse.cli.common.session import connected
from glimpse.cli.scoring.input_sets import Data, as_input, content_digest, labelled_data, unknown_data
from glimpse.client import Client, LabelRole
from glimpse.inputs import Columns, Entry, Skipped, Unreadable, legible

if TYPE_CHECKING:
    from glimpse.cli.scoring.score import Score

app = options.group()
_BATCH = 32


@app.command()
def score(
    collection: options.CollectionName,
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA",
            help="A folder with a subfolder of pictures (or .txt files) a label, or a table (.csv, .tsv, .jsonl, "
            ".parquet) with the columns `label` and one of `text`, `path`, `image`.",
        ),
    ],
    unknown: Annotated[
        Path | None,
        typer.Option(
            "--unknown", metavar="DIR", help="Inputs of no label: a folder, in DATA or elsewhere, or a table."
        ),
    ] = None,
    with_enrolled: Annotated[
        bool,
        typer.Option("--with-enrolled", help="Count inputs too that the collection has as examples, byte for byte."),
    ] = False,
    text_column: options.TextColumn = None,
    path_column: options.PathColumn = None,
    label_column: options.LabelColumn = None,
    allow_outside: options.AllowOutside = False,
    domain: options.Domain = "",
    timeout: options.Timeout = 60.0,
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """How good a collection is on labelled data that it was not taught.

    Classifies every input, and compares the answers with the labels: accuracy with its 95 % interval, decisions, what
    is taken for what, figures for each label; and with --unknown how many inputs of no label are called MATCH. Inputs
    that were enrolled are left out, as are labels that the collection lacks; both are reported. Inputs of a negative
    label count as unknown. Changes nothing on the server. Exit code 1 where an input failed.
    """
    from glimpse.cli.scoring import report
    from glimpse.cli.scoring.score import Score

    columns = Columns(label=label_column, text=text_column, path=path_column)
    labelled = labelled_data(data, columns, allow_outside, unknown)
    strangers = unknown_data(unknown, columns, allow_outside) if unknown else None
    counted = Score(with_enrolled)
    with connected(server, timeout) as client:
        examiner = Examiner(client, collection, domain, counted)
        total = labelled.count + (strangers.count if strangers else 0)
        with progress("testing", total) as advance:
            examiner.test(labelled, advance)
            if strangers:
                examiner.test(strangers, advance, is_unknown=True)
    for source, one in ((data, labelled), (unknown, strangers)):
        if one and str(one.skipped):
            print_note(f"left out in {legible(str(source))}: {one.skipped}")
    report.print_left_out(collection, counted)
    if not counted.known.answered + counted.unknown.answered:
        raise CliError(f"no input of {legible(str(data))} could be tested", report.advice_if_untested(counted))
    report.show(output, collection, counted)
    if counted.known.failed + counted.unknown.failed:
        raise typer.Exit(1)


class Examiner:
    """Asks a collection about inputs, and adds its answers to a score."""

    def __init__(self, client: Client, collection: str, domain: str, score: "Score") -> None:
        self._client, self._collection, self._domain, self._score = client, collection, domain, score
        with spinner(f"reading the examples of {collection}"):
            self._roles = {label.id: label.role for label in client.list_labels(collection)}
            self._enrolled = frozenset(one.content_digest for one in client.list_examples(collection))

    def test(self, data: Data, advance: Advance, *, is_unknown: bool = False) -> None:
        """Classifies inputs in batches. `is_unknown`: they belong to no label."""
        inputs = data.read(Skipped())  # what is left out was counted when the inputs were
        while batch := list(islice(inputs, _BATCH)):
            sorted_out = (self._sort(one, is_unknown) for one in batch)
            self._ask([one for one in sorted_out if one])
            advance(len(batch))

    def _sort(self, one: Entry | Unreadable, is_unknown: bool) -> tuple[Entry, str | None] | None:
        """An input with its right label, or None for an unknown one. Counts those that are not to be asked."""
        role = self._roles.get(one.label or "") if isinstance(one, Entry) and not is_unknown else None
        is_unknown |= role is LabelRole.NEGATIVE
        counts = self._score.counts(is_unknown)
        counts.inputs += 1
        if isinstance(one, Unreadable):
            self._score.fail(is_unknown, one.source, one.message)
            return None
        if not is_unknown and role not in (LabelRole.CLASS, LabelRole.UNSPECIFIED):
            counts.lacking[one.label or ""] += 1
            return None
        if content_digest(one) in self._enrolled:
            counts.enrolled += 1
            if not self._score.with_enrolled:
                return None
        return one, None if is_unknown else one.label

    def _ask(self, batch: Sequence[tuple[Entry, str | None]]) -> None:
        if not batch:
            return
        inputs = [as_input(entry) for entry, _ in batch]
        results = self._client.classify(self._collection, inputs, top_k=1, evidence=0, domain=self._domain)
        for (entry, label), result in zip(batch, results, strict=True):
            if result.error:
                self._score.fail(label is None, entry.source, with_options(result.error.message))
            else:
                self._score.add(label, result.unwrap())
