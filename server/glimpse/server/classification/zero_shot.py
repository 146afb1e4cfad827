"""Classifies inputs by the prompts of a request, without a collection."""

import time
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from glimpse.backbone import name_as_prompt, with_templates
from glimpse.fewshot import DecisionSettings, FewShotClassifier, NearestSimilarities, Policy, predict
from glimpse.fewshot.statistics.unit_vectors import Array
from glimpse.server.auth.caller import current_caller
from glimpse.server.classification.messages import classification_fields
from glimpse.server.errors import invalid
from glimpse.server.inference.backbones import LoadedBackbone
from glimpse.server.inference.batch_results import (
    Outcome,
    add_results,
    add_views,
    good_kinds,
    set_timings,
    things_of_views,
    unknown_tokens,
    vectors_with_views,
)
from glimpse.server.inference.embedding_spaces import Source, source_of_backbone
from glimpse.server.inference.prompt_embeddings import prompt_directions
from glimpse.server.inference.views import embed_things
from glimpse.server.resource_names import MAX_LABEL, normal
from glimpse.server.telemetry.stage_timer import record_stage
from glimpse.server.validation import check_answer_bytes, check_count, check_length, check_prompts
from glimpse.v1 import classification_service_pb2 as pb
from glimpse.v1 import types_pb2

_MAX_PROMPTS, _MAX_BACKGROUND_TEXTS = 4_096, 256


async def classify_zero_shot(
    backbone: LoadedBackbone,
    request: pb.ClassifyZeroShotRequest,
    fields: Sequence[str],
    top_k: int,
    deadline: float,
    max_inputs: int,
) -> pb.ClassifyZeroShotResponse:
    """Scores inputs against the directions of the request's prompts.

    Args:
        backbone: A backbone with text.
        request: The request.
        fields: The field of each input in the request, for errors.
        top_k: The number of labels to return for each input.
        deadline: In time.monotonic() seconds.
        max_inputs: The limit of inputs in a call, each view counted as one.

    Returns:
        One result for each input, in order; an input that fails has a status and does not fail the others.

    Raises:
        RequestError: The whole call fails.
    """
    started = time.monotonic()
    manifest, source = backbone.manifest, source_of_backbone(backbone)
    labels = _labels_with_prompts(request, manifest.prompt_templates if request.use_templates else ())
    prompt_fields = [f"labels[{i}].prompts" for i in range(len(labels))]
    spend = partial(current_caller().spend_texts, message=request)
    directions = await prompt_directions(source, list(labels.values()), prompt_fields, deadline, spend)
    classifier = FewShotClassifier(manifest.dimension)
    for label, direction in zip(labels, directions, strict=True):
        classifier.set_text(label, direction)
    own = await _background_texts(source, request, deadline, spend)
    outcomes = await embed_things(source, request.inputs, fields, deadline, max_inputs)
    decided_from = time.monotonic()
    settings = await _settings(
        backbone, request, tuple(map(tuple, labels.values())), np.stack(directions), outcomes, own
    )
    queries, things = vectors_with_views(outcomes, manifest.dimension), things_of_views(outcomes)
    nearest = NearestSimilarities.none(len(queries))
    predictions = predict(classifier, queries, nearest, settings, top_k, things=things)
    response, size = pb.ClassifyZeroShotResponse(), 0
    results = add_results(response.results.add, request.inputs, outcomes)
    # The inputs come first; the rest are their views.
    for result, values in zip(results, classification_fields(predictions), strict=False):
        result.classification.MergeFrom(pb.Classification(**values))
        check_answer_bytes(size := size + result.classification.ByteSize(), "top_k")
    if things is not None:
        add_views([result.classification for result in results], predictions.predictions, things)
    record_stage("head", decided_from)
    set_timings(results, outcomes, started, time.monotonic() - decided_from)
    return response


async def _settings(
    backbone: LoadedBackbone,
    request: pb.ClassifyZeroShotRequest,
    prompts: tuple[tuple[str, ...], ...],
    directions: Array,
    outcomes: Sequence[Outcome],
    own: Array | None,
) -> DecisionSettings:
    """Returns the rules of the decisions. Independent labels have no background: they hold by their own probabilities.

    Args:
        backbone: The backbone.
        request: The request.
        prompts: The prompts of each label.
        directions: The labels' directions, `(C, d)`.
        outcomes: The embedded inputs and the errors of others.
        own: The directions of the request's background texts, `(j, d)`.
    """
    independent, background = request.mode == types_pb2.LABEL_MODE_INDEPENDENT, None
    if not independent:
        kinds, vocabulary = good_kinds(request.inputs, outcomes), not request.background.vocabulary_disabled
        background = await backbone.background.of_prompts(prompts, directions, kinds, own, vocabulary=vocabulary)
    bias, tokens = backbone.manifest.logit_bias, unknown_tokens(outcomes)
    return DecisionSettings(Policy(), backbone.prompt_scale, independent, bias, background, tokens)


async def _background_texts(
    source: Source, request: pb.ClassifyZeroShotRequest, deadline: float, spend: Callable[[int], None]
) -> Array | None:
    """Returns the directions of the request's background texts, `(j, d)`, or None. Raises RequestError."""
    texts = request.background.texts
    if not texts:
        return None
    check_count(texts, _MAX_BACKGROUND_TEXTS, "background.texts")
    for position, text in enumerate(texts):
        check_prompts([text], f"background.texts[{position}]")
    fields = [f"background.texts[{position}]" for position in range(len(texts))]
    return np.stack(await prompt_directions(source, [[text] for text in texts], fields, deadline, spend))


def _labels_with_prompts(request: pb.ClassifyZeroShotRequest, templates: Sequence[str]) -> dict[str, list[str]]:
    """Returns the prompts of each label id, each prompt in every template. Raises RequestError."""
    labels: dict[str, list[str]] = {}
    normal_ids: set[str] = set()
    for position, label in enumerate(request.labels):
        field = f"labels[{position}]"
        if not label.prompts and not label.label_id.strip():
            raise invalid("EMPTY", "a label needs a prompt, or an id to use as one", f"{field}.prompts")
        check_prompts(label.prompts, f"{field}.prompts")
        check_length(label.label_id, f"{field}.label_id")
        prompts = label.prompts or [name_as_prompt(label.label_id)]
        label_id = label.label_id or prompts[0]
        if (normal_id := normal(label_id) if len(label_id) <= MAX_LABEL else label_id) in normal_ids:
            raise invalid("DUPLICATE_LABEL", f"label {label_id!r} occurs twice", f"{field}.label_id")
        normal_ids.add(normal_id)
        labels[label_id] = with_templates(prompts, templates)
    count = sum(max(1, len(label.prompts)) for label in request.labels)
    if count > _MAX_PROMPTS:
        raise invalid("TOO_MANY", f"{count} prompts; a call takes at most {_MAX_PROMPTS}", "labels")
    return labels
