"""`glimpse test`: classifies labelled data and measures accuracy."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glimpse.cli.common import options
from glimpse.cli.common.chunking import batched
from glimpse.cli.common.errors import CliError, with_options
from glimpse.cli.common.output import print_note
from glimpse.cli.common.progress import Advance, progress, spinner
from glimpse.cli.common.session import connected
from glimpse.cli.scoring.input_sets import InputSet, as_input, content_digest, labelled_inputs, unknown_inputs
from glimpse.client import Client, LabelRole
from glimpse.inputs import Columns, Entry, Skipped, Unreadable, legible

if TYPE_CHECKING:
    from glimpse.cli.scoring.score import Score

app = options.group()


@app.command()
def score(
    collection: options.CollectionName,
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA",
            help="A folder with one subfolder of pictures (or .txt files) per label, or a table (.csv, .tsv, .jsonl, "
            ".parquet) with the column `label` and one of `text`, `path`, `image`.",
        ),
    ],
    unknown: Annotated[
        Path | None,
        typer.Option(
            "--unknown",
            metavar="DIR",
            help="Inputs out of distribution: a folder, inside DATA or elsewhere, or a table.",
        ),
    ] = None,
    with_enrolled: Annotated[
        bool,
        typer.Option(
            "--with-enrolled", help="Also count inputs whose bytes, or whose group, are enrolled as examples."
        ),
    ] = False,
    text_column: options.TextColumn = None,
    path_column: options.PathColumn = None,
    label_column: options.LabelColumn = None,
    group_column: options.GroupColumn = None,
    group_depth: options.GroupDepth = 0,
    allow_outside: options.AllowOutside = False,
    domain: options.Domain = "",
    timeout: options.Timeout = 60.0,
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Measure a collection's accuracy on labelled data.

    Classifies every input and compares the result with its label. Prints accuracy with its 95 % interval, decisions,
    confusions and figures per label; with --unknown also false accepts: inputs out of distribution that are MATCH.
    Inputs that are enrolled as examples, or whose group has an example, and labels that the collection lacks, are
    reported and left out. Inputs of a
    negative label count as out of distribution. Changes nothing on the server. Exit code 1 if an input failed.
    """
    from glimpse.cli.scoring import report
    from glimpse.cli.scoring.score import Score

    columns = Columns(label=label_column, text=text_column, path=path_column, group=group_column)
    labelled_set = labelled_inputs(data, columns, allow_outside, unknown, group_depth)
    unknown_set = unknown_inputs(unknown, columns, allow_outside) if unknown else None
    result = Score(with_enrolled)
    with connected(server, timeout) as client:
        scorer = Scorer(client, collection, domain, result)
        total = labelled_set.count + (unknown_set.count if unknown_set else 0)
        with progress("testing", total) as advance:
            scorer.run(labelled_set, advance)
            if unknown_set:
                scorer.run(unknown_set, advance, is_unknown=True)
    for source, inputs in ((data, labelled_set), (unknown, unknown_set)):
        if inputs and str(inputs.skipped):
            print_note(f"left out in {legible(str(source))}: {inputs.skipped}")
    report.print_left_out(collection, result)
    if not result.known.answered + result.unknown.answered:
        raise CliError(f"no input of {legible(str(data))} could be tested", report.advice_if_untested(result))
    report.show(output, collection, result)
    if result.known.failed + result.unknown.failed:
        raise typer.Exit(1)


class Scorer:
    """Classifies inputs with a collection, and adds the results to a score."""

    def __init__(self, client: Client, collection: str, domain: str, score: "Score") -> None:
        self._client, self._collection, self._domain, self._score = client, collection, domain, score
        with spinner(f"reading the examples of {collection}"):
            self._roles = {label.id: label.role for label in client.list_labels(collection)}
            pairs = {(example.content_digest, example.group) for example in client.list_examples(collection)}
            self._enrolled = frozenset(digest for digest, _ in pairs)
            self._groups = frozenset(group for _, group in pairs if group)

    def run(self, inputs: InputSet, advance: Advance, *, is_unknown: bool = False) -> None:
        """Classifies inputs in batches.

        Args:
            inputs: The inputs.
            advance: Receives the number of inputs done.
            is_unknown: Whether all of them are out of distribution.
        """
        # Skipped files were counted together with the inputs, so this count is dropped.
        for batch in batched(inputs.read(Skipped())):
            selected = (self._select(entry, is_unknown) for entry in batch)
            self._classify([pair for pair in selected if pair])
            advance(len(batch))

    def _select(self, entry: Entry | Unreadable, is_unknown: bool) -> tuple[Entry, str | None] | None:
        """Returns an input and its label (None: out of distribution); counts and skips inputs not to classify."""
        role = self._roles.get(entry.label or "") if isinstance(entry, Entry) and not is_unknown else None
        is_unknown |= role is LabelRole.NEGATIVE
        counts = self._score.counts(is_unknown)
        counts.inputs += 1
        if isinstance(entry, Unreadable):
            self._score.fail(is_unknown, entry.source, entry.message)
            return None
        if not is_unknown and role not in (LabelRole.CLASS, LabelRole.UNSPECIFIED):
            counts.lacking[entry.label or ""] += 1
            return None
        is_enrolled = content_digest(entry) in self._enrolled
        if is_enrolled or entry.group in self._groups:
            counts.enrolled += is_enrolled
            counts.group_enrolled += not is_enrolled
            if not self._score.with_enrolled:
                return None
        return entry, None if is_unknown else entry.label

    def _classify(self, batch: Sequence[tuple[Entry, str | None]]) -> None:
        if not batch:
            return
        inputs = [as_input(entry) for entry, _ in batch]
        # Labelled data is known already, so none of it is kept for review.
        results = self._client.classify(self._collection, inputs, top_k=1, evidence=0, domain=self._domain, keep=False)
        for (entry, label), result in zip(batch, results, strict=True):
            if result.error:
                self._score.fail(label is None, entry.source, with_options(result.error.message))
            else:
                self._score.add(label, result.unwrap())
