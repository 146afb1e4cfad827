"""backbone.json: invalid manifests, and the fields that decide the embedding space."""

from typing import Any

import pytest
from pydantic import ValidationError

from glimpse.backbone import Manifest
from glimpse.backbone.manifest_file import problems

IMAGE: dict[str, Any] = {
    "name": "some-net",
    "modalities": ["image"],
    "dimension": 8,
    "image": {"size": 16},
    "license": "Apache-2.0",
    "files": {"image.onnx": "a" * 64},
}
TEXT: dict[str, Any] = {
    "name": "some-words",
    "modalities": ["text"],
    "dimension": 8,
    "text": {"context_length": 6},
    "license": "Apache-2.0",
    "files": {"text.onnx": "b" * 64, "tokenizer.json": "c" * 64},
}


@pytest.mark.parametrize("fields", [IMAGE, TEXT])
def test_a_minimal_manifest(fields: dict[str, Any]) -> None:
    manifest = Manifest.model_validate(fields).with_space()
    assert Manifest.model_validate_json(manifest.to_json()) == manifest


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "Not a name"}, "name"),
        ({"dimension": 0}, "dimension"),
        ({"modalities": []}, "modalities"),
        ({"modalities": ["image", "text"]}, "modalities"),
        ({"modalities": ["smell"]}, "modalities"),
        ({"image": {"size": 0}}, "image.size"),
        ({"image": {"size": 16, "resize": "stretch"}}, "image.resize"),
        ({"image": {"size": 16, "resize_to": 8}}, "resize_to"),
        ({"image": {"size": 16, "interpolation": "magic"}}, "image.interpolation"),
        ({"files": {}}, "image.onnx"),
        ({"files": {"image.onnx": "short"}}, "files.image.onnx"),
        ({"files": {"image.onnx": "a" * 64, "../secret": "a" * 64}}, "plain name"),
        ({"files": {"image.onnx": "a" * 64, "a/b": "a" * 64}}, "plain name"),
        ({"prompt_templates": ["a photo"]}, "{}"),
        ({"logit_scale": -1.0}, "logit_scale"),
        ({"decision": {"match_threshold": 2.0}}, "decision.match_threshold"),
        ({"parent": {"embedding_space": "short", "min_cosine": 0.99}}, "parent.embedding_space"),
        ({"parent": {"embedding_space": "a" * 32, "min_cosine": 1.01}}, "parent.min_cosine"),
        ({"parent": {"embedding_space": "a" * 32, "min_cosine": 0.0}}, "parent.min_cosine"),
        ({"parent": {"embedding_space": "a" * 32}}, "parent.min_cosine"),
        ({"nonsense": 1}, "nonsense"),
        ({"license": None}, "license"),
    ],
)
def test_a_wrong_field_is_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Manifest.model_validate({**IMAGE, **change})
    assert message in problems(caught.value)


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"name": "another"}, True),
        ({"description": "words"}, True),
        ({"provenance": {"by": "hand"}}, True),
        ({"decision": {"match_threshold": 0.9}}, True),
        ({"prompt_templates": ["a {}"]}, True),
        ({"files": {**IMAGE["files"], "CARD.md": "d" * 64}}, True),
        ({"image": {"size": 16, "mean": [0.5, 0.5, 0.5]}}, True),  # repeats what the graph does, for information
        ({"parent": {"embedding_space": "a" * 32, "min_cosine": 0.99}}, True),
        ({"image": {"size": 16, "scaled_decode": False}}, True),  # the default, which older bundles leave out
        ({"image": {"size": 16, "scaled_decode": True}}, False),
        ({"image": {"size": 18}}, False),
        ({"image": {"size": 16, "resize": "squash"}}, False),
        ({"image": {"size": 16, "interpolation": "bilinear"}}, False),
        ({"precision": "int8"}, False),
        ({"files": {"image.onnx": "e" * 64}}, False),
    ],
)
def test_the_space_depends_on_everything_that_decides_a_vector_and_nothing_else(
    change: dict[str, Any], same: bool
) -> None:
    before = Manifest.model_validate(IMAGE).computed_space()
    after = Manifest.model_validate({**IMAGE, **change}).computed_space()
    assert (before == after) is same


def test_a_bundle_is_not_its_own_parent() -> None:
    own = Manifest.model_validate(IMAGE).computed_space()
    with pytest.raises(ValidationError, match="not its own parent"):
        Manifest.model_validate({**IMAGE, "parent": {"embedding_space": own, "min_cosine": 0.99}})
