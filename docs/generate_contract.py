"""Writes docs/reference/contract.md, the reference of the contract, from the comments of the protos: `make docs`."""

import re
import tempfile
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
)
from grpc_tools import protoc

ROOT = Path(__file__).parents[1]
PAGE = Path(__file__).parent / "reference" / "contract.md"
_HEAD = """<!-- Made by docs/generate_contract.py; `make docs` makes it again. -->

# The contract

Package `glimpse.v1`, from the comments of [proto/glimpse/v1](../../proto/glimpse/v1). Errors have stable
[reasons](../errors.md). An unknown enum value is INVALID_ARGUMENT.
"""
# Field numbers in descriptor.proto: the path of a comment is made of these and of positions.
_MESSAGES, _ENUMS, _SERVICES, _FIELDS, _VALUES, _METHODS, _NESTED, _NESTED_ENUMS = 4, 5, 6, 2, 2, 2, 3, 4
_Comments = dict[tuple[int, ...], str]


def read_protos() -> list[FileDescriptorProto]:
    """Compiles the contract; returns a descriptor, with comments, of each file."""
    protos = sorted((ROOT / "proto" / "glimpse" / "v1").glob("*.proto"))
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "contract.binpb"
        arguments = ["protoc", f"--proto_path={ROOT / 'proto'}", f"--proto_path={files('grpc_tools') / '_proto'}"]
        arguments += ["--include_source_info", f"--descriptor_set_out={out}", *map(str, protos)]
        if protoc.main(arguments) != 0:
            raise SystemExit("protoc failed; its message is above")
        return list(FileDescriptorSet.FromString(out.read_bytes()).file)


def render() -> str:
    """Returns the page: services first, then the messages and enums of each file."""
    protos = sorted(read_protos(), key=lambda proto: (not proto.service, proto.name))
    services = [line for proto in protos for line in _services(proto)]
    types = [line for proto in protos for line in _types(proto)]
    return _HEAD + "\n".join((*services, *types)) + "\n"


def _services(proto: FileDescriptorProto) -> Iterator[str]:
    comments = _comments(proto)
    for number, service in enumerate(proto.service):
        yield f"\n## {service.name}\n\n{comments.get((_SERVICES, number), '')}"
        for place, method in enumerate(service.method):
            request, response = _link(method.input_type), _link(method.output_type)
            request = f"stream of {request}" if method.client_streaming else request
            response = f"stream of {response}" if method.server_streaming else response
            yield f"\n### {method.name}\n\n{comments.get((_SERVICES, number, _METHODS, place), '')}"
            yield f"\nRequest: {request}. Response: {response}."


def _types(proto: FileDescriptorProto) -> Iterator[str]:
    comments = _comments(proto)
    yield f"\n## {Path(proto.name).name}"
    for number, message in enumerate(proto.message_type):
        yield from _message(message, (_MESSAGES, number), comments)
    for number, enum in enumerate(proto.enum_type):
        yield from _enum(enum, (_ENUMS, number), comments)


def _message(message: DescriptorProto, path: tuple[int, ...], comments: _Comments, outer: str = "") -> Iterator[str]:
    yield f"\n### {outer}{message.name}\n\n{comments.get(path, '')}"
    fields = message.field
    if fields:
        yield "\n| field | type | meaning |\n|---|---|---|"
    for place, field in enumerate(fields):
        yield f"| `{field.name}` | {_type(field, message)} | {_cell(comments.get((*path, _FIELDS, place), ''))} |"
    for place, nested in enumerate(message.nested_type):
        if not nested.options.map_entry:
            yield from _message(nested, (*path, _NESTED, place), comments, f"{outer}{message.name}.")
    for place, enum in enumerate(message.enum_type):
        yield from _enum(enum, (*path, _NESTED_ENUMS, place), comments)


def _enum(enum: EnumDescriptorProto, path: tuple[int, ...], comments: _Comments) -> Iterator[str]:
    yield f"\n### {enum.name}\n\n{comments.get(path, '')}\n\n| value | meaning |\n|---|---|"
    for place, value in enumerate(enum.value):
        yield f"| `{value.name}` | {_cell(comments.get((*path, _VALUES, place), ''))} |"


def _comments(proto: FileDescriptorProto) -> _Comments:
    located = proto.source_code_info.location
    return {tuple(one.path): _text(one.leading_comments or one.trailing_comments) for one in located}


def _text(comment: str) -> str:
    return "\n".join(line.strip() for line in comment.strip().splitlines()).replace("<", "&lt;")


def _cell(comment: str) -> str:
    return re.sub(r"\s+", " ", comment).replace("|", "\\|")


def _link(name: str) -> str:
    short = name.removeprefix(".glimpse.v1.")
    return f"`{name[1:]}`" if name == short else f"[{short}](#{short.replace('.', '').lower()})"


def _type(field: FieldDescriptorProto, message: DescriptorProto) -> str:
    kind = FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()
    if field.type_name:
        kind = _link(field.type_name)
        entries = {
            f"{field.type_name.rpartition('.')[0]}.{n.name}": n for n in message.nested_type if n.options.map_entry
        }
        if entry := entries.get(field.type_name):
            key, value = (_type(one, entry) for one in entry.field)
            return f"map of {key} to {value}"
    if field.label == FieldDescriptorProto.LABEL_REPEATED:
        return f"repeated {kind}"
    return f"optional {kind}" if field.proto3_optional else kind


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(render(), "utf-8")
