"""Runs the demo against a server: enrolls, classifies, classifies zero-shot, and counts the results."""

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
_MAX_REPORTED = 10  # pictures left out that are reported one by one


@dataclass(frozen=True, slots=True)
class Result:
    """A picture, its classification, and the picture of its nearest example (None: there is none)."""

    picture: Picture
    classification: Classification
    nearest: Picture | None

    @property
    def right(self) -> bool:
        """True if the best label is the true one."""
        return self.classification.label == self.picture.truth

    @property
    def verdict(self) -> str:
        """`good`, `bad`, or `unsure` if the decision was not a MATCH although it could have been."""
        decision, is_unknown = self.classification.decision, not self.picture.truth
        if decision is Decision.MATCH:
            return "good" if self.right and not is_unknown else "bad"
        return "good" if is_unknown and decision is Decision.UNKNOWN else "unsure"


@dataclass(frozen=True, slots=True)
class Report:
    """The results of a run, without the pictures that could not be used.

    Attributes:
        task: The pictures.
        backbone: The backbone's name.
        queries: Results of pictures with a label.
        unknown: Results of pictures out of distribution.
        zero_shot: Results by text prompts.
        latencies_ms: Milliseconds of each call as the client measures them, one picture per call.
        enroll_ms: Milliseconds to enroll all examples.
    """

    task: Task
    backbone: str
    queries: Sequence[Result]
    unknown: Sequence[Result]
    zero_shot: Sequence[Result]
    latencies_ms: Sequence[float]
    enroll_ms: float

    def accuracy(self, results: Sequence[Result]) -> float:
        """Returns the fraction of results whose best label is the true one."""
        return sum(result.right for result in results) / len(results) if results else float("nan")

    def decisions(self, results: Sequence[Result]) -> Counter[Decision]:
        """Counts the results by decision."""
        return Counter(result.classification.decision for result in results)

    def latency_ms(self, percentile: float) -> float:
        """Returns a percentile of the latencies."""
        return float(np.percentile(self.latencies_ms, percentile))


def run(client: Client, task: Task) -> Report:
    """Enrolls the examples, classifies one picture per call, and classifies zero-shot if the backbone reads text.

    Pictures that the server rejects are left out, and reported on stderr.

    Raises:
        CliError: Too few pictures remain.
    """
    backbone = next(client.list_backbones())
    client.create_collection(_COLLECTION, backbone=backbone.name)
    run = _Run(client)
    start = time.perf_counter()
    run.enroll(task.examples)
    enroll_ms = (time.perf_counter() - start) * 1000
    task = run.usable(task)
    client.classify(_COLLECTION, [picture.content for picture in task.queries[:_WARM_UP]])
    queries, unknown = run.classify(task.queries), run.classify(task.unknown)
    run.check_enough(task, queries)
    zero_shot: list[Result] = []
    if task.zero_shot and Modality.TEXT in backbone.modalities:
        inputs = [picture.content for picture in task.zero_shot]
        results = client.classify_zero_shot(
            task.prompts, inputs, backbone=backbone.name, use_templates=task.use_templates
        )
        pairs = zip(task.zero_shot, results, strict=True)
        zero_shot = [Result(picture, result.unwrap(), None) for picture, result in pairs if result.ok]
    name = backbone.name.rpartition("/")[2]
    return Report(task, name, queries, unknown, zero_shot, run.latencies_ms, enroll_ms)


class _Run:
    """Enrolls and classifies, and keeps the enrolled pictures, the latencies and the number of pictures left out."""

    def __init__(self, client: Client) -> None:
        self.latencies_ms: list[float] = []
        self._left_out = 0
        self._client = client
        self._enrolled: dict[str, Picture] = {}

    def enroll(self, examples: Sequence[Picture]) -> None:
        """Enrolls the examples, and leaves out those that the server rejects."""
        new = [NewExample(picture.content, picture.truth) for picture in examples]
        results = self._client.enroll(_COLLECTION, new, create_labels=True, raise_on_failure=False).results
        for picture, result in zip(examples, results, strict=True):
            if result.error is not None:
                self._leave_out(picture, result.error)
            else:
                self._enrolled[result.unwrap().name] = picture

    def usable(self, task: Task) -> Task:
        """Returns the task without examples that were left out, and without queries of labels that have no example."""
        examples = list(self._enrolled.values())
        known = {picture.truth for picture in examples}
        queries = [picture for picture in task.queries if picture.truth in known]
        return replace(task, examples=examples, queries=queries)

    def classify(self, pictures: Sequence[Picture]) -> list[Result]:
        """Classifies one picture per call."""
        results = []
        for picture in pictures:
            start = time.perf_counter()
            [result] = self._client.classify(_COLLECTION, [picture.content])
            elapsed_ms = (time.perf_counter() - start) * 1000
            if result.error is not None:
                self._leave_out(picture, result.error)
                continue
            self.latencies_ms.append(elapsed_ms)
            classification = result.unwrap()
            evidence = classification.evidence
            nearest = self._enrolled.get(evidence[0].example) if evidence else None
            results.append(Result(picture, classification, nearest))
        return results

    def check_enough(self, task: Task, queries: Sequence[Result]) -> None:
        """Reports how many pictures were left out. Raises CliError if too few remain."""
        if self._left_out:
            print_note(f"left out in total: {self._left_out}")
        labels = len({picture.truth for picture in task.examples})
        if labels < 2 or not queries:
            message = (
                f"too few usable pictures: {labels} label{'' if labels == 1 else 's'} with an example, "
                f"{len(queries)} queries"
            )
            raise CliError(message, "give at least two labels, with more pictures each")

    def _leave_out(self, picture: Picture, error: ItemError) -> None:
        self._left_out += 1
        if self._left_out <= _MAX_REPORTED:
            name = picture.content if isinstance(picture.content, Path) else "a drawing"
            print_note(f"left out: {name}: {error.message}")
