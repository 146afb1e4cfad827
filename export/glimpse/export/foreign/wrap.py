"""Wraps a model's folder into a bundle: its encoders, one space for both, the self-check, the background vocabulary."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx

from glimpse.backbone import Bundle, load_bundle, write_bundle
from glimpse.backbone.bundle import check_free
from glimpse.backbone.manifest import MANIFEST_NAME
from glimpse.backbone.pull.layout import Layout, choose_files
from glimpse.backbone.pull.picture_settings import read_picture_settings
from glimpse.backbone.pull.settings_files import read_settings
from glimpse.backbone.pull.text_settings import read_text_settings
from glimpse.export.background import make_background
from glimpse.export.errors import ExportError
from glimpse.export.finalize import ExportOptions, Progress, silent
from glimpse.export.foreign.files import files_in, records_of
from glimpse.export.foreign.logit_scale import LogitScale, find_logit_scale
from glimpse.export.foreign.options import ForeignOptions
from glimpse.export.foreign.self_check import self_check
from glimpse.export.foreign.settings_check import MIN_PHOTOGRAPHS, check_picture_settings, check_text_settings
from glimpse.export.foreign.towers import image_source, text_source
from glimpse.export.onnx.onnx_image import wrap_image_encoder
from glimpse.export.onnx.onnx_text import wrap_text_encoder
from glimpse.export.tolerance import Check
from glimpse.files.scratch import scratch_beside, scratch_folder

# The background vocabulary comes last, when both encoders are there.
_PART = ExportOptions(background=False)


def wrap_folder(folder: Path, out: Path, options: ForeignOptions, progress: Progress = silent) -> Bundle:
    """Writes the bundle of the model in a folder, completely or not at all.

    Args:
        folder: the model's files.
        out: the bundle's folder; it must be empty or not exist.
        options: what the user decides.
        progress: is called with a line at each step.

    Raises:
        PullError: the folder has no model, or a bundle does not support its settings.
        ExportError: an encoder cannot be wrapped, or the self-check fails.
        BundleError: `out` is not empty; or the folder is a bundle that is not valid.
    """
    check_free(out)
    if choose_files(files_in(folder), options.variant).bundle:
        return copy_bundle(folder, out)
    with scratch_folder() as scratch:
        draft, checks = draft_bundle(folder, scratch, options, progress)
        if (failed := [str(check) for check in checks if not check.passed]) and not options.unchecked:
            raise ExportError(_failure(failed))
        fields = draft.manifest.model_dump(exclude={"files", "sizes", "embedding_space"})
        fields["provenance"]["self_check"] = [check.record() for check in checks]
        contents = {name: draft.path / name for name in draft.manifest.files}
        if draft.manifest.text:
            progress("embedding the background vocabulary")
            added, more = make_background(draft, scratch, progress)
            fields, contents = {**fields, **added}, {**contents, **more}
        return write_bundle(out, fields, contents)


def draft_bundle(
    folder: Path, scratch: Path, options: ForeignOptions, progress: Progress = silent
) -> tuple[Bundle, list[Check]]:
    """Wraps the model in a folder into a bundle without a background vocabulary, and runs every check.

    Args:
        folder: the model's files.
        scratch: a folder for the bundle and its parts.
        options: what the user decides.
        progress: is called with a line at each step.

    Raises:
        PullError: the folder has no model, or a bundle does not support its settings.
        ExportError: an encoder cannot be wrapped.
    """
    files = files_in(folder)
    layout = choose_files(files, options.variant)
    parts, checks = _towers(folder, layout, scratch, options, progress)
    fields = _fields(parts, options, records_of({name: files[name] for name in layout.files}))
    if len(parts) > 1:
        fields |= _scale_fields(find_logit_scale(folder, layout, options), fields["provenance"])
    contents = {name: part.path / name for part in parts for name in part.manifest.files}
    draft = write_bundle(scratch / "draft", fields, contents)
    progress("checking it without the original")
    return draft, [*checks, *self_check(draft, options.languages)]


def copy_bundle(folder: Path, out: Path) -> Bundle:
    """Copies a bundle after it was checked. Files that its manifest does not name are left out."""
    bundle = load_bundle(folder)
    out.parent.mkdir(parents=True, exist_ok=True)
    with scratch_beside(out) as scratch:
        for name in (MANIFEST_NAME, *bundle.manifest.files):
            shutil.copyfile(folder / name, scratch / name)
        load_bundle(scratch)
        if out.exists():
            out.rmdir()
        scratch.rename(out)
    return load_bundle(out)


def _towers(
    folder: Path, layout: Layout, scratch: Path, options: ForeignOptions, progress: Progress
) -> tuple[list[Bundle], list[Check]]:
    """Wraps each encoder into a bundle of its own, and compares its settings with others."""
    kind = str(read_settings(folder / "config.json").get("model_type", ""))
    parts, checks = [], []
    if layout.image_graph:
        graph, place = folder / layout.image_graph, _part(scratch, "images")
        pictures = image_source(graph, read_picture_settings(folder), kind)
        parts.append(wrap_image_encoder(graph, place, pictures, name=options.name, options=_PART, progress=progress))
        if len(options.photographs) >= MIN_PHOTOGRAPHS:
            progress("comparing its preprocessing with others, on photographs")
            checks += check_picture_settings(graph, pictures, options.photographs)
    if layout.text_graph and layout.tokenizer:
        graph, place = folder / layout.text_graph, _part(scratch, "texts")
        settings = read_text_settings(folder, layout.tokenizer)
        texts = text_source(graph, folder / layout.tokenizer, settings, kind, options, place.parent)
        parts.append(wrap_text_encoder(graph, place, texts, name=options.name, options=_PART, progress=progress))
        if texts.pooling != "none":
            progress("comparing its pooling and its prompt with others")
            checks += check_text_settings(graph, texts, [prompt for _, prompt in settings.prompts])
    if len({part.manifest.dimension for part in parts}) > 1:
        sizes = " and ".join(str(part.manifest.dimension) for part in parts)
        raise ExportError(f"pictures and texts have vectors of {sizes} numbers, so they share no space: two models")
    return parts, checks


def _part(scratch: Path, name: str) -> Path:
    (scratch / name).mkdir()
    return scratch / name / "bundle"


def _fields(parts: list[Bundle], options: ForeignOptions, files: Mapping[str, Any]) -> dict[str, Any]:
    manifests = [part.manifest for part in parts]
    proof = [check for manifest in manifests for check in manifest.provenance.get("proof", ())]
    provenance = {"onnx": onnx.__version__, **options.provenance, "pulled_files": dict(files), "proof": proof}
    looped = [manifest.provenance["batches"] for manifest in manifests if "batches" in manifest.provenance]
    return {
        "name": options.name,
        "description": options.description or f"{options.provenance.get('source', options.name)}, wrapped",
        "modalities": tuple(modality for manifest in manifests for modality in manifest.modalities),
        "dimension": manifests[0].dimension,
        "image": next((manifest.image for manifest in manifests if manifest.image), None),
        "text": next((manifest.text for manifest in manifests if manifest.text), None),
        "license": options.license,
        "provenance": {**provenance, "batches": looped[0]} if looped else provenance,
    }


def _scale_fields(found: LogitScale, provenance: dict[str, Any]) -> dict[str, Any]:
    provenance = {**provenance, "logit_scale": found.source}
    return {"logit_scale": found.scale, "logit_bias": found.bias, "provenance": provenance}


def _failure(failed: list[str]) -> str:
    return (
        f"the self-check failed, and no bundle was written: {'; '.join(failed)}. Compare the settings with the model's "
        "page (pooling, prompt, mean, size); --skip-check writes it anyway"
    )
