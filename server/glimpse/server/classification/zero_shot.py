"""The work behind ClassifyZeroShot: labels given as prompts, without a collection."""

import time
from collections.abc import Sequence
from functools import partial

from glimpse.backbone import name_as_prompt, with_templates
from glimpse.fewshot import DecisionSettings, FewShotClassifier, NearestSimilarities, Policy, predict
from glimpse.server.auth.caller import current
from glimpse.server.classification.messages import classifications
from glimpse.server.errors import invalid
from glimpse.server.inference.backbones import LoadedBackbone
from glimpse.server.inference.batch_results import build_results, good_vectors
from glimpse.server.inference.embedder import embed_all
from glimpse.server.inference.embedding_spaces import source_of_backbone
from glimpse.server.inference.prompt_embeddings import prompt_directions
from glimpse.server.resource_names import MAX_LABEL, normal
from glimpse.server.telemetry.stage_timer import record_stage
from glimpse.server.validation import check_answer_bytes, check_length, check_prompts
from glimpse.v1 import classification_service_pb2 as pb
from glimpse.v1 import types_pb2

_MAX_PROMPTS = 4_096


async def classify_zero_shot(
    backbone: LoadedBackbone, request: pb.ClassifyZeroShotRequest, fields: Sequence[str], top_k: int, deadline: float
) -> list[pb.ClassifyZeroShotResult]:
    """Scores inputs against the directions of the request's prompts. Raises RequestError."""
    started = time.monotonic()
    manifest, source = backbone.manifest, source_of_backbone(backbone)
    labels = _prompted(request, manifest.prompt_templates if request.use_templates else ())
    prompt_fields = [f"labels[{i}].prompts" for i in range(len(labels))]
    spend = partial(current().spend_texts, message=request)
    directions = await prompt_directions(source, list(labels.values()), prompt_fields, deadline, spend)
    engine = FewShotClassifier(manifest.dimension)
    for label, direction in zip(labels, directions, strict=True):
        engine.set_text(label, direction)
    outcomes = await embed_all(source, request.inputs, fields, deadline)
    asked = time.monotonic()
    independent = request.mode == types_pb2.LABEL_MODE_INDEPENDENT
    terms = DecisionSettings(Policy(), backbone.prompt_scale, independent, manifest.logit_bias)
    queries = good_vectors(outcomes, manifest.dimension)
    said = predict(engine, queries, NearestSimilarities.none(len(queries)), terms, top_k)
    found, size = [], 0
    for one in classifications(said):
        found.append({"classification": one})
        check_answer_bytes(size := size + one.ByteSize(), "top_k")
    record_stage("head", asked)
    return build_results(pb.ClassifyZeroShotResult, request.inputs, outcomes, found, started, time.monotonic() - asked)


def _prompted(request: pb.ClassifyZeroShotRequest, templates: Sequence[str]) -> dict[str, list[str]]:
    """Label ids with their prompts, each set into every template. Raises RequestError."""
    labels: dict[str, list[str]] = {}
    spellings: set[str] = set()
    for position, label in enumerate(request.labels):
        field = f"labels[{position}]"
        if not label.prompts and not label.label_id.strip():
            raise invalid("EMPTY", "a label needs a prompt, or an id that can be one", f"{field}.prompts")
        check_prompts(label.prompts, f"{field}.prompts")
        check_length(label.label_id, f"{field}.label_id")
        prompts = label.prompts or [name_as_prompt(label.label_id)]
        label_id = label.label_id or prompts[0]
        if (kept := normal(label_id) if len(label_id) <= MAX_LABEL else label_id) in spellings:
            raise invalid("DUPLICATE_LABEL", f"label {label_id!r} is given twice", f"{field}.label_id")
        spellings.add(kept)
        labels[label_id] = with_templates(prompts, templates)
    count = sum(max(1, len(label.prompts)) for label in request.labels)
    if count > _MAX_PROMPTS:
        raise invalid("TOO_MANY", f"{count} prompts; at most {_MAX_PROMPTS} in one call", "labels")
    return labels
