"""The last steps of every export: conversion to a lower precision, comparison with the original, writing the bundle.

The bundle is written completely or not at all.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from glimpse.backbone import Bundle, Encoder, ImageRule, scaled_decode_cosine, write_bundle
from glimpse.backbone.inference.encoder import Vectors
from glimpse.export.background import make_background
from glimpse.export.batch_runner import on_cpu
from glimpse.export.graph.graph_editing import IMAGES
from glimpse.export.graph.text_graph import IDS, MASK
from glimpse.export.onnx.onnx_model import Inputs
from glimpse.export.sample_inputs import batches_of, encoded_pictures, pixels_of
from glimpse.export.tolerance import MIN_COSINES, Check, raise_for_failures, smallest_cosine
from glimpse.files.scratch import scratch_folder

if TYPE_CHECKING:
    from glimpse.export.precision import Precision

#: Is called with a line for people at each step.
Progress = Callable[[str], None]


@dataclass(frozen=True)
class ExportOptions:
    """Options of every export.

    Attributes:
        precision: the bundle's precision.
        photographs: encoded pictures of the user, to calibrate int8 and to try scaled decoding.
        background: whether a bundle that reads text gets a background vocabulary; False for a part of a bundle.
    """

    precision: "Precision" = "fp32"
    photographs: Sequence[bytes] = ()
    background: bool = True


DEFAULT_OPTIONS = ExportOptions()
#: JPEGs are decoded at a reduced scale only if the vectors of real photographs keep this cosine.
MIN_SCALED = 0.999


def silent(step: str) -> None:
    """Ignores progress; for programs."""


def finalize(
    out: Path,
    fields: Mapping[str, Any],
    contents: Mapping[str, Path],
    options: ExportOptions,
    compare: Callable[[Bundle], list[Check]],
    progress: Progress,
) -> Bundle:
    """Writes the bundle of fp32 graphs at the precision asked for.

    Args:
        out: the folder; it must be empty or not exist.
        fields: the manifest's fields, as for `write_bundle`.
        contents: the fp32 files by their names in the bundle.
        options: the user's options.
        compare: compares a bundle with the original; a check that fails stops the export.
        progress: is called with a line at each step.

    Raises:
        ExportError: a check failed; the message names the part.
        BundleError: `out` is not empty.
    """
    fields = dict(fields)
    provenance = dict(fields.pop("provenance", {}))
    with scratch_folder() as scratch:
        exact = write_bundle(scratch / "exact", fields, contents)
        progress("comparing it with the original")
        checks = compare(exact)
        raise_for_failures(checks)
        if options.photographs and exact.manifest.image:
            fields["image"], provenance["scaled_decode"] = _scaled(exact, options.photographs, progress)
        conversion: list[Check] = []
        if options.precision != "fp32":
            contents, provenance["precision"], conversion = _converted(exact, options, scratch, progress)
            fields["precision"] = options.precision
        if options.precision != "fp32" or fields.get("image") != exact.manifest.image:
            draft = write_bundle(scratch / "draft", fields, contents)
            progress("comparing it with fp32")
            conversion += _compare_with_exact(exact, draft, options.photographs)
            raise_for_failures(conversion)
            smallest = min(check.measured for check in conversion)
            fields["parent"] = {"embedding_space": exact.manifest.embedding_space, "min_cosine": _round_down(smallest)}
            if options.precision != "fp32":
                progress("comparing it with the original")
                checks = compare(draft)
                raise_for_failures(checks)
        provenance["proof"] = [check.record() for check in (*conversion, *checks)]
        if exact.manifest.text and options.background:
            progress("embedding the background vocabulary")
            final = write_bundle(scratch / "final", fields, contents)
            added, files = make_background(final, scratch, progress)
            fields, contents = fields | added, {**contents, **files}
        return write_bundle(out, {**fields, "provenance": provenance}, contents)


def _scaled(exact: Bundle, photographs: Sequence[bytes], progress: Progress) -> tuple[ImageRule, dict[str, Any]]:
    """Returns the image rule, with scaled decoding if it keeps the vectors, and the measured cosine."""
    rule = exact.manifest.image
    if rule is None:
        raise ValueError("this bundle reads no images")
    cosine = scaled_decode_cosine(on_cpu(exact), rule, photographs)
    on = cosine is not None and cosine >= MIN_SCALED
    measured = "no photograph is a JPEG large enough" if cosine is None else f"smallest cosine {cosine:.5f}"
    progress(f"decoding JPEGs at a reduced scale: {'on' if on else 'off'}, {measured}")
    return rule.model_copy(update={"scaled_decode": on}), {"photographs": len(photographs), "min_cosine": cosine}


def _converted(
    exact: Bundle, options: ExportOptions, scratch: Path, progress: Progress
) -> tuple[dict[str, Path], dict[str, Any], list[Check]]:
    """Returns the bundle's files with converted graphs, notes on each conversion, and the checks on the calibration
    inputs.
    """
    from glimpse.export.precision import convert_precision  # imports onnxruntime.quantization, which takes a second

    contents = {name: exact.path / name for name in exact.manifest.files if not name.endswith(".data")}
    notes: dict[str, Any] = {}
    checks = []
    # Calibrate on other pictures and texts than those of the comparison.
    pictures = options.photographs or encoded_pictures(seed=1)
    for graph, inputs in batches_of(exact, pictures, seed=1):
        folder = scratch / graph.removesuffix(".onnx")
        folder.mkdir()
        converted = convert_precision(exact.path / graph, folder / graph, options.precision, inputs, progress)
        contents |= {file.name: file for file in folder.iterdir()}
        notes[graph] = {"method": converted.notes, "kept_in_float": list(converted.kept)}
        part = f"{graph} on the calibration inputs: smallest cosine"
        checks.append(Check(part, converted.min_cosine, ">=", MIN_COSINES[options.precision]))
    return contents, notes, checks


def _compare_with_exact(exact: Bundle, draft: Bundle, photographs: Sequence[bytes]) -> list[Check]:
    """Compares two bundles on the same inputs, graph by graph, and on photographs including the decoding."""
    min_cosine = MIN_COSINES[draft.manifest.precision]
    encoders = [on_cpu(bundle) for bundle in (exact, draft)]
    checks = []
    for graph, inputs in batches_of(exact, encoded_pictures()):
        wanted, actual = (np.concatenate([_encode(encoder, batch) for batch in inputs]) for encoder in encoders)
        checks.append(
            Check(f"{graph} against fp32: smallest cosine", smallest_cosine([actual], wanted), ">=", min_cosine)
        )
    exact_rule, draft_rule = exact.manifest.image, draft.manifest.image
    if exact_rule and draft_rule and draft_rule.scaled_decode:
        wanted, actual = (
            np.concatenate([encoder.encode_images(pixels_of(rule, [photograph])) for photograph in photographs])
            for encoder, rule in zip(encoders, (exact_rule, draft_rule), strict=True)
        )
        part = "photographs against fp32: smallest cosine"
        checks.append(Check(part, smallest_cosine([actual], wanted), ">=", min(min_cosine, MIN_SCALED)))
    return checks


def _encode(encoder: Encoder, inputs: Inputs) -> Vectors:
    if IMAGES in inputs:
        return encoder.encode_images(inputs[IMAGES])
    return encoder.encode_texts(inputs[IDS], inputs[MASK])


def _round_down(cosine: float) -> float:
    """Rounds down to five digits, so that the declared cosine holds."""
    return int(cosine * 1e5) / 1e5
