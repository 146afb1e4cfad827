"""TLS and mTLS with real certificates; certificates that change; no plain text where others listen."""

import json
import shutil
import socket
import ssl
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography import x509

from glimpse.client import Client, Retry, Unavailable
from glimpse.server.auth.listener import is_loopback
from support.certificates import Authority
from support.forked import run_forked
from support.server import ServerProcess

ONCE = Retry(attempts=1)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), "authority")


def serve(folder: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    """Runs a server that should refuse to start."""
    return run_forked(["serve", "--data", str(folder), *options])


def served_certificate(address: str) -> x509.Certificate:
    host, _, port = address.rpartition(":")
    return x509.load_pem_x509_certificate(ssl.get_server_certificate((host, int(port))).encode())


def test_calls_need_tls(authority: Authority, bundles: tuple[Path, ...], tmp_path: Path) -> None:
    cert, key = authority.sign("server")
    other = Authority(tmp_path, "other")
    with ServerProcess(tmp_path, bundles[0], tls_cert=cert, tls_key=key) as server:
        with Client(server.address, tls_ca=authority.file) as client:
            assert [one.name for one in client.list_backbones()] == ["backbones/tiny"]
        with Client(server.address, tls_ca=other.file, retry=ONCE) as client, pytest.raises(Unavailable):
            client.list_collections().__iter__().__next__()
        with Client(server.address, tls=False, retry=ONCE) as client, pytest.raises(Unavailable):
            client.create_collection("plain")


def test_a_connection_without_tls_writes_nothing_to_the_log(
    authority: Authority, bundles: tuple[Path, ...], tmp_path: Path
) -> None:
    cert, key = authority.sign("server")
    with ServerProcess(tmp_path, bundles[0], tls_cert=cert, tls_key=key, log_format="json") as server:
        host, _, port = server.address.rpartition(":")
        for _ in range(5):
            with socket.create_connection((host, int(port)), timeout=10) as other, suppress(ConnectionError):
                other.sendall(b"GET / HTTP/1.1\r\n\r\n")
                while other.recv(1_000):
                    pass
        with Client(server.address, tls_ca=authority.file) as client:
            assert list(client.list_backbones())
    loggers = [json.loads(line)["logger"] for line in server.log().splitlines()]
    assert loggers == ["glimpse.ledger.database.database", "glimpse.server.app"]  # begin and end


def test_with_an_authority_for_clients_each_needs_a_certificate(
    authority: Authority, bundles: tuple[Path, ...], tmp_path: Path
) -> None:
    cert, key = authority.sign("server")
    own_cert, own_key = authority.sign("client")
    other_cert, other_key = Authority(tmp_path, "other").sign("other-client")
    settings = {"tls_cert": cert, "tls_key": key, "tls_client_ca": authority.file}
    with ServerProcess(tmp_path, bundles[0], **settings) as server:
        with Client(server.address, tls_ca=authority.file, tls_cert=own_cert, tls_key=own_key) as client:
            assert list(client.list_backbones())
        with Client(server.address, tls_ca=authority.file, retry=ONCE) as client, pytest.raises(Unavailable):
            client.create_collection("nameless")
        with (
            Client(server.address, tls_ca=authority.file, tls_cert=other_cert, tls_key=other_key, retry=ONCE) as client,
            pytest.raises(Unavailable),
        ):
            client.create_collection("strange")


def test_a_changed_certificate_is_served_without_a_restart(
    authority: Authority, bundles: tuple[Path, ...], tmp_path: Path
) -> None:
    cert, key = (Path(shutil.copy(file, tmp_path)) for file in authority.sign("server"))
    with ServerProcess(tmp_path, bundles[0], tls_cert=cert, tls_key=key) as server:
        before = served_certificate(server.address)
        new_cert, new_key = authority.sign("renewed")
        shutil.copy(new_cert, cert)
        # A certificate without its key, for a moment: the server keeps the old pair.
        assert served_certificate(server.address) == before
        shutil.copy(new_key, key)
        assert served_certificate(server.address) == x509.load_pem_x509_certificate(new_cert.read_bytes())
        with Client(server.address, tls_ca=authority.file) as client:
            assert list(client.list_backbones())
        assert "keeping the old certificate" in server.log()
        cert.unlink()
        assert served_certificate(server.address) == x509.load_pem_x509_certificate(new_cert.read_bytes())


def test_certificates_change_under_load_and_no_call_fails(
    authority: Authority, bundles: tuple[Path, ...], tmp_path: Path
) -> None:
    """The server's pair and the authority for clients change six times, one file after the other."""
    other = Authority(tmp_path, "other")
    pairs = [authority.sign(f"rotated-{number}") for number in range(6)]
    cert, key, clients = (tmp_path / name for name in ("cert.pem", "key.pem", "clients.pem"))
    shutil.copy(pairs[0][0], cert)
    shutil.copy(pairs[0][1], key)
    shutil.copy(authority.file, clients)
    own = authority.sign("steady-client")
    stopped, failures, calls = threading.Event(), list[Exception](), list[int]()
    with ServerProcess(tmp_path, bundles[0], tls_cert=cert, tls_key=key, tls_client_ca=clients) as server:

        def connect() -> Client:
            return Client(server.address, tls_ca=authority.file, tls_cert=own[0], tls_key=own[1], retry=ONCE)

        def work(again: bool) -> None:
            client = connect()
            try:
                while not stopped.is_set():
                    calls.append(len(list(client.list_backbones())))
                    if again:  # a handshake for each call
                        client.close()
                        client = connect()
            except Exception as error:
                failures.append(error)
            finally:
                client.close()

        threads = [threading.Thread(target=work, args=(again,)) for again in (True, True, False)]
        for thread in threads:
            thread.start()
        for number, (new_cert, new_key) in enumerate(pairs[1:]):
            shutil.copy(new_cert, cert)
            time.sleep(0.1)  # for a moment the two files do not match
            shutil.copy(new_key, key)
            clients.write_bytes(authority.file.read_bytes() + (other.file.read_bytes() if number % 2 else b""))
            before = len(calls)
            while not failures and len(calls) < before + 6:
                time.sleep(0.02)
        stopped.set()
        for thread in threads:
            thread.join()
        assert not failures, failures
        clients.rename(tmp_path / "away")
        for _ in range(3):
            with connect() as client:
                assert list(client.list_backbones())
        assert server.log().count("clients.pem: No such file or directory") == 1
        assert "Traceback" not in server.log()


def test_a_changed_authority_for_clients_is_taken_on_without_a_restart(
    authority: Authority, bundles: tuple[Path, ...], tmp_path: Path
) -> None:
    cert, key = authority.sign("server-of-clients")
    before, after = Authority(tmp_path, "before"), Authority(tmp_path, "after")
    known = Path(shutil.copy(before.file, tmp_path / "known.pem"))
    with ServerProcess(tmp_path, bundles[0], tls_cert=cert, tls_key=key, tls_client_ca=known) as server:

        def call(own: tuple[Path, Path]) -> None:
            cert, key = own
            with Client(server.address, tls_ca=authority.file, tls_cert=cert, tls_key=key, retry=ONCE) as client:
                assert list(client.list_backbones())

        old, new = before.sign("old-client"), after.sign("new-client")
        call(old)
        with pytest.raises(Unavailable):
            call(new)
        shutil.copy(after.file, known)
        call(new)
        with pytest.raises(Unavailable):
            call(old)
        known.write_text("nothing")  # unusable: the server keeps the old authority
        call(new)
        with pytest.raises(Unavailable):
            call(old)
        assert "keeping the old certificate" in server.log()


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::]:0", "192.0.2.7:0", "example.org:0"])
def test_no_plain_text_where_others_listen(tmp_path: Path, listen: str) -> None:
    started = time.monotonic()
    done = serve(tmp_path, "--listen", listen)
    assert done.returncode == 1
    assert "--tls-cert" in done.stderr
    assert "--insecure" in done.stderr
    assert not (tmp_path / "ledger.sqlite").exists(), f"it began, {time.monotonic() - started:.1f} s"


def test_insecure_allows_plain_text(bundles: tuple[Path, ...], tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, bundles[0], insecure=True)
    server.listen = "0.0.0.0:0"
    with server, Client(server.address.replace("0.0.0.0", "127.0.0.1")) as client:
        [warning] = [line for line in server.log().splitlines() if "no authentication" in line]
        assert " WARNING " in warning
        assert "0.0.0.0:0" in warning
        assert "GLIMPSE_REQUIRE_AUTH=1" in warning
        assert list(client.list_backbones())


@pytest.mark.parametrize(
    ("address", "local"),
    [
        ("127.0.0.1:50051", True),
        ("127.8.8.8:1", True),
        ("[::1]:50051", True),
        ("localhost:0", True),
        ("0.0.0.0:50051", False),
        ("[::]:50051", False),
        (":50051", False),
        ("10.0.0.1:50051", False),
        ("localhost.example.org:1", False),
        ("*:50051", False),
    ],
)
def test_which_addresses_only_this_machine_reaches(address: str, local: bool) -> None:
    assert is_loopback(address) is local


def test_files_that_are_no_good_are_named(authority: Authority, tmp_path: Path) -> None:
    cert, key = authority.sign("one")
    _, other_key = authority.sign("other")
    nothing = tmp_path / "nothing.pem"
    nothing.write_text("nothing")
    for options, message in (
        (("--tls-cert", cert), "both tls_cert and tls_key"),
        (("--tls-cert", cert, "--tls-key", other_key), f"the private key in {other_key} does not match"),
        (("--tls-cert", nothing, "--tls-key", key), f"{nothing} contains no PEM certificate"),
        (("--tls-cert", cert, "--tls-key", nothing), f"{nothing} contains no PEM private key"),
        (("--tls-cert", cert, "--tls-key", tmp_path / "absent"), f"{tmp_path / 'absent'}: No such file"),
        (("--tls-cert", cert, "--tls-key", key, "--tls-client-ca", nothing), f"{nothing} contains no PEM certificate"),
    ):
        done = serve(tmp_path, "--listen", "127.0.0.1:0", *map(str, options))
        assert done.returncode == 1
        assert message in done.stderr, done.stderr
        assert "PRIVATE KEY" not in done.stderr
