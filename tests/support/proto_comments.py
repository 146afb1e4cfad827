"""The comments of the contract, read from its .proto files."""

import functools
from importlib.resources import files
from pathlib import Path
from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_tools import protoc

_ROOT = Path(__file__).parents[2] / "proto"
# The numbers of the fields in descriptor.proto that make up the path of an element.
_MESSAGES, _ENUMS, _SERVICES, _NAMES = (
    4,
    5,
    6,
    {(4, 2): "field", (4, 8): "oneof_decl", (5, 2): "value", (6, 2): "method"},
)


@functools.cache
def comments(folder: str) -> dict[str, str]:
    """Returns the comment of each element by its name, for example `Vector.data` or `EmbeddingService.Embed`.

    Each comment is one line of text; an element without a comment has an empty one.

    Args:
        folder: A folder for the compiled contract.
    """
    out = Path(folder) / "contract.binpb"
    protos = sorted(map(str, (_ROOT / "glimpse" / "v1").glob("*.proto")))
    paths = [f"--proto_path={_ROOT}", f"--proto_path={files('grpc_tools') / '_proto'}"]
    assert protoc.main(["protoc", *paths, "--include_source_info", f"--descriptor_set_out={out}", *protos]) == 0
    found: dict[str, str] = {}
    for file in FileDescriptorSet.FromString(out.read_bytes()).file:
        known = {tuple(place.path): place.leading_comments for place in file.source_code_info.location}
        kinds: list[tuple[int, Any]] = [
            (_MESSAGES, file.message_type),
            (_ENUMS, file.enum_type),
            (_SERVICES, file.service),
        ]
        for kind, elements in kinds:
            for number, element in enumerate(elements):
                found[element.name] = known.get((kind, number), "")
                for path, name in _members(kind, number, element):
                    found[f"{element.name}.{name}"] = known.get(path, "")
    return {name: " ".join(comment.split()) for name, comment in found.items()}


def _members(kind: int, number: int, element: Any) -> list[tuple[tuple[int, ...], str]]:
    """Returns the path and the name of each field, oneof, value or method of an element."""
    members: list[tuple[tuple[int, ...], str]] = []
    for (of, within), attribute in _NAMES.items():
        if of == kind:
            for position, member in enumerate(getattr(element, attribute)):
                # An optional field has a oneof of its own, which no file has a comment for.
                if not member.name.startswith("_"):
                    members.append(((kind, number, within, position), member.name))
    return members
