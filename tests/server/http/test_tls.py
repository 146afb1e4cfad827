"""TLS over HTTP: the gRPC listener's certificates, for clients too, and changed without a restart."""

import shutil
import ssl
from pathlib import Path

import pytest
from cryptography import x509

from support.certificates import Authority
from support.forked import run_forked
from support.http_calls import request
from support.server import ServerProcess

HTTP = {"http": "127.0.0.1:0"}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), "authority")


def trusting(authority: Authority, own: tuple[Path, Path] | None = None) -> ssl.SSLContext:
    """Returns a client's context that trusts an authority, and presents a certificate."""
    context = ssl.create_default_context(cafile=str(authority.file))
    if own:
        context.load_cert_chain(*own)
    return context


def is_ready(server: ServerProcess, context: ssl.SSLContext) -> bool:
    status, *_ = request(server.url, "/readyz", verb="GET", tls=context)
    return status == 200


def served_certificate(server: ServerProcess) -> x509.Certificate:
    host, _, port = server.url.removeprefix("https://").rpartition(":")
    return x509.load_pem_x509_certificate(ssl.get_server_certificate((host, int(port))).encode())


def test_calls_need_tls(authority: Authority, bundles: tuple[Path, ...], tmp_path: Path) -> None:
    cert, key = authority.sign("server")
    with ServerProcess(tmp_path, bundles[0], tls_cert=cert, tls_key=key, **HTTP) as server:
        assert server.url.startswith("https://127.0.0.1:")
        assert is_ready(server, trusting(authority))
        with pytest.raises(ssl.SSLCertVerificationError):
            is_ready(server, trusting(Authority(tmp_path, "other")))
        with pytest.raises(OSError, match=r".*"):
            request(server.url.replace("https:", "http:"), "/readyz", verb="GET")
        assert is_ready(server, trusting(authority))


def test_a_changed_certificate_is_served_without_a_restart(
    authority: Authority, bundles: tuple[Path, ...], tmp_path: Path
) -> None:
    cert, key = (Path(shutil.copy(file, tmp_path)) for file in authority.sign("server"))
    with ServerProcess(tmp_path, bundles[0], tls_cert=cert, tls_key=key, **HTTP) as server:
        before = served_certificate(server)
        new_cert, new_key = authority.sign("renewed")
        shutil.copy(new_cert, cert)
        # A certificate without its key, for a moment: the server keeps the old pair.
        assert served_certificate(server) == before
        shutil.copy(new_key, key)
        assert served_certificate(server) == x509.load_pem_x509_certificate(new_cert.read_bytes())
        assert is_ready(server, trusting(authority))
        assert "keeping the old certificate" in server.log()


def test_a_changed_authority_for_clients_is_used_without_a_restart(
    authority: Authority, bundles: tuple[Path, ...], tmp_path: Path
) -> None:
    cert, key = authority.sign("server")
    before, after = Authority(tmp_path, "before"), Authority(tmp_path, "after")
    known = Path(shutil.copy(before.file, tmp_path / "known.pem"))
    settings = {"tls_cert": cert, "tls_key": key, "tls_client_ca": known, **HTTP}
    with ServerProcess(tmp_path, bundles[0], **settings) as server:
        old, new = before.sign("old-client"), after.sign("new-client")
        # A context of its own keeps its sessions: they must not outlive the authority.
        old_client, new_client = trusting(authority, old), trusting(authority, new)
        assert is_ready(server, old_client)
        for refused in (new_client, trusting(authority)):
            with pytest.raises(OSError, match=r".*"):
                is_ready(server, refused)
        shutil.copy(after.file, known)
        assert is_ready(server, new_client)
        with pytest.raises(OSError, match=r".*"):
            is_ready(server, old_client)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--http", "0.0.0.0:0"), "listening on 0.0.0.0:0 without TLS"),
        (("--http", "unix:/tmp/socket"), "http: 'unix:/tmp/socket' is not HOST:PORT"),
        (("--http", "here"), "http: 'here' is not HOST:PORT"),
        (("--http", "127.0.0.1:99999"), "cannot listen on 127.0.0.1:99999 for HTTP"),
    ],
)
def test_an_address_that_will_not_do_is_named(
    bundles: tuple[Path, ...], tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    arguments = ["serve", "--data", str(tmp_path / "data"), "--backbone", str(bundles[0]), "--listen", "127.0.0.1:0"]
    done = run_forked([*arguments, *options])
    assert done.returncode == 1
    assert message in done.stderr
    assert done.stdout == ""


def test_a_key_is_required_where_http_alone_is_reached_by_others(
    authority: Authority, bundles: tuple[Path, ...], tmp_path: Path
) -> None:
    cert, key = authority.sign("server")
    with ServerProcess(tmp_path, bundles[0], tls_cert=cert, tls_key=key, http="0.0.0.0:0") as server:
        url = server.url.replace("0.0.0.0", "127.0.0.1")
        headers = [("content-type", "application/json")]
        path = "/glimpse.v1.EmbeddingService/ListBackbones"
        status, received, _ = request(url, path, b"{}", headers, tls=trusting(authority))
        assert (status, received["www-authenticate"]) == (401, "Bearer")
