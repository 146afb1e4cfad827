"""A proxy of the environment never sees a key, and sees no call to this machine."""

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health, health_pb2_grpc

from glimpse.client import AsyncClient, Client, Retry, Unavailable
from support.certificates import Authority
from support.recording_proxy import RecordingProxy

KEY = "glimpse_0123456789abcdef_" + "0" * 64
# Both clients run in their own process, where nothing else uses the proxy.
ASK = """
import asyncio, sys
from glimpse.client import AsyncClient, Client

async def ask(address, arguments):
    async with AsyncClient(address, **arguments) as client:
        return (await client.health()).status

arguments = {"tls_ca": sys.argv[1]} if sys.argv[1] else {}
for address in sys.argv[2:]:
    with Client(address, **arguments) as client:
        print(client.health().status, asyncio.run(ask(address, arguments)))
"""


@contextmanager
def answering(*listen: str, credentials: grpc.ServerCredentials | None = None) -> Iterator[list[str]]:
    """Runs a server with the health service and yields its addresses."""
    with ThreadPoolExecutor(1) as pool:
        server = grpc.server(pool)
        health_pb2_grpc.add_HealthServicer_to_server(health.HealthServicer(), server)
        add_port = server.add_insecure_port
        if credentials:
            add_port = partial(server.add_secure_port, server_credentials=credentials)
        ports = [add_port(address) for address in listen]
        server.start()
        try:
            yield [address.replace(":0", f":{port}") for address, port in zip(listen, ports, strict=True)]
        finally:
            server.stop(None).wait()


def signed(authority: Authority) -> grpc.ServerCredentials:
    """Returns credentials for 127.0.0.1 and for a name that does not resolve."""
    cert, key = authority.sign("server", names=["glimpse.invalid"])
    return grpc.ssl_server_credentials([(key.read_bytes(), cert.read_bytes())])


def ask(proxy: RecordingProxy, *addresses: str, tls_ca: Path | str = "") -> list[str]:
    """Returns the answers to both clients at each address, in an environment with the proxy."""
    environment = {**os.environ, **proxy.variables(), "GLIMPSE_API_KEY": KEY}
    command = [sys.executable, "-c", ASK, str(tls_ca), *addresses]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_grpc_without_options_shows_the_call_to_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other tests rely on it: plain gRPC sends the call through the proxy."""
    with answering("127.0.0.1:0") as (address,), RecordingProxy(address) as proxy:
        monkeypatch.setenv("http_proxy", f"http://{proxy.address}")
        monkeypatch.setenv("no_proxy", "")
        monkeypatch.setenv("no_grpc_proxy", "")
        with grpc.insecure_channel(address) as channel:
            call = channel.unary_unary("/grpc.health.v1.Health/Check", None, None)
            call(b"", timeout=5, metadata=(("authorization", f"Bearer {KEY}"),))
        assert proxy.seen.startswith(b"CONNECT")
        assert b"/grpc.health.v1.Health/Check" in proxy.seen


def test_calls_to_this_machine_avoid_the_proxy(tmp_path: Path) -> None:
    socket = f"unix:{tmp_path}/socket"
    with answering("127.0.0.1:0", "127.0.0.2:0", "[::1]:0", socket) as (one, two, six, file), RecordingProxy() as proxy:
        port = one.rpartition(":")[2]
        names = (f"localhost:{port}", f"dns:///localhost:{port}", f"ipv4:{one}", f"ipv4:{one},{two}", f"ipv6:{six}")
        addresses = (one, two, six, file, *names)
        assert ask(proxy, *addresses) == ["SERVING SERVING"] * len(addresses)
    assert not proxy.seen


def test_tls_calls_to_this_machine_avoid_the_proxy(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "authority")
    with answering("127.0.0.1:0", credentials=signed(authority)) as (address,), RecordingProxy() as proxy:
        assert ask(proxy, address, tls_ca=authority.file) == ["SERVING SERVING"]
    assert not proxy.seen


@pytest.mark.parametrize("arguments", [{"api_key": KEY, "insecure": True}, {"api_key": ""}])
async def test_plain_text_never_goes_through_the_proxy(
    arguments: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with RecordingProxy() as proxy:
        for name, value in proxy.variables().items():
            monkeypatch.setenv(name, value)
        with Client("glimpse.invalid:1", retry=Retry(attempts=1), **arguments) as client, pytest.raises(Unavailable):
            client.health()
        async with AsyncClient("glimpse.invalid:1", retry=Retry(attempts=1), **arguments) as asynchronous:
            with pytest.raises(Unavailable):
                await asynchronous.health()
    assert b"glimpse.invalid" not in proxy.seen


def test_the_proxy_cannot_read_tls_calls(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "authority")
    with answering("127.0.0.1:0", credentials=signed(authority)) as (address,), RecordingProxy(address) as proxy:
        proxy.by_address = False
        assert ask(proxy, "glimpse.invalid:443", tls_ca=authority.file) == ["SERVING SERVING"]
    assert proxy.seen.startswith(b"CONNECT glimpse.invalid:443")
    assert b"Health" not in proxy.seen
    assert KEY.encode() not in proxy.seen
