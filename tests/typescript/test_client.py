"""The TypeScript client is generated, checked, built, and run against a real server in Node."""

import importlib.util
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.bundles import tiny_dual_bundle
from support.keys import make_key, until_known
from support.npm import FOLDER, bundle, npm
from support.server import ServerProcess

pytestmark = pytest.mark.rest


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ServerProcess, str]]:
    folder = tmp_path_factory.mktemp("typescript")
    key = make_key(folder, "typescript", "admin")
    bundle = tiny_dual_bundle(folder / "tiny")
    with ServerProcess(folder, bundle.path, require_auth=True, http="127.0.0.1:0") as process:
        until_known(process.address, key)
        yield process, key


@pytest.mark.usefixtures("built")
def test_the_messages_are_generated_from_the_contract(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("generate", FOLDER / "generate.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.generate(tmp_path / "gen")
    fresh, kept = (
        {file.relative_to(root): file.read_bytes() for file in root.rglob("*.ts")}
        for root in (tmp_path / "gen", FOLDER / "src" / "gen")
    )
    assert fresh == kept, "run `python client/typescript/generate.py`"


@pytest.mark.usefixtures("built")
def test_calls_results_errors_and_retries(server: tuple[ServerProcess, str]) -> None:
    process, key = server
    report = npm("test", GLIMPSE_URL=process.url, GLIMPSE_API_KEY=key)
    assert re.search(r"pass [1-9]", report), report
    assert "fail 0" in report


@pytest.mark.usefixtures("built")
def test_the_example_runs_and_is_bundled_for_pages(server: tuple[ServerProcess, str], tmp_path: Path) -> None:
    process, key = server
    source = f"""import {{ Glimpse, unwrap }} from "glimpse-fewshot";
const glimpse = new Glimpse({{ url: "{process.url}", apiKey: "{key}" }});
const [vector] = unwrap(await glimpse.embed(["a red circle"]));
console.log(vector.values.length);
"""
    (tmp_path / "page.ts").write_text(source)
    page = bundle(tmp_path / "page.ts", tmp_path / "page.mjs")
    text = page.read_text("utf-8")
    assert "node:" not in text
    assert "require(" not in text
    done = subprocess.run(["node", str(page)], capture_output=True, text=True, timeout=60)
    assert done.stdout == "8\n", done.stderr
    assert npm("run", "example", "--", process.url, GLIMPSE_API_KEY=key).split()[0] == "warm"


@pytest.mark.usefixtures("built")
def test_the_program_of_the_readme_runs(server: tuple[ServerProcess, str], tmp_path: Path) -> None:
    process, key = server
    [program] = re.findall(r"^```ts\n(.*?)^```$", (FOLDER / "README.md").read_text("utf-8"), re.DOTALL | re.MULTILINE)
    for shown, real in (("http://127.0.0.1:8080", process.url), ("shades", "readme")):
        assert shown in program
        program = program.replace(shown, real)
    (tmp_path / "readme.ts").write_text(program)
    command = ["node", str(bundle(tmp_path / "readme.ts", tmp_path / "readme.mjs"))]
    environment = {**os.environ, "GLIMPSE_API_KEY": key}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
    assert done.stdout.startswith("warm "), done.stderr
