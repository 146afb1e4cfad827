"""The demo's run against a server: enroll, classify, label by text, and count."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from glimpse.cli.demo_data import Picture, Task
from glimpse.client import Classification, Client, Decision, Modality, NewExample

_COLLECTION = "demo"
_WARM_UP = 5


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
    """What the run found. Latencies are a caller's, in milliseconds, one picture a call."""

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
    """Enrolls the examples, classifies one picture a call, and labels by text where the backbone reads it."""
    backbone = next(client.list_backbones())
    client.create_collection(_COLLECTION, backbone=backbone.name)
    start = time.perf_counter()
    new = [NewExample(one.image, one.truth) for one in task.examples]
    enrolled = client.enroll(_COLLECTION, new, create_labels=True).results
    enroll_ms = (time.perf_counter() - start) * 1000
    pictures = {result.unwrap().name: one for result, one in zip(enrolled, task.examples, strict=True)}

    client.classify(_COLLECTION, [one.image for one in task.queries[:_WARM_UP]])
    latencies: list[float] = []

    def ask(picture: Picture) -> Answered:
        start = time.perf_counter()
        [result] = client.classify(_COLLECTION, [picture.image])
        latencies.append((time.perf_counter() - start) * 1000)
        answer = result.unwrap()
        return Answered(picture, answer, pictures.get(answer.evidence[0].example) if answer.evidence else None)

    queries, strangers = [ask(one) for one in task.queries], [ask(one) for one in task.strangers]
    worded: list[Answered] = []
    if task.worded and Modality.TEXT in backbone.modalities:
        inputs = [one.image for one in task.worded]
        results = client.zero_shot(task.prompts, inputs, backbone=backbone.name, use_templates=task.use_templates)
        worded = [Answered(one, result.unwrap(), None) for one, result in zip(task.worded, results, strict=True)]
    name = backbone.name.rpartition("/")[2]
    return Report(task, name, queries, strangers, worded, latencies, enroll_ms)
