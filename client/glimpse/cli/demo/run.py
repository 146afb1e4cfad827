"""The demo's run against a server: enroll, classify, label by text, and count."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from glimpse.cli.common.errors import CliError
from glimpse.cli.common.output import print_note
from glimpse.cli.demo.data import Picture, Task
from glimpse.client import Classification, Client, Decision, ItemError, Modality, NewExample

_COLLECTION = "demo"
_WARM_UP = 5
_TOLD = 10  # pictures left out that are told one by one


@dataclass(frozen=True, slots=True)
class Answered:
    """A picture, what was answered, and the nearest example's picture (None: there is none)."""

    picture: Picture
    answer: Classification
    nearest: Picture | None

    @property
    def right(self) -> bool:
        """Whether the best label is the true one."""
        return self.answer.label == self.picture.truth

    @property
    def verdict(self) -> str:
        """`good`, `bad`, or `unsure` where the answer was not to be believed."""
        decision, stranger = self.answer.decision, not self.picture.truth
        if decision is Decision.MATCH:
            return "good" if self.right and not stranger else "bad"
        return "good" if stranger and decision is Decision.UNKNOWN else "unsure"


@dataclass(frozen=True, slots=True)
class Report:
    """What the run found, with the pictures that could be used. Latencies are a caller's, in ms, a picture a call."""

    task: Task
    backbone: str
    queries: Sequence[Answered]
    strangers: Sequence[Answered]
    worded: Sequence[Answered]
    latencies_ms: Sequence[float]
    enroll_ms: float

    def accuracy(self, answered: Sequence[Answered]) -> float:
        """The share whose best label is the true one."""
        return sum(one.right for one in answered) / len(answered) if answered else float("nan")

    def decisions(self, answered: Sequence[Answered]) -> Counter[Decision]:
        """How often each decision was made."""
        return Counter(one.answer.decision for one in answered)

    def latency_ms(self, percentile: float) -> float:
        """A percentile of the latencies."""
        return float(np.percentile(self.latencies_ms, percentile))


def run(client: Client, task: Task) -> Report:
    """Enrolls the examples, classifies one picture a call, and labels by text where the backbone reads it.

    Pictures that the server refuses are left out, and told on stderr. Raises CliError where too few remain.
    """
    backbone = next(client.list_backbones())
    client.create_collection(_COLLECTION, backbone=backbone.name)
    run = _Run(client)
    start = time.perf_counter()
    run.enroll(task.examples)
    enroll_ms = (time.perf_counter() - start) * 1000
    task = run.usable(task)
    client.classify(_COLLECTION, [one.content for one in task.queries[:_WARM_UP]])
    queries, strangers = run.ask(task.queries), run.ask(task.strangers)
    run.check_enough(task, queries)
    worded: list[Answered] = []
    if task.worded and Modality.TEXT in backbone.modalities:
        inputs = [one.content for one in task.worded]
        results = client.classify_zero_shot(
            task.prompts, inputs, backbone=backbone.name, use_templates=task.use_templates
        )
        pairs = zip(task.worded, results, strict=True)
        worded = [Answered(one, result.unwrap(), None) for one, result in pairs if result.ok]
    name = backbone.name.rpartition("/")[2]
    return Report(task, name, queries, strangers, worded, run.latencies_ms, enroll_ms)


class _Run:
    """What has been enrolled, how long the calls took, and how many pictures had to be left out."""

    def __init__(self, client: Client) -> None:
        self.latencies_ms: list[float] = []
        self._left_out = 0
        self._client = client
        self._enrolled: dict[str, Picture] = {}

    def enroll(self, examples: Sequence[Picture]) -> None:
        """Enrolls what can be enrolled."""
        new = [NewExample(one.content, one.truth) for one in examples]
        results = self._client.enroll(_COLLECTION, new, create_labels=True, raise_on_failure=False).results
        for picture, result in zip(examples, results, strict=True):
            if result.error is not None:
                self._leave_out(picture, result.error)
            else:
                self._enrolled[result.unwrap().name] = picture

    def usable(self, task: Task) -> Task:
        """The task without the examples that were left out, and without queries of a label that has none now."""
        examples = list(self._enrolled.values())
        known = {one.truth for one in examples}
        return replace(task, examples=examples, queries=[one for one in task.queries if one.truth in known])

    def ask(self, pictures: Sequence[Picture]) -> list[Answered]:
        """Classifies one picture a call."""
        answered = []
        for picture in pictures:
            start = time.perf_counter()
            [result] = self._client.classify(_COLLECTION, [picture.content])
            took = (time.perf_counter() - start) * 1000
            if result.error is not None:
                self._leave_out(picture, result.error)
                continue
            self.latencies_ms.append(took)
            answer = result.unwrap()
            nearest = self._enrolled.get(answer.evidence[0].example) if answer.evidence else None
            answered.append(Answered(picture, answer, nearest))
        return answered

    def check_enough(self, task: Task, queries: Sequence[Answered]) -> None:
        """Tells how many were left out. Raises CliError where the others show nothing."""
        if self._left_out:
            print_note(f"left out in all: {self._left_out}")
        labels = len({one.truth for one in task.examples})
        if labels < 2 or not queries:
            message = (
                f"too few pictures can be used: {labels} labels have an example, and {len(queries)} others are left"
            )
            raise CliError(message, "give two labels or more, with more pictures each")

    def _leave_out(self, picture: Picture, error: ItemError) -> None:
        self._left_out += 1
        if self._left_out <= _TOLD:
            name = picture.content if isinstance(picture.content, Path) else "a drawing"
            print_note(f"left out: {name}: {error.message}")
