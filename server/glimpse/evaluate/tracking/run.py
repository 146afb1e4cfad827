"""A run: what an evaluation measured, on which data and draws, and with what."""

import hashlib
import platform
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Final, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from glimpse.evaluate.data.dataset import Dataset
from glimpse.evaluate.data.embedding_cache import Bytes
from glimpse.evaluate.data.splits import Split
from glimpse.evaluate.evaluation import Evaluation, draws
from glimpse.evaluate.figures.aggregation import AggregatedResult
from glimpse.evaluate.report.method import command
from glimpse.fewshot.statistics.unit_vectors import Rows

#: Increases when a field changes its meaning or is removed.
FORMAT_VERSION: Final = 1
_VERSIONS = ("glimpse-fewshot", "numpy", "onnxruntime", "onnxruntime-gpu", "pillow", "tokenizers")
Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Data(_Part):
    """The labelled inputs; `digest` is that of all contents with their labels, in any order.

    The unknown inputs have a digest of their own, None if there were none.
    """

    source: str
    kind: Literal["image", "text"]
    digest: Digest
    inputs: int
    labels: int
    unknown: Digest | None


class TrackedBackbone(_Part):
    """A backbone, or the features of no training, which have no embedding space."""

    name: str
    embedding_space: str
    dimension: int
    precision: str


class Trial(_Part):
    """One draw and its figures, None if not measured; `draw` is the digest of its examples and queries."""

    seed: int
    draw: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    figures: dict[str, float | None]


class Result(_Part):
    """The trials of one backbone, head and number of examples per label."""

    backbone: str
    head: str
    shots: int
    trials: tuple[Trial, ...]


class Run(_Part):
    """One evaluation."""

    format_version: Literal[1]
    id: Annotated[str, Field(pattern=r"^[0-9]{8}-[0-9]{6}-[0-9a-f]{6}$")]
    time: datetime
    command: str
    verdict: str
    data: Data
    shots: tuple[int, ...]
    seeds: int
    backbones: tuple[TrackedBackbone, ...]
    results: tuple[Result, ...]
    versions: dict[str, str]
    seconds: float

    @property
    def names(self) -> list[str]:
        """The names of what was measured: backbones, and features of no training."""
        return [backbone.name for backbone in self.backbones]


def run_of(evaluation: Evaluation) -> Run:
    """Returns the run of an evaluation that just ended."""
    now, data, unknown = datetime.now(UTC), evaluation.dataset, evaluation.embedded.unknown_digests
    keys = _keys(data, evaluation.embedded.digests)
    order = sorted(range(len(keys)), key=keys.__getitem__)
    ranks = np.empty(len(keys), np.intp)
    ranks[order] = np.arange(len(keys))
    ordered = [keys[place] for place in order]
    numbers = {shots: [_draw(one, ranks, ordered) for one in draws(evaluation, shots)] for shots in evaluation.shots}
    measured = [*evaluation.results.values(), *evaluation.baseline.values()]
    return Run(
        format_version=FORMAT_VERSION,
        id=f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}",
        time=now,
        command=_valid(command(evaluation.plan)),
        verdict=evaluation.summary,
        data=Data(
            source=_valid(str(evaluation.plan.data)),
            kind=data.kind,
            digest=_digest(ordered),
            inputs=len(data),
            labels=len(data.labels),
            unknown=_digest(sorted(map(bytes, unknown))) if len(unknown) else None,
        ),
        shots=tuple(evaluation.shots),
        seeds=evaluation.plan.seeds,
        backbones=(*_backbones(evaluation), *_baseline(evaluation)),
        results=tuple(_result(one, numbers[one.shots]) for one in measured),
        versions={"python": platform.python_version(), **_versions()},
        seconds=evaluation.seconds,
    )


def _versions() -> dict[str, str]:
    """Returns the versions of the packages that figures depend on, of those that are installed."""
    versions = {}
    for name in _VERSIONS:
        with suppress(PackageNotFoundError):
            versions[name] = version(name)
    return versions


def _valid(text: str) -> str:
    """Returns a text with the parts of file names that are not UTF-8 replaced by question marks."""
    return text.encode("utf-8", "replace").decode()


def _digest(parts: Sequence[bytes]) -> str:
    return f"sha256:{hashlib.sha256(b''.join(parts)).hexdigest()}"


def _keys(data: Dataset, digests: Bytes) -> list[bytes]:
    """Returns a digest of each input's content and label."""
    labels = [hashlib.sha256(label.encode("utf-8", "surrogateescape")).digest() for label in data.labels]
    return [
        hashlib.sha256(digest.tobytes() + labels[row]).digest() for digest, row in zip(digests, data.rows, strict=True)
    ]


def _draw(one: Split, ranks: Rows, ordered: Sequence[bytes]) -> str:
    """Returns the digest of a draw, which does not depend on the order of the data."""
    digest = hashlib.sha256()
    for part in (one.support, one.queries):
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(b"".join(ordered[rank] for rank in np.sort(ranks[part])))
    return digest.hexdigest()[:32]


def _result(result: AggregatedResult, numbers: Sequence[str]) -> Result:
    trials = []
    for seed, metrics in result.trials.items():
        figures = {name: value for name, value in asdict(metrics).items() if name != "fit_seconds"}
        trials.append(Trial(seed=seed, draw=numbers[seed], figures=figures))
    return Result(backbone=result.backbone, head=result.contender.name, shots=result.shots, trials=tuple(trials))


def _backbones(evaluation: Evaluation) -> list[TrackedBackbone]:
    manifests = [bundle.manifest for bundle in evaluation.bundles]
    return [
        TrackedBackbone(
            name=one.name, embedding_space=one.embedding_space, dimension=one.dimension, precision=one.precision
        )
        for one in manifests
    ]


def _baseline(evaluation: Evaluation) -> list[TrackedBackbone]:
    for result in evaluation.baseline.values():
        return [TrackedBackbone(name=result.backbone, embedding_space="", dimension=0, precision="")]
    return []
