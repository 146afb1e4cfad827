"""Tests that no command prints the password in a ledger's URL."""

from pathlib import Path

import pytest

from ..conftest import run_glimpse

COMMANDS = (
    ("serve",),
    ("keys", "list"),
    ("ledger", "verify"),
    ("ledger", "log"),
    ("ledger", "backup", "b"),
    ("ledger", "export", "e"),
)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_malformed_url_is_one_line_without_the_password(words: tuple[str, ...], tmp_path: Path) -> None:
    for url in ("postgresql+psycopg://db:s3cret/x", "postgresql+psycopg://db:s3cret@h:port/d"):
        given = run_glimpse((*words, "--data", "data", "--ledger", url), cwd=tmp_path)
        assert (given.code, given.out) == (1, "")
        assert given.err.startswith("glimpse: the ledger's URL cannot be parsed; write sqlite:///FILE or postgresql")
        assert len(given.err.splitlines()) == 1
        assert "s3cret" not in given.err
        meant = run_glimpse((*words, "--data", "data"), cwd=tmp_path, variables={"GLIMPSE_LEDGER": url})
        assert meant == given


def test_an_unreachable_database_is_reported_without_the_password(tmp_path: Path) -> None:
    url = "postgresql+psycopg://db:s3cret@127.0.0.1:1/d?sslpassword=s3cret"
    for words in (("serve",), ("ledger", "verify", "--format", "json"), ("keys", "list")):
        done = run_glimpse((*words, "--data", "data", "--ledger", url), cwd=tmp_path)
        assert done.code == 1
        assert done.err.startswith("glimpse: the ledger postgresql+psycopg://db:***@127.0.0.1:1/d cannot be opened (")
        assert done.err.endswith("; is it running?\n")
        assert "s3cret" not in done.out + done.err


def test_a_ledger_file_needs_an_existing_folder(tmp_path: Path) -> None:
    done = run_glimpse(("serve", "--data", "data", "--ledger", "sqlite:///nodir/x.sqlite"), cwd=tmp_path)
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert "there is no folder nodir" in done.err


def test_a_json_log_reports_a_malformed_url_without_the_password(tmp_path: Path) -> None:
    for url in ("postgresql+psycopg://db:s3cret/x", "postgresql+psycopg://db:s3cret@127.0.0.1:1/d"):
        variables = {"GLIMPSE_LOG_FORMAT": "json", "GLIMPSE_LEDGER": url}
        done = run_glimpse(("serve", "--data", "data"), cwd=tmp_path, variables=variables)
        assert done.code == 1
        assert "the ledger" in done.err
        assert "s3cret" not in done.out + done.err
