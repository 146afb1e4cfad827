"""Builds in this process: the folder's content, how it grows, and errors that stop a build."""

import errno
import fcntl
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glimpse.backbone import Bundle, Embedder
from glimpse.builder import LOCAL, BuildError, Engine, Layout, Plan, build
from glimpse.builder.engines.encode_rows import Made
from glimpse.builder.options import Inputs, Write
from glimpse.builder.output import fragments
from glimpse.builder.output.output_folder import Folder
from glimpse.index import BulkIndex, read_manifest
from glimpse.index.integrity.verify import verify
from support.building import Quiet, built, failed, painted, rows, shards, texts
from support.bundles import tiny_dual_bundle, tiny_image_bundle

_NAMES = [f"{label}/{i}" for label in ("cat", "dog") for i in range(10)]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return tiny_dual_bundle(tmp_path_factory.mktemp("build") / "bundle", dimension=16)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return painted(tmp_path / "photos", _NAMES)


def test_a_folder_becomes_an_index(photos: Path, bundle: Bundle, tmp_path: Path) -> None:
    watch = Quiet()
    plan = Plan([str(photos)], str(bundle.path), tmp_path / "out", rebuild="glimpse index build photos")
    made = build(plan, watch)
    assert (made.tally.inputs, made.tally.encoded, made.tally.failed) == (20, 20, 0)
    assert watch.counts == [20]
    assert made.manifest.embedding_space == bundle.manifest.embedding_space
    assert made.manifest.rebuild == "glimpse index build photos"
    found, reader = rows(tmp_path / "out"), Embedder(bundle, threads=1)
    assert sorted(found) == sorted(f"photos/{name}.png" for name in _NAMES)
    for row in found.values():
        content = Path(row["source"]).read_bytes()
        alone = reader.encode("image", [reader.prepare("image", content)])[0]
        assert np.dot(alone, row["vector"]) == pytest.approx(1, abs=1e-3)
        assert row["label"] is None
    assert not verify(tmp_path / "out")
    assert not (tmp_path / "out" / ".building").exists()
    assert not (tmp_path / "out" / "errors.parquet").exists()


def test_it_opens_and_finds_an_input_by_its_vector(photos: Path, bundle: Bundle, tmp_path: Path) -> None:
    built(photos, bundle.path, tmp_path / "out", vectors="float32")
    index, reader = BulkIndex.open(tmp_path / "out"), Embedder(bundle, threads=1)
    content = (photos / "dog" / "3.png").read_bytes()
    query = reader.encode("image", [reader.prepare("image", content)])
    cosines, places = index.search(query, 1)
    assert index.id(int(places[0, 0])) == "photos/dog/3.png"
    assert cosines[0, 0] == pytest.approx(1, abs=1e-5)
    assert index.labels == ["cat", "dog"]


def test_only_new_content_is_embedded(photos: Path, bundle: Bundle, tmp_path: Path) -> None:
    out = tmp_path / "out"
    built(photos, bundle.path, out)
    before, first = rows(out), shards(out)
    painted(photos, ["cat/a-new-one", "emu/0"])
    again = built(photos, bundle.path, out, resume=True)
    assert (again.tally.known, again.tally.encoded, again.manifest.count) == (20, 2, 22)
    assert {name: row for name, row in rows(out).items() if name in before} == before
    assert first.items() <= shards(out).items()
    assert BulkIndex.open(out).labels == ["cat", "dog", "emu"]
    assert not verify(out)


def test_without_new_inputs_the_index_does_not_change(photos: Path, bundle: Bundle, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = built(photos, bundle.path, out).manifest
    state = (out / "index.faiss").stat()
    assert built(photos, bundle.path, out, resume=True).manifest == first
    assert (out / "index.faiss").stat() == state
    other = built(photos, bundle.path, out, resume=True, factory="SQ8").manifest
    assert (other.index.factory, other.index.chosen) == ("SQ8", "given")


def test_for_another_recall_nothing_is_trained_again(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, out = texts(tmp_path / "data.jsonl", 2_000), tmp_path / "out"
    first = built(data, bundle.path, out, factory="IVF200,Flat", min_recall=0.2).manifest.index

    def refuse(*_: Any) -> None:
        raise AssertionError("it was trained")

    monkeypatch.setattr("glimpse.index.building.train.trained_empty", refuse)
    second = built(data, bundle.path, out, factory="IVF200,Flat", min_recall=1, resume=True).manifest.index
    assert first.measured
    assert second.measured
    assert first.measured.recall_at_10 < second.measured.recall_at_10 == 1
    assert not verify(out)


def test_a_changed_file_replaces_its_row(photos: Path, bundle: Bundle, tmp_path: Path) -> None:
    out = tmp_path / "out"
    built(photos, bundle.path, out)
    before = rows(out)
    painted(photos, ["dog/3"], shade=1)
    again = built(photos, bundle.path, out, resume=True)
    assert (again.tally.changed, again.tally.encoded, again.manifest.count) == (1, 1, 20)
    after = rows(out)
    assert after.keys() == before.keys()
    assert [name for name in after if after[name] != before[name]] == ["photos/dog/3.png"]
    assert sorted(shards(out)) == ["part-00000.1.parquet", "part-00001.parquet"]
    assert not verify(out)


def test_a_shard_without_current_rows_is_removed(photos: Path, bundle: Bundle, tmp_path: Path) -> None:
    out = tmp_path / "out"
    built(photos, bundle.path, out)
    painted(photos, _NAMES, shade=1)
    assert built(photos, bundle.path, out, resume=True).manifest.count == 20
    assert sorted(shards(out)) == ["part-00001.parquet"]


def test_content_with_another_name_or_label_is_not_embedded_again(
    photos: Path, bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    built(photos, bundle.path, out)
    before = rows(out)
    (photos / "cat" / "0.png").rename(photos / "cat" / "moved.png")

    def refuse(*_: Any) -> None:
        raise AssertionError("the encoder ran")

    monkeypatch.setattr(Embedder, "encode", refuse)
    again = built(photos, bundle.path, out, resume=True)
    assert (again.tally.copied, again.manifest.count) == (1, 21)  # rows stay in the index when their files are gone
    moved = rows(out)["photos/cat/moved.png"]
    assert np.allclose(moved["vector"], before["photos/cat/0.png"]["vector"], atol=1e-3)
    relabelled = built(photos, bundle.path, out, labels="domain/label", resume=True)
    assert (relabelled.tally.changed, relabelled.manifest.count) == (20, 21)
    assert [row["label"] for row in rows(out).values()].count("cat") == 1


def test_rows_keep_the_group_of_their_folder(bundle: Bundle, tmp_path: Path) -> None:
    photos, out = (
        painted(tmp_path / "photos", ["cat/clip 1/0", "cat/clip 1/1", "cat/2", "dog/clip 1/3"]),
        tmp_path / "out",
    )
    build(Plan([str(photos)], str(bundle.path), out, Layout.parse("label/group")), Quiet())
    index = BulkIndex.open(out)
    groups = {index.id(row): group for row, group in index.groups()}
    assert groups == {
        "photos/cat/clip 1/0.png": "cat/clip 1",
        "photos/cat/clip 1/1.png": "cat/clip 1",
        "photos/dog/clip 1/3.png": "dog/clip 1",
    }
    assert index.labels == ["cat", "dog"]
    again = build(Plan([str(photos)], str(bundle.path), out, Layout.parse("label"), resume=True), Quiet())
    assert (again.tally.known, again.tally.encoded) == (1, 0)  # the group of three rows has changed, no content has
    assert not list(BulkIndex.open(out).groups())


def test_labels_are_not_lost_without_the_option(photos: Path, bundle: Bundle, tmp_path: Path) -> None:
    out, more = tmp_path / "out", painted(tmp_path / "more", ["emu/0"])
    first = built(photos, bundle.path, out).manifest
    for given in (photos, photos / "*" / "*.png"):
        with pytest.raises(BuildError, match="'photos' have labels") as refused:
            built(given, bundle.path, out, labels=None, resume=True)
        assert "--labels" in refused.value.next_step
    assert read_manifest(out) == first
    # A folder whose rows have no labels may be built without --labels.
    assert built(more, bundle.path, out, labels=None, resume=True).manifest.count == 21


def test_an_unknown_type_is_refused_before_anything_is_embedded(photos: Path, bundle: Bundle, tmp_path: Path) -> None:
    for factory in ("Nonsense", "IDMap,Flat", "PQ5"):
        with pytest.raises(BuildError, match=f"cannot make {factory}") as refused:
            built(photos, bundle.path, tmp_path / "out", factory=factory)
        assert "--type" in refused.value.next_step
    assert not (tmp_path / "out").exists()


def test_too_few_rows_for_a_type_are_kept_for_another(photos: Path, bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="all vectors are written") as refused:
        built(photos, bundle.path, tmp_path / "out", factory="IVF64,Flat")
    assert refused.value.next_step == "give another --type, with --resume"
    assert built(photos, bundle.path, tmp_path / "out", factory="Flat", resume=True).tally.known == 20


@pytest.mark.parametrize("file", ["index.faiss", "labels.parquet"])
def test_files_that_the_manifest_does_not_name_are_built_again(
    file: str, photos: Path, bundle: Bundle, tmp_path: Path
) -> None:
    """A build that is killed between its last renames leaves such files."""
    out, other = tmp_path / "out", tmp_path / "other"
    built(photos, bundle.path, out)
    built(painted(tmp_path / "photos", ["emu/0"]), bundle.path, other, factory="SQ8")
    (photos / "emu" / "0.png").unlink()
    shutil.copy(other / file, out)
    built(photos, bundle.path, out, resume=True)
    assert not verify(out)


def test_shards_that_no_manifest_names_are_removed(photos: Path, bundle: Bundle, tmp_path: Path) -> None:
    out = tmp_path / "out"
    built(photos, bundle.path, out)
    left = out / "vectors" / "part-00000.parquet"
    newer = left.with_name("part-00000.1.parquet")
    manifest = (out / "manifest.json").read_text().replace(left.name, newer.name)
    shutil.copy(left, newer)
    (out / "manifest.json").write_text(manifest)
    built(photos, bundle.path, out, resume=True)
    assert list(shards(out)) == [newer.name]


def test_if_an_engine_makes_an_id_twice_the_last_row_counts(photos: Path, bundle: Bundle, tmp_path: Path) -> None:
    def twice(plan: Plan, own: Bundle, folder: Folder, inputs: Inputs, write: Write) -> None:
        def again(made: Made) -> None:
            write(made)
            write(made)

        LOCAL.embed(plan, own, folder, inputs, again)

    plan = Plan([str(photos)], str(bundle.path), tmp_path / "out", threads=1)
    assert build(plan, Quiet(), Engine(twice)).manifest.count == 20
    assert not verify(tmp_path / "out")


def test_rows_of_workers_are_kept_and_each_run_has_its_own_folder(photos: Path, bundle: Bundle, tmp_path: Path) -> None:
    out, places = tmp_path / "out", list[Path]()

    def die(plan: Plan, own: Bundle, folder: Folder, inputs: Inputs, write: Write) -> None:
        def leave(made: Made) -> None:
            folder.windows.mkdir(parents=True)
            assert made.table is not None
            fragments.write_fragment(folder.windows / "00000000.arrow", made.table)
            places.append(folder.windows)
            raise OSError(errno.EIO, "the end")

        LOCAL.embed(plan, own, folder, inputs, leave)

    def look(plan: Plan, own: Bundle, folder: Folder, inputs: Inputs, write: Write) -> None:
        places.append(folder.windows)
        LOCAL.embed(plan, own, folder, inputs, write)

    with pytest.raises(BuildError, match="the end"):
        build(Plan([str(photos)], str(bundle.path), out, threads=1), Quiet(), Engine(die))
    again = build(Plan([str(photos)], str(bundle.path), out, threads=1, resume=True), Quiet(), Engine(look))
    assert places[0] != places[1]
    assert not places[0].exists()
    assert again.tally.known == 20


def test_one_broken_picture_among_good_ones(photos: Path, bundle: Bundle, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (photos / "cat" / "5.png").write_bytes(b"no picture")
    (photos / "dog" / "5.png").write_bytes(b"")
    made = built(photos, bundle.path, out)
    assert (made.manifest.count, made.manifest.error_count) == (18, 2)
    assert failed(out) == {"photos/cat/5.png": "IMAGE_FORMAT_UNKNOWN", "photos/dog/5.png": "IMAGE_EMPTY"}
    assert [one.id for one in made.named] == ["photos/cat/5.png", "photos/dog/5.png"]
    painted(photos, ["cat/5", "dog/5"])
    mended = built(photos, bundle.path, out, resume=True)
    assert (mended.tally.encoded, mended.manifest.count, mended.manifest.error_count) == (2, 20, 0)
    assert not (out / "errors.parquet").exists()


def test_errors_are_of_the_last_run_though_no_row_is_new(photos: Path, bundle: Bundle, tmp_path: Path) -> None:
    out = tmp_path / "out"
    built(photos, bundle.path, out)
    (photos / "zebra.png").write_bytes(b"no picture")
    assert built(photos, bundle.path, out, resume=True).manifest.error_count == 1
    assert failed(out) == {"photos/zebra.png": "IMAGE_FORMAT_UNKNOWN"}
    assert not verify(out)
    (photos / "zebra.png").unlink()
    assert built(photos, bundle.path, out, resume=True).manifest.error_count == 0
    assert not verify(out)


def test_without_usable_inputs_there_are_only_reasons(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_bytes(b"no picture")
    with pytest.raises(BuildError, match=r"none of the 1 inputs could be used; .*a\.png: IMAGE_FORMAT_UNKNOWN"):
        built(tmp_path / "photos", bundle.path, tmp_path / "out")
    assert failed(tmp_path / "out") == {"photos/a.png": "IMAGE_FORMAT_UNKNOWN"}
    painted(tmp_path / "photos", ["a"])
    assert built(tmp_path / "photos", bundle.path, tmp_path / "out", resume=True).manifest.count == 1


def test_a_folder_that_is_not_ours_to_write_is_left_alone(photos: Path, bundle: Bundle, tmp_path: Path) -> None:
    out = tmp_path / "out"
    built(photos, bundle.path, out)
    before = shards(out)
    with pytest.raises(BuildError, match="is an index already"):
        built(photos, bundle.path, out)
    with pytest.raises(BuildError, match="neither empty nor an index"):
        built(photos, bundle.path, photos, resume=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(BuildError, match="is a file"):
        built(photos, bundle.path, tmp_path / "file")
    (out / ".building").mkdir()
    with pytest.raises(BuildError, match="has an unfinished build"):
        built(photos, bundle.path, out)
    assert shards(out) == before


def test_no_input_makes_no_folder(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(BuildError, match="there is no input"):
        built(tmp_path / "empty", bundle.path, tmp_path / "out")
    with pytest.raises(BuildError):
        built(tmp_path / "missing", bundle.path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_other_vectors_than_the_indexs_are_refused(photos: Path, bundle: Bundle, tmp_path: Path) -> None:
    out = tmp_path / "out"
    built(photos, bundle.path, out, vectors="float32")
    other = tiny_image_bundle(tmp_path / "other", dimension=16, seed=5)
    with pytest.raises(BuildError, match="vectors of tiny in float32, the new ones would be of tiny-image in float32"):
        built(photos, other.path, out, resume=True)
    with pytest.raises(BuildError, match="of tiny in float32, the new ones would be of tiny in float16"):
        built(photos, bundle.path, out, resume=True, vectors="float16")
    assert built(photos, bundle.path, out, resume=True).manifest.vector_type == "float32"


def test_a_build_that_has_not_ended_goes_on_with_the_vectors_it_has(
    photos: Path, bundle: Bundle, tmp_path: Path
) -> None:
    with pytest.raises(BuildError, match="all vectors are written"):
        built(photos, bundle.path, tmp_path / "out", vectors="float32", factory="IVF64,Flat")
    with pytest.raises(BuildError, match="of tiny in float32") as refused:
        built(photos, bundle.path, tmp_path / "out", vectors="float16", resume=True)
    assert "--vectors float32" in refused.value.next_step
    assert built(photos, bundle.path, tmp_path / "out", resume=True).manifest.vector_type == "float32"


def test_two_builds_at_once_are_kept_apart(photos: Path, bundle: Bundle, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    handle = os.open(out, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with pytest.raises(BuildError, match="another build is writing"):
            built(photos, bundle.path, out)
    finally:
        os.close(handle)
    assert built(photos, bundle.path, out).manifest.count == 20


def test_a_full_disk_stops_the_build_and_written_rows_are_kept(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, out, whole = texts(tmp_path / "data.jsonl", 1_100), tmp_path / "out", tmp_path / "whole"
    built(data, bundle.path, whole, shard_size=512)
    write, count = fragments.write_fragment, 0

    def full(path: Path, table: Any) -> None:
        nonlocal count
        count += 1
        if count == 4:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(path, table)

    with monkeypatch.context() as patch:
        patch.setattr(fragments, "write_fragment", full)
        with pytest.raises(BuildError, match=r"No space left on device; 768 new rows are kept") as stopped:
            built(data, bundle.path, out, shard_size=512)
    assert "--resume" in stopped.value.next_step
    again = built(data, bundle.path, out, resume=True, shard_size=256)  # it goes on in shards of 512
    assert (again.tally.known, again.tally.encoded) == (768, 1_100 - 768)
    assert shards(out) == shards(whole)


def test_inputs_of_folders_are_counted(photos: Path, bundle: Bundle, tmp_path: Path) -> None:
    watch = Quiet()
    build(Plan([str(photos)], str(bundle.path), tmp_path / "out"), watch)
    assert watch.totals in ([20], [])  # there is none if the build was faster
    watch = Quiet()
    build(Plan([str(texts(tmp_path / "t.jsonl", 5))], str(bundle.path), tmp_path / "texts"), watch)
    assert watch.totals == []


_PEAK = """
import resource, sys
from pathlib import Path
from glimpse.cli.main import main
try:
    main(sys.argv[1:])
except SystemExit as ended:
    print("\\n", ended.code, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_memory_does_not_grow_with_the_inputs(bundle: Bundle, tmp_path: Path) -> None:
    peaks = []
    for count in (2_000, 20_000):
        data = texts(tmp_path / f"{count}.jsonl", count)
        words = ["index", "build", data, "--backbone", bundle.path, "--out", tmp_path / str(count), "--type", "Flat"]
        command = [sys.executable, "-c", _PEAK, *map(str, words), "--threads", "1", "--shard-size", "2048"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        code, peak = done.stdout.split()[-2:]
        assert code == "0", done.stderr
        assert json.loads((tmp_path / str(count) / "manifest.json").read_text())["count"] == count
        peaks.append(int(peak) / 1024)
    print(f"{peaks[0]:.0f} MiB for 2,000, {peaks[1]:.0f} MiB for 20,000")
    assert peaks[1] < peaks[0] + 48
