"""`glimpse evaluate --track` and `glimpse experiments`, with the real glimpse-mini."""

import csv
import io
import json
import multiprocessing
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glimpse.backbone import open_bundle
from glimpse.cli.main import main
from glimpse.evaluate import EvaluationError
from glimpse.evaluate.tracking.run import Run
from glimpse.evaluate.tracking.run_comparison import compare_runs
from glimpse.evaluate.tracking.run_folder import read_runs, save_run
from support.bundles import tiny_image_bundle

from ..conftest import Done, Evaluate

Experiments = Callable[..., Done]


@pytest.fixture
def experiments(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Experiments:
    """Runs `glimpse experiments …` on the folder `runs`."""
    monkeypatch.setenv("GLIMPSE_FORMAT", "table")
    monkeypatch.setenv("COLUMNS", "80")

    def run(verb: str, *arguments: object) -> Done:
        with pytest.raises(SystemExit) as ended:
            main(["experiments", verb, str(tmp_path / "runs"), *map(str, arguments)])
        printed = capsys.readouterr()
        message = ended.value.code if isinstance(ended.value.code, str) else ""
        return Done(1 if message else ended.value.code, printed.out, printed.err + message, tmp_path)

    return run


@pytest.fixture
def track(tmp_path: Path, evaluate: Evaluate) -> Callable[..., Run]:
    """Evaluates data and keeps the run; returns it as its file has it."""
    folder = tmp_path / "runs"

    def run(data: Path, *arguments: object) -> Run:
        before = set(folder.glob("*.json"))
        done = evaluate(data, "--track", folder, *arguments)
        assert done.code == 0, done.err
        [file] = set(folder.glob("*.json")) - before
        assert f"run kept: {file}" in done.err
        return Run.model_validate_json(file.read_bytes())

    return run


def accuracies(run: Run, shots: int, backbone: str = "glimpse-mini", head: str = "auto") -> list[float]:
    [result] = [one for one in run.results if (one.backbone, one.shots, one.head) == (backbone, shots, head)]
    return [trial.figures["accuracy"] or 0.0 for trial in result.trials]


def test_runs_on_the_same_draws_are_compared_within_each_draw(
    track: Callable[..., Run], experiments: Experiments, drawings: Path, tmp_path: Path
) -> None:
    tiny_image_bundle(tmp_path / "tiny", seed=3)
    first = track(drawings, "--shots", "1,4", "--seeds", "3")
    # The same pictures elsewhere, and more seeds: the first three draws are the same.
    shutil.copytree(drawings, tmp_path / "elsewhere")
    second = track(tmp_path / "elsewhere", "--backbone", tmp_path / "tiny", "--shots", "4", "--seeds", "5")
    assert first.data.digest == second.data.digest
    assert first.id != second.id
    done = experiments("compare")
    assert done.code == 0, done.err
    [found] = [json.loads(line) for line in experiments("compare", "--format", "json").out.splitlines()]
    assert found["reference"] == {"run": first.id, "backbone": "glimpse-mini"}
    [one] = found["differences"]
    gaps = np.subtract(accuracies(second, 4, "tiny-image")[:3], accuracies(first, 4))
    assert (one["run"], one["backbone"], one["head"], one["shots"]) == (second.id, "tiny-image", "auto", 4)
    assert one["difference"]["mean"] == pytest.approx(gaps.mean())
    half = 4.3027 * gaps.std(ddof=1) / 3**0.5
    assert one["difference"]["low"] == pytest.approx(gaps.mean() - half)
    assert (one["draws"], one["draws_left_out"], one["clear"]) == (3, 2, True)
    reasons = [other["reason"] for other in found["not_compared"]]
    assert reasons == [
        "auto with 1 examples a label: only the reference has it",
        "auto+text with 1, 4 examples a label: only the reference has it",
    ]
    assert f"not compared: {second.id} tiny-image: {reasons[0]}" in done.err
    row = " ".join(done.out.splitlines()[-1].split())
    assert row.startswith(f"auto 4 {100 * np.mean(accuracies(first, 4)):.1f} ")
    assert row.endswith(
        f"{100 * gaps.mean():+.1f} ({100 * (gaps.mean() - half):.1f} to {100 * (gaps.mean() + half):.1f}) 3 yes"
    )
    assert max(map(len, done.out.splitlines())) <= 80
    [line] = csv.DictReader(io.StringIO(experiments("compare", "--format", "csv").out, newline=""))
    assert line["run"] == second.id
    assert float(line["difference.mean"]) == pytest.approx(gaps.mean())


def test_backbones_of_one_run_are_compared(
    track: Callable[..., Run], experiments: Experiments, drawings: Path, tmp_path: Path
) -> None:
    tiny_image_bundle(tmp_path / "tiny", seed=3)
    run = track(drawings, "--backbone", "glimpse-mini", "--backbone", tmp_path / "tiny", "--shots", "4", "--baseline")
    assert run.names == ["glimpse-mini", "tiny-image", "raw pixels"]
    [found] = [json.loads(line) for line in experiments("compare", run.id, "--format", "json").out.splitlines()]
    assert {one["backbone"]: one["shots"] for one in found["differences"]} == {"tiny-image": 4, "raw pixels": 4}
    assert all(one["difference"]["high"] < 0 for one in found["differences"])
    figure = experiments("compare", run.id, "--figure", "set_size")
    assert figure.code == 0, figure.err
    assert figure.out.startswith("set_size against")
    unknown = experiments("compare", run.id, "--figure", "speed")
    assert (unknown.code, "the runs have no figure 'speed'" in unknown.err) == (1, True)


def test_other_data_are_not_compared(
    track: Callable[..., Run], experiments: Experiments, drawings: Path, unknown: Path
) -> None:
    first = track(drawings, "--shots", "2", "--seeds", "2")
    other = track(unknown, "--shots", "2", "--seeds", "2")
    grouped = track(drawings, "--shots", "2", "--seeds", "2", "--unknown", drawings / "char_5")
    done = experiments("compare")
    assert done.code == 1
    assert f"not compared: {other.id} glimpse-mini: other data: 30 images of 5 labels" in done.err
    assert f"not compared: {grouped.id} glimpse-mini: other data: 50 images of 5 labels" in done.err
    assert "and the reference has 60 images of 6 labels" in done.err
    assert "nothing could be compared" in done.err
    assert first.data.digest not in (other.data.digest, grouped.data.digest)


def test_draws_that_differ_are_not_compared(track: Callable[..., Run], drawings: Path, tmp_path: Path) -> None:
    shutil.copytree(drawings, tmp_path / "data")
    for label in (tmp_path / "data").iterdir():  # pairs of drawings in a folder, which a group depth makes groups
        for number in range(10):
            (label / f"{number // 2}").mkdir(exist_ok=True)
            (label / f"{number}.png").rename(label / f"{number // 2}" / f"{number}.png")
    plain = track(tmp_path / "data", "--shots", "1,2", "--seeds", "2")
    grouped = track(tmp_path / "data", "--shots", "1,2", "--seeds", "2", "--group-depth", "2")
    assert plain.data.digest == grouped.data.digest
    comparison = compare_runs([plain, grouped])
    assert not comparison.differences
    [auto, with_text] = [one.reason for one in comparison.not_compared]
    assert auto == "auto with 1, 2 examples a label: the two share no draw with this figure"
    assert with_text.startswith("auto+text with 1, 2 examples a label")


def test_figures_of_unknown_inputs_need_the_same_unknown_inputs(
    track: Callable[..., Run], drawings: Path, unknown: Path, tmp_path: Path
) -> None:
    shutil.copytree(unknown, tmp_path / "copy")
    shutil.copytree(unknown / "char_6", tmp_path / "fewer")
    with_unknown, copied, fewer = (
        track(drawings, "--shots", "4", "--seeds", "2", "--unknown", folder)
        for folder in (unknown, tmp_path / "copy", tmp_path / "fewer")
    )
    same = compare_runs([with_unknown, copied], "auroc")
    assert same.differences
    assert not same.not_compared
    other = compare_runs([with_unknown, fewer], "auroc")
    assert not other.differences
    assert [one.reason for one in other.not_compared] == ["other unknown inputs, which auroc rests on"]
    assert compare_runs([with_unknown, fewer]).differences


def test_a_folder_whose_name_is_not_utf_8_is_kept(track: Callable[..., Run], drawings: Path, tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"data\xff")
    shutil.copytree(drawings, odd)
    assert track(odd, "--shots", "2", "--seeds", "2").data.source == f"{tmp_path}/data?"


def test_a_changed_label_is_other_data(track: Callable[..., Run], drawings: Path, tmp_path: Path) -> None:
    shutil.copytree(drawings, tmp_path / "data")
    before = track(tmp_path / "data", "--shots", "2", "--seeds", "2")
    (tmp_path / "data" / "char_0" / "0.png").rename(tmp_path / "data" / "char_1" / "moved.png")
    after = track(tmp_path / "data", "--shots", "2", "--seeds", "2")
    assert before.data.inputs == after.data.inputs
    assert before.data.digest != after.data.digest


def test_a_run_has_what_is_needed_to_repeat_it(
    track: Callable[..., Run], experiments: Experiments, drawings: Path
) -> None:
    run = track(drawings, "--shots", "1,2", "--seeds", "2")
    [found] = [json.loads(line) for line in experiments("list", "--format", "json").out.splitlines()]
    assert found["run"] == run.id
    assert found["command"].startswith(f"glimpse evaluate {drawings} --backbone glimpse-mini --shots 1,2 --seeds 2")
    assert (found["shots"], found["seeds"], found["data"]["inputs"], found["data"]["labels"]) == ([1, 2], 2, 60, 6)
    assert {"python", "glimpse-fewshot", "numpy"} <= set(found["versions"])
    assert found["backbones"][0]["embedding_space"] == open_bundle("glimpse-mini").manifest.embedding_space
    table = experiments("list")
    assert run.id in table.out
    assert run.data.digest.removeprefix("sha256:")[:12] in table.out
    [line] = csv.DictReader(io.StringIO(experiments("list", "--format", "csv").out, newline=""))
    assert (line["run"], line["data.digest"]) == (run.id, run.data.digest)


def test_a_damaged_file_is_named_with_the_place(
    track: Callable[..., Run], experiments: Experiments, drawings: Path, tmp_path: Path
) -> None:
    assert "is not a folder" in experiments("list").err
    run = track(drawings, "--shots", "2", "--seeds", "2")
    file = tmp_path / "runs" / f"{run.id}.json"
    whole = file.read_text("utf-8")
    record: dict[str, Any] = json.loads(whole)

    def problem(text: str) -> str:
        file.write_text(text, "utf-8")
        done = experiments("list")
        assert done.code == 1
        return done.err

    assert f"{file} is no run of glimpse evaluate: Invalid JSON: EOF while parsing" in problem(whole[: len(whole) // 2])
    record["results"][0]["trials"][1]["figures"]["accuracy"] = "high"
    assert "results[0].trials[1].figures.accuracy: Input should be a valid number" in problem(json.dumps(record))
    assert "results[0].trials: Field required" in problem(
        json.dumps({**record, "results": [{"backbone": "b", "head": "auto", "shots": 2}]})
    )
    assert "has format 2, and this version of Glimpse reads 1" in problem(json.dumps({**record, "format_version": 2}))
    assert "it holds the run 20200101-000000-abcdef" in problem(
        json.dumps({**json.loads(whole), "id": "20200101-000000-abcdef"})
    )
    file.write_text(whole, "utf-8")
    assert experiments("list").code == 0
    missing = experiments("compare", "20200101-000000-abcdef")
    assert (missing.code, "has no run '20200101-000000-abcdef'" in missing.err) == (1, True)
    alone = experiments("compare")
    assert (alone.code, "there is one run of one backbone" in alone.err) == (1, True)


def _save_many(folder: Path, text: str, numbers: range) -> None:
    run = Run.model_validate_json(text)
    for number in numbers:
        save_run(run.model_copy(update={"id": f"20260101-000000-{number:06x}"}), folder)


def test_runs_that_end_at_once_are_all_kept(track: Callable[..., Run], drawings: Path, tmp_path: Path) -> None:
    text = track(drawings, "--shots", "2", "--seeds", "2").model_dump_json()
    folder, context = tmp_path / "many", multiprocessing.get_context("fork")
    writers = [
        context.Process(target=_save_many, args=(folder, text, range(25 * part, 25 * part + 25))) for part in range(4)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
    assert [run.id for run in read_runs(folder)] == [f"20260101-000000-{number:06x}" for number in range(100)]
    assert not list(folder.glob(".*"))
    kept = (folder / "20260101-000000-000000.json").read_bytes()
    with pytest.raises(FileExistsError):
        _save_many(folder, text, range(1))
    assert (folder / "20260101-000000-000000.json").read_bytes() == kept
    assert not list(folder.glob(".*"))


def test_equal_runs_do_not_differ(track: Callable[..., Run], drawings: Path) -> None:
    runs = [track(drawings, "--shots", "1,4", "--seeds", "3") for _ in range(2)]
    comparison = compare_runs(runs)
    assert [one.difference.mean for one in comparison.differences] == [0.0] * 4  # with prompts and without
    assert not comparison.not_compared
    assert not any(one.clear for one in comparison.differences)
    with pytest.raises(EvaluationError, match="one run of one backbone"):
        compare_runs(runs[:1])
