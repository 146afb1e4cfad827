"""Things that several views show: embeds each view, and takes the mean of their vectors."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from glimpse.fewshot import mean_direction
from glimpse.server.auth.caller import count_inputs
from glimpse.server.errors import RequestError, invalid
from glimpse.server.inference.embedder import Embedded, embed_all, input_fields
from glimpse.server.inference.embedding_spaces import Source
from glimpse.v1 import types_pb2

#: Views of one thing.
MIN_VIEWS, MAX_VIEWS = 2, 32


def kind_of(item: types_pb2.Input) -> str:
    """Returns `image`, `text` or `vector`; of views, the kind of the first one."""
    kind = item.WhichOneof("content")
    if kind == "views":
        kind = item.views.inputs[0].WhichOneof("content") if item.views.inputs else None
    return kind or "vector"


async def embed_things(
    source: Source, inputs: Sequence[types_pb2.Input], fields: Sequence[str] | None, deadline: float, most: int
) -> list[Embedded | RequestError]:
    """Embeds inputs, some of which may have views; `embed_all` describes the arguments and results.

    The vector of a thing is the mean direction of its views' vectors, and `Embedded.views` has the views. A thing fails
    with its first view that fails.

    Args:
        source: As of `embed_all`.
        inputs: The inputs.
        fields: As of `embed_all`.
        deadline: As of `embed_all`.
        most: The limit of inputs in a call, each view counted as one.

    Raises:
        RequestError: As of `embed_all`, or there are too many views.
    """
    # Inputs without views are the usual case, which this must not slow down.
    kinds = [item.WhichOneof("content") for item in inputs]
    if "views" not in kinds:
        return await embed_all(source, inputs, fields, deadline, kinds)
    if (total := count_inputs(inputs)) > most:
        message = f"inputs has {total} items, each view counted as one; at most {most} items in one call"
        raise invalid("TOO_MANY", message, "inputs")
    fields = input_fields(inputs) if fields is None else fields
    single, names, counts, refusals = [], [], [], {}
    for position, (item, field) in enumerate(zip(inputs, fields, strict=True)):
        if not item.HasField("views"):
            parts, part_names = [item], [field]
        elif refusal := _refusal(item, field):
            refusals[position] = refusal
            parts, part_names = [], []
        else:
            parts = list(item.views.inputs)
            part_names = [f"{field}.views.inputs[{place}]" for place in range(len(parts))]
        single += parts
        names += part_names
        counts.append(len(parts))
    embedded = iter(await embed_all(source, single, names, deadline))
    outcomes: list[Embedded | RequestError] = []
    for position, (item, field, count) in enumerate(zip(inputs, fields, counts, strict=True)):
        own = [next(embedded) for _ in range(count)]
        if position in refusals:
            outcomes.append(refusals[position])
        else:
            outcomes.append(_combined(own, source, field) if item.HasField("views") else own[0])
    return outcomes


def _refusal(item: types_pb2.Input, field: str) -> RequestError | None:
    views = item.views.inputs
    if item.HasField("region"):
        message = "a region is a part of an image; set it in the views"
        return invalid("REGION_WITHOUT_IMAGE", message, f"{field}.region")
    message = f"a thing has {MIN_VIEWS} to {MAX_VIEWS} views, not {len(views)}"
    if len(views) < MIN_VIEWS:
        return invalid("TOO_FEW", message, f"{field}.views.inputs")
    if len(views) > MAX_VIEWS:
        return invalid("TOO_MANY", message, f"{field}.views.inputs")
    for place, view in enumerate(views):
        if view.HasField("views"):
            message = "a view has no views of its own"
            return invalid("VIEWS_NESTED", message, f"{field}.views.inputs[{place}].views")
    return None


def _combined(views: Sequence[Embedded | RequestError], source: Source, field: str) -> Embedded | RequestError:
    """Returns the thing that views show, or the error of the first view that failed."""
    embedded: list[Embedded] = []
    for view in views:
        if isinstance(view, RequestError):
            return view
        embedded.append(view)
    try:
        vector = mean_direction(np.stack([view.vector for view in embedded]))
    except ValueError:
        message = "the vectors of the views cancel each other, so that their mean has no direction"
        return invalid("VECTOR_NOT_FINITE", message, f"{field}.views")
    spaces = {view.embedding_space for view in embedded}
    slowest = max(embedded, key=lambda view: view.timings.encode_ms)
    return replace(
        slowest,
        vector=vector.astype(np.float32, copy=False),
        embedding_space=spaces.pop() if len(spaces) == 1 else source.embedding_space,
        truncated=any(view.truncated for view in embedded),
        unknown_tokens=float(np.mean([view.unknown_tokens for view in embedded])),
        views=embedded,
    )
