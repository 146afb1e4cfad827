"""Tests that the groups of tables and folders reach the dataset, and stay with their inputs."""

from pathlib import Path

import numpy as np
import pytest

from glimpse.evaluate.data.dataset import Dataset, usable_inputs
from glimpse.evaluate.data.dataset_readers import read_dataset
from glimpse.evaluate.errors import EvaluationError
from glimpse.inputs import Columns


def test_a_table_and_a_folder_have_groups(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("text,label,page\na,x,1\nb,y,1\nc,x,\nd,y,2\n")
    table, _ = read_dataset(tmp_path / "t.csv", Columns(group="page"))
    assert table.groups is not None
    assert table.groups.tolist() == [0, 0, 1, 2]
    assert read_dataset(tmp_path / "t.csv", Columns())[0].groups is None
    for name in ("x/clip/1.txt", "x/clip/2.txt", "x/3.txt", "y/clip/4.txt"):
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / name).write_text(name)
    folder, _ = read_dataset(tmp_path / "data", Columns(), group_depth=2)
    assert folder.groups is not None
    by_content = dict(zip(folder.contents, folder.groups.tolist(), strict=True))
    assert by_content["x/clip/1.txt"] == by_content["x/clip/2.txt"]
    assert len(set(by_content.values())) == 3


def test_a_part_of_a_dataset_keeps_its_groups() -> None:
    dataset = Dataset.of(Path("t"), "text", list("abcd"), ["x", "y", "x", "y"], None, ["1", "", "1", "2"])
    part = dataset.only(np.array([0, 2, 3]))
    assert part.groups is not None
    assert part.groups.tolist() == [0, 0, 2]


def test_a_label_of_one_group_cannot_be_evaluated() -> None:
    groups = ["1", "1", "2", "3", "4", "5"]
    dataset = Dataset.of(Path("t"), "text", list("abcdef"), ["x", "x", "y", "y", "z", "z"], None, groups)
    assert usable_inputs(dataset).tolist() == [2, 3, 4, 5]
    alone = Dataset.of(Path("t"), "text", list("abcd"), ["x", "x", "y", "y"], None, ["1", "1", "2", "2"])
    with pytest.raises(EvaluationError):
        usable_inputs(alone)
