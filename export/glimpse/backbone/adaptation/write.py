"""Writes an adapted bundle: its parent's files, the changed graph, and adaptation.json."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from glimpse.backbone.adaptation.lineage import Adaptation
from glimpse.backbone.adaptation.residual_layer import Array, append
from glimpse.backbone.adaptation.training_record import ADAPTATION, TrainingRecord
from glimpse.backbone.bundle import Bundle, write_bundle
from glimpse.backbone.errors import BundleError
from glimpse.backbone.manifest import IMAGE_GRAPH, TEXT_GRAPH
from glimpse.files.scratch import scratch_beside

#: The smallest accepted cosine between the vectors of a written graph and those that its layer was trained to give. The
#: layer is float32; the frozen graph runs in the same batches on both sides.
MIN_COSINE = 0.99999
_GRAPHS = {"image": IMAGE_GRAPH, "text": TEXT_GRAPH}
# What was measured for the frozen backbone, or is written again.
_NOT_INHERITED = {
    "files",
    "sizes",
    "embedding_space",
    "format_version",
    "needs_glimpse",
    "parent",
    "decision",
    "adaptation",
}


def write_adapted_bundle(
    out: Path,
    parent: Bundle,
    name: str,
    lineage: Adaptation,
    record: TrainingRecord,
    changed: dict[str, Path],
    fields: dict[str, Any] | None = None,
) -> Bundle:
    """Writes a bundle that has its parent's files except those that changed.

    Args:
        out: the bundle's folder; it must be empty or not exist.
        parent: the frozen backbone.
        name: the bundle's name.
        lineage: how it was adapted.
        record: what it was trained on, and its calibration.
        changed: the new files by their names in the bundle.
        fields: fields of the manifest that differ from the parent's, besides those that describe the adaptation.

    Raises:
        BundleError: `out` is not empty, or the fields are not valid.
    """
    inherited = parent.manifest.model_dump(exclude=_NOT_INHERITED, exclude_none=True)
    provenance = {"adapted_from": parent.manifest.name, "parent_provenance": parent.manifest.provenance}
    with scratch_beside(out) as scratch:
        (scratch / ADAPTATION).write_text(record.to_json(), "utf-8")
        contents = {file: parent.path / file for file in parent.manifest.files}
        contents |= changed | {ADAPTATION: scratch / ADAPTATION}
        values = {**inherited, "name": name, "provenance": provenance, "adaptation": lineage.model_dump()}
        return write_bundle(out, values | (fields or {}), contents)


def add_residual(
    parent: Bundle, tower: str, parts: tuple[Array, ...], folder: Path
) -> tuple[dict[str, Path], tuple[str, ...]]:
    """Writes a tower's graph with a residual layer at its end.

    Args:
        parent: the frozen backbone.
        tower: `image` or `text`.
        parts: the layer's matrices (see `residual_layer`).
        folder: where to write the graph.

    Returns:
        The graph's file by its name in the bundle, and the names of the added weights.
    """
    file = _GRAPHS[tower]
    # Weights in files of their own stay there.
    model = onnx.load(parent.path / file, load_external_data=False)
    names = append(model, parts)
    onnx.save(model, folder / file)
    return {file: folder / file}, names


def prove(written: Callable[[], npt.NDArray[np.float32]], expected: Array, folder: Path) -> float:
    """Returns the smallest cosine between the vectors of a written graph, and those expected: both `(n, d)`.

    Raises:
        BundleError: it is under `MIN_COSINE`.
    """
    least = float(np.min((written().astype(np.float64) * expected).sum(1)))
    if not least >= MIN_COSINE:  # true for NaN too
        message = f"the written graph differs from its training: cosine {least:.6f}, wanted {MIN_COSINE}"
        raise BundleError(folder, message)
    return min(least, 1.0)
