"""Checks the pages against the code: examples run, and tables name what exists."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from glimpse.backbone import Manifest
from glimpse.cli.commands import command
from glimpse.cli.demo.server import own_server
from glimpse.index import VectorType, schema
from glimpse.server.errors import Queue
from glimpse.server.settings import Settings
from support.bundles import tiny_image_bundle
from support.certificates import Authority
from support.indexes import make_index

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text("utf-8")


def block(text: str, language: str) -> str:
    [content] = re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)
    return str(content)


def first_column(text: str, pattern: str = r"^\| `([A-Za-z_]+)`") -> set[str]:
    """Returns the names in the first columns of a page's tables."""
    return set(re.findall(pattern, text, re.MULTILINE))


def drawing(file: Path, *lines: tuple[int, int, int, int]) -> None:
    image = Image.new("RGB", (100, 100), "white")
    for line in lines:
        ImageDraw.Draw(image).line(line, fill="black", width=4)
    image.save(file)


def example_images(folder: Path) -> None:
    """Draws the images that the documents name."""
    drawing(folder / "tick.png", (20, 50, 45, 80), (45, 80, 85, 20))
    drawing(folder / "cross.png", (20, 20, 80, 80), (20, 80, 80, 20))
    drawing(folder / "scan.png", (25, 24, 82, 77), (24, 80, 76, 22))
    image = Image.new("RGB", (100, 100), "white")
    ImageDraw.Draw(image).ellipse((25, 25, 75, 75), fill="red")
    image.save(folder / "shape.png")


def run_example(code: str, folder: Path) -> list[str]:
    """Runs Python code of a document against a server of its own, and returns the lines that it prints."""
    example_images(folder)
    with own_server(folder) as address:
        command = [sys.executable, "-c", code.replace("127.0.0.1:50051", address)]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_guide_of_the_python_client_runs(tmp_path: Path) -> None:
    Authority(tmp_path, "ca")
    code = "\n".join(re.findall(r"```python\n(.*?)```", page("python-client.md"), re.DOTALL))
    lines = run_example(code, tmp_path)
    assert {
        "missing.png FILE_UNREADABLE",
        "circle",
        "100",
        "tick cross",
        "['tick', 'cross']",
        "1",
    } <= set(lines)
    assert any(line.startswith("COLLECTION_NOT_FOUND ") for line in lines)
    assert any(re.match(r"(MATCH|AMBIGUOUS) cross ", line) for line in lines)


@pytest.mark.parametrize("name", re.findall(r"\]\(([^)#]+)\)", README))
def test_the_links_of_the_readme_exist(name: str) -> None:
    assert (ROOT / name).exists()


def test_make_bench_makes_every_recorded_result() -> None:
    commands = subprocess.run(["make", "-n", "bench"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    modules = set(re.findall(r" -m bench\.(\w+)", commands))
    recorded = {file.stem for file in (ROOT / "bench/results").glob("*.md")}
    assert recorded
    assert not recorded - modules


def test_the_eleven_lines_of_the_page_read_a_bundle(tmp_path: Path) -> None:
    bundle = tiny_image_bundle(tmp_path / "bundle")
    pictures = []
    for colour in ("red", "blue"):
        pictures.append(tmp_path / f"{colour}.png")
        Image.new("RGB", (30, 20), colour).save(pictures[-1])
    code = block(page("bundle.md"), "python")
    assert len([line for line in code.splitlines() if line]) == 11
    done = subprocess.run([sys.executable, "-c", code, bundle.path, *pictures], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    cosines = np.array(re.findall(r"-?\d+\.\d*", done.stdout), float).reshape(2, 2)
    assert np.diagonal(cosines) == pytest.approx(1, abs=1e-3)


def test_the_page_of_bundles_names_every_field() -> None:
    assert first_column(page("bundle.md")) - {"embedding_space"} >= set(Manifest.model_fields) - {"embedding_space"}


@pytest.mark.parametrize("vector_type", ["float16", "float32"])
def test_the_ten_lines_of_the_page_read_an_index(tmp_path: Path, vector_type: VectorType) -> None:
    vectors = np.random.default_rng(0).normal(size=(300, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    folder = make_index(tmp_path / "index", "a space", vectors, ["one"] * 300, vector_type=vector_type)
    code = block(page("indexes.md"), "python")
    assert len([line for line in code.splitlines() if line]) <= 10
    done = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    cosines = vectors @ vectors[0]
    nearest = np.argsort(-cosines)[:3]
    neighbors = ast.literal_eval(done.stdout)
    assert [source for source, _ in neighbors] == [f"set/{row}.jpg" for row in nearest]
    assert [cosine for _, cosine in neighbors] == pytest.approx(cosines[nearest], abs=2e-3)


def test_the_page_of_indexes_names_every_column() -> None:
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \| ([^|]+) \|", page("indexes.md"), re.MULTILINE)
    documented = {name: kind for names, kind in rows for name in re.findall(r"`(\w+)`", names)}
    columns = schema(8, "float16")
    assert list(documented) == columns.names
    for column in columns:
        assert ("null" in documented[column.name]) is column.nullable, column.name


def test_the_page_of_settings_names_each_with_its_default() -> None:
    rows = re.findall(r"^\| `(\w+)`(?:, `--(\S+)`)? \| `?([^|`]+?)`? \|", page("configuration.md"), re.MULTILINE)
    table = {name: default for name, _, default in rows}
    assert table.keys() == Settings.model_fields.keys()
    for name, field in Settings.model_fields.items():
        if isinstance(field.default, int | float | str) and not name.endswith("_threads"):
            default = str(field.default)
            assert table[name] == (default.lower() if isinstance(field.default, bool) else default), name
    serve = command().commands["serve"]
    # --offline is about this start alone, so it is no setting.
    options = {option for parameter in serve.params for option in parameter.opts} - {"--config", "--help", "--offline"}
    assert {f"--{option.removeprefix('[no-]')}" for _, option, _ in rows if option} == options
    assert all(option.endswith(name.replace("_", "-")) for name, option, _ in rows if option)


def reasons() -> set[str]:
    """Returns every reason that the server's code raises."""
    names = set()
    refusals = {
        "invalid",
        "not_found",
        "already_exists",
        "failed_precondition",
        "exhausted",
        "RequestError",
        "InputError",
    }
    for root in ("server/glimpse/server", "export/glimpse/backbone"):
        for file in (ROOT / root).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text("utf-8"))):
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") in refusals:
                    names |= {a.value for a in node.args[:2] if isinstance(a, ast.Constant)}
                elif isinstance(node, ast.Tuple) and len(node.elts) == 3 and isinstance(node.elts[2], ast.Constant):
                    names.add(node.elts[2].value)
    return {str(name) for name in names if re.fullmatch(r"[A-Z]+(_[A-Z]+)*", str(name))}


def test_every_queue_that_may_be_full_is_documented() -> None:
    assert first_column(page("errors.md"), r"^\| `([a-z]+)` \|") == set(Queue)


def test_the_page_of_errors_names_every_reason_and_no_other() -> None:
    assert first_column(page("errors.md"), r"^\| `([A-Z_]+)`") == reasons()
