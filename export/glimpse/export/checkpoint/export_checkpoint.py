"""Exports a loaded checkpoint to a bundle, and compares both."""

from pathlib import Path
from typing import Any

import onnx

from glimpse.backbone import Bundle, limit_libraries
from glimpse.export.checkpoint.parity import compare
from glimpse.export.checkpoint.reference_model import ReferenceModel
from glimpse.export.checkpoint.trace import trace_image, trace_text
from glimpse.export.finalize import DEFAULT_OPTIONS, ExportOptions, Progress, finalize, silent
from glimpse.files.scratch import scratch_folder


def export_checkpoint(
    original: ReferenceModel,
    out: Path,
    *,
    name: str,
    description: str = "",
    license: str = "unknown",
    command: str = "",
    options: ExportOptions = DEFAULT_OPTIONS,
    progress: Progress = silent,
) -> Bundle:
    """Writes the bundle of a checkpoint after comparing it, or nothing.

    Args:
        original: the loaded checkpoint.
        out: the bundle's folder.
        name: the bundle's name.
        description: for the manifest.
        license: for the manifest.
        command: the command line of the export, for the manifest.
        options: the user's options.
        progress: is called with a line at each step.

    Raises:
        ExportError: a tower cannot be exported, or the bundle differs; the message names the part.
        BundleError: `out` is not empty.
    """
    limit_libraries()  # limits torch's threads too, which is imported now
    parts = {"image": original.image, "text": original.text}
    with scratch_folder() as scratch:
        contents, dimension = _graphs(original, scratch, progress)
        fields: dict[str, Any] = {**original.fields, "name": name, "description": description, "license": license}
        fields |= {kind: part.rule for kind, part in parts.items() if part}
        fields |= {"modalities": tuple(kind for kind, part in parts.items() if part), "dimension": dimension}
        fields["provenance"] = {**fields.get("provenance", {}), "onnx": onnx.__version__, "command": command}
        return finalize(out, fields, contents, options, lambda bundle: compare(original, bundle), progress)


def _graphs(original: ReferenceModel, scratch: Path, progress: Progress) -> tuple[dict[str, Path], int]:
    """Returns the bundle's files and the dimension. Each graph has its own folder, because it may write a file of
    weights.
    """
    dimension = 0
    for kind in ("image", "text"):
        (scratch / kind).mkdir()
    if original.image:
        progress("tracing the image tower")
        dimension = trace_image(original.image, scratch / "image" / "image.onnx")
    if original.text:
        progress("tracing the text tower")
        dimension = trace_text(original.text, scratch / "text" / "text.onnx")
        original.text.tokenizer.save(str(scratch / "text" / "tokenizer.json"))
    return {file.name: file for file in scratch.glob("*/*")}, dimension
