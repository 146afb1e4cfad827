"""Writes the bundle of a wrapped ONNX model."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import onnx

from glimpse.backbone import Bundle, ImageRule, TextRule
from glimpse.export.errors import ExportError
from glimpse.export.finalize import ExportOptions, Progress, finalize
from glimpse.export.onnx.onnx_batches import ROWS_ONE_BY_ONE
from glimpse.export.onnx.onnx_model import PlainModel
from glimpse.export.tolerance import Check


def finalize_wrapped(
    modality: Literal["image", "text"],
    model: PlainModel,
    out: Path,
    *,
    looped: bool,
    rule: ImageRule | TextRule,
    fields: Mapping[str, Any],
    contents: Mapping[str, Path],
    command: str,
    compare: Callable[[Bundle], list[Check]],
    options: ExportOptions,
    progress: Progress,
) -> Bundle:
    """Writes the bundle of the graph that was made from a model. Raises as `finalize` does.

    Args:
        modality: what the model reads, by `rule`.
        model: the model, given and wrapped.
        out: the bundle's folder.
        looped: whether the graph runs the rows of a batch one after the other.
        rule: the preprocessing of its inputs.
        fields: name, description, license and dimension.
        contents: the bundle's other files, by name.
        command: the command line of the export, for the manifest.
        compare: compares a bundle with the given model.
        options: as for `finalize`.
        progress: as for `finalize`.
    """
    provenance: dict[str, Any] = {"source": model.given.name, "command": command, "onnx": onnx.__version__}
    if looped:
        if options.precision != "fp32":
            message = f"{ROWS_ONE_BY_ONE}, which --precision {options.precision} does not support"
            raise ExportError(f"{message}; export the model again with a batch of any size, or give --precision fp32")
        provenance["batches"] = ROWS_ONE_BY_ONE
        progress(f"{ROWS_ONE_BY_ONE}; a model exported for any batch is faster on a GPU")
    if model.dequantized:
        provenance["dequantized_weights"] = model.dequantized
        progress(f"storing {model.dequantized} quantised weights as floats, which saves their conversion in every run")
    manifest_fields = {
        **fields,
        "description": fields["description"] or f"{model.given.name}, wrapped",
        "modalities": (modality,),
        modality: rule,
        "provenance": provenance,
    }
    graph = {model.file.name: model.wrapped}
    weights = {model.data.name: model.data} if model.data.is_file() else {}
    return finalize(out, manifest_fields, {**contents, **graph, **weights}, options, compare, progress)
