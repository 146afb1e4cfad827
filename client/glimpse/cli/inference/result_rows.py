"""Prints classifications and errors as table rows, JSON and CSV."""

from collections.abc import Sequence
from typing import Any

from glimpse.cli.common.enum_names import head_name
from glimpse.cli.common.errors import with_options
from glimpse.cli.common.input_reader import Source
from glimpse.cli.common.options import Format
from glimpse.cli.common.output import Column, Table, print_note
from glimpse.cli.common.records import RecordWriter, within
from glimpse.client import Classification, ClassifyResult, Decision, Evidence, ItemError, Timings

#: CSV columns of an error and of timings.
ERROR_FIELDS = within("error", "code", "reason", "field", "message")
TIMING_FIELDS = within("timings_ms", "decode", "queue", "encode", "head", "total")
_FIELDS = (
    *(
        "input",
        "decision",
        "decision_reason",
        "label",
        "probability",
        "margin",
        "similarity",
        "p_value",
        "set_size",
        "background_probability",
        "expected_cost",
    ),
    *within("subtree", "label", "path", "probability", "labels", "label_count"),
    *("labels", "evidence", "head", "head_reason", "calibrated", "revision", "dissent", "views", "truncated"),
    *(*TIMING_FIELDS, *ERROR_FIELDS),
)
# An independent label of this probability holds. Of exclusive labels, no two have more.
_HOLDS = 0.5
_COLOURS = {Decision.MATCH: "green", Decision.UNKNOWN: "red", Decision.AMBIGUOUS: "yellow"}


class ResultPrinter:
    """Prints classifications as they arrive, and counts failures.

    Zero-shot classification has no examples: with `nearest=False` the table shows the margin instead of the p-value and
    the nearest example's similarity.
    """

    def __init__(self, output: Format, *, nearest: bool = True) -> None:
        self.failures = 0
        self._output = output
        self._writer = RecordWriter(output, _FIELDS)
        self._nearest = nearest
        # It has a column for subtrees if the first answer has one.
        self._table: Table | None = None
        self._tree = False

    def show(self, sources: Sequence[Source], results: Sequence[ClassifyResult]) -> None:
        """Prints the results of some inputs, in order."""
        pairs = list(zip(sources, results, strict=True))
        answers = [(source, result.unwrap()) for source, result in pairs if result.ok]
        if self._output is Format.TABLE and answers:
            if self._table is None:
                self._tree = answers[0][1].subtree is not None
                self._table = Table(self._columns())
            self._table.measure(self._row(*answer) for answer in answers)
        for source, result in pairs:
            self._show(source, result)

    def _show(self, source: Source, result: ClassifyResult) -> None:
        if result.error is not None:
            self.failures += 1
            report_failure(self._output, self._writer, source.name, result.error)
            return
        if result.truncated:
            print_truncated(self._output, source.name)
        classification = result.unwrap()
        if self._output is not Format.TABLE:
            timings, truncated = timings_json(result.timings), truncated_json(result.truncated)
            self._writer.write(
                input=source.name, **_classification_json(classification), timings_ms=timings, **truncated
            )
            return
        assert self._table is not None  # noqa: S101 (`show` makes it for the first answer)
        if classification.dissent:
            dissenting = [view.label or "none" for view in classification.views if view.label != classification.label]
            count = f"{len(dissenting)} of {len(classification.views)}"
            print_note(f"dissent: {source.name}: {count} views have another best label ({', '.join(dissenting)})")
        self._table.row(*self._row(source, classification), colour=_COLOURS.get(classification.decision, ""))

    def _columns(self) -> list[Column]:
        columns = [
            Column("INPUT", share=3, path=True),
            Column("DECISION", 9),
            Column("LABEL", share=2),
            Column("PROB", 5, right=True),
            *([Column("SUBTREE", share=2)] if self._tree else []),
        ]
        example_columns = [Column("P-VALUE", 7, right=True), Column("NEAREST", 7, right=True)]
        return [*columns, *(example_columns if self._nearest else [Column("MARGIN", 6, right=True)])]

    def _row(self, source: Source, classification: Classification) -> list[object]:
        common = [source.name, classification.decision.name, _labels(classification), classification.probability]
        if self._tree:
            common.append(str(classification.subtree) if classification.subtree else None)
        if not self._nearest:
            return [*common, classification.margin]
        nearest = classification.evidence[0].similarity if classification.evidence else None
        return [*common, classification.p_value, nearest]


def _labels(classification: Classification) -> str | None:
    """Returns the best label, or all labels that hold if several do, which are independent of each other."""
    held = [one.label for one in classification.labels[: classification.set_size] if one.probability >= _HOLDS]
    if classification.decision is Decision.MATCH and len(held) > 1:
        return ", ".join(held)
    return classification.label or None


def report_failure(output: Format, writer: RecordWriter, name: str, error: ItemError) -> None:
    """Reports an input that failed: as a record in JSON and CSV, on stderr for a table."""
    if output is Format.TABLE:
        print_failure(name, error)
    else:
        writer.write(input=name, error=error_json(error))


def print_failure(name: str, error: ItemError) -> None:
    """Prints on stderr that an input failed."""
    print_note(f"failed: {name}: {with_options(error.message)}")


def print_truncated(output: Format, name: str) -> None:
    """Prints on stderr that a text was truncated. JSON and CSV have a field for it."""
    if output is Format.TABLE:
        print_note(f"truncated: {name}: longer than the backbone's limit; only its beginning was used")


def truncated_json(truncated: bool) -> dict[str, bool]:
    """Returns the field `truncated` if it is true, else nothing."""
    return {"truncated": True} if truncated else {}


def error_json(error: ItemError) -> dict[str, Any]:
    """Returns an input's error as a JSON object."""
    message = with_options(error.message)
    return {"code": error.code.name, "reason": error.reason, "field": error.field, "message": message}


def _classification_json(classification: Classification) -> dict[str, Any]:
    return {
        "decision": classification.decision.name,
        "decision_reason": classification.decision_reason,
        "label": classification.label,
        "probability": classification.probability,
        "margin": classification.margin,
        "similarity": classification.similarity,
        "p_value": classification.p_value,
        "set_size": classification.set_size,
        "background_probability": classification.background_probability,
        "subtree": classification.subtree.to_dict() if classification.subtree else None,
        "expected_cost": classification.expected_cost,
        "labels": [
            {"label": each.label, "score": each.score, "probability": each.probability}
            for each in classification.labels
        ],
        "evidence": evidence_json(classification.evidence),
        "head": head_name(classification.head),
        "head_reason": classification.head_reason,
        "calibrated": classification.calibrated,
        "revision": classification.revision,
        **_views_json(classification),
    }


def _views_json(classification: Classification) -> dict[str, Any]:
    """Returns the views' own answers and their dissent, or nothing for an input without views."""
    if classification.dissent is None:
        return {}
    return {"dissent": classification.dissent, "views": [view.to_dict() for view in classification.views]}


def evidence_json(evidence: tuple[Evidence, ...]) -> list[dict[str, Any]]:
    """Returns the nearest examples as JSON objects, nearest first."""
    return [{"example": item.example, "label": item.label, "similarity": item.similarity} for item in evidence]


def timings_json(timings: Timings) -> dict[str, float]:
    """Returns the milliseconds of each stage."""
    return {
        "decode": timings.decode_ms,
        "queue": timings.queue_ms,
        "encode": timings.encode_ms,
        "head": timings.head_ms,
        "total": timings.total_ms,
    }
