"""Compares a collection's backbone with the other loaded ones: by leave-one-out on a sample of its kept inputs."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from weakref import WeakKeyDictionary

import numpy as np

from glimpse.fewshot import Examples, HeadKind
from glimpse.fewshot.paired_accuracy import PairedAccuracy, compare_embeddings
from glimpse.server.catalog.catalog import Catalog
from glimpse.server.classification.proportion import proportion
from glimpse.server.collections.collection import CollectionView
from glimpse.server.collections.training_examples import TrainingExamples
from glimpse.server.inference.backbones import Backbones, LoadedBackbone
from glimpse.server.maintenance.comparison_sample import ComparisonSample, read_sample
from glimpse.server.maintenance.comparison_vectors import SampleEmbedder
from glimpse.server.scheduling.background import run_in_background
from glimpse.v1 import collection_service_pb2 as pb

# Seconds that vectors stay in memory after a call that did not end, for its retry.
_KEEP_SECONDS = 300.0


@dataclass(slots=True, eq=False)
class _Progress:
    """The comparison of one collection at one revision.

    Attributes:
        revision: The collection's revision.
        sample: The examples.
        embedder: Embeds them, and keeps their vectors.
        results: The result of each backbone, by embedding space.
        forget: Forgets the vectors after a call that did not end, unless another one continues.
    """

    revision: int
    sample: ComparisonSample
    embedder: SampleEmbedder
    results: dict[str, asyncio.Task[pb.ComparedBackbone]] = field(default_factory=dict)
    forget: asyncio.TimerHandle | None = None


class BackboneComparison:
    """Measures what other loaded backbones would gain. Use it in the event loop's thread only."""

    def __init__(
        self, catalog: Catalog, backbones: Backbones, heads: Mapping[int, HeadKind], training: TrainingExamples
    ) -> None:
        """Keeps where to read from.

        Args:
            catalog: The collections and the originals.
            backbones: The loaded backbones.
            heads: The kinds of head by the number that a record pins.
            training: Knows which backbones were adapted to a collection's examples.
        """
        self._catalog, self._backbones, self._heads, self._training = catalog, backbones, heads, training
        self._progress: WeakKeyDictionary[CollectionView, _Progress] = WeakKeyDictionary()
        self._one_at_a_time = asyncio.Lock()

    async def compare(self, view: CollectionView, deadline: float) -> pb.BackboneComparison:
        """Returns the comparison with every other loaded backbone, made once for each revision of the collection.

        Args:
            view: The collection.
            deadline: In time.monotonic() seconds.

        Raises:
            RequestError: UNAVAILABLE if the time is over, RESOURCE_EXHAUSTED if a queue or a limit is; a retry
                continues.
            LedgerError: The originals cannot be read.
        """
        others = [one for one in self._backbones if one.manifest.embedding_space != view.record.embedding_space]
        reason = _reason(view, others)
        if not reason and await self._training.held_by(view):
            reason = "the collection's backbone was adapted to examples that it holds, so leaving them out says nothing"
        if reason:
            return pb.BackboneComparison(reason=reason)
        async with self._one_at_a_time:
            progress = await self._begin(view)
            if not len(progress.sample):
                return pb.BackboneComparison(reason="fewer than two labels have two examples with a kept input")
            vectors = progress.embedder.vectors
            try:
                compared = [await self._compare(view, progress, backbone, deadline) for backbone in others]
            except BaseException:
                progress.forget = asyncio.get_running_loop().call_later(_KEEP_SECONDS, vectors.clear)
                raise
            vectors.clear()
        compared.sort(key=lambda one: (bool(one.reason), -one.gain, one.backbone))
        return pb.BackboneComparison(
            better_backbone=next((one.backbone for one in compared if one.better), ""), backbones=compared
        )

    async def _begin(self, view: CollectionView) -> _Progress:
        """Returns the progress at the current revision, with vectors that an earlier call left."""
        before, revision = self._progress.get(view), view.record.revision
        if before and before.forget:
            before.forget.cancel()
        if before and before.revision == revision:
            return before
        embedder = before.embedder if before else SampleEmbedder(self._catalog, self._backbones, view.record.id)
        progress = self._progress[view] = _Progress(revision, await read_sample(self._catalog, view), embedder)
        return progress

    async def _compare(
        self, view: CollectionView, progress: _Progress, backbone: LoadedBackbone, deadline: float
    ) -> pb.ComparedBackbone:
        space = backbone.manifest.embedding_space
        if space not in progress.results:
            both = await self._embed(view, progress, backbone, deadline)
            pinned, independent = self._heads.get(view.record.pinned_head), progress.sample.independent
            work = partial(compare_embeddings, pinned=pinned, independent=independent)
            # A caller that leaves does not stop the task, or short deadlines would never get a result.
            progress.results[space] = asyncio.create_task(_measure(backbone, both, work))
        return await asyncio.shield(progress.results[space])

    async def _embed(
        self, view: CollectionView, progress: _Progress, backbone: LoadedBackbone, deadline: float
    ) -> tuple[Examples, Examples] | str:
        """Returns the same examples by the collection's own backbone and by another one, or why there are too few."""
        sample, reads = progress.sample, backbone.manifest.modalities
        if await self._training.trained_on(view, backbone.manifest.embedding_space):
            return "it was adapted to examples that the collection holds; GetReembedding has its cross-fitted figures"
        if view.record.names_as_prompts and "text" not in reads:
            return "it reads no text, and the collection uses labels' names as prompts"
        places, vectors = await progress.embedder.embed(sample, backbone, deadline)
        usable = sample.usable(places)
        if not len(usable):
            some = "only few kept inputs are" if len(places) else "no kept input is"
            return f"it reads {' and '.join(reads)}, which {some}"
        texts = await progress.embedder.texts(sample, backbone, deadline)
        own = sample.examples(usable, sample.vectors[usable], sample.texts)
        return own, sample.examples(usable, np.stack(vectors)[np.isin(places, usable)], texts)


def _reason(view: CollectionView, others: Sequence[LoadedBackbone]) -> str:
    """Returns why nothing can be compared, for people; empty if something can."""
    if not others:
        return "the server has loaded no other backbone"
    if view.examples.attached_index:
        return "the attached index cannot be re-embedded; compare backbones with glimpse evaluate"
    return "" if view.record.keep_inputs else "the collection keeps no inputs to embed again; set keep_inputs"


async def _measure(
    backbone: LoadedBackbone,
    both: tuple[Examples, Examples] | str,
    compare: Callable[[Examples, Examples], PairedAccuracy | None],
) -> pb.ComparedBackbone:
    """Leaves the examples out by both backbones, which takes seconds; a str is why there is nothing to measure."""
    if isinstance(both, str):
        return pb.ComparedBackbone(backbone=backbone.name, reason=both)
    measured = await run_in_background(partial(compare, *both))
    if measured is None:
        reason = "no example can be left out: labels have near copies of one input, or one group"
        return pb.ComparedBackbone(backbone=backbone.name, reason=reason)
    return pb.ComparedBackbone(
        backbone=backbone.name,
        accuracy=proportion(measured.second, measured.count),
        own_accuracy=proportion(measured.first, measured.count),
        gain=measured.gain,
        gain_low=measured.low,
        gain_high=measured.high,
        better=measured.low > 0,
        label_count=len(both[0].labels),
    )
