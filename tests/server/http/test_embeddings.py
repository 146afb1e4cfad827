"""`/v1/embeddings` has OpenAI's form, and refuses by name what a backbone cannot do."""

import base64
import json
from typing import Any

import numpy as np
import pytest

from glimpse.v1 import embedding_service_pb2 as emb
from glimpse.v1.types_pb2 import Input
from support.http_calls import request
from support.server import ServerProcess, Stubs

JSON = [("content-type", "application/json")]


def embed(server: ServerProcess, **body: Any) -> tuple[int, Any]:
    content = json.dumps({"model": "tiny", **body}).encode()
    status, _, answer = request(server.url, "/v1/embeddings", content, JSON)
    return status, json.loads(answer)


def vectors_over_grpc(stubs: Stubs, *texts: str) -> "np.typing.NDArray[np.float32]":
    inputs = [Input(text=text) for text in texts]
    results = stubs.embedding.Embed(emb.EmbedRequest(backbone="backbones/tiny", inputs=inputs)).results
    return np.array([np.frombuffer(result.vector.data, "<f4") for result in results])


def test_a_list_is_embedded_in_order(server: ServerProcess, stubs: Stubs) -> None:
    status, answer = embed(server, input=["a red circle", "a blue square"], user="someone")
    assert status == 200
    assert answer["object"] == "list"
    assert answer["model"] == "tiny"
    assert answer["usage"] == {"prompt_tokens": 0, "total_tokens": 0}
    assert [(one["object"], one["index"]) for one in answer["data"]] == [("embedding", 0), ("embedding", 1)]
    found = np.array([one["embedding"] for one in answer["data"]], np.float32)
    np.testing.assert_allclose(found, vectors_over_grpc(stubs, "a red circle", "a blue square"), atol=1e-6)


def test_a_text_may_stand_alone_and_a_vector_in_base64(server: ServerProcess, stubs: Stubs) -> None:
    status, answer = embed(server, input="red", encoding_format="base64", model="backbones/tiny")
    assert status == 200
    [one] = answer["data"]
    found = np.frombuffer(base64.b64decode(one["embedding"]), "<f4")
    np.testing.assert_allclose(found, vectors_over_grpc(stubs, "red")[0], atol=1e-6)


@pytest.mark.parametrize(
    ("body", "status", "reason", "param"),
    [
        ({"input": [1, 2, 3]}, 400, "TOKENS_UNSUPPORTED", "input"),
        ({"input": [[1, 2], [3]]}, 400, "TOKENS_UNSUPPORTED", "input"),
        ({"input": "a", "dimensions": 8}, 400, "DIMENSIONS_UNSUPPORTED", "dimensions"),
        ({"input": "a", "encoding_format": "hex"}, 400, "FIELD_INVALID", "encoding_format"),
        ({"input": "a", "encoding_format": []}, 400, "FIELD_INVALID", "encoding_format"),
        ({"input": "a", "prompt": "b"}, 400, "UNKNOWN_FIELD", "prompt"),
        ({"input": ["a", ""]}, 400, "FIELD_INVALID", "input[1]"),
        ({"input": ["a", "\ud800"]}, 400, "FIELD_INVALID", "input[1]"),
        ({"input": ["a", {"text": "b"}]}, 400, "FIELD_INVALID", "input[1]"),
        ({"input": []}, 400, "FIELD_INVALID", "input"),
        ({}, 400, "FIELD_INVALID", "input"),
        ({"input": "a", "model": ""}, 400, "FIELD_INVALID", "model"),
        ({"input": "a", "model": 7}, 400, "FIELD_INVALID", "model"),
        ({"input": "a", "model": "none"}, 404, "BACKBONE_NOT_FOUND", "model"),
        ({"input": "a", "model": "tiny-image"}, 400, "MODALITY_UNSUPPORTED", "input[0]"),
        ({"input": ["a"] * 257}, 400, "TOO_MANY", "input"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(
    server: ServerProcess, body: dict[str, Any], status: int, reason: str, param: str
) -> None:
    found, answer = embed(server, **body)
    error = answer["error"]
    assert (found, error["code"], error["param"]) == (status, reason, param)
    assert error["type"] == "invalid_request_error"
    assert error["message"]


@pytest.mark.parametrize("content", [b"", b"[]", b'{"model"', b"\xff", b"[" * 100_000])
def test_a_body_that_is_no_object_is_refused(server: ServerProcess, content: bytes) -> None:
    status, _, answer = request(server.url, "/v1/embeddings", content, JSON)
    assert (status, json.loads(answer)["error"]["code"]) == (400, "MESSAGE_UNPARSABLE")
