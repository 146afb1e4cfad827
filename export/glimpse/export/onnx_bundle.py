"""From a wrapped plain ONNX model to its bundle."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import onnx
from onnx import ModelProto
from onnxruntime import InferenceSession

from glimpse.backbone import Bundle, ImageRule, TextRule, scratch_folder
from glimpse.export.finish import Tell, Wish, finish
from glimpse.export.onnx_model import quiet_session
from glimpse.export.proof import Check


def finish_wrapped(
    modality: Literal["image", "text"],
    model_file: Path,
    wrapped: ModelProto,
    out: Path,
    *,
    rule: ImageRule | TextRule,
    fields: Mapping[str, Any],
    contents: Mapping[str, Path],
    command: str,
    prove: Callable[[InferenceSession, Bundle], list[Check]],
    wish: Wish,
    tell: Tell,
) -> Bundle:
    """Writes the bundle of the graph that was made of `model_file`. Raises as finish does.

    Args:
        modality: what it reads, by `rule`.
        model_file: the model as it was given.
        wrapped: the bundle's graph.
        out: the bundle's folder.
        rule: how it reads its inputs.
        fields: name, description, license and dimension.
        contents: the bundle's other files, by name.
        command: how the export was called.
        prove: compares a bundle with the model as it was given.
        wish: as for finish.
        tell: as for finish.
    """
    whole = {
        **fields,
        "description": fields["description"] or f"{model_file.name}, wrapped",
        "modalities": (modality,),
        modality: rule,
        "provenance": {"source": model_file.name, "command": command, "onnx": onnx.__version__},
    }
    with scratch_folder() as folder:
        graph = folder / f"{modality}.onnx"
        onnx.save(wrapped, graph)
        session = quiet_session(model_file)
        return finish(out, whole, {**contents, graph.name: graph}, wish, lambda bundle: prove(session, bundle), tell)
