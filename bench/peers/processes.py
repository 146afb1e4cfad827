"""The servers under test, and their processes."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.machine import descendants
from bench.peers import clients
from glimpse.backbone import Bundle, cores

ROOT = Path(__file__).parents[2]
#: The interpreter of the peers' environment.
PEERS_PYTHON = ROOT / ".venv-peers" / "bin" / "python"
#: Milliseconds that a batch of a peer may wait for more pictures.
WAIT_MS = 5.0
_START_SECONDS, _STOP_SECONDS = 120.0, 20.0


@dataclass(frozen=True)
class Peer:
    """A server under test.

    Attributes:
        name: Its name in the table.
        module: The module that serves; None for Glimpse.
        client: Opens a client of an address.
        workers: Inference processes; each has its part of the two cores.
    """

    name: str
    module: str | None
    client: Callable[[str], AbstractAsyncContextManager[clients.Embed]]
    workers: int = 1


PEERS = (
    Peer("glimpse", None, clients.glimpse),
    Peer("grpc, naive", "naive", clients.naive),
    Peer("mosec, 1 worker", "mosec_server", clients.http("/inference")),
    Peer("mosec, 2 workers", "mosec_server", clients.http("/inference"), workers=2),
    Peer("litserve, 1 worker", "litserve_server", clients.http("/predict")),
    Peer("litserve, 2 workers", "litserve_server", clients.http("/predict"), workers=2),
    Peer("ray serve, 1 replica", "ray_server", clients.http("/")),
    Peer("ray serve, 2 replicas", "ray_server", clients.http("/"), workers=2),
)


def peer_environment(bundle: Bundle, workers: int = 1, port: int = 0) -> dict[str, str]:
    """Returns the variables of a peer (see pipeline.py).

    With two workers the batches are small, or one worker would take all that waits while the other is idle.
    """
    rule = bundle.manifest.image
    assert rule is not None
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PEER_GRAPH": str(bundle.path / "image.onnx"),
        "PEER_RULE": rule.model_dump_json(),
        "PEER_PORT": str(port),
        "PEER_WORKERS": str(workers),
        "PEER_THREADS": str(max(1, cores() // workers)),
        "PEER_BATCH": "32" if workers == 1 else "4",
        "PEER_WAIT_MS": str(WAIT_MS),
        "RAY_USAGE_STATS_ENABLED": "0",
    }


@contextmanager
def running(peer: Peer, bundle: Bundle, folder: Path) -> Iterator[str]:
    """Runs a server and yields its address. At the end it and every process that it started are gone.

    Args:
        peer: The server.
        bundle: Its model.
        folder: An empty folder for its data and its log.
    """
    address = f"127.0.0.1:{_free_port()}"
    if peer.module is None:
        command = [sys.executable, "-m", "glimpse.cli.main", "serve", "--listen", address]
        command += ["--data", str(folder / "data"), "--backbone", str(bundle.path)]
        environment = dict(os.environ)
    else:
        command = [str(PEERS_PYTHON), "-m", f"bench.peers.servers.{peer.module}"]
        environment = peer_environment(bundle, peer.workers, int(address.rpartition(":")[2]))
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, cwd=folder, env=environment, start_new_session=True
        )
    try:
        _wait(process, address, log)
        yield address
    finally:
        _stop(process)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _wait(process: "subprocess.Popen[bytes]", address: str, log: Path) -> None:
    host, _, port = address.rpartition(":")
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended:\n{log.read_text(errors='replace')[-2_000:]}")
        with socket.socket() as attempt:
            if attempt.connect_ex((host, int(port))) == 0:
                return
        time.sleep(0.2)
    raise RuntimeError(f"the server did not start:\n{log.read_text(errors='replace')[-2_000:]}")


def _stop(process: "subprocess.Popen[bytes]") -> None:
    children = descendants(process.pid)
    process.terminate()
    end = time.monotonic() + _STOP_SECONDS
    while time.monotonic() < end and (process.poll() is None or any(map(_alive, children))):
        time.sleep(0.1)
    for child in (process.pid, *children):
        if _alive(child):
            os.kill(child, signal.SIGKILL)
    process.wait()


def _alive(pid: int) -> bool:
    file = Path(f"/proc/{pid}/stat")
    try:
        return file.read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
