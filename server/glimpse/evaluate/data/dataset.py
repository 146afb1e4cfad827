"""Labelled inputs, stored by column, so that a million of them fit in memory."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np

from glimpse.backbone import Kind
from glimpse.evaluate.errors import EvaluationError
from glimpse.fewshot.statistics.class_statistics import MOST_EXACT
from glimpse.fewshot.statistics.unit_vectors import Rows


@dataclass(frozen=True, slots=True)
class Dataset:
    """N inputs of one kind.

    Attributes:
        source: the folder or table that they come from.
        kind: image or text.
        contents: N texts, or names of image files.
        labels: the label names.
        rows: `(N,)`, positions in `labels`.
        domains: the domain names; empty without domains.
        domain_rows: `(N,)`, positions in `domains`; 0 without domains.
        groups: `(N,)`, equal numbers mark inputs of one group; None if no input is in a group.
    """

    source: Path
    kind: Kind
    contents: Sequence[str]
    labels: Sequence[str]
    rows: Rows
    domains: Sequence[str]
    domain_rows: Rows
    groups: Rows | None = None

    def __len__(self) -> int:
        return len(self.contents)

    @classmethod
    def of(
        cls,
        source: Path,
        kind: Kind,
        contents: Sequence[str],
        labels: Sequence[str],
        domains: Sequence[str] | None = None,
        groups: Sequence[str] = (),
    ) -> Self:
        """Builds a dataset from one label, and one domain and one group or none, per input."""
        names, rows = _places(labels)
        places, domain_rows = _places(domains) if domains else ((), np.zeros(len(contents), np.intp))
        return cls(source, kind, contents, names, rows, places, domain_rows, _group_numbers(groups))

    def only(self, some: Rows) -> Self:
        """Returns the inputs at positions `(n,)`, with only the labels and domains that they have."""
        used, rows = np.unique(self.rows[some], return_inverse=True)
        places, domain_rows = np.unique(self.domain_rows[some], return_inverse=True)
        return replace(
            self,
            contents=[self.contents[i] for i in some],
            labels=[self.labels[i] for i in used],
            rows=rows.astype(np.intp),
            domains=[self.domains[i] for i in places] if self.domains else (),
            domain_rows=domain_rows.astype(np.intp),
            groups=None if self.groups is None else self.groups[some],
        )


def usable_inputs(dataset: Dataset) -> Rows:
    """Returns the positions, `(n,)`, of inputs whose label has two or more, of two or more groups.

    Raises:
        EvaluationError: fewer than two labels are left, or there are too many.
    """
    groups = np.arange(len(dataset)) if dataset.groups is None else dataset.groups
    counts = np.bincount(np.unique(np.stack([dataset.rows, groups]), axis=1)[0], minlength=len(dataset.labels))
    if not (counts > 1).any():
        message = f"no label has two examples in {dataset.source}"
        raise EvaluationError(message, "a label needs one input as an example and one to predict")
    if (counts > 1).sum() < 2:
        only = dataset.labels[int(counts.argmax())]
        raise EvaluationError(
            f"only the label {only!r} has two examples in {dataset.source}", "at least two labels are needed"
        )
    if len(counts) > MOST_EXACT:
        raise EvaluationError(f"{dataset.source} has {len(counts):,} labels; at most {MOST_EXACT:,} are evaluated")
    return np.flatnonzero(counts[dataset.rows] > 1)


def _places(names: Sequence[str]) -> tuple[list[str], Rows]:
    known = sorted(set(names))
    place = {name: row for row, name in enumerate(known)}
    return known, np.fromiter((place[name] for name in names), np.intp, len(names))


def _group_numbers(names: Sequence[str]) -> Rows | None:
    """Returns a number for each input, `(N,)`; inputs in no group have numbers of their own."""
    if not any(names):
        return None
    numbers: dict[str | int, int] = {}
    keys: list[str | int] = [name or place for place, name in enumerate(names)]
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], np.intp)
