"""Tests of `glimpse adapt`, and of the way from data far from the backbone's to a better service, on a real server."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from glimpse.backbone import load_bundle
from glimpse.backbone.adaptation.training_record import read_training_record
from glimpse.cli.demo.server import own_server
from glimpse.client import Client
from support.bundles import tiny_dual_bundle, tiny_image_bundle

from ..conftest import Done, run_glimpse

LABELS, EACH, SIDE = 5, 12, 16


def write_pictures(folder: Path, seed: int, each: int = EACH) -> Path:
    """Writes pictures of a faint pattern for each label under two patterns of any strength, which the labels share."""
    patterns = np.random.default_rng(7).normal(size=(LABELS + 2, SIDE, SIDE, 3))
    rng = np.random.default_rng(seed)
    for label in range(LABELS):
        (folder / f"l{label}").mkdir(parents=True)
        for number in range(each):
            shared = np.tensordot(rng.uniform(-30, 30, 2), patterns[LABELS:], 1)
            pixels = 128 + 1.5 * patterns[label] + shared + rng.normal(size=patterns[0].shape)
            picture = Image.fromarray(np.clip(pixels.round(), 0, 255).astype(np.uint8))
            picture.save(folder / f"l{label}" / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def frozen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_image_bundle(tmp_path_factory.mktemp("bundles") / "far", "far", dimension=16).path


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("data") / "parts", seed=0)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def adapted(frozen: Path, pictures: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("adapted") / "bundle"
    done = adapt(pictures, frozen, out, cache)
    assert done.code == 0, done.err
    return out


def adapt(source: Path | str, backbone: Path, out: Path, cache: Path, *more: object, server: str = "") -> Done:
    where = ("--server", server) if server else ()
    return run_glimpse(["adapt", source, "--backbone", backbone, "--out", out, "--cache", cache, *more, *where])


def test_it_writes_a_bundle_with_figures_lineage_and_what_it_saw(
    frozen: Path, pictures: Path, cache: Path, tmp_path: Path
) -> None:
    done = adapt(pictures, frozen, tmp_path / "out", cache, "--name", "near", "--seed", 3, "--format", "json")
    assert done.code == 0, done.err
    [record] = done.objects
    bundle = load_bundle(tmp_path / "out")
    manifest, lineage = bundle.manifest, bundle.manifest.adaptation
    assert lineage
    assert record["accuracy"]["gain"] > record["accuracy"]["error"] > 0
    assert (record["reason"], record["examples"], record["labels"]) == (None, LABELS * EACH, LABELS)
    assert (manifest.name, manifest.embedding_space) == ("near", record["embedding_space"])
    assert (lineage.parent.name, lineage.method, lineage.tower, lineage.seed) == ("far", "residual", "image", 3)
    assert (lineage.forced, lineage.settings) == (False, {"strength": 1.0})
    assert lineage.min_cosine >= 0.99999
    files = [file.read_bytes() for file in pictures.glob("*/*.png")]
    seen = {hashlib.sha256(content).hexdigest() for content in files}
    assert set(read_training_record(bundle.path).trained_on) == seen


def test_the_table_names_both_accuracies_and_the_next_step(
    frozen: Path, pictures: Path, cache: Path, tmp_path: Path
) -> None:
    done = adapt(pictures, frozen, tmp_path / "out", cache)
    lines = done.out.splitlines()
    assert lines[0] == "60 examples of 5 labels, each held out of all training"
    assert lines[1].split() == ["FROZEN", "ADAPTED", "GAIN", "STANDARD", "ERROR"]
    assert lines[2].startswith("accuracy")
    assert f"next: glimpse serve --backbone {frozen} --backbone {tmp_path / 'out'}" in done.err


@pytest.mark.parametrize("seed", range(3))
def test_shuffled_labels_are_refused(frozen: Path, pictures: Path, cache: Path, tmp_path: Path, seed: int) -> None:
    files = sorted(pictures.glob("*/*.png"))
    labels = np.random.default_rng(seed).permutation(np.arange(len(files)) % LABELS)
    for file, label in zip(files, labels, strict=True):
        folder = tmp_path / "shuffled" / f"l{label}"
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, folder / f"{file.parent.name}-{file.name}")
    out = tmp_path / "out"
    done = adapt(tmp_path / "shuffled", frozen, out, cache, "--format", "json")
    assert done.code == 1
    assert done.objects[0]["written"] is None
    assert done.objects[0]["reason"]
    assert not out.exists()
    if seed == 0:
        forced = adapt(tmp_path / "shuffled", frozen, out, cache, "--force")
        assert forced.code == 0
        assert "written by force: " in forced.err
        lineage = load_bundle(out).manifest.adaptation
        assert lineage
        assert lineage.forced


def test_a_backbone_that_does_not_gain_is_not_written(
    frozen: Path, adapted: Path, pictures: Path, cache: Path, tmp_path: Path
) -> None:
    # So strong a pull leaves the layer where it was.
    done = adapt(pictures, frozen, tmp_path / "out", cache, "--strength", "1e9")
    assert done.code == 1
    assert "not written: it does not gain by more than a standard error: +0.0 points" in done.err
    again = adapt(pictures, adapted, tmp_path / "out", cache)
    assert again.code == 1
    assert "far-adapted is adapted already — adapt its frozen parent far to all examples" in again.err
    assert not (tmp_path / "out").exists()


def test_texts_do_not_adapt_one_tower_of_an_image_text_backbone(cache: Path, tmp_path: Path) -> None:
    bundle = tiny_dual_bundle(tmp_path / "both").path
    rows = [f"{label},{word} {number}" for label in ("red", "blue") for word in (label,) for number in ("one", "two")]
    (tmp_path / "t.csv").write_text("\n".join(["label,text", *rows]))
    done = adapt(tmp_path / "t.csv", bundle, tmp_path / "out", cache)
    assert done.code == 1
    assert "adapt it to labelled pictures" in done.err


def test_pictures_report_accuracy_by_names_of_an_image_text_backbone(
    pictures: Path, cache: Path, tmp_path: Path
) -> None:
    bundle = tiny_dual_bundle(tmp_path / "both", dimension=16).path
    done = adapt(pictures, bundle, tmp_path / "out", cache, "--force", "--format", "json")
    assert done.code == 0, done.err
    zero_shot = done.objects[0]["zero_shot"]
    assert set(zero_shot) == {"frozen", "adapted", "gain", "error"}
    lineage = load_bundle(tmp_path / "out").manifest.adaptation
    assert lineage
    assert lineage.zero_shot
    assert lineage.zero_shot.frozen == zero_shot["frozen"]


def test_from_far_data_to_a_better_service_and_back(frozen: Path, pictures: Path, cache: Path, tmp_path: Path) -> None:
    """Walks docs/adapt.md: enroll, adapt the collection, restart with both, re-embed, compare, switch, roll back."""
    (tmp_path / "server").mkdir()
    out = tmp_path / "near"
    with own_server(tmp_path / "server", [frozen]) as server:

        def run(*words: object) -> str:
            done = run_glimpse([*words, "--server", server])
            assert done.code == 0, done.err
            return done.out

        run("collections", "create", "parts", "--keep-inputs")
        run("enroll", "parts", pictures, "--create")
        done = adapt("parts", frozen, out, cache, "--name", "near", server=server)
        assert done.code == 0, done.err
        before = json.loads(run("report", "parts", "--format", "json"))
        assert before["cross_fitted"] is None

    queries = write_pictures(tmp_path / "queries", seed=1, each=8)
    with own_server(tmp_path / "server", [frozen, out]) as server:
        run("collections", "re-embed", "start", "parts", "--to", "near", "--wait")
        status = run("collections", "re-embed", "status", "parts")
        assert "cross-fitted accuracy" in status
        assert "far, frozen" in status
        with Client(server) as client:
            # Before the switch: both backbones' figures, and the honest comparison of the two.
            state = client.get_reembedding("parts", measure=True)
            assert state.current.figures
            assert state.shadow.figures
            assert state.current.figures.cross_fitted is None
            figures = state.shadow.figures.cross_fitted
            assert figures
            assert (figures.parent_backbone, figures.trained_on_count) == ("far", LABELS * EACH)
            assert state.shadow.figures.accuracy == figures.adapted_accuracy
            assert figures.adapted_accuracy.value > figures.frozen_accuracy.value + figures.gain_error
            accuracy_before = accuracy_on(client, queries)

            run("collections", "re-embed", "switch", "parts")
            report = client.collection_report("parts", include_left_out=True)
            assert report.cross_fitted == figures
            assert report.calibrated
            assert (report.heads, report.confusions, report.suspects, report.left_out) == ((), (), (), ())
            assert report.false_reject
            # Better on pictures that no training has seen, and about as good as cross-fitting promised.
            accuracy = accuracy_on(client, queries)
            assert accuracy > accuracy_before + 0.1
            assert figures.adapted_accuracy.low - 0.1 <= accuracy <= figures.adapted_accuracy.high + 0.1

            # A collection of other pictures has not been seen: leave-one-out is honest there.
            client.create_collection("others", backbone="near")
            run("enroll", "others", queries, "--create")
            assert client.collection_report("others").cross_fitted is None

            run("collections", "re-embed", "rollback", "parts")
            assert client.collection_report("parts").cross_fitted is None
            assert accuracy_on(client, queries) == accuracy_before


def accuracy_on(client: Client, folder: Path) -> float:
    """Returns the part of a folder's pictures that the collection gives their label first."""
    files = sorted(folder.glob("*/*.png"))
    client.collection_report("parts")  # waits until the collection is fitted
    results = client.classify("parts", [file.read_bytes() for file in files])
    return float(
        np.mean([result.unwrap().label == file.parent.name for result, file in zip(results, files, strict=True)])
    )
