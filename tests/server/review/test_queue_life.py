"""The life of a queue: a flood by one key, the audit of reads, a restart, another backbone, expiry."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glimpse.ledger import ReviewBatch, ReviewDeleted
from glimpse.server.api.collections.collections import CollectionCalls
from glimpse.server.runtime import open_runtime
from glimpse.server.settings import load_settings
from glimpse.v1 import classification_service_pb2 as cls
from glimpse.v1 import collection_service_pb2 as col
from glimpse.v1 import review_service_pb2 as rev
from glimpse.v1 import types_pb2
from support.image_calls import enroll
from support.keys import make_key
from support.pictures import picture
from support.raw_calls import bearer
from support.review import item
from support.reviewed import EVERYTHING, Reviewed, unlike_all
from support.server import ServerProcess, Stubs, make_collection
from support.wait import soon


def test_a_restart_keeps_the_queue_and_the_etags(bundles: tuple[Path, ...], tmp_path: Path) -> None:
    with ServerProcess(tmp_path, bundles[0]) as server:
        reviewed = Reviewed(Stubs(server.address))
        reviewed.classify(unlike_all(4))
        names = {item.name for item in reviewed.items(4)}
        group = reviewed.groups().groups[0]
        reviewed.classify(unlike_all()[4:])  # in the buffer when the server stops
        server.stop()
        server.start()
        reviewed.stubs = Stubs(server.address)
        assert names < {item.name for item in reviewed.items(8)}
        done = reviewed.resolve(group.items, group_etag=group.etag, new_label_id="new")
        assert not any(result.status.code for result in done.results)
        undone = reviewed.undo(done.resolution)
        assert undone.item_count == group.size


def test_one_key_cannot_flood_a_queue_and_reads_are_audited(bundles: tuple[Path, ...], tmp_path: Path) -> None:
    keys = {name: make_key(tmp_path, name, "admin") for name in ("flood", "other")}
    audit = tmp_path / "audit.jsonl"
    with ServerProcess(tmp_path, bundles[0], require_auth=True, audit_log=audit) as server:
        stubs = {name: with_key(server.address, key) for name, key in keys.items()}
        policy = col.ReviewPolicy(keep_unknown=True, keep_ambiguous=True, match_rate=1, max_items=8)
        reviewed = Reviewed(stubs["flood"], policy, content_readable=True)
        reviewed.classify(unlike_all())
        reviewed.items(2)
        reviewed.stubs = stubs["other"]
        reviewed.classify(-unlike_all())
        items = reviewed.items(4)
        assert Counter(item.caller for item in items) == {"flood": 2, "other": 2}
        request = rev.GetReviewContentRequest(parent=reviewed.name, names=[items[0].name])
        stubs["other"].review.GetReviewContent(request)
        lines = [json.loads(line) for line in audit.read_text().splitlines()]
        [read] = [line for line in lines if line["rpc"] == "ReviewService/GetReviewContent"]
        assert (read["caller"], read["subjects"]) == ("other", [items[0].name.rpartition("/")[2]])
        done = reviewed.resolve([items[0].name], new_label_id="new")
        reviewed.stubs = stubs["flood"]
        again = reviewed.resolve([items[0].name], skip=True)
        assert (again.results[0].resolved_by, again.results[0].resolved_label_id) == ("other", "new")
        lines = [json.loads(line) for line in audit.read_text().splitlines()]
        written = [line for line in lines if line["rpc"] == "ReviewService/ResolveReviewItems"]
        assert written[0]["revision"] == done.revision


def with_key(address: str, key: str) -> Stubs:
    """Returns stubs whose calls have a key."""

    class Authenticated(Stubs):
        def __init__(self) -> None:
            super().__init__(address)
            for service in ("collections", "classification", "review"):
                setattr(self, service, _Bearing(getattr(self, service), key))

    return Authenticated()


class _Bearing:
    """A stub that sends a key with each call."""

    def __init__(self, stub: Any, key: str) -> None:
        self._stub, self._key = stub, key

    def __getattr__(self, rpc: str) -> Any:
        method = getattr(self._stub, rpc)
        return lambda request: method(request, metadata=[bearer(self._key)])


def test_items_with_inputs_follow_a_switch_of_the_backbone(stubs: Stubs) -> None:
    name = make_collection(stubs)
    update = col.UpdateCollectionRequest(
        collection={"name": name, "keep_inputs": True, "review_policy": EVERYTHING},
        update_mask={"paths": ["keep_inputs", "review_policy"]},
    )
    space = stubs.collections.UpdateCollection(update).collection.embedding_space
    enroll(stubs, name, [("red", picture("red")), ("blue", picture("blue"))])
    vector = types_pb2.Vector(data=np.eye(1, 8, dtype="<f4").tobytes(), embedding_space=space)
    inputs = [types_pb2.Input(image=picture("green")), types_pb2.Input(vector=vector)]
    stubs.classification.Classify(cls.ClassifyRequest(collections=[name], inputs=inputs))
    soon(lambda: len(listed(stubs, name)) == 2)
    start = col.StartReembeddingRequest(collection=name, backbone="backbones/tiny-image")
    other = stubs.collections.StartReembedding(start).reembedding.shadow.embedding_space
    status = col.GetReembeddingRequest(collection=name)
    soon(lambda: not stubs.collections.GetReembedding(status).reembedding.left_count)
    switch = col.SwitchBackboneRequest(collection=name, embedding_space=other)
    stubs.collections.SwitchBackbone(switch)
    soon(lambda: other in {item.embedding_space for item in listed(stubs, name)}, 20)
    items = listed(stubs, name)
    by_kind = {item.modality: item for item in items}
    assert by_kind[types_pb2.MODALITY_IMAGE].embedding_space == other
    assert by_kind[types_pb2.MODALITY_VECTOR].embedding_space == space
    request = rev.ResolveReviewItemsRequest(parent=name, names=[item.name for item in items], label_id="red")
    reasons = {result.name: result.status.reason for result in stubs.review.ResolveReviewItems(request).results}
    assert reasons == {
        by_kind[types_pb2.MODALITY_IMAGE].name: "",
        by_kind[types_pb2.MODALITY_VECTOR].name: "REVIEW_ITEM_OF_OTHER_SPACE",
    }


def listed(stubs: Stubs, name: str) -> list[rev.ReviewItem]:
    return list(stubs.review.ListReviewItems(rev.ListReviewItemsRequest(parent=name)).items)


async def test_what_is_due_is_deleted_and_the_rest_stays(bundles: tuple[Path, ...], tmp_path: Path) -> None:
    with ServerProcess(tmp_path, bundles[0]) as server:
        reviewed = Reviewed(Stubs(server.address))
        reviewed.classify(unlike_all(3))
        items = reviewed.items(3)
    settings = load_settings(data=tmp_path / "data", backbone=bundles[:1], snapshot_seconds=0)
    async with open_runtime(settings) as runtime:
        collection_id = reviewed.name.split("/")[1]
        due = max(item.expire_time.ToMicroseconds() for item in items)
        for now, left in ((due - 86_400_000_000, 3), (due, 0)):
            await runtime.review.expire(now)
            counts = await runtime.catalog.read(lambda ledger: ledger.review.counts(collection_id))
            assert sum(counts.values()) == left


async def test_the_queue_of_a_collection_is_purged_before_the_collection_is_deleted(
    bundles: tuple[Path, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So the transaction that holds the ledger's head is short."""
    settings = load_settings(data=tmp_path / "data", backbone=bundles[:1], snapshot_seconds=0)
    async with open_runtime(settings) as runtime:
        calls = CollectionCalls(runtime)
        create = col.CreateCollectionRequest(collection_id="birds", collection={"review_policy": EVERYTHING})
        await calls.create(create)
        await runtime.catalog.read(lambda ledger: ledger.review.add([ReviewBatch("birds", [item("a")])]))
        await runtime.review.expire()
        deleted = list[int]()
        purge = runtime.review.purge

        async def counted(collection_id: str) -> ReviewDeleted:
            done = await purge(collection_id)
            deleted.append(done.items)
            return done

        monkeypatch.setattr(runtime.review, "purge", counted)
        await calls.delete(col.DeleteCollectionRequest(name="collections/birds"))
        assert deleted == [1]
