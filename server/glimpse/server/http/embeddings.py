"""`POST /v1/embeddings` as OpenAI has it: a call of Embed with another body.

A text or a list of texts is embedded with the backbone that `model` names. Token arrays and `dimensions` are refused:
a backbone has a tokenizer and a dimension of its own.
"""

import base64
import json
import re
from typing import Any

import numpy as np

from glimpse.server.errors import Code, RequestError, as_status, invalid
from glimpse.server.http.codecs import JSON, Reply, check_structure
from glimpse.server.http.errors import code_of, error_headers, field_of, http_status, reason_of
from glimpse.v1 import embedding_service_pb2, types_pb2

EMBED = "/glimpse.v1.EmbeddingService/Embed"
_KNOWN = {"model", "input", "encoding_format", "dimensions", "user"}
_PREFIX = "backbones/"
_TYPES = {
    Code.UNAUTHENTICATED: "authentication_error",
    Code.PERMISSION_DENIED: "permission_error",
    Code.RESOURCE_EXHAUSTED: "rate_limit_error",
    Code.INVALID_ARGUMENT: "invalid_request_error",
    Code.NOT_FOUND: "invalid_request_error",
    Code.FAILED_PRECONDITION: "invalid_request_error",
    Code.UNIMPLEMENTED: "invalid_request_error",
}


class Embeddings:
    """The codec of one call. It keeps the request's model and encoding for the response."""

    def __init__(self) -> None:
        self._model, self._base64 = "", False

    def decode(self, content: bytes) -> embedding_service_pb2.EmbedRequest:
        """Returns the EmbedRequest of an OpenAI request. Raises RequestError."""
        body = _parse(content)
        self._model = _checked(body, "model", str, "the name of a backbone, such as glimpse-mini")
        self._base64 = _is_base64(body.get("encoding_format", "float"))
        if unknown := sorted(body.keys() - _KNOWN):
            raise invalid("UNKNOWN_FIELD", f"embeddings have no field {unknown[0]!r}", unknown[0])
        if body.get("dimensions") is not None:
            message = "dimensions is not supported: a backbone has one dimension; leave it out"
            raise invalid("DIMENSIONS_UNSUPPORTED", message, "dimensions")
        name = self._model if self._model.startswith(_PREFIX) else _PREFIX + self._model
        inputs = [types_pb2.Input(text=text) for text in _texts(body.get("input"))]
        return embedding_service_pb2.EmbedRequest(backbone=name, inputs=inputs)

    def encode(self, content: bytes) -> Reply:
        """Returns the vectors; the first error of an input as the error of the call, as OpenAI's response has none."""
        response = embedding_service_pb2.EmbedResponse.FromString(content)
        data = []
        for index, result in enumerate(response.results):
            if result.status.code:
                return self.refuse(as_status(_item_error(result.status)))
            data.append({"object": "embedding", "index": index, "embedding": self._value(result.vector.data)})
        # A backbone's tokens are not counted.
        usage = {"prompt_tokens": 0, "total_tokens": 0}
        body = {"object": "list", "data": data, "model": self._model, "usage": usage}
        return Reply(200, JSON, json.dumps(body, separators=(",", ":")).encode())

    def refuse(self, status: Any) -> Reply:
        """Returns an error as OpenAI's clients read it."""
        kind = _TYPES.get(code_of(status), "server_error")
        error = {
            "message": status.message,
            "type": kind,
            "param": _param(field_of(status)) or None,
            "code": reason_of(status) or None,
        }
        content = json.dumps({"error": error}, ensure_ascii=False).encode()
        return Reply(http_status(status), JSON, content, error_headers(status))

    def _value(self, data: bytes) -> str | list[float]:
        """Returns a vector: float32 values, little-endian, in base64; or a list of numbers."""
        return base64.b64encode(data).decode() if self._base64 else np.frombuffer(data, "<f4").tolist()


def _parse(content: bytes) -> dict[str, Any]:
    try:
        check_structure(content)
        body = json.loads(content.decode())
    except (ValueError, RecursionError) as error:
        raise invalid("MESSAGE_UNPARSABLE", f"the body is no JSON: {error}") from error
    if not isinstance(body, dict):
        raise invalid("MESSAGE_UNPARSABLE", "the body is no JSON object")
    return body


def _checked(body: dict[str, Any], name: str, kind: type, wanted: str) -> Any:
    if not isinstance(value := body.get(name), kind) or not value:
        raise invalid("FIELD_INVALID", f"{name} must be {wanted}", name)
    return value


def _is_base64(encoding: object) -> bool:
    if encoding not in ("float", "base64"):
        raise invalid("FIELD_INVALID", "encoding_format must be float or base64", "encoding_format")
    return encoding == "base64"


def _texts(given: object) -> list[str]:
    """Returns the texts of `input`. Raises RequestError."""
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts:
        raise invalid("FIELD_INVALID", "input must be a text or a list of texts", "input")
    if any(isinstance(text, int | list) for text in texts):
        message = "token arrays are not supported: send texts, because each backbone has a tokenizer of its own"
        raise invalid("TOKENS_UNSUPPORTED", message, "input")
    for index, text in enumerate(texts):
        if not isinstance(text, str) or not text:
            raise invalid("FIELD_INVALID", "a text must not be empty", f"input[{index}]")
        try:
            text.encode()
        except UnicodeEncodeError as error:  # half of a surrogate pair
            raise invalid("FIELD_INVALID", "a text must be valid Unicode", f"input[{index}]") from error
    return texts


def _item_error(status: types_pb2.ItemStatus) -> RequestError:
    code = next(code for code in Code if code.value[0] == status.code)
    delay = status.retry_delay_ms / 1_000
    return RequestError(code, status.reason, status.message, status.field, delay if delay > 0 else None)


def _param(field: str) -> str:
    """Returns the field of OpenAI's request for a field of EmbedRequest; other fields are OpenAI's already."""
    if field == "backbone":
        return "model"
    return re.sub(r"^inputs(\[\d+\])?(\.text)?$", r"input\1", field)
