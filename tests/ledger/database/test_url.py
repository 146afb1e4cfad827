"""Tests the messages for a ledger that cannot be opened: they give advice, and never a password."""

import re
import traceback
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text

from glimpse.ledger import Ledger, LedgerError, sqlite_url
from glimpse.ledger.database.database import open_engine
from glimpse.ledger.database.url import parse_url
from support.postgres import Postgres

MALFORMED = (
    "postgresql+psycopg://db:s3cret/x",
    "postgresql+psycopg://db:s3cret@h:port/d",
    "postgresql+psycopg://db:s3cret@h:s3cret/d",
    "postgresql+psycopg://db:1234567890/x",
    "postgresql+psycopg://db:p@s3cret@h/d",
    "mysql://db:s3cret@h/d",
    "sqlite://db:s3cret@h/d",
    "s3cret",
    "//db:s3cret@h/d",
)


@pytest.mark.parametrize("url", MALFORMED)
def test_a_url_that_cannot_be_read_is_not_repeated(url: str) -> None:
    with pytest.raises(LedgerError, match=r"sqlite:///FILE") as raised:
        parse_url(url)
    output = "".join(traceback.format_exception(raised.value))
    assert not re.search("s3cret|1234567890", output)


def test_a_password_is_in_no_error_of_a_database(server: Postgres) -> None:
    url = server.database().replace("glimpse@", "glimpse:s3cret@")
    for wrong in (
        url.replace(f":{server.port}", ":1"),
        f"{url}x",
        f"{url}?sslmode=require&sslpassword=s3cret",
        f"{url}?passwrod=s3cret",
        f"{url}x?password=s3cret",
    ):
        with pytest.raises(LedgerError, match="cannot be opened") as raised:
            Ledger.open(wrong)
        assert "s3cret" not in "".join(traceback.format_exception(raised.value))


def test_no_error_contains_the_values_of_a_statement(tmp_path: Path) -> None:
    engine = open_engine(parse_url(sqlite_url(tmp_path)))
    with pytest.raises(Exception, match="no such table") as raised, engine.connect() as connection:
        connection.execute(text("SELECT 1 FROM nowhere WHERE hash = :hash"), {"hash": "s3cret"})
    engine.dispose()
    assert "s3cret" not in str(raised.value)


def test_each_failure_of_postgresql_has_its_advice(server: Postgres) -> None:
    url = server.database()
    name = url.rpartition("/")[2]
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("CREATE ROLE guarded LOGIN PASSWORD 'right'")
        connection.execute("CREATE ROLE poor LOGIN")
        rules = server.folder / "db" / "pg_hba.conf"
        before = rules.read_text("utf-8")
        try:
            rules.write_text(f"host all guarded 127.0.0.1/32 scram-sha-256\n{before}", "utf-8")
            connection.execute("SELECT pg_reload_conf()")
            output = {
                "guarded:wrong@": "give the password by PGPASSWORD or PGPASSFILE, or in the URL",
                "guarded@": "give the password by PGPASSWORD or PGPASSFILE, or in the URL",
                "nobody@": "create it: createuser nobody",
                "poor@": "make the URL's user the database's owner",
            }
            for user, advice in output.items():
                assert last(url.replace("glimpse@", user)) == advice
        finally:
            rules.write_text(before, "utf-8")
            connection.execute("SELECT pg_reload_conf()")
    assert last(f"{url}x") == f"create it: createdb {name}x"
    assert last(url.replace("127.0.0.1", "nowhere.invalid")) == "check the URL's host"
    assert last(f"{url}?colour=blue") == "check the URL"
    refused = message_for(url.replace(f":{server.port}", ":1"))
    assert '"127.0.0.1", port 1' in refused
    assert refused.endswith("; is it running?")
    assert refused.count("unning") == 1


def message_for(url: str) -> str:
    """Returns the message for people."""
    with pytest.raises(LedgerError) as raised:
        Ledger.open(url)
    return str(raised.value)


def last(url: str) -> str:
    """Returns the advice in the message."""
    return message_for(url).rpartition("; ")[2]


def test_a_missing_folder_is_reported_by_name(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match=f"there is no folder {tmp_path}/nodir"):
        Ledger.open(f"sqlite:///{tmp_path}/nodir/x.sqlite")
    assert not (tmp_path / "nodir").exists()
