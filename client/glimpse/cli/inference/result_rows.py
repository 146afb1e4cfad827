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
    ),
    *("labels", "evidence", "head", "head_reason", "calibrated", "revision", "dissent", "views", "truncated"),
    *(*TIMING_FIELDS, *ERROR_FIELDS),
)
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
        columns = [
            Column("INPUT", share=3, path=True),
            Column("DECISION", 9),
            Column("LABEL", share=2),
            Column("PROB", 5, right=True),
        ]
        example_columns = [Column("P-VALUE", 7, right=True), Column("NEAREST", 7, right=True)]
        self._table = Table([*columns, *(example_columns if nearest else [Column("MARGIN", 6, right=True)])])

    def show(self, sources: Sequence[Source], results: Sequence[ClassifyResult]) -> None:
        """Prints the results of some inputs, in order."""
        pairs = list(zip(sources, results, strict=True))
        if self._output is Format.TABLE:
            self._table.measure(self._row(source, result.unwrap()) for source, result in pairs if result.ok)
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
        if classification.dissent:
            dissenting = [view.label or "none" for view in classification.views if view.label != classification.label]
            count = f"{len(dissenting)} of {len(classification.views)}"
            print_note(f"dissent: {source.name}: {count} views have another best label ({', '.join(dissenting)})")
        self._table.row(*self._row(source, classification), colour=_COLOURS.get(classification.decision, ""))

    def _row(self, source: Source, classification: Classification) -> list[object]:
        common = [source.name, classification.decision.name, classification.label or None, classification.probability]
        if not self._nearest:
            return [*common, classification.margin]
        nearest = classification.evidence[0].similarity if classification.evidence else None
        return [*common, classification.p_value, nearest]


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
