"""The parts of docs/reference/openapi.json that no proto describes: errors, probes and `/v1/embeddings`."""

from typing import Any

Schema = dict[str, Any]
ERROR: Schema = {
    "type": "object",
    "description": "An error of the Connect protocol.",
    "required": ["code", "message"],
    "properties": {
        "code": {"type": "string", "description": "The gRPC code in snake_case."},
        "message": {"type": "string", "description": "What happened and what to do next, for people."},
        "details": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["type", "value"],
                "properties": {
                    "type": {"type": "string", "description": "For example `google.rpc.ErrorInfo`."},
                    "value": {"type": "string", "description": "The message in base64, without padding."},
                    "debug": {"type": "object", "description": "The message in JSON, for people."},
                },
            },
        },
    },
}
EMBEDDINGS: Schema = {
    "type": "object",
    "required": ["model", "input"],
    "additionalProperties": False,
    "properties": {
        "model": {"type": "string", "minLength": 1, "description": "The name of a backbone, such as glimpse-mini."},
        "input": {
            "description": "A text or a list of texts. Token arrays are refused.",
            "anyOf": [
                {"type": "string", "minLength": 1},
                {"type": "array", "minItems": 1, "items": {"type": "string", "minLength": 1}},
            ],
        },
        "encoding_format": {"enum": ["float", "base64"], "default": "float"},
        "user": {"description": "Ignored."},
    },
}
EMBEDDINGS_RESPONSE: Schema = {
    "type": "object",
    "required": ["object", "data", "model", "usage"],
    "properties": {
        "object": {"const": "list"},
        "model": {"type": "string"},
        "usage": {"type": "object", "description": "Always 0: tokens are not counted."},
        "data": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["object", "index", "embedding"],
                "properties": {
                    "object": {"const": "embedding"},
                    "index": {"type": "integer"},
                    "embedding": {"anyOf": [{"type": "array", "items": {"type": "number"}}, {"type": "string"}]},
                },
            },
        },
    },
}
EMBEDDINGS_ERROR: Schema = {
    "type": "object",
    "required": ["error"],
    "properties": {"error": {"type": "object", "required": ["message", "type", "param", "code"]}},
}
HEALTH: Schema = {"type": "object", "required": ["status"], "properties": {"status": {"type": "string"}}}
