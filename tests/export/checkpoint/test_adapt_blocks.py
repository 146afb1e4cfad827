"""`glimpse adapt --blocks` trains a checkpoint's last blocks, and writes a bundle only where it is better."""

import csv
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from bench.vectors import NAMES, READERS
from glimpse.backbone import ImageLimits, load_bundle
from glimpse.backbone.adaptation.training_record import digests_of, read_training_record
from glimpse.cli.adapt.blocks import BlockTraining
from glimpse.cli.adapt.data import DataOptions, read_data
from glimpse.export.checkpoint.export_checkpoint import export_checkpoint
from glimpse.export.checkpoint.loaders.from_hf import load_hf
from glimpse.export.errors import ExportError
from glimpse.export.verify import load_again
from support.server import GLIMPSE

from .hf_models import save_transformer

LABELS, EACH = ("dog", "house", "grass", "evening"), 6
_NOISE = ("a", "photo", "of", "the", "small", "that", "runs", "over", "green", "an", "old", "red", "in")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the bundle of a small random transformer, which it is exported from."""
    folder = tmp_path_factory.mktemp("model")
    save_transformer(folder / "checkpoint")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("glimpse.export.background.background_words", lambda: ["a", "dog", "house", "red"])
        export_checkpoint(load_hf(str(folder / "checkpoint"), None), folder / "bundle", name="tiny")
    return folder / "bundle"


def write_table(file: Path, shuffle_seed: int | None = None) -> None:
    """Writes texts of random words, of which one says the label unless labels are shuffled."""
    rng = np.random.default_rng(0)
    labels = [label for label in LABELS for _ in range(EACH)]
    texts = [" ".join(rng.permutation([label, *rng.choice(_NOISE, 10)])) for label in labels]
    if shuffle_seed is not None:
        labels = np.random.default_rng(shuffle_seed).permutation(labels).tolist()
    with file.open("w", newline="") as target:
        csv.writer(target).writerows([("text", "label"), *zip(texts, labels, strict=True)])


def adapt(table: Path, bundle: Path, out: Path, *more: str) -> tuple[int, dict[str, Any] | None, str]:
    """Runs the command; returns the exit code, the record, and the lines of progress."""
    command = [*GLIMPSE, "adapt", str(table), "--backbone", str(bundle), "--out", str(out)]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, "--cache", str(table.parent / "cache"), "--folds", "2", "--format", "json", *more],
        env=environment,
        capture_output=True,
        text=True,
    )
    return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr


def test_it_writes_a_better_bundle_with_its_lineage(minilm: Path, evaluation_data: Path, tmp_path: Path) -> None:
    """Questions of six kinds are far from what MiniLM was trained on."""
    parent = export_checkpoint(load_hf(str(minilm), None), tmp_path / "parent", name="minilm")
    rows = [row for label in NAMES["trec"] for row in _some_questions(evaluation_data, label)]
    with (tmp_path / "texts.csv").open("w", newline="") as target:
        csv.writer(target).writerows([("label", "text"), *rows])
    data = read_data(str(tmp_path / "texts.csv"), parent, DataOptions(tmp_path / "cache", ImageLimits()))
    training = BlockTraining.prepare(parent, data, 2, 0, tmp_path / "states", lambda line: None)
    result = training.measure(2, lambda: None)
    assert result.accuracy.gain > result.accuracy.error > 0
    written = training.write(tmp_path / "out", "adapted", parent, result, forced=False)
    training.forget()
    lineage = written.manifest.adaptation
    assert lineage
    assert (lineage.parent.name, lineage.method, lineage.settings["blocks"]) == ("minilm", "supervised contrast", 2)
    assert lineage.parent.embedding_space == parent.manifest.embedding_space != written.manifest.embedding_space
    assert {name.split(".layer.")[1][0] for name in lineage.layers} == {"4", "5"}
    assert all(check["passed"] for check in written.manifest.provenance["proof"])
    assert lineage.min_cosine >= 0.99999
    seen = digests_of(text.encode() for _, text in rows)
    assert read_training_record(load_bundle(written.path).path).trained_on == seen
    assert not (tmp_path / "states").exists()
    with pytest.raises(ExportError, match="was not made of a checkpoint that can be loaded again"):
        load_again(written)


def _some_questions(data: Path, label: str) -> list[tuple[str, str]]:
    questions, _ = READERS["trec"](data / "text")
    return [row for row in questions if row[0] == label][:16]


@pytest.mark.parametrize("seed", range(2))
def test_shuffled_labels_are_refused(bundle: Path, tmp_path: Path, seed: int) -> None:
    write_table(tmp_path / "texts.csv", shuffle_seed=seed)
    code, record, notes = adapt(tmp_path / "texts.csv", bundle, tmp_path / "out", "--blocks", "2")
    assert code == 1, notes
    assert record
    assert record["written"] is None
    assert record["reason"]
    assert not (tmp_path / "out").exists()


def test_a_bundle_without_a_checkpoint_is_refused_with_the_reason(bundle: Path, tmp_path: Path) -> None:
    write_table(tmp_path / "texts.csv")
    (bundle.parent / "checkpoint").rename(bundle.parent / "moved")
    try:
        code, _, notes = adapt(tmp_path / "texts.csv", bundle, tmp_path / "out", "--blocks", "1")
    finally:
        (bundle.parent / "moved").rename(bundle.parent / "checkpoint")
    assert code == 1
    assert "there is no folder" in notes
