"""Finds out about the inputs: groups, how clear they are, near copies, and names that fit."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from glimpse.backbone import cores, limit_libraries
from glimpse.cli.common.errors import CliError
from glimpse.cli.common.output import print_note, printable
from glimpse.cli.common.progress import spinner
from glimpse.cli.discover.items import Items, Vocabulary
from glimpse.fewshot.groups import (
    Groups,
    References,
    Separation,
    choose_references,
    find_review_groups,
    graph_neighbors,
    near_duplicates,
    separation,
)
from glimpse.fewshot.review.cold_start import copy_sets, typicality
from glimpse.fewshot.review.proposal import propose_names
from glimpse.fewshot.statistics.unit_vectors import Floats, Rows
from glimpse.index import neighbor_graph
from glimpse.inputs import InputsError, Unreadable, read_lines

#: Names of a group.
NAMES = 3


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """The groups, near copies and names of N inputs.

    Attributes:
        items: The inputs; those whose labels say where to cut come last.
        groups: Their groups.
        separation: How clear the groups are.
        typicalities: `(N,)`, the mean cosine of each input to its nearest neighbours.
        pairs: `(P, 2)`, near copies, the nearest first.
        copies: Sets of near copies, the largest first.
        names: For each group the names that fit best, with their cosines; empty without a vocabulary.
    """

    items: Items
    groups: Groups
    separation: Separation
    typicalities: Floats
    pairs: Rows
    copies: Sequence[Rows]
    names: Sequence[Sequence[tuple[str, float]]]

    @property
    def alone(self) -> int:
        """The number of inputs that are in no group with another."""
        return int(np.count_nonzero(self.groups.sizes == 1))

    @property
    def several(self) -> int:
        """The number of groups with several members, which are the first ones."""
        return len(self.groups.sizes) - self.alone

    @property
    def shown_groups(self) -> range:
        """The groups to show: those with several members; all if there is none."""
        return range(self.several or len(self.groups.sizes))

    def members(self, number: int) -> Rows:
        """Returns the members of a group, the medoid first, then by their cosine to it."""
        members, medoid = self.groups.members(number), self.groups.medoids[number]
        cosines = self.items.vectors[members] @ self.items.vectors[medoid]
        cosines[members == medoid] = np.inf
        return members[np.argsort(-cosines, kind="stable")]

    def labels(self, number: int) -> dict[str, int]:
        """Returns how many members of a group have each label, the commonest first."""
        counts = Counter(self.items.labels[member] for member in self.groups.members(number).tolist())
        return {label: count for label, count in counts.most_common() if label}

    def cosines_to_medoids(self) -> Floats:
        """Returns the cosine of each input to its group's medoid, `(N,)`."""
        vectors, medoids = self.items.vectors, self.groups.medoids[self.groups.numbers]
        return np.asarray(np.einsum("ij,ij->i", vectors, vectors[medoids], dtype=np.float64), np.float64)


def find(items: Items, names: Path | None) -> Findings:
    """Groups inputs and describes the groups.

    Args:
        items: The inputs.
        names: A file with one name a line; None for the backbone's own vocabulary, if there is one.

    Raises:
        CliError: The file cannot be read, or no backbone at hand reads its texts.
    """
    vocabulary = _vocabulary(items, names)
    items, references = _with_references(items)
    with spinner("grouping"):
        limit_libraries()
        graph = neighbor_graph(items.vectors, graph_neighbors(len(items)), cores())
        groups = find_review_groups(
            items.vectors, graph.neighbors, graph.cosines, references, with_references=references is not None
        )
        pairs = near_duplicates(graph.neighbors, graph.cosines).pairs
        return Findings(
            items,
            groups,
            separation(items.vectors, groups.numbers),
            typicality(graph.neighbors, graph.cosines),
            pairs,
            copy_sets(pairs, len(items)),
            _named(items, groups, vocabulary),
        )


def _with_references(items: Items) -> tuple[Items, References | None]:
    """Moves examples that say where to cut to the end, as the grouping needs; None if no input has a label."""
    labelled = np.array([bool(label) and label not in items.negative for label in items.labels], bool)
    if not labelled.any():
        return items, None
    places = np.flatnonzero(labelled)
    rows = _numbers([items.labels[place] for place in places.tolist()])
    # Inputs that are a part of nothing are left out alone.
    together = _numbers([items.left_out[place] or place for place in places.tolist()])
    chosen = choose_references(rows, together)
    order = np.concatenate([np.setdiff1d(np.arange(len(items)), places[chosen]), places[chosen]])
    return items.in_order(order), References(rows[chosen], together[chosen])


def _numbers(names: Sequence[str | int]) -> Rows:
    known: dict[str | int, int] = {}
    return np.array([known.setdefault(name, len(known)) for name in names], np.intp)


def _vocabulary(items: Items, file: Path | None) -> Vocabulary | None:
    """Returns the names to propose. Raises CliError."""
    if file is None:
        return items.words()
    if items.embed_texts is None:
        step = "name a bundle that reads text with --backbone; for an index, the one that it was built with"
        raise CliError(f"--names {file}: no backbone for {items.source} that reads text is at hand", step)
    if not file.is_file():
        raise CliError(f"there is no file {printable(file)}", "name another with --names")
    try:
        lines = list(read_lines(file))
    except InputsError as error:
        raise CliError(error.message, error.next_step) from error
    if bad := next((line for line in lines if isinstance(line, Unreadable)), None):
        raise CliError(f"{bad.source}: {bad.message}")
    texts = list(dict.fromkeys(str(line.content) for line in lines if not isinstance(line, Unreadable)))
    if not texts:
        raise CliError(f"{file} has no line", "write one name a line")
    vectors = items.embed_texts(texts)
    if same := len(texts) - len(np.unique(vectors, axis=0)):
        print_note(
            f"{same:,} of {len(texts):,} names have the vector of another: the backbone does not know these words"
        )
    return Vocabulary(texts, vectors)


def _named(items: Items, groups: Groups, vocabulary: Vocabulary | None) -> list[list[tuple[str, float]]]:
    if vocabulary is None:
        return [[] for _ in groups.sizes]
    named = []
    for number in range(len(groups.sizes)):
        places, cosines = propose_names(items.vectors[groups.members(number)], vocabulary.vectors, NAMES)
        pairs = zip(places.tolist(), cosines.tolist(), strict=True)
        named.append([(vocabulary.texts[place], cosine) for place, cosine in pairs])
    return named
