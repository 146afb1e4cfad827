"""Tests of the command as a process: its speed, errors and interruption."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from glimpse.cli.commands import COMMANDS, command
from support.server import GLIMPSE

from .conftest import Run, environment, run_glimpse

_HELP = """
import sys
from glimpse.cli.main import main
try:
    main(["--help"])
finally:
    print(sorted({"grpc", "numpy", "rich", "PIL", "onnxruntime"} & set(sys.modules)), file=sys.stderr)
"""


@pytest.mark.serial
def test_help_is_quick() -> None:
    def once() -> float:
        start = time.perf_counter()
        assert run_glimpse(["--help"]).code == 0
        return time.perf_counter() - start

    assert min(once() for _ in range(5)) < 0.3


def test_help_loads_neither_grpc_nor_numpy_nor_rich() -> None:
    done = subprocess.run([sys.executable, "-c", _HELP], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_matches_their_help(name: str) -> None:
    root = command()
    context = root.context_class(root, info_name="glimpse")
    help_text = root.get_command(context, name).help
    assert " ".join(help_text.split("\n\n")[0].split()) == COMMANDS[name][1]


def test_without_a_server_it_says_how_to_start_one(tmp_path: Path) -> None:
    done = run_glimpse(["status"], cwd=tmp_path)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("glimpse: no server answers at 127.0.0.1:1")
    assert "glimpse serve" in done.err
    assert done.err.count("\n") == 1


def test_wrong_usage_is_two() -> None:
    assert run_glimpse(["clasify"]).code == 2
    assert "Did you mean 'classify'" in run_glimpse(["clasify"]).err
    assert run_glimpse(["status", "--format", "xml"]).code == 2


def test_without_typer_it_prints_the_pip_command() -> None:
    code = "import sys; sys.modules['typer'] = None\nfrom glimpse.cli.main import main\nmain(['status'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "pip install 'glimpse-fewshot[cli]'" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("arguments", [["serve"], ["demo"], ["export", "onnx", "x.onnx", "--name", "x", "--out", "x"]])
def test_without_a_module_of_the_server_it_prints_the_pip_command(arguments: list[str], tmp_path: Path) -> None:
    code = f"import sys; sys.modules['PIL'] = None\nfrom glimpse.cli.main import main\nmain({arguments})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 1
    assert "pip install 'glimpse-fewshot[server]'" in done.stderr
    assert done.stderr.count("\n") == 1


def test_ctrl_c_is_quiet(toy_server: str, collection: str, tmp_path: Path) -> None:
    (tmp_path / "many.txt").write_text("red\n" * 200_000)
    process = subprocess.Popen(
        [*GLIMPSE, "classify", collection, "many.txt"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(toy_server),
        cwd=tmp_path,
        # A shell ignores the signal in background jobs, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    for _ in range(200):
        process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (130, "")


def test_a_closed_pipe_is_quiet(toy_server: str, collection: str, tmp_path: Path) -> None:
    (tmp_path / "many.txt").write_text("red\n" * 3_000)
    done = subprocess.run(
        f"{sys.executable} -m glimpse.cli.main classify {collection} many.txt | head -1",
        shell=True,
        capture_output=True,
        text=True,
        env=environment(toy_server),
        cwd=tmp_path,
        check=False,
    )
    assert done.stdout.startswith("INPUT")
    assert done.stderr == ""


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    done = run_glimpse(["serve", "--backbone", tmp_path / "none", "--data", tmp_path / "data"])
    assert done.code == 1
    assert "none" in done.err.splitlines()[-1]
    assert "Traceback" not in done.err
    wrong = run_glimpse(["serve", "--config", tmp_path / "none.toml"])
    assert (wrong.code, "none.toml" in wrong.err) == (1, True)


def test_an_error_says_where_to_set_a_setting_that_is_not_an_option() -> None:
    done = run_glimpse(["serve", "--metrics-listen", "127.0.0.1:0"])
    assert done.code == 2
    last = done.err.splitlines()[-1]
    assert last.endswith("set the variable GLIMPSE_METRICS_LISTEN, or metrics_listen in a file with --config")
    assert "Possible options" not in done.err
    assert run_glimpse(["serve", "--backbone"]).err.splitlines()[-1].endswith("'--backbone' requires an argument.")
    assert "--listen" in run_glimpse(["serve", "--listne", "x"]).err


def test_a_short_run_prints_no_progress_without_a_terminal(run: Run, collection: str, colours: Path) -> None:
    output = run("enroll", collection, colours).err.splitlines()
    assert not [line for line in output if line.startswith("enrolling")]


def test_ctrl_c_while_it_is_imported_is_quiet() -> None:
    code = (
        "import sys\nfrom glimpse.cli.main import main\n"
        "class Slow:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'typer':\n            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Slow())\nmain(['--help'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "")


@pytest.mark.parametrize("form", ["table", "json", "csv"])
def test_names_that_the_terminal_cannot_show_are_escaped(
    form: str, toy_server: str, collection: str, colours: Path, tmp_path: Path
) -> None:
    (tmp_path / "été.png").write_bytes((colours / "red" / "0.png").read_bytes())
    words = ["classify", collection, "été.png", "--format", form]
    done = run_glimpse(words, toy_server, tmp_path, variables={"PYTHONIOENCODING": "ascii"})
    assert (done.code, done.err) == (0, "")
    if form == "json":
        assert done.objects[0]["input"] == "été.png"
    else:
        assert "\\xe9t\\xe9.png" in done.out


def test_a_backup_into_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    done = run_glimpse(["ledger", "backup", tmp_path / "none" / "copy", "--data", tmp_path])
    assert (done.code, done.err) == (
        1,
        f"glimpse: there is no folder {tmp_path / 'none'} — create it, or name another file\n",
    )
