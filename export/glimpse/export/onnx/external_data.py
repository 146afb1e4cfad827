"""Finds, checks and copies the weights that an ONNX model keeps in other files, whatever their size."""

import math
import os
from pathlib import Path
from typing import BinaryIO

from onnx import ModelProto, TensorProto, helper

from glimpse.export.errors import ExportError
from glimpse.export.graph.subgraphs import tensors_of

#: ONNX Runtime maps weights that start at a page boundary; for small weights that would waste space.
_PAGE, _SMALL, _SMALL_ALIGNMENT = 4096, 1 << 20, 64
#: Small constants, such as shapes, must be in the graph, where ONNX Runtime reads them.
_INLINE = 1024
_BLOCK = 1 << 20


def gather_weights(model: ModelProto, source: Path, target: Path) -> None:
    """Copies the weights that a model keeps in other files into `target`, and points the model to it.

    Nothing is loaded: a model may be larger than memory, and larger than the 2 GB that protobuf can write.

    Args:
        model: read without its external data; changed in place.
        source: the model's file. Weights must be in its folder or below it.
        target: the file of weights; not written if the model has no external data.

    Raises:
        ExportError: a file is missing, too short, or outside of the folder.
    """
    outside = [tensor for tensor in tensors_of(model.graph) if tensor.data_location == TensorProto.EXTERNAL]
    if not outside:
        return
    copied: dict[tuple[Path, int, int], int] = {}
    with target.open("wb") as stream:
        for tensor in outside:
            file, offset, length = _place(tensor, source)
            if length <= _INLINE:
                _put_inside(tensor, file, offset, length)
                continue
            start = copied.get((file, offset, length))
            if start is None:
                start = copied[file, offset, length] = _append(stream, file, offset, length)
            del tensor.external_data[:]
            for key, value in {"location": target.name, "offset": start, "length": length}.items():
                tensor.external_data.add(key=key, value=str(value))


def _place(tensor: TensorProto, source: Path) -> tuple[Path, int, int]:
    """Returns file, offset and length of a tensor's bytes, after checking that the file has them."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    file = _inside(location, source)
    name = f"the weights {tensor.name!r} in {location}"
    try:
        needed = math.prod(tensor.dims) * helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
        offset, length = int(entries.get("offset", "0")), int(entries.get("length", str(needed)))
    except (KeyError, TypeError, ValueError) as error:
        raise ExportError(f"{name} have no valid type, offset or length; export the model again") from error
    if min(*tensor.dims, offset, length, 0) < 0:
        raise ExportError(f"{name} have a negative size; export the model again")
    size = file.stat().st_size
    if offset + length > size:
        message = f"{name} end at byte {offset + length:,}, but the file has {size:,}; copy the whole file again"
        raise ExportError(message)
    return file, offset, length


def _inside(location: str, source: Path) -> Path:
    """Returns the file that a location names. Raises ExportError if it is missing, or outside of the model's folder."""
    outside = (
        f"{source.name} keeps weights in {location!r}, outside of its folder; move them next to it, and save the model "
        "again"
    )
    path = Path(location)
    if not location or "\0" in location or path.is_absolute() or ".." in path.parts or "\\" in location:
        raise ExportError(outside)
    file = source.parent / path
    try:
        if not file.is_file():
            message = f"{source.name} keeps weights in {location}, which is missing; copy it to {file.parent}"
            raise ExportError(message)
        resolved = file.resolve()
    except OSError as error:
        raise ExportError(f"{source.name} keeps weights in {location!r}: {error.strerror}") from error
    # In the cache of the Hugging Face hub, model and weights are links to files in one other folder.
    if not any(resolved.is_relative_to(folder) for folder in {source.parent.resolve(), source.resolve().parent}):
        raise ExportError(outside)
    return resolved


def _put_inside(tensor: TensorProto, file: Path, offset: int, length: int) -> None:
    with file.open("rb") as source:
        source.seek(offset)
        tensor.raw_data = source.read(length)
    del tensor.external_data[:]
    tensor.data_location = TensorProto.DEFAULT


def _append(stream: BinaryIO, file: Path, offset: int, length: int) -> int:
    """Appends bytes at an aligned offset, and returns the offset."""
    alignment = _PAGE if length >= _SMALL else _SMALL_ALIGNMENT
    start = -(-stream.seek(0, os.SEEK_CUR) // alignment) * alignment
    stream.seek(start)
    with file.open("rb") as source:
        source.seek(offset)
        left = length
        while left and (block := source.read(min(left, _BLOCK))):
            stream.write(block)
            left -= len(block)
    return start
