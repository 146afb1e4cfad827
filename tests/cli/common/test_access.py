"""Tests of the options and variables for API keys, TLS and tokens, and of `glimpse keys`."""

import json
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from support.certificates import Authority
from support.keys import listed_keys, make_key, run_keys
from support.recording_proxy import RecordingProxy
from support.server import GLIMPSE, ServerProcess

from ..conftest import Done, Run, run_glimpse


@contextmanager
def speaking(credentials: grpc.ServerCredentials | None, host: str = "127.0.0.1") -> Iterator[str]:
    """Runs a server without services, and yields its address."""
    server, listen = grpc.server(ThreadPoolExecutor(1)), f"{host}:0"
    port = server.add_secure_port(listen, credentials) if credentials else server.add_insecure_port(listen)
    server.start()
    try:
        yield f"{host}:{port}"
    finally:
        server.stop(None).wait()


class Secured:
    """A server with TLS that requires keys, its certificate authority's file, and a file with a key."""

    def __init__(self, server: ServerProcess, authority: Path, key_file: Path) -> None:
        self.server, self.authority, self.key_file = server, authority, key_file
        self.options = ("--tls-ca", authority, "--api-key-file", key_file)


@pytest.fixture(scope="module")
def secured(toy_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("secured")
    authority = Authority(folder, "authority")
    cert, key = authority.sign("server")
    key_file = folder / "key.txt"
    key_file.write_text(make_key(folder, "all", "admin") + "\n")
    with ServerProcess(folder, toy_bundle, tls_cert=cert, tls_key=key, require_auth=True) as server:
        yield Secured(server, authority.file, key_file)


def test_options_may_precede_or_follow_the_subcommand(secured: Secured) -> None:
    address = secured.server.address
    assert run_glimpse((*secured.options, "collections", "create", "before"), address).code == 0
    assert run_glimpse(("collections", "create", "after", *secured.options), address).code == 0
    listed = run_glimpse(("collections", "list", "--format", "json", *secured.options), address)
    assert {one["id"] for one in listed.objects} == {"before", "after"}
    assert run_glimpse((*secured.options, "status"), address).code == 0


def test_variables_do_the_same(secured: Secured) -> None:
    variables = {"GLIMPSE_TLS_CA": str(secured.authority), "GLIMPSE_API_KEY": secured.key_file.read_text().strip()}
    assert run_glimpse(("collections", "list"), secured.server.address, variables=variables).code == 0


def test_missing_credentials_are_reported(secured: Secured) -> None:
    address = secured.server.address
    without_key = run_glimpse(("--tls-ca", secured.authority, "collections", "list"), address)
    assert without_key.code == 1
    assert "--api-key-file" in without_key.err
    without_tls = run_glimpse(("--api-key-file", secured.key_file, "status"), address)
    assert without_tls.code == 1
    assert "--tls-ca" in without_tls.err
    absent = run_glimpse(("--tls-ca", "absent.pem", "status"), address)
    assert absent.code == 1
    assert "absent.pem: No such file" in absent.err


def test_tls_errors_are_reported(secured: Secured, tmp_path: Path) -> None:
    outsider, address = Authority(tmp_path, "outsider"), secured.server.address
    for options, message in (
        (("--tls",), "this machine trusts no authority that signed its certificate — name the authority"),
        (("--tls-ca", outsider.file), f"no authority in {outsider.file} signed its certificate — name the authority"),
    ):
        done = run_glimpse((*options, "status"), address)
        assert done.code == 1
        assert done.err.startswith(f"glimpse: the server at {address} answers, but {message}"), done.err
        assert done.err.count("\n") == 1


def test_plain_text_servers_and_invalid_certificates_are_reported(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "authority")
    good, old = (
        grpc.ssl_server_credentials([(key.read_bytes(), cert.read_bytes())])
        for cert, key in (authority.sign("good"), authority.sign("old", days=-1))
    )
    for credentials, host, message in (
        (None, "127.0.0.1", "in plain text — leave out --tls"),
        (old, "127.0.0.1", "its certificate is not valid: certificate has expired"),
        (good, "127.0.0.2", "its certificate is for another name — give --server a name"),
    ):
        with speaking(credentials, host) as address:
            done = run_glimpse(("--tls-ca", authority.file, "status"), address)
        assert done.code == 1
        assert f"the server at {address} answers, but {message}" in done.err, done.err


def test_a_server_that_requires_client_certificates_is_reported(tmp_path: Path) -> None:
    authority, outsider = Authority(tmp_path, "authority"), Authority(tmp_path, "outsider")
    cert, key = authority.sign("server")
    pair, roots = (key.read_bytes(), cert.read_bytes()), authority.file.read_bytes()
    own_cert, own_key = outsider.sign("own")
    with speaking(grpc.ssl_server_credentials([pair], roots, require_client_auth=True)) as address:
        without = run_glimpse(("--tls-ca", authority.file, "status"), address)
        assert "it may require a client certificate: --tls-cert FILE --tls-key FILE" in without.err
        assert "require TLS" not in without.err
        strange = ("--tls-ca", authority.file, "--tls-cert", own_cert, "--tls-key", own_key)
        assert f"it may reject the certificate in {own_cert}" in run_glimpse((*strange, "status"), address).err
        assert "it may require TLS: --tls-ca FILE" in run_glimpse(("status",), address).err


def test_a_key_is_not_sent_in_plain_text_to_another_machine(tmp_path: Path) -> None:
    key = "glimpse_0123456789abcdef_" + "0" * 64
    done = run_glimpse(("status",), "192.0.2.1:1", variables={"GLIMPSE_API_KEY": key})
    assert done.code == 1
    assert "plain text" in done.err
    assert key not in done.err


def test_empty_variables_are_ignored_and_a_proxy_is_not_used(toy_server: str, tmp_path: Path) -> None:
    names = ("SERVER", "FORMAT", "TLS", "TLS_CA", "CLIENT_CERT", "CLIENT_KEY", "CLIENT_INSECURE", "API_KEY")
    empty = {f"GLIMPSE_{name}": "" for name in names}
    listing = ("--server", toy_server, "collections", "list")
    with RecordingProxy() as proxy:
        assert run_glimpse(listing, variables={**proxy.variables(), **empty}).code == 0
        key = {"GLIMPSE_API_KEY": "glimpse_0123456789abcdef_" + "0" * 64}
        assert "UNAVAILABLE" not in run_glimpse(listing, variables={**proxy.variables(), **key}).err
    assert not proxy.seen


def test_an_api_key_is_not_an_option(run: Run) -> None:
    done = run("--api-key", "glimpse_x", "status")
    assert done.code == 2
    assert "No such option" in done.err


def test_keys_use_the_ledger_of_the_settings_file(toy_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "glimpse.toml").write_text(f"ledger = 'sqlite:///{tmp_path}/named.sqlite'\n")
    home = {"HOME": str(tmp_path / "home"), "XDG_DATA_HOME": str(tmp_path / "home")}
    config = ("--config", tmp_path / "glimpse.toml")

    def keys(*words: object) -> Done:
        done = run_glimpse(("keys", *words, *config), variables=home)
        assert done.code == 0, done.err
        return done

    key = keys("create", "ann", "--scope", "read").out.strip()
    assert [one["name"] for one in keys("list", "--format", "json").objects] == ["ann"]
    keys("revoke", "ann")
    assert not (tmp_path / "home").exists(), "no second ledger is made where there would be one without the file"
    ledger = f"sqlite:///{tmp_path}/named.sqlite"
    with ServerProcess(tmp_path, toy_bundle, ledger=ledger, require_auth=True) as server:
        done = run_glimpse(("collections", "list"), server.address, variables={"GLIMPSE_API_KEY": key})
    assert "key 'ann' was revoked" in done.err


def test_a_key_is_created_listed_and_revoked(tmp_path: Path) -> None:
    limits = ("--requests-per-second", "5", "--inputs-per-second", "50")
    scope = ("--scope", "enroll", "--collection", "birds", "--collection", "fish-*", "--expires", "2099-01-31")
    made = run_keys(tmp_path, "create", "ann", *scope, *limits, "--format", "json")
    record = json.loads(made.stdout)
    assert record["key"].startswith(f"glimpse_{record['id']}_")
    assert (record["scope"], record["collections"], record["state"]) == ("enroll", ["birds", "fish-*"], "active")
    assert record["limits"] == {"requests_per_second": 5, "inputs_per_second": 50}
    assert record["expires"] == "2099-01-31T00:00:00+00:00"
    title, row = run_keys(tmp_path, "list").stdout.splitlines()
    assert title.split() == ["NAME", "SCOPE", "COLLECTIONS", "LIMITS/S", "EXPIRES", "(UTC)", "STATE"]
    assert " ".join(row.split()) == "ann enroll birds, fish-* 5 req, 50 in 2099-01-31 00:00 active"
    assert len(row) <= 80
    revoked, again = run_keys(tmp_path, "revoke", "ann"), run_keys(tmp_path, "revoke", "ann")
    assert (revoked.returncode, again.returncode) == (0, 0)
    assert revoked.stderr == "key 'ann' revoked; servers that reach the ledger reject it within a second\n"
    assert again.stderr == "key 'ann' was already revoked\n"
    assert revoked.stdout == again.stdout == ""
    [row] = [json.loads(line) for line in run_keys(tmp_path, "list", "--format", "json").stdout.splitlines()]
    assert row["state"] == "revoked"
    assert row == {**{name: value for name, value in record.items() if name != "key"}, "state": "revoked"}
    unknown = run_keys(tmp_path, "revoke", "bob")
    assert unknown.returncode == 1
    assert unknown.stderr == "glimpse: there is no key 'bob'; see `glimpse keys list`\n"


def test_keys_use_the_ledger_of_the_variable_as_servers_do(toy_bundle: Path, tmp_path: Path) -> None:
    ledger = {"GLIMPSE_LEDGER": f"sqlite:///{tmp_path / 'elsewhere.sqlite'}", "GLIMPSE_DATA": str(tmp_path / "data")}
    made = run_glimpse(("keys", "create", "ann", "--scope", "read"), "", variables=ledger)
    assert made.code == 0, made.err
    listed = run_glimpse(("keys", "list", "--format", "json"), "", variables=ledger)
    assert [one["name"] for one in listed.objects] == ["ann"]
    assert not (tmp_path / "data" / "ledger.sqlite").exists()
    with ServerProcess(tmp_path, toy_bundle, ledger=ledger["GLIMPSE_LEDGER"], require_auth=True) as server:
        variables = {"GLIMPSE_API_KEY": made.out.strip()}
        assert run_glimpse(("collections", "list"), server.address, variables=variables).code == 0
    # An option overrides the variable, as for the server.
    option = ("--ledger", f"sqlite:///{tmp_path / 'third.sqlite'}")
    assert run_glimpse(("keys", "list", "--format", "json", *option), "", variables=ledger).objects == []


@pytest.mark.parametrize(
    "options",
    [
        ("two words", "--scope", "read"),
        ("jwt:ann", "--scope", "read"),
        ("ann", "--scope", "root"),
        ("ann",),
        ("ann", "--scope", "read", "--collection", "Birds"),
        ("ann", "--scope", "read", "--collection", "b[ia]rds"),
        ("ann", "--scope", "read", "--expires", "soon"),
        ("ann", "--scope", "read", "--expires", "2020-01-01"),
        ("ann", "--scope", "read", "--expires", "999999d", "--requests-per-second", "0"),
    ],
)
def test_invalid_keys_are_rejected(tmp_path: Path, options: tuple[str, ...]) -> None:
    assert run_keys(tmp_path, "create", *options).returncode == 2
    [headings] = run_keys(tmp_path, "list").stdout.splitlines()
    assert headings.startswith("NAME")


def test_a_key_is_revoked_by_its_name_its_id_itself_or_the_start_of_its_name(tmp_path: Path) -> None:
    long = "the-key-of-the-machine-in-the-cellar-that-nobody-remembers"
    made = {name: make_key(tmp_path, name, "read") for name in ("ann", "bob", f"{long}-1", f"{long}-2", "eve")}
    ids = {one["name"]: one["id"] for one in listed_keys(tmp_path)}

    def revoke(shown: str, wanted: str) -> None:
        done = run_keys(tmp_path, "revoke", shown, "--format", "json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == {"revoked": wanted}

    revoke(ids["ann"], "ann")
    revoke(made["bob"], "bob")
    revoke("ev…", "eve")
    several = run_keys(tmp_path, "revoke", "the-key-of-the-machine…")
    assert several.returncode == 2
    assert f"{long}-1" in several.stderr.replace("\n", "").replace(" ", "").replace("│", "")
    gone = f"glimpse_{'0' * 16}_{'1' * 64}"
    done = run_keys(tmp_path, "revoke", gone)
    assert done.returncode == 1
    assert "0" * 16 in done.stderr
    assert "1" * 64 not in done.stderr
    states = {one["name"]: one["state"] for one in listed_keys(tmp_path)}
    left = {f"{long}-1": "active", f"{long}-2": "active"}
    assert states == {"ann": "revoked", "bob": "revoked", "eve": "revoked", **left}


@pytest.mark.parametrize("words", [("keys", "list"), ("ledger", "verify"), ("serve", "--listen", "127.0.0.1:0")])
def test_a_folder_name_that_is_not_utf_8_is_rejected_in_one_line(words: tuple[str, ...], tmp_path: Path) -> None:
    folder = f"{tmp_path}/d\udce9"
    command = [*GLIMPSE, *words, "--data", folder]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line.endswith("d\\xe9' is not UTF-8 — rename the file or folder")
