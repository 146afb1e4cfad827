"""`python -m glimpse.server.monitoring.probe`, as a container runs it: warm, draining, gone, over TLS."""

import datetime
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from grpc_health.v1 import health, health_pb2_grpc

from glimpse.client import Client
from glimpse.server.auth.listener import bind, server_credentials
from glimpse.server.settings import SettingsError, load_settings
from glimpse.v1 import embedding_service_pb2 as emb
from glimpse.v1.types_pb2 import Input
from support.bundles import tiny_dual_bundle
from support.pictures import picture
from support.recording_proxy import RecordingProxy
from support.server import ServerProcess, Stubs

BOTH = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)
Pair = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def check(address: str, *service: str, **settings: object) -> subprocess.CompletedProcess[str]:
    proxy = settings.pop("proxy", None)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GLIMPSE_")}
    environment |= {"GLIMPSE_LISTEN": address} | {f"GLIMPSE_{name.upper()}": str(v) for name, v in settings.items()}
    environment |= proxy.variables() if isinstance(proxy, RecordingProxy) else {}
    command = [sys.executable, "-m", "glimpse.server.monitoring.probe", *service]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def test_a_warm_server_is_well_and_alive(server: ServerProcess) -> None:
    _, _, port = server.address.rpartition(":")
    for listen in (server.address, f"0.0.0.0:{port}"):
        assert check(listen).returncode == 0
        assert check(listen, "alive").returncode == 0


def test_a_draining_server_is_alive_but_takes_no_calls(tmp_path: Path) -> None:
    tiny_dual_bundle(tmp_path / "tiny")
    with ServerProcess(tmp_path, tmp_path / "tiny", decode_threads=1) as server:
        stubs = Stubs(server.address)
        inputs = [Input(image=picture(size=(5_000, 5_000)))] * 100
        # Keep the call: gRPC cancels a call without a reference.
        working = stubs.embedding.Embed.future(emb.EmbedRequest(inputs=inputs), timeout=60)
        time.sleep(1)
        assert server.process
        server.process.terminate()
        while "draining" not in server.log():
            time.sleep(0.05)
        assert check(server.address, "alive").returncode == 0
        draining = check(server.address)
        assert (draining.returncode, draining.stderr.strip()) == (1, "NOT_SERVING")
        with Client(server.address) as client:
            assert client.server_info().draining
        assert not working.done()
        stubs.channel.close()


def test_a_client_ca_without_a_key_is_reported_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "chain.pem").write_text("")
    done = check("127.0.0.1:1", tls_cert=tmp_path / "chain.pem", tls_client_ca=tmp_path / "chain.pem")
    assert (done.returncode, done.stderr.strip()) == (1, "GLIMPSE_TLS_CLIENT_CA needs GLIMPSE_TLS_KEY as well")


def test_a_missing_server_is_reported_in_one_line() -> None:
    done = check("127.0.0.1:1")
    assert done.returncode == 1
    assert done.stderr.startswith("UNAVAILABLE: ")
    assert len(done.stderr.splitlines()) == 1


def test_an_unknown_service_is_reported(server: ServerProcess) -> None:
    done = check(server.address, "bogus")
    assert done.returncode == 1
    assert done.stderr == "NOT_FOUND: the server has no service of this name\n"


def test_a_proxy_that_docker_injects_is_not_asked(server: ServerProcess) -> None:
    _, _, port = server.address.rpartition(":")
    with RecordingProxy() as proxy:
        for listen in (server.address, f"0.0.0.0:{port}", f"localhost:{port}"):
            done = check(listen, proxy=proxy)
            assert done.returncode == 0, done.stderr
    assert not proxy.seen


def test_empty_variables_are_not_given(server: ServerProcess) -> None:
    done = check(server.address, tls_cert="", tls_key=" ", tls_client_ca="")
    assert done.returncode == 0, done.stderr
    # The probe uses the default address, whether or not a server listens there.
    assert "50051" in check("").stderr or check("").returncode == 0


@pytest.mark.parametrize("listen", ["localhost", "http://127.0.0.1:50051", "127.0.0.1:50051/"])
def test_an_invalid_address_is_reported_in_one_line(listen: str) -> None:
    done = check(listen)
    assert (done.returncode, done.stderr) == (1, f"GLIMPSE_LISTEN is neither HOST:PORT nor unix:PATH: {listen!r}\n")


def test_a_server_listens_on_a_socket_in_the_file_system(tmp_path: Path) -> None:
    tiny_dual_bundle(tmp_path / "tiny")
    server = ServerProcess(tmp_path, tmp_path / "tiny")
    server.listen = f"unix:{tmp_path}/glimpse.sock"
    with server, RecordingProxy() as proxy:
        assert server.address == server.listen
        done = check(server.listen, proxy=proxy)
        assert done.returncode == 0, done.stderr
        with Client(server.address) as client:
            assert client.server_info().ready
    assert not proxy.seen


async def test_a_socket_is_taken_from_the_dead_alone(tmp_path: Path) -> None:
    listen = f"unix:{tmp_path}/glimpse.sock"
    server = grpc.aio.server()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(listen.removeprefix("unix:"))
        other.listen()
        with pytest.raises(OSError, match="another server is using it"):
            bind(server, listen, None)
    # The socket file stays, as after a killed server.
    assert bind(server, listen, None) == listen
    with pytest.raises(OSError, match="its folder must exist"):
        bind(server, f"unix:{tmp_path}/absent/glimpse.sock", None)


@pytest.mark.parametrize("listen", ["localhost", "http://127.0.0.1:50051", "127.0.0.1:50051/"])
def test_an_invalid_listen_address_is_refused_with_the_valid_forms(listen: str) -> None:
    with pytest.raises(SettingsError, match=r"is neither HOST:PORT \(such as"):
        server_credentials(load_settings(listen=listen))


def issue(name: str, by: Pair | None = None, uses: Sequence[x509.ObjectIdentifier] = BOTH, ca: bool = False) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder(by[0].subject if by else subject, subject, key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca, None), critical=True)
    )
    if not ca:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage(uses), critical=False)
    return builder.sign(by[1] if by else key, hashes.SHA256()), key


def pem(*pairs: Pair) -> bytes:
    return b"".join(certificate.public_bytes(serialization.Encoding.PEM) for certificate, _ in pairs)


def key_of(pair: Pair) -> bytes:
    plain = serialization.NoEncryption()
    return pair[1].private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)


@contextmanager
def behind_tls(folder: Path, *chain: Pair, clients: Pair | None = None) -> Iterator[tuple[str, dict[str, Path]]]:
    """Yields the address of a server with these certificates, and its settings."""
    files = {"tls_cert": folder / "tls.crt", "tls_key": folder / "tls.key"}
    files["tls_cert"].write_bytes(pem(*chain))
    files["tls_key"].write_bytes(key_of(chain[0]))
    trusted = None
    if clients:
        files["tls_client_ca"] = folder / "ca.crt"
        files["tls_client_ca"].write_bytes(trusted := pem(clients))
    credentials = grpc.ssl_server_credentials([(key_of(chain[0]), pem(*chain))], trusted, clients is not None)
    with ThreadPoolExecutor(1) as pool:
        server = grpc.server(pool)
        health_pb2_grpc.add_HealthServicer_to_server(health.HealthServicer(), server)
        port = server.add_secure_port("127.0.0.1:0", credentials)
        server.start()
        try:
            yield f"127.0.0.1:{port}", files
        finally:
            server.stop(None).wait()


AUTHORITY = issue("authority", ca=True)
MIDDLE = issue("middle", AUTHORITY, ca=True)
SERVER_ONLY = (ExtendedKeyUsageOID.SERVER_AUTH,)


@pytest.mark.parametrize(
    "chain",
    [
        pytest.param([issue("glimpse.example", uses=SERVER_ONLY)], id="signed by itself"),
        pytest.param([issue("glimpse.example", AUTHORITY, SERVER_ONLY)], id="by an authority"),
        pytest.param([issue("*.glimpse.svc", MIDDLE, SERVER_ONLY), MIDDLE], id="by one in between, for any name"),
    ],
)
def test_over_tls_it_knows_its_own_server_by_whatever_name(chain: list[Pair], tmp_path: Path) -> None:
    with behind_tls(tmp_path, *chain) as (address, files):
        done = check(address, **files)
        assert done.returncode == 0, done.stderr


def test_with_client_certificates_the_probe_presents_the_servers(tmp_path: Path) -> None:
    with behind_tls(tmp_path, issue("glimpse.example", AUTHORITY), clients=AUTHORITY) as (address, files):
        done = check(address, **files)
        assert done.returncode == 0, done.stderr


def test_another_server_in_its_place_is_not_taken_for_it(tmp_path: Path) -> None:
    with behind_tls(tmp_path, issue("glimpse.example", AUTHORITY)) as (address, files):
        files["tls_cert"].write_bytes(pem(issue("glimpse.example", AUTHORITY)))
        done = check(address, **files)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("content", [b"", b"not a certificate", pem(AUTHORITY)], ids=["empty", "no PEM", "no name"])
def test_an_unusable_certificate_is_reported_in_one_line(content: bytes, tmp_path: Path) -> None:
    with behind_tls(tmp_path, issue("glimpse.example")) as (address, files):
        files["tls_cert"].write_bytes(content)
        done = check(address, **files)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
