"""Callers that record their acknowledged writes, and checks of these writes after faults."""

import itertools
import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import numpy as np
import numpy.typing as npt

from glimpse.v1 import classification_service_pb2 as cls
from glimpse.v1 import collection_service_pb2 as col
from glimpse.v1 import types_pb2
from support.callers import Callers
from support.server import Stubs
from support.status import Refused

DIMENSION = 8
_SECONDS = 10.0
# Most inputs of a call.
_INPUTS = 256
Array = npt.NDArray[np.float32]


@dataclass
class Record:
    """Sent and acknowledged requests. A request has two examples."""

    sent: set[str] = field(default_factory=set)
    done: dict[str, list[str]] = field(default_factory=dict)
    deleting: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)
    #: The label that both examples of a request got last, as far as it was acknowledged; empty while it is sent.
    labels: dict[str, str] = field(default_factory=dict)
    #: Reasons of refusals.
    refused: set[str] = field(default_factory=set)
    #: Answers that are not allowed.
    wrong: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Target:
    """A collection's name and embedding space."""

    name: str
    space: str

    def given(self, key: str) -> types_pb2.Input:
        """Returns the vector of a key: unique, and always the same."""
        return types_pb2.Input(vector=types_pb2.Vector(data=direction(key).tobytes(), embedding_space=self.space))


class Witness(Callers):
    """Threads that enroll, retry, relabel, delete and search at an address that may fail at any time."""

    def __init__(
        self, collection: Target, address: Callable[[], str], record: Record, seed: str, count: int = 3
    ) -> None:
        self._collection, self._address, self.record = collection, address, record
        self._seed = seed
        super().__init__(count)

    def run(self, worker: int) -> None:
        chance = random.Random(f"{self._seed}/{worker}")
        mine: list[str] = []
        stubs = Stubs(self._address())
        for number in itertools.count():
            if self.stopped.is_set():
                break
            key = f"{self._seed}/{worker}/{number}"
            try:
                self._act(stubs, chance, key, f"label-{worker}", mine)
            except grpc.RpcError as error:
                # Refused or lost: it was not acknowledged in either case.
                refusal = Refused()
                refusal.read(error)
                self.record.refused.add(refusal.reason)
                if refusal.code in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN):
                    self.record.wrong.append(f"{refusal.code} {refusal.reason}: {refusal.message}")
                self.stopped.wait(0.05)
                stubs.channel.close()
                stubs = Stubs(self._address())
        stubs.channel.close()

    def _act(self, stubs: Stubs, chance: random.Random, key: str, label: str, mine: list[str]) -> None:
        done = self.record.done
        match chance.choices(
            ("enroll", "twice", "again", "delete", "both", "relabel", "search"), (45, 15, 10, 10, 5, 10, 10)
        )[0]:
            case "enroll":
                self._acknowledge(key, self._send(stubs, key, label).result(), mine)
            case "twice":  # at the same time, so that they overlap
                calls = [self._send(stubs, key, label) for _ in range(2)]
                for call in calls:
                    self._acknowledge(key, call.result(), mine)
            case "again" if mine:  # much later and out of order
                old = chance.choice(mine)
                names = _names(self._send(stubs, old, label).result())
                if names != done[old] and not self.record.deleting & {*names, *done[old]}:
                    self.record.wrong.append(f"{old} was answered {done[old]}, then {names}")
            case "delete" if mine:
                self._delete(stubs, chance.choice(done[chance.choice(mine)]))
            case "both" if mine:
                self._delete_both(stubs, chance.choice(mine))
            case "relabel" if mine:
                self._relabel(stubs, chance.choice(mine), f"{label}-{chance.randrange(3)}")
            case "search" if mine:
                self._find(stubs, chance.choice(mine))

    def _send(self, stubs: Stubs, key: str, label: str) -> Any:
        self.record.sent.add(key)
        examples = [
            col.NewExample(label_id=label, input=self._collection.given(f"{key}/{i}"), metadata={"key": f"{key}/{i}"})
            for i in (0, 1)
        ]
        request = col.EnrollExamplesRequest(
            parent=self._collection.name, examples=examples, create_labels=True, request_id=key
        )
        return stubs.collections.EnrollExamples.future(request, timeout=_SECONDS)

    def _acknowledge(self, key: str, response: col.EnrollExamplesResponse, mine: list[str]) -> None:
        if any(result.status.code for result in response.results):
            return
        names = _names(response)
        if self.record.done.setdefault(key, names) != names:
            self.record.wrong.append(f"{key} was answered {self.record.done[key]}, then {names}")
        elif key not in mine:
            mine.append(key)

    def _delete(self, stubs: Stubs, name: str) -> None:
        if name in self.record.deleting:
            return
        self.record.deleting.add(name)
        stubs.collections.DeleteExample(col.DeleteExampleRequest(name=name), timeout=_SECONDS)
        self.record.deleted.add(name)

    def _delete_both(self, stubs: Stubs, key: str) -> None:
        """Deletes the two examples of a request in one change."""
        names = self.record.done[key]
        if self.record.deleting.isdisjoint(names):
            self.record.deleting.update(names)
            request = col.DeleteExamplesRequest(parent=self._collection.name, names=names)
            stubs.collections.DeleteExamples(request, timeout=_SECONDS)
            self.record.deleted.update(names)

    def _relabel(self, stubs: Stubs, key: str, label: str) -> None:
        """Gives the two examples of a request another label in one change."""
        names = self.record.done[key]
        if not self.record.deleting.isdisjoint(names):
            return
        self.record.labels[key] = ""
        with suppress_existing():
            create = col.CreateLabelRequest(parent=self._collection.name, label_id=label)
            stubs.collections.CreateLabel(create, timeout=_SECONDS)
        request = col.UpdateExamplesRequest(parent=self._collection.name, names=names)
        request.example.label_id = label
        request.update_mask.paths.append("label_id")
        stubs.collections.UpdateExamples(request, timeout=_SECONDS)
        self.record.labels[key] = label

    def _find(self, stubs: Stubs, key: str) -> None:
        name = self.record.done[key][0]
        request = cls.SearchExamplesRequest(
            collection=self._collection.name, inputs=[self._collection.given(f"{key}/0")], top_k=1
        )
        [result] = stubs.classification.SearchExamples(request, timeout=_SECONDS).results
        found = [near.example for near in result.neighbors]
        if found != [name] and name not in self.record.deleting:
            self.record.wrong.append(f"{key} is {name}, but {found} was found")


@contextmanager
def suppress_existing() -> Iterator[None]:
    """Ignores that something to create exists."""
    try:
        yield
    except grpc.RpcError as error:
        if error.code() is not grpc.StatusCode.ALREADY_EXISTS:
            raise


def check(stubs: Stubs, collection: Target, record: Record) -> int:
    """Checks that head and index hold exactly the acknowledged examples; returns their number."""
    assert not record.wrong, record.wrong[:3]
    examples = listed(stubs, collection)
    names = [example.name for example in examples]
    assert len(names) == len(set(names)), "an example is there twice"
    keys = [example.metadata["key"] for example in examples if "key" in example.metadata]
    assert len(keys) == len(set(keys)), "a content is there twice"
    there = dict(zip(keys, (example.name for example in examples if "key" in example.metadata), strict=True))
    for key, done in record.done.items():
        for place, name in enumerate(done):
            if name not in record.deleting:
                assert there.get(f"{key}/{place}") == name, f"{key} was acknowledged and is gone"
            assert name not in record.deleted or f"{key}/{place}" not in there, f"{key} was deleted and is back"
    for key in record.sent - record.done.keys():
        assert (f"{key}/0" in there) == (f"{key}/1" in there), f"half of {key} is there"
    _check_labels(record, examples)
    _check_head(stubs, collection, examples)
    sent = {f"{key}/{place}" for key in record.sent for place in (0, 1)}
    check_index(stubs, collection, examples, sent - there.keys())
    return len(examples)


def _check_labels(record: Record, examples: list[col.Example]) -> None:
    """Checks that the two examples of a request have one label, which is the last one if that was acknowledged."""
    labels = {example.name: example.label_id for example in examples}
    for key, names in record.done.items():
        found = {labels[name] for name in names if name in labels}
        assert len(found) < 2, f"half of {key} was relabelled"
        if found and (label := record.labels.get(key)):
            assert found == {label}, f"{key} was relabelled {label}, and is {found}"


def _check_head(stubs: Stubs, collection: Target, examples: list[col.Example]) -> None:
    """Checks that the class means' scores are those of the listed examples."""
    rows: dict[str, list[Array]] = {}
    for example in examples:
        rows.setdefault(example.label_id, []).append(np.frombuffer(example.vector.data, "<f4"))
    means = {label: np.sum(several, axis=0, dtype=np.float64) for label, several in rows.items()}
    queries = [collection.given(f"query/{number}") for number in range(5)]
    options = cls.ClassifyOptions(top_k=max(1, len(means)))
    request = cls.ClassifyRequest(collections=[collection.name], inputs=queries, options=options)
    for query, result in zip(queries, stubs.classification.Classify(request).results, strict=True):
        [classification] = result.classifications
        row = np.frombuffer(query.vector.data, "<f4")
        scored = {one.label_id: one.score for one in classification.labels}
        assert set(scored) == {label for label in means if rows[label]}
        for label, score in scored.items():
            wanted = float(row @ means[label] / np.linalg.norm(means[label]))
            assert abs(score - wanted) < 1e-4, f"{label} scores {score}, and its examples {wanted}"


def check_index(stubs: Stubs, collection: Target, examples: list[col.Example], absent: Iterable[str] = ()) -> None:
    """Checks that a search finds each example by its own vector, once, and nothing that is not listed.

    `absent`: keys of what is not there, near whose vectors it would be if the index had it still.
    """
    names = {example.name for example in examples}
    queries = [(types_pb2.Input(vector=example.vector), example.name) for example in examples]
    queries += [(collection.given(key), "") for key in absent]
    for start in range(0, len(queries), _INPUTS):
        some = queries[start : start + _INPUTS]
        # Two, because a duplicate of the vector would be the second.
        request = cls.SearchExamplesRequest(collection=collection.name, inputs=[given for given, _ in some], top_k=2)
        for (_, name), result in zip(some, stubs.classification.SearchExamples(request).results, strict=True):
            found = [near.example for near in result.neighbors]
            assert not name or found[:1] == [name], f"{name} is listed, but {found} was found by its vector"
            assert set(found) <= names, f"{found} were found, and not all of them are listed"
            assert len(set(found)) == len(found) == min(2, len(names)), f"{found} were found, of {len(names)}"


def listed(stubs: Stubs, collection: Target) -> list[col.Example]:
    """Returns every example with its vector."""
    found: list[col.Example] = []
    token = ""
    while True:
        request = col.ListExamplesRequest(parent=collection.name, page_size=1000, page_token=token, include_vector=True)
        page = stubs.collections.ListExamples(request)
        found += page.examples
        if not (token := page.next_page_token):
            return found


def direction(key: str) -> Array:
    """Returns a value that is unique for each key."""
    row = np.random.default_rng(list(key.encode())).normal(size=DIMENSION)
    return np.asarray(row / np.linalg.norm(row), "<f4")


def _names(response: col.EnrollExamplesResponse) -> list[str]:
    return [result.example.name for result in response.results]
