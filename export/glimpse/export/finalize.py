"""The last steps of every export: lower precision, proof, and the bundle, whole or not at all. No torch."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from glimpse.backbone import Bundle, Encoder, ImageRule, scaled_decode_cosine, scratch_folder, write_bundle
from glimpse.backbone.inference.encoder import Vectors
from glimpse.export.batch_runner import on_cpu
from glimpse.export.graph.graph_editing import IMAGES
from glimpse.export.graph.text_graph import IDS, MASK
from glimpse.export.onnx.onnx_model import Inputs
from glimpse.export.sample_inputs import batches_of, encoded_pictures, pixels_of
from glimpse.export.tolerance import MIN_COSINES, Check, raise_for_failures, smallest_cosine

if TYPE_CHECKING:
    from glimpse.export.precision import Precision

Progress = Callable[[str], None]


@dataclass(frozen=True)
class ExportOptions:
    """What a user may ask of any export.

    `photographs`: encoded pictures of the user's, to calibrate int8 on and to try scaled decoding with.
    """

    precision: "Precision" = "fp32"
    photographs: Sequence[bytes] = ()


DEFAULT_OPTIONS = ExportOptions()
#: JPEGs are decoded at a smaller scale only if the vectors of real photographs stay as near as this.
MIN_SCALED = 0.999


def silent(step: str) -> None:
    """A Progress for programs."""


def finalize(
    out: Path,
    fields: Mapping[str, Any],
    contents: Mapping[str, Path],
    options: ExportOptions,
    compare: Callable[[Bundle], list[Check]],
    progress: Progress,
) -> Bundle:
    """Writes the bundle of fp32 graphs at the wished precision.

    Args:
        out: the folder; it must not exist, or be empty.
        fields: the manifest's, as for write_bundle.
        contents: the fp32 files by their names in the bundle.
        options: as above.
        compare: compares a bundle with the original; `checks` of it that fail are refused.
        progress: is told of each step, as a line for people.

    Raises:
        ExportError: where a check fails; the message names the part.
        BundleError: where `out` holds something already.
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
        lowering: list[Check] = []
        if options.precision != "fp32":
            contents, provenance["precision"], lowering = _lowered(exact, options, scratch, progress)
            fields["precision"] = options.precision
        if options.precision != "fp32" or fields.get("image") != exact.manifest.image:
            draft = write_bundle(scratch / "draft", fields, contents)
            progress("comparing it with fp32")
            lowering += _against(exact, draft, options.photographs)
            raise_for_failures(lowering)
            smallest = min(check.measured for check in lowering)
            fields["parent"] = {"embedding_space": exact.manifest.embedding_space, "min_cosine": _floor(smallest)}
            if options.precision != "fp32":
                progress("comparing it with the original")
                checks = compare(draft)
                raise_for_failures(checks)
        provenance["proof"] = [check.record() for check in (*lowering, *checks)]
        return write_bundle(out, {**fields, "provenance": provenance}, contents)


def _scaled(exact: Bundle, photographs: Sequence[bytes], progress: Progress) -> tuple[ImageRule, dict[str, Any]]:
    """The image rule, with scaled decoding where it does no harm; and what was measured."""
    rule = exact.manifest.image
    if rule is None:
        raise ValueError("this bundle reads no images")
    cosine = scaled_decode_cosine(on_cpu(exact), rule, photographs)
    on = cosine is not None and cosine >= MIN_SCALED
    measured = "no photograph is a JPEG large enough" if cosine is None else f"smallest cosine {cosine:.5f}"
    progress(f"decoding JPEGs at a smaller scale: {'on' if on else 'off'}, {measured}")
    return rule.model_copy(update={"scaled_decode": on}), {"photographs": len(photographs), "min_cosine": cosine}


def _lowered(
    exact: Bundle, options: ExportOptions, scratch: Path, progress: Progress
) -> tuple[dict[str, Path], dict[str, Any], list[Check]]:
    """The bundle's files with lowered graphs, what was done to each, and how near it came where it was fitted."""
    from glimpse.export.precision import convert_precision  # what it needs of onnxruntime takes a second to import

    contents = {name: exact.path / name for name in exact.manifest.files if not name.endswith(".data")}
    done: dict[str, Any] = {}
    checks = []
    # Other pictures and texts than those of the proof.
    shown = options.photographs or encoded_pictures(seed=1)
    for graph, inputs in batches_of(exact, shown, seed=1):
        folder = scratch / graph.removesuffix(".onnx")
        folder.mkdir()
        lowered = convert_precision(exact.path / graph, folder / graph, options.precision, inputs, progress)
        contents |= {file.name: file for file in folder.iterdir()}
        done[graph] = {"method": lowered.notes, "kept_in_float": list(lowered.kept)}
        part = f"{graph} where it was fitted: smallest cosine"
        checks.append(Check(part, lowered.min_cosine, ">=", MIN_COSINES[options.precision]))
    return contents, done, checks


def _against(exact: Bundle, draft: Bundle, photographs: Sequence[bytes]) -> list[Check]:
    """The two bundles' vectors of the same inputs, graph by graph; of photographs on the whole path."""
    min_cosine = MIN_COSINES[draft.manifest.precision]
    encoders = [on_cpu(bundle) for bundle in (exact, draft)]
    checks = []
    for graph, inputs in batches_of(exact, encoded_pictures()):
        wanted, found = (np.concatenate([_encode(one, batch) for batch in inputs]) for one in encoders)
        checks.append(Check(f"{graph} against fp32: smallest cosine", smallest_cosine([found], wanted), ">=", min_cosine))
    theirs, ours = exact.manifest.image, draft.manifest.image
    if theirs and ours and ours.scaled_decode:
        wanted, found = (
            np.concatenate([encoder.encode_images(pixels_of(rule, [photograph])) for photograph in photographs])
            for encoder, rule in zip(encoders, (theirs, ours), strict=True)
        )
        part = "photographs against fp32: smallest cosine"
        checks.append(Check(part, smallest_cosine([found], wanted), ">=", min(min_cosine, MIN_SCALED)))
    return checks


def _encode(encoder: Encoder, inputs: Inputs) -> Vectors:
    if IMAGES in inputs:
        return encoder.encode_images(inputs[IMAGES])
    return encoder.encode_texts(inputs[IDS], inputs[MASK])


def _floor(cosine: float) -> float:
    """Never rounded up: what is declared must hold."""
    return int(cosine * 1e5) / 1e5
