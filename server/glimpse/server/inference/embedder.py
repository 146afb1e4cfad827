"""Embeds inputs: admit, decode, batch, encode. An input that fails does not fail the others."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from glimpse.fewshot import normalize
from glimpse.server.errors import Code, RequestError, as_request_error, invalid
from glimpse.server.inference.backbones import LoadedBackbone
from glimpse.server.inference.embedding_spaces import Source, mismatch
from glimpse.server.inference.regions import Pixels, RegionDecodes, region_of, region_refusal
from glimpse.server.scheduling.queue_slot import Encoded
from glimpse.server.telemetry.stage_timer import record_stage
from glimpse.server.validation import MAX_NAME
from glimpse.v1 import types_pb2

Vector = npt.NDArray[np.float32]
Decode = Callable[[], Awaitable[Pixels]]
# Holds the place of an input in the results until its task has ended.
_NOT_YET = RequestError(Code.INTERNAL, "INTERNAL", "not embedded")


@dataclass(slots=True)
class Embedded:
    """One input's vector, (d,) and of length 1, with its timings so far."""

    vector: Vector
    embedding_space: str
    timings: types_pb2.Timings
    truncated: bool = False
    #: The part of a text's tokens that the backbone does not know.
    unknown_tokens: float = 0.0
    #: The views of a thing, whose mean direction the vector is; empty for other inputs.
    views: "Sequence[Embedded]" = ()


async def embed_all(
    source: Source,
    inputs: Sequence[types_pb2.Input],
    fields: Sequence[str] | None,
    deadline: float,
    kinds: Sequence[str | None] | None = None,
) -> list[Embedded | RequestError]:
    """Embeds images and texts, and checks vectors.

    Args:
        source: The embedding space and its backbone.
        inputs: The inputs.
        fields: Name of each input in errors; by default `inputs[0]`, `inputs[1]`, and so on.
        deadline: In time.monotonic() seconds.
        kinds: The kind of each input's content, if it is known.

    Returns:
        The embedded input or the error of each input, in order.

    Raises:
        RequestError: Every input met a full queue, so the whole call can be retried.
    """
    fields = input_fields(inputs) if fields is None else fields
    results: list[Embedded | RequestError] = []
    vectors: list[tuple[int, bytes]] = []
    waiting: list[tuple[int, asyncio.Task[Embedded | RequestError]]] = []
    refusals: dict[str | None, RequestError | None] = {}  # by kind of input; checked once, before any input is decoded
    regions: RegionDecodes | None = None
    kinds = [item.WhichOneof("content") for item in inputs] if kinds is None else kinds
    for position, (item, field, kind) in enumerate(zip(inputs, fields, kinds, strict=True)):
        if kind not in refusals:
            refusals[kind] = _refusal(source, kind, deadline)
        if len(item.id) > MAX_NAME:
            results.append(
                invalid("TOO_LONG", f"the id has {len(item.id)} characters; the limit is {MAX_NAME}", f"{field}.id")
            )
        elif item.HasField("region") and (refusal := region_refusal(item, field)):
            results.append(refusal)
        elif kind == "vector":
            # A vector needs no task, because it waits for nothing. This is the fastest kind of call.
            data = item.vector.data
            refusal = _vector_refusal(source, item.vector.embedding_space, data, field)
            if refusal is None:
                vectors.append((position, data))
            results.append(refusal or _NOT_YET)
        elif refusal := refusals[kind]:
            results.append(refusal.at(f"{field}.{kind}"))
        else:
            decode = None
            if not isinstance(source.backbone, RequestError) and (region := region_of(item)):
                regions = regions or RegionDecodes(source.backbone.decode)
                decode = regions.add(item.image, region)
            waiting.append((position, asyncio.create_task(_embed(source, item, field, deadline, decode))))
            results.append(_NOT_YET)
    try:
        _embed_vectors(inputs, fields, vectors, results)
        for position, task in waiting:
            results[position] = await task
    finally:
        for _, task in waiting:
            task.cancel()  # if the call is cancelled, its inputs leave the queue
        if regions:
            regions.cancel()
    errors = [result for result in results if isinstance(result, RequestError)]
    if errors and len(errors) == len(results) and all(error.reason == "QUEUE_FULL" for error in errors):
        raise errors[-1]
    return results


def input_fields(inputs: Sequence[types_pb2.Input]) -> list[str]:
    """Returns the names of a list's inputs in errors: `inputs[0]`, `inputs[1]`, and so on."""
    return [f"inputs[{position}]" for position in range(len(inputs))]


def _refusal(source: Source, kind: str | None, deadline: float) -> RequestError | None:
    """Returns the refusal of a call's inputs of one kind if the backbone is overloaded, or None."""
    backbone = source.backbone
    if kind not in ("image", "text") or isinstance(backbone, RequestError):
        return None  # other errors are reported for each input
    try:
        (backbone.images if kind == "image" else backbone.texts).admission.check(deadline)
    except RequestError as refusal:
        return refusal
    return None


def _vector_refusal(source: Source, space: str, data: bytes, field: str) -> RequestError | None:
    """Returns the refusal of a vector that the caller computed if it has another space or size, or None."""
    if not source.takes(space):
        return invalid("EMBEDDING_SPACE_MISMATCH", mismatch(source, space), f"{field}.vector.embedding_space")
    if len(data) != 4 * source.dimension:
        expected = f"{source.dimension} float32 values are {4 * source.dimension} bytes"
        return invalid("VECTOR_SIZE_MISMATCH", f"{expected}, not {len(data)}", f"{field}.vector.data")
    return None


def _embed_vectors(
    inputs: Sequence[types_pb2.Input],
    fields: Sequence[str],
    vectors: Sequence[tuple[int, bytes]],
    results: list[Embedded | RequestError],
) -> None:
    """Scales vectors that callers computed to length 1, all at once.

    Args:
        inputs: All inputs of the call.
        fields: Name of each input in errors.
        vectors: The position and the bytes of each vector, which all have the same size.
        results: The results of all inputs; this function sets those of the vectors.
    """
    if not vectors:
        return
    rows = np.frombuffer(b"".join(data for _, data in vectors), "<f4").reshape(len(vectors), -1)
    squares = np.vecdot(rows, rows).tolist()
    for (position, _), row, square in zip(vectors, rows, squares, strict=True):
        vector = row
        if not abs(square - 1) <= 1e-6:  # true for NaN too
            try:
                vector = normalize(row)
            except ValueError as error:
                results[position] = invalid("VECTOR_NOT_FINITE", str(error), f"{fields[position]}.vector.data")
                continue
        results[position] = Embedded(vector, inputs[position].vector.embedding_space, types_pb2.Timings())


async def _embed(
    source: Source, item: types_pb2.Input, field: str, deadline: float, decode: Decode | None
) -> Embedded | RequestError:
    kind = item.WhichOneof("content")
    try:
        if kind is None:
            raise invalid("CONTENT_REQUIRED", "an input needs an image, a text or a vector", field)
        if kind == "views":  # `embed_things` takes them apart
            raise invalid("VIEWS_UNSUPPORTED", "this call takes no views of one thing", field)
        if isinstance(source.backbone, RequestError):
            raise source.backbone
        if kind == "image":
            return await _embed_image(source.backbone, decode or partial(source.backbone.decode, item.image), deadline)
        return await _embed_text(source.backbone, item.text, deadline)
    except Exception as error:
        refusal = as_request_error(error)
        if refusal is None:
            raise
        return refusal if refusal.field else refusal.at(f"{field}.{kind}")


async def _embed_image(backbone: LoadedBackbone, decode: Decode, deadline: float) -> Embedded:
    with backbone.images.place() as slot:
        started = time.monotonic()
        pixels = await decode()
        decode_seconds = time.monotonic() - started
        encoded = await slot.encode(pixels, deadline)
    timings = _timings(started, decode_seconds, encoded)
    return Embedded(encoded.vector, backbone.manifest.embedding_space, timings)


async def _embed_text(backbone: LoadedBackbone, text: str, deadline: float) -> Embedded:
    with backbone.texts.place() as slot:
        started = time.monotonic()
        tokens = await backbone.tokenize(text)
        decode_seconds = time.monotonic() - started
        encoded = await slot.encode(tokens.ids, deadline)
    space, timings = backbone.manifest.embedding_space, _timings(started, decode_seconds, encoded)
    return Embedded(encoded.vector, space, timings, tokens.truncated, tokens.unknown)


def _timings(started: float, decode_seconds: float, encoded: Encoded) -> types_pb2.Timings:
    record_stage("decode", started, decode_seconds)
    record_stage("queue", queued := started + decode_seconds, encoded.queue_seconds)
    record_stage("encode", queued + encoded.queue_seconds, encoded.encode_seconds)
    return types_pb2.Timings(
        decode_ms=decode_seconds * 1e3,
        queue_ms=encoded.queue_seconds * 1e3,
        encode_ms=encoded.encode_seconds * 1e3,
        batch_size=encoded.batch_size,
    )
