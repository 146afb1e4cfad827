"""Tests races during a re-embedding, in a fixed order: the new backbone's encoder waits at a gate."""

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from glimpse.ledger import CollectionRecord, Ledger
from glimpse.server.api.classification_service import ClassificationService
from glimpse.server.api.collection_service import CollectionService
from glimpse.server.api.embedding_service import EmbeddingService
from glimpse.server.api.registry import add_services
from glimpse.server.api.review_service import ReviewService
from glimpse.server.api.server_service import ServerService
from glimpse.server.collections.collection import CollectionView
from glimpse.server.maintenance.reembedding_worker import Reembedder
from glimpse.server.runtime import Runtime, open_runtime
from glimpse.server.settings import Settings
from glimpse.v1 import collection_service_pb2 as col
from glimpse.v1 import types_pb2
from glimpse.v1.collection_service_pb2_grpc import CollectionServiceStub
from support.bundles import tiny_image_bundle
from support.reembedding import pictures
from support.status import refused

Code = grpc.StatusCode
# Seconds after which a test fails instead of waiting forever.
_PATIENCE = 30.0


class Gate:
    """Holds back an encoder's runs while it is closed."""

    def __init__(self, encode: Callable[[Sequence[Any], bool], Any]) -> None:
        self._encode, self._open, self._came = encode, threading.Event(), threading.Event()
        self._open.set()

    def __call__(self, items: Sequence[Any], single_core: bool) -> Any:
        self._came.set()
        assert self._open.wait(_PATIENCE), "the gate was never opened"
        return self._encode(items, single_core)

    def shut(self) -> None:
        self._came.clear()
        self._open.clear()

    def open(self) -> None:
        self._open.set()

    async def somebody_waits(self) -> None:
        assert await asyncio.to_thread(self._came.wait, _PATIENCE)


class Serving:
    """Runs a server in this process, with a collection `birds` by `old` and a gate before `new`."""

    def __init__(self, runtime: Runtime, collections: CollectionServiceStub) -> None:
        self.runtime, self._collections = runtime, collections
        new = next(one for one in runtime.backbones if one.manifest.name == "new")
        self.space = new.manifest.embedding_space
        new.images._encode = self.gate = Gate(new.images._encode)

    async def call(self, request: Any) -> Any:
        name = type(request).__name__.removesuffix("Request")
        return await getattr(self._collections, name)(request, timeout=_PATIENCE)

    async def enroll(self, *inputs: types_pb2.Input, name: str = "birds") -> list[col.EnrollResult]:
        given = [col.NewExample(label_id=f"l{place % 2}", input=one) for place, one in enumerate(inputs)]
        request = col.EnrollExamplesRequest(parent=f"collections/{name}", examples=given, create_labels=True)
        results = list((await self.call(request)).results)
        assert not any(one.status.code for one in results)
        return results

    async def keep_inputs(self) -> None:
        request = col.UpdateCollectionRequest(collection=col.Collection(name="collections/birds", keep_inputs=True))
        request.update_mask.paths.append("keep_inputs")
        await self.call(request)

    async def start(self) -> None:
        await self.call(col.StartReembeddingRequest(collection="collections/birds", backbone="backbones/new"))

    async def reembedding(self, *, measure: bool = False) -> col.Reembedding:
        found = await self.call(col.GetReembeddingRequest(collection="collections/birds", measure=measure))
        reembedding: col.Reembedding = found.reembedding
        return reembedding

    async def until(self, done: Callable[[col.Reembedding], bool]) -> col.Reembedding:
        async with asyncio.timeout(_PATIENCE):
            while True:
                if done(now := await self.reembedding()):
                    return now
                await asyncio.sleep(0.02)

    async def switch(self, *, force: bool = False) -> col.SwitchBackboneResponse:
        request = col.SwitchBackboneRequest(collection="collections/birds", embedding_space=self.space, force=force)
        response: col.SwitchBackboneResponse = await self.call(request)
        return response


@asynccontextmanager
async def serving(folder: Path, *, keep_inputs: bool = True) -> AsyncIterator[Serving]:
    tiny_image_bundle(folder / "old", "old")
    tiny_image_bundle(folder / "new", "new", dimension=12, seed=3)
    fields: dict[str, Any] = {"data": folder / "data", "backbone": (folder / "old", folder / "new")}
    async with open_runtime(Settings(**fields, snapshot_seconds=0)) as runtime:
        server = grpc.aio.server()
        services = (
            EmbeddingService(runtime),
            CollectionService(runtime),
            ClassificationService(runtime),
            ReviewService(runtime),
            ServerService(runtime),
        )
        add_services(server, *services)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                here = Serving(runtime, CollectionServiceStub(channel))
                for name in ("birds", "fish"):
                    new = col.Collection(backbone="backbones/old", keep_inputs=keep_inputs)
                    await here.call(col.CreateCollectionRequest(collection_id=name, collection=new))
                try:
                    yield here
                finally:
                    here.gate.open()
        finally:
            await server.stop(None)


async def nobody(_: Reembedder) -> None:
    """Replaces the background worker by one that does nothing."""


async def test_original_that_arrives_during_a_round_is_embedded(tmp_path: Path) -> None:
    async with serving(tmp_path, keep_inputs=False) as here:
        [one, two] = pictures([1, 2])
        await here.enroll(one)
        await here.keep_inputs()
        await here.enroll(two)
        here.gate.shut()
        await here.start()
        await here.gate.somebody_waits()  # the first example was read without an original
        [again] = await here.enroll(one)
        assert again.duplicate
        here.gate.open()
        now = await here.until(lambda now: not now.left_count and not now.failed_count)
        assert now.embedded_count == 2


async def test_earlier_example_that_becomes_pending_during_a_round_is_embedded(tmp_path: Path) -> None:
    async with serving(tmp_path, keep_inputs=False) as here:
        [one, two] = pictures([1, 2])
        await here.enroll(one)
        await here.enroll(two)
        await here.keep_inputs()
        await here.start()
        await here.until(lambda now: now.failed_count == 2)
        here.gate.shut()
        await here.enroll(two)  # resets the progress, so that all examples are read again
        await here.gate.somebody_waits()
        await here.enroll(one)  # once more
        here.gate.open()
        now = await here.until(lambda now: not now.left_count)
        assert (now.embedded_count, now.failed_count) == (2, 0)


async def test_calls_do_not_wait_while_a_switch_embeds_pending_examples(tmp_path: Path) -> None:
    async with serving(tmp_path) as here:
        here.gate.shut()
        await here.start()
        await here.enroll(*pictures(range(40)))
        switching = asyncio.create_task(here.switch())
        await here.gate.somebody_waits()
        await here.enroll(*pictures([100]), name="fish")
        await here.enroll(*pictures([100]))
        assert not switching.done()
        here.gate.open()
        assert (await switching).collection.backbone == "backbones/new"
        shown = await here.call(col.GetCollectionRequest(name="collections/birds"))
        assert shown.collection.example_count == 41, "also the example that arrived during the switch"


@pytest.mark.parametrize(
    ("each", "times", "wanted"),
    [
        pytest.param(8, 1_000, 8, id="a few are embedded while others wait"),
        pytest.param(9, 3, 27, id="more are embedded before"),
    ],
)
async def test_switch_ends_despite_enrolments_after_each_round(
    each: int, times: int, wanted: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Reembedder, "_work", nobody)
    async with serving(tmp_path) as here:
        await here.start()
        come = enrolling_before_each_write(here, each, times)
        switched = await here.switch()
        assert len(come) == wanted
        assert (switched.set_aside_count, switched.collection.example_count) == (0, wanted)


async def test_overtaken_switch_fails_and_keeps_its_vectors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Reembedder, "_work", nobody)
    async with serving(tmp_path) as here:
        await here.start()
        come = enrolling_before_each_write(here, 9, 1_000)
        with refused(Code.UNAVAILABLE, "REEMBEDDING_OVERTAKEN", "collection") as refusal:
            await here.switch()
        assert refusal.retry_delay
        now = await here.reembedding()
        assert now.embedded_count > 9
        assert now.embedded_count + now.left_count == len(come)


def enrolling_before_each_write(here: Serving, each: int, times: int) -> list[str]:
    """Enrolls `count` images before each of the switch's writes, up to `times`; returns the growing list of names."""
    catalog, come = here.runtime.catalog, list[str]()
    write = catalog.write

    async def overtaken(plan: Any, apply: Any) -> Any:
        if len(come) < each * times:
            first = 1_000 + len(come)
            results = await here.enroll(*pictures(range(first, first + each)))
            come.extend(one.example.name for one in results)
        return await write(plan, apply)

    catalog.write = overtaken  # type: ignore[method-assign]
    return come


async def test_measurement_leaves_only_the_report_in_memory(tmp_path: Path) -> None:
    async with serving(tmp_path) as here:
        await here.enroll(*pictures(range(12)))
        await here.start()
        await here.until(lambda now: not now.left_count)
        measured = await here.reembedding(measure=True)
        assert measured.shadow.figures.accuracy.count == 12
        # The thread of the fit may hold the view a moment longer. Count the views, because a list would hold them too.
        for _ in range(50):
            gc.collect()
            left = sum(isinstance(one, CollectionView) and one.record.dimension == 12 for one in gc.get_objects())
            if not left:
                break
            await asyncio.sleep(0.1)
        assert not left
        loaded = counting_loads(here.runtime)
        assert (await here.reembedding(measure=True)).shadow.figures == measured.shadow.figures
        assert not loaded, "nothing changed"
        await here.enroll(*pictures([20]))
        await here.until(lambda now: not now.left_count)
        assert (await here.reembedding(measure=True)).shadow.figures.accuracy.count == 13
        assert len(loaded) == 1


def counting_loads(runtime: Runtime) -> list[int]:
    """Returns a list to which each later load of a re-embedding is added."""
    load, switches_of_loads = runtime.catalog.loader.load_reembedded, list[int]()

    def counted(record: CollectionRecord, switches: int) -> CollectionView:
        switches_of_loads.append(switches)
        return load(record, switches)

    runtime.catalog.loader.load_reembedded = counted  # type: ignore[method-assign]
    return switches_of_loads


async def test_measurement_never_mixes_backbones(tmp_path: Path) -> None:
    async with serving(tmp_path) as here:
        await here.enroll(*pictures(range(12)))
        await here.start()
        await here.until(lambda now: not now.left_count)
        load = here.runtime.catalog.loader.load_reembedded

        def overtaken(record: CollectionRecord, switches: int) -> CollectionView:
            # As another server would, whose change has not arrived here.
            with Ledger.open(here.runtime.settings.ledger_url) as ledger, ledger.begin() as writer:
                writer.switch_backbone("birds", switches, [], [])
            return load(record, switches)

        here.runtime.catalog.loader.load_reembedded = overtaken  # type: ignore[method-assign]
        with refused(Code.UNAVAILABLE, "COLLECTION_RELOADED", "collection"):
            await here.reembedding(measure=True)
