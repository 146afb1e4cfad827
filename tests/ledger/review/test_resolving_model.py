"""Compares resolutions and their undos, in any order, with a model of a few lines."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glimpse.ledger import (
    AlreadyExists,
    LabelRecord,
    NotFound,
    ResolutionChanged,
    ResolutionKind,
    Resolve,
    ReviewBatch,
)
from glimpse.ledger.maintenance.verify import verify
from support.full_ledger import quiet
from support.ledgers import Direct
from support.review import collection, item

_ITEMS = [f"i{number}" for number in range(6)]
_LABELS = ["robin", "wren"]
_SOME = st.lists(st.sampled_from(_ITEMS), min_size=1, max_size=4, unique=True)
_STEPS = st.one_of(
    st.tuples(st.just("resolve"), st.sampled_from(list(ResolutionKind)), _SOME, st.sampled_from(_LABELS)),
    st.tuples(st.just("undo"), st.integers(0, 9)),
    st.tuples(st.just("delete"), st.integers(0, 9)),
    st.tuples(st.just("delete label"), st.sampled_from([*_LABELS, "negative"])),
)
_numbers = itertools.count()


def content(name: str) -> str:
    """Returns the content of an item: two of them share one."""
    return f"sha256:{int(name[1:]) // 2 if name in ('i0', 'i1') else int(name[1:]):064}"


@dataclass
class Done:
    """A resolution of the model: its items, and the examples that it added."""

    items: list[str]
    added: list[tuple[str, str]]
    created: str
    undone: bool = False


@dataclass
class Model:
    """The expected content of the ledger. An example is its label and content, with the resolution that added it."""

    waiting: set[str] = field(default_factory=lambda: set(_ITEMS))
    labels: dict[str, Done | None] = field(default_factory=lambda: {"robin": None})
    examples: dict[tuple[str, str], Done] = field(default_factory=dict)
    done: list[Done] = field(default_factory=list)

    def resolve(self, kind: ResolutionKind, names: list[str], label: str) -> str:
        """Returns the outcome."""
        items = [name for name in names if name in self.waiting]
        if not items:
            return "nothing"
        label = "negative" if kind == ResolutionKind.NEGATIVE else label
        if kind == ResolutionKind.LABEL and label not in self.labels:
            return "NotFound"
        if kind == ResolutionKind.NEW_LABEL and label in self.labels:
            return "AlreadyExists"
        done = Done(items, [], "")
        if kind != ResolutionKind.SKIP:
            if label not in self.labels:
                self.labels[label], done.created = done, label
            for key in [(label, content(name)) for name in items]:
                if key not in self.examples:
                    self.examples[key] = done
                    done.added.append(key)
        self.waiting -= set(items)
        self.done.append(done)
        return "resolved"

    def undo(self, done: Done) -> str:
        """Returns the outcome."""
        if done.undone:
            return "nothing"
        gone = any(self.examples.get(key) is not done for key in done.added)
        if gone or (done.created and self.labels.get(done.created) is not done):
            return "ResolutionChanged"
        for key in done.added:
            del self.examples[key]
        if done.created and not any(label == done.created for label, _ in self.examples):
            del self.labels[done.created]
        self.waiting |= set(done.items)
        done.undone = True
        return "undone"

    def delete_label(self, label: str) -> None:
        del self.labels[label]
        self.examples = {key: done for key, done in self.examples.items() if key[0] != label}


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Direct]:
    folder: Path = tmp_path_factory.mktemp("model")
    with Direct.of(folder) as ledger:
        yield ledger
        assert not verify(ledger.url, quiet)


@settings(max_examples=15, deadline=None)
@given(steps=st.lists(_STEPS, max_size=14))
def test_any_order_of_resolutions_and_undos(ledger: Direct, steps: list[tuple[object, ...]]) -> None:
    name, model, resolutions = f"c{next(_numbers)}", Model(), list[str]()
    ledger.create_collection(collection(name))
    ledger.create_label(name, LabelRecord("robin"))
    ledger.review.add([ReviewBatch(name, [item(one, content_digest=content(one)) for one in _ITEMS])])
    for step in steps:
        _take(ledger, name, model, resolutions, step)
        assert {one.id for one in ledger.review.waiting(name)} == model.waiting
        assert {label.id for label in ledger.labels(name)} == model.labels.keys()
        assert {(one.label_id, one.content_digest) for one in ledger.examples(name)} == model.examples.keys()


def _take(ledger: Direct, name: str, model: Model, resolutions: list[str], step: tuple[object, ...]) -> None:
    """Takes a step in the ledger and in the model, and compares the outcomes."""
    match step:
        case "resolve", ResolutionKind() as kind, list() as items, str() as label:
            record = LabelRecord("negative", role=2) if kind == ResolutionKind.NEGATIVE else LabelRecord(label)
            outcome = "nothing"
            try:
                resolved = ledger.resolve_review(Resolve(name, items, kind, record))
                if resolved.resolution_id:
                    resolutions.append(resolved.resolution_id)
                    outcome = "resolved"
            except (NotFound, AlreadyExists) as error:
                outcome = type(error).__name__
            assert outcome == model.resolve(kind, items, label)
        case "undo", int() as number if number < len(resolutions):
            before = ledger.revision
            try:
                undone = ledger.undo_review(name, resolutions[number])
                outcome = "undone" if undone.item_ids else "nothing"
            except ResolutionChanged:
                outcome = "ResolutionChanged"
                assert ledger.revision == before
            assert outcome == model.undo(model.done[number])
        case "delete", int() as number if number < len(model.examples):
            example = list(ledger.examples(name))[number]
            ledger.delete_example(name, example.id)
            del model.examples[example.label_id, example.content_digest]
        case "delete label", str() as label if label in model.labels:
            ledger.delete_label(name, label)
            model.delete_label(label)
