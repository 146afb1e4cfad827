"""A proxy that the environment names sees no key, and nothing at all of what stays on this machine."""

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
# Both clients in a process of their own, where nothing else would use the proxy.
ASK = """
import asyncio, sys
from glimpse.client import AsyncClient, Client

async def ask(address, given):
    async with AsyncClient(address, **given) as client:
        return (await client.health()).status

given = {"tls_ca": sys.argv[1]} if sys.argv[1] else {}
for address in sys.argv[2:]:
    with Client(address, **given) as client:
        print(client.health().status, asyncio.run(ask(address, given)))
"""


@contextmanager
def answering(*listen: str, credentials: grpc.ServerCredentials | None = None) -> Iterator[list[str]]:
    """A server that answers for its health; its addresses."""
    with ThreadPoolExecutor(1) as pool:
        server = grpc.server(pool)
        health_pb2_grpc.add_HealthServicer_to_server(health.HealthServicer(), server)
        add_port = server.add_insecure_port
        if credentials:
            add_port = partial(server.add_secure_port, server_credentials=credentials)
        ports = [add_port(one) for one in listen]
        server.start()
        try:
            yield [one.replace(":0", f":{port}") for one, port in zip(listen, ports, strict=True)]
        finally:
            server.stop(None).wait()


def signed(authority: Authority) -> grpc.ServerCredentials:
    """For 127.0.0.1 and for a name that no name server has."""
    cert, key = authority.sign("server", names=["glimpse.invalid"])
    return grpc.ssl_server_credentials([(key.read_bytes(), cert.read_bytes())])


def ask(proxy: RecordingProxy, *addresses: str, tls_ca: Path | str = "") -> list[str]:
    """What both clients are answered at each address, in an environment that names the proxy."""
    environment = {**os.environ, **proxy.variables(), "GLIMPSE_API_KEY": KEY}
    command = [sys.executable, "-c", ASK, str(tls_ca), *addresses]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_grpc_itself_would_show_the_proxy_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without this, a proxy that sees nothing would prove nothing."""
    with answering("127.0.0.1:0") as (address,), RecordingProxy(address) as proxy:
        monkeypatch.setenv("http_proxy", f"http://{proxy.address}")
        monkeypatch.setenv("no_proxy", "")
        monkeypatch.setenv("no_grpc_proxy", "")
        with grpc.insecure_channel(address) as channel:
            call = channel.unary_unary("/grpc.health.v1.Health/Check", None, None)
            call(b"", timeout=5, metadata=(("authorization", f"Bearer {KEY}"),))
        assert proxy.seen.startswith(b"CONNECT")
        assert b"/grpc.health.v1.Health/Check" in proxy.seen


def test_this_machine_is_reached_without_the_proxy(tmp_path: Path) -> None:
    socket = f"unix:{tmp_path}/socket"
    with answering("127.0.0.1:0", "127.0.0.2:0", "[::1]:0", socket) as (one, two, six, file), RecordingProxy() as proxy:
        port = one.rpartition(":")[2]
        names = (f"localhost:{port}", f"dns:///localhost:{port}", f"ipv4:{one}", f"ipv4:{one},{two}", f"ipv6:{six}")
        addresses = (one, two, six, file, *names)
        assert ask(proxy, *addresses) == ["SERVING SERVING"] * len(addresses)
    assert not proxy.seen


def test_tls_to_this_machine_does_without_the_proxy_too(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "authority")
    with answering("127.0.0.1:0", credentials=signed(authority)) as (address,), RecordingProxy() as proxy:
        assert ask(proxy, address, tls_ca=authority.file) == ["SERVING SERVING"]
    assert not proxy.seen


@pytest.mark.parametrize("given", [{"api_key": KEY, "insecure": True}, {"api_key": ""}])
async def test_plain_text_to_another_machine_never_goes_through_the_proxy(
    given: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with RecordingProxy() as proxy:
        for name, value in proxy.variables().items():
            monkeypatch.setenv(name, value)
        with Client("glimpse.invalid:1", retry=Retry(attempts=1), **given) as client, pytest.raises(Unavailable):
            client.health()
        async with AsyncClient("glimpse.invalid:1", retry=Retry(attempts=1), **given) as asynchronous:
            with pytest.raises(Unavailable):
                await asynchronous.health()
    assert b"glimpse.invalid" not in proxy.seen


def test_with_tls_the_proxy_carries_what_it_cannot_read(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "authority")
    with answering("127.0.0.1:0", credentials=signed(authority)) as (address,), RecordingProxy(address) as proxy:
        proxy.by_address = False
        assert ask(proxy, "glimpse.invalid:443", tls_ca=authority.file) == ["SERVING SERVING"]
    assert proxy.seen.startswith(b"CONNECT glimpse.invalid:443")
    assert b"Health" not in proxy.seen
    assert KEY.encode() not in proxy.seen
