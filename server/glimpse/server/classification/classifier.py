"""The work behind Classify and StreamClassify."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from glimpse.fewshot import predict
from glimpse.server.classification.label_names import prompt_names
from glimpse.server.classification.messages import add_provenance, classifications, terms_of
from glimpse.server.classification.neighbors import NeighborSearch
from glimpse.server.collections.collection import CollectionView
from glimpse.server.collections.drift import QueryStats
from glimpse.server.errors import RequestError
from glimpse.server.inference.backbones import Backbones
from glimpse.server.inference.batch_results import Outcome, build_results, good_vectors
from glimpse.server.inference.embedder import Embedded, embed_all
from glimpse.server.inference.embedding_spaces import Source, source_of_collection
from glimpse.server.resource_names import normal
from glimpse.server.telemetry.stage_timer import record_stage
from glimpse.server.validation import MAX_ENTRIES, check_answer_bytes, check_entries, check_length, check_range
from glimpse.v1 import classification_service_pb2 as pb
from glimpse.v1 import types_pb2

_MAX_EVIDENCE = 100
_Pass = tuple[str, str, float | None]


@dataclass(frozen=True, slots=True)
class Options:
    """ClassifyOptions with its defaults filled in."""

    top_k: int
    evidence: int
    min_revision: int
    domain: str

    @classmethod
    def read(cls, given: pb.ClassifyOptions, most_labels: int, field: str) -> "Options":
        """From the request. Raises RequestError."""
        top_k = given.top_k if given.HasField("top_k") else 5
        evidence = given.evidence if given.HasField("evidence") else 3
        check_range(top_k, 1, most_labels, f"{field}.top_k")
        check_range(evidence, 0, _MAX_EVIDENCE, f"{field}.evidence")
        check_length(given.domain, f"{field}.domain")
        return cls(top_k, evidence, given.min_revision, normal(given.domain))

    def check_size(self, views: Sequence[CollectionView], inputs: int, field: str, most: int = MAX_ENTRIES) -> None:
        """Of the answer, before anything is embedded. Raises RequestError."""
        each = sum(min(self.top_k, len(view.labels)) + min(self.evidence, view.examples.at_most) for view in views)
        check_entries(inputs, each, field, most)


class Classifier:
    """Answers Classify and StreamClassify: embeds inputs, finds their neighbours, and decides."""

    def __init__(self, backbones: Backbones, neighbors: NeighborSearch, stats: QueryStats) -> None:
        """Counts every decision in `stats`."""
        self._backbones, self._neighbors, self._stats = backbones, neighbors, stats

    async def classify(
        self,
        views: Sequence[CollectionView],
        inputs: Sequence[types_pb2.Input],
        fields: Sequence[str],
        options: Options,
        deadline: float,
    ) -> list[pb.ClassifyResult]:
        """Embeds each input once for each backbone, then asks every collection. Raises RequestError."""
        started = time.monotonic()
        for view in views:
            self._neighbors.check_searchable(view, len(inputs), deadline)
        vectors_given = any(item.WhichOneof("content") == "vector" for item in inputs)
        sources = [source_of_collection(view.record, self._backbones) for view in views]
        keys = [_pass_of(source, vectors_given) for source in sources]
        by_pass = await _embed(dict(zip(keys, sources, strict=True)), inputs, fields, deadline)
        passes = list(by_pass.values())
        outcomes = passes[0] if len(passes) == 1 else [_together(several) for several in zip(*passes, strict=True)]
        good = [i for i, outcome in enumerate(outcomes) if not isinstance(outcome, RequestError)]
        asked = time.monotonic()
        found: list[list[pb.Classification]] = [[] for _ in good]
        size = 0
        for view, source, key in zip(views, sources, keys, strict=True):
            embedded = by_pass[key]
            queries = good_vectors([embedded[i] for i in good], view.record.dimension)
            await prompt_names(source, view, deadline)
            around = await self._neighbors.find_neighborhood(view, queries, options.evidence)
            # Engine and revision are read together: nothing is awaited in between.
            revision = view.record.revision
            terms = terms_of(view.record, source)
            said = predict(
                view.engine, queries, around.nearest, terms, options.top_k, around.candidates, options.domain
            )
            self._stats.add(view, [one.decision for one in said.predictions], around.nearest.examples)
            for answers, classification, neighbors in zip(found, classifications(said), around.neighbors, strict=True):
                add_provenance(classification, view, revision, neighbors)
                answers.append(classification)
                check_answer_bytes(size := size + classification.ByteSize(), "options.top_k")
        record_stage("head", asked)
        fields_of = [{"classifications": answers} for answers in found]
        return build_results(pb.ClassifyResult, inputs, outcomes, fields_of, started, time.monotonic() - asked)


def _pass_of(source: Source, vectors_given: bool) -> _Pass:
    """Collections of equal ones share a pass: their backbone, and, for vectors, what they take, are the same."""
    backbone = source.backbone
    name = "" if isinstance(backbone, RequestError) else backbone.name
    return source.embedding_space, name, source.min_cosine if vectors_given else None


async def _embed(
    sources: dict[_Pass, Source], inputs: Sequence[types_pb2.Input], fields: Sequence[str], deadline: float
) -> dict[_Pass, list[Outcome]]:
    """The inputs in each pass, side by side. Raises RequestError."""
    passes = [embed_all(source, inputs, fields, deadline) for source in sources.values()]
    if len(passes) == 1:
        return dict(zip(sources, [await passes[0]], strict=True))
    # All are waited for, so that one that fails leaves none behind.
    done = await asyncio.gather(*passes, return_exceptions=True)
    for one in done:
        if isinstance(one, BaseException):
            raise one
    return dict(zip(sources, done, strict=True))  # type: ignore[arg-type]


def _together(outcomes: Sequence[Outcome]) -> Outcome:
    """One input's outcome in several spaces: failed where it failed in one; as slow as the slowest."""
    slowest = outcomes[0]
    for outcome in outcomes:
        if isinstance(outcome, RequestError) or isinstance(slowest, RequestError):
            return outcome if isinstance(outcome, RequestError) else slowest
        if outcome.timings.encode_ms > slowest.timings.encode_ms:
            slowest = outcome
    truncated = any(isinstance(outcome, Embedded) and outcome.truncated for outcome in outcomes)
    return replace(slowest, truncated=truncated) if isinstance(slowest, Embedded) else slowest
