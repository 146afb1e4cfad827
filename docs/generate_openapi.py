"""Writes docs/reference/openapi.json, the OpenAPI 3.1 description of HTTP/JSON, from the protos: `make docs`."""

import json
import sys
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
from docs.generate_contract import read_protos  # noqa: E402
from docs.openapi_schemas import (  # noqa: E402
    EMBEDDINGS,
    EMBEDDINGS_ERROR,
    EMBEDDINGS_RESPONSE,
    ERROR,
    HEALTH,
    Schema,
)

FILE = ROOT / "docs" / "reference" / "openapi.json"
_PACKAGE = "glimpse.v1"
_SERVICES, _METHODS, _MESSAGES, _ENUMS, _FIELDS, _NESTED, _NESTED_ENUMS = 6, 2, 4, 5, 2, 3, 4
_Comments = dict[tuple[int, ...], str]
_JSON = "application/json"
# ProtoJSON writes 64-bit integers as strings, and reads numbers too.
_INT64: Schema = {"type": ["string", "integer"], "format": "int64", "pattern": "^-?[0-9]+$"}
_INT32: Schema = {"type": "integer", "format": "int32", "minimum": -(2**31), "maximum": 2**31 - 1}
_NUMBER: Schema = {"anyOf": [{"type": "number"}, {"enum": ["NaN", "Infinity", "-Infinity"]}]}
_SCALARS: dict[str, Schema] = {
    "TYPE_STRING": {"type": "string"},
    "TYPE_BYTES": {"type": "string", "contentEncoding": "base64"},
    "TYPE_BOOL": {"type": "boolean"},
    "TYPE_INT32": _INT32,
    "TYPE_INT64": _INT64,
    "TYPE_DOUBLE": _NUMBER,
    "TYPE_FLOAT": _NUMBER,
}
_KNOWN: dict[str, Schema] = {
    ".google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    ".google.protobuf.FieldMask": {"type": "string", "description": "Names of fields in camelCase, with commas."},
}


def render() -> str:
    """Returns the description as JSON."""
    protos = read_protos()
    schemas = dict(sorted(schema for proto in protos for schema in _schemas(proto)))
    paths = dict(sorted(path for proto in protos for path in _paths(proto)))
    description = {
        "openapi": "3.1.0",
        "info": {
            "title": "Glimpse",
            "version": _PACKAGE.rpartition(".")[2],
            "description": "Few-shot classification over HTTP/JSON, by the Connect protocol. docs/http.md explains it.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{}, {"key": []}, {"token": []}],
        "paths": {**_other_paths(), **paths},
        "components": {
            "schemas": {"Error": ERROR, **schemas},
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
            },
        },
    }
    return json.dumps(description, indent=1, ensure_ascii=False) + "\n"


def _other_paths() -> dict[str, Any]:
    probe = {200: HEALTH, 503: HEALTH, "default": _reference("Error")}
    embeddings = {200: EMBEDDINGS_RESPONSE, "default": {"anyOf": [EMBEDDINGS_ERROR, _reference("Error")]}}
    return {
        "/healthz": {"get": _operation("healthz", "Whether the process answers.", None, probe)},
        "/readyz": {"get": _operation("readyz", "Whether every backbone is warm.", None, probe)},
        "/v1/embeddings": {
            "post": _operation("embeddings", "Embeds texts, as OpenAI's API does.", EMBEDDINGS, embeddings)
        },
    }


def _paths(proto: FileDescriptorProto) -> Iterator[tuple[str, Any]]:
    comments = _comments(proto)
    for number, service in enumerate(proto.service):
        for place, method in enumerate(service.method):
            if method.client_streaming or method.server_streaming:
                continue
            text = comments.get((_SERVICES, number, _METHODS, place), "")
            replies = {200: _reference(_name(method.output_type)), "default": _reference("Error")}
            request = _reference(_name(method.input_type))
            operation = _operation(f"{service.name}.{method.name}", text, request, replies) | {"tags": [service.name]}
            yield f"/{_PACKAGE}.{service.name}/{method.name}", {"post": operation}


def _operation(name: str, text: str, request: Schema | None, replies: dict[Any, Schema]) -> dict[str, Any]:
    responses = {str(status): {"description": _STATUS[status], **_content(one)} for status, one in replies.items()}
    body = {} if request is None else {"requestBody": {"required": True, **_content(request)}}
    return {"operationId": name, "description": text, **body, "responses": responses}


_STATUS = {200: "The call succeeded.", 503: "Not now.", "default": "The call was refused."}


def _content(schema: Schema) -> dict[str, Any]:
    return {"content": {_JSON: {"schema": schema}}}


def _schemas(proto: FileDescriptorProto) -> Iterator[tuple[str, Schema]]:
    comments = _comments(proto)
    for number, message in enumerate(proto.message_type):
        yield from _message(message, (_MESSAGES, number), comments, "")
    for number, enum in enumerate(proto.enum_type):
        yield _enum(enum, (_ENUMS, number), comments, "")


def _message(
    message: DescriptorProto, path: tuple[int, ...], comments: _Comments, outer: str
) -> Iterator[tuple[str, Schema]]:
    name = outer + message.name
    maps = {f".{_PACKAGE}.{name}.{one.name}": one for one in message.nested_type if one.options.map_entry}
    properties = {}
    for place, field in enumerate(message.field):
        text = comments.get((*path, _FIELDS, place), "")
        properties[field.json_name] = {**_field(field, maps), **({"description": text} if text else {})}
    text = comments.get(path, "")
    schema = {"type": "object", "additionalProperties": False, "properties": properties, **_choices(message)}
    yield name, {**({"description": text} if text else {}), **schema}
    for place, nested in enumerate(message.nested_type):
        if not nested.options.map_entry:
            yield from _message(nested, (*path, _NESTED, place), comments, f"{name}.")
    for place, enum in enumerate(message.enum_type):
        yield _enum(enum, (*path, _NESTED_ENUMS, place), comments, f"{name}.")


def _choices(message: DescriptorProto) -> Schema:
    """Returns the rule that at most one field of each oneof is set."""
    names: dict[int, list[str]] = {}
    for field in message.field:
        if field.HasField("oneof_index") and not field.proto3_optional:
            names.setdefault(field.oneof_index, []).append(field.json_name)
    pairs = [{"not": {"required": list(pair)}} for fields in names.values() for pair in combinations(fields, 2)]
    return {"allOf": pairs} if pairs else {}


def _enum(enum: EnumDescriptorProto, path: tuple[int, ...], comments: _Comments, outer: str) -> tuple[str, Schema]:
    schema: Schema = {"type": "string", "enum": [value.name for value in enum.value]}
    text = comments.get(path, "")
    return outer + enum.name, {**({"description": text} if text else {}), **schema}


def _field(field: FieldDescriptorProto, maps: dict[str, DescriptorProto]) -> Schema:
    if entry := maps.get(field.type_name):
        return {"type": "object", "additionalProperties": _value(entry.field[1])}
    if field.label == FieldDescriptorProto.LABEL_REPEATED:
        return {"type": "array", "items": _value(field)}
    return _value(field)


def _value(field: FieldDescriptorProto) -> Schema:
    if field.type_name:
        return _KNOWN.get(field.type_name) or _reference(_name(field.type_name))
    return _SCALARS[FieldDescriptorProto.Type.Name(field.type)]


def _reference(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _name(type_name: str) -> str:
    return type_name.removeprefix(f".{_PACKAGE}.")


def _comments(proto: FileDescriptorProto) -> _Comments:
    located = proto.source_code_info.location
    return {tuple(one.path): " ".join((one.leading_comments or one.trailing_comments).split()) for one in located}


if __name__ == "__main__":
    FILE.write_text(render(), "utf-8")
