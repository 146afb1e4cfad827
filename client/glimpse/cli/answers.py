"""Classifications and errors as JSON objects and as rows."""

from typing import Any

from glimpse.cli.inputs import Source
from glimpse.cli.options import Format
from glimpse.cli.output import Column, Table, print_json, tell
from glimpse.client import ClassifyResult, Decision, Evidence, ItemError, Timings

_COLOURS = {Decision.MATCH: "green", Decision.UNKNOWN: "red", Decision.AMBIGUOUS: "yellow"}


class Answers:
    """Prints classifications as they come, and counts the failures."""

    def __init__(self, output: Format) -> None:
        self.failures = 0
        self._output = output
        self._table = Table(
            (
                Column("INPUT", share=3),
                Column("DECISION", 9),
                Column("LABEL", share=2),
                Column("PROB", 5, right=True),
                Column("MARGIN", 6, right=True),
                Column("NEAREST", 7, right=True),
            )
        )

    def show(self, source: Source, result: ClassifyResult) -> None:
        """One input's answer."""
        if result.error is not None:
            self.failures += 1
            show_failure(self._output, source.name, result.error)
            return
        found = result.unwrap()
        if self._output is Format.JSON:
            print_json(
                input=source.name,
                decision=found.decision.name,
                label=found.label,
                probability=found.probability,
                margin=found.margin,
                labels=[{"label": one.label, "score": one.score} for one in found.labels],
                evidence=evidence_json(found.evidence),
                timings_ms=timings_json(result.timings),
            )
            return
        nearest = found.evidence[0].similarity if found.evidence else None
        colour = _COLOURS.get(found.decision, "")
        row = (source.name, found.decision.name, found.label or None, found.probability, found.margin, nearest)
        self._table.row(*row, colour=colour)


def show_failure(output: Format, name: str, error: ItemError) -> None:
    """An input that failed: in its place as JSON, on stderr for people."""
    if output is Format.JSON:
        print_json(input=name, error=error_json(error))
    else:
        tell(f"failed: {name}: {error.message}")


def error_json(error: ItemError) -> dict[str, Any]:
    """An item's error."""
    return {"code": error.code.name, "reason": error.reason, "field": error.field, "message": error.message}


def evidence_json(evidence: tuple[Evidence, ...]) -> list[dict[str, Any]]:
    """Nearest examples, nearest first."""
    return [{"example": one.example, "label": one.label, "similarity": one.similarity} for one in evidence]


def timings_json(timings: Timings) -> dict[str, float]:
    """Milliseconds a stage."""
    return {
        "decode": timings.decode_ms,
        "queue": timings.queue_ms,
        "encode": timings.encode_ms,
        "head": timings.head_ms,
        "total": timings.total_ms,
    }
