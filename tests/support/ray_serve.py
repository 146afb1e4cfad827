"""A Ray of this machine's own with the deployment on it, in a process that a test tells what to do.

python tests/support/ray_serve.py SOCKET PORT FOLDER      # until nobody is at the other end of the socket
"""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).parents[2]
_CONFIG = ROOT / "server/deploy/ray/serve.yaml"
_REPLICAS = 2


class RayServe:
    """Two replicas on a ledger. Use it as a context manager: all that Ray started is stopped in every outcome."""

    def __init__(self, folder: Path, bundle: Path, ledger: str) -> None:
        self.folder = folder
        self._port, self.metrics = _free(), _free(beside=_REPLICAS)
        self.address = f"127.0.0.1:{self._port}"
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("GLIMPSE_", "RAY_"))},
            "GLIMPSE_LEDGER": ledger,
            "GLIMPSE_BACKBONE": str(bundle),
            "GLIMPSE_DATA": str(folder / "data"),
            "GLIMPSE_METRICS_LISTEN": f"127.0.0.1:{self.metrics}",
            # Serve's proxy listens everywhere, and here nobody has a key.
            "GLIMPSE_INSECURE": "1",
            "RAY_USAGE_STATS_ENABLED": "0",
        }

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            # Ray makes sockets under it, whose paths may not be long.
            short = stack.enter_context(tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True))
            with (self.folder / "log").open("w") as log:  # no pipe: what Ray starts writes to it too
                words = [sys.executable, __file__, f"{short}/socket", str(self._port), short]
                process = subprocess.Popen(words, stdout=log, stderr=log, env=self._environment, cwd=ROOT)
            stack.callback(_end, process)
            while not Path(short, "socket").exists():
                assert process.poll() is None, (self.folder / "log").read_text()
                time.sleep(0.1)
            self._connection = stack.enter_context(Client(f"{short}/socket"))
            self._ask("start")
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def ongoing(self) -> dict[str, int]:
        """The calls that each replica is answering."""
        found: dict[str, int] = self._ask("ongoing")
        return found

    def kill(self, replica: str) -> None:
        """At once, and not to be started again by Ray itself."""
        self._ask("kill", replica)

    def _ask(self, *words: str) -> Any:
        try:
            self._connection.send(words)
            return self._connection.recv()
        except (EOFError, OSError):
            raise AssertionError((self.folder / "log").read_text()) from None


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Its end of the socket is closed: it stops what it started."""
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()  # Ray's own processes watch for that
        process.wait()


def _start(port: int, folder: str) -> None:
    import ray
    import yaml
    from ray import serve
    from ray.serve.schema import ServeDeploySchema

    ray.init(num_cpus=2, include_dashboard=False, object_store_memory=100 << 20, log_to_driver=False, _temp_dir=folder)
    config = ServeDeploySchema.model_validate(yaml.safe_load(_CONFIG.read_text("utf-8")))
    [application] = config.applications
    module, name = application.import_path.split(":")
    build: Callable[[Any], Any] = getattr(__import__(module, fromlist=[name]), name)
    serve.start(
        http_options={"port": _free(), "host": "127.0.0.1"},
        grpc_options={**config.grpc_options.model_dump(), "port": port},
    )
    from glimpse.server.on_ray.options import Options

    options = Options(**{**application.args, "min_replicas": _REPLICAS, "max_replicas": _REPLICAS})
    serve.run(build(options), name=application.name, route_prefix=application.route_prefix)


def _free(beside: int = 1) -> int:
    """A port, of so many in a row that nobody has."""
    while True:
        with ExitStack() as stack:
            first = stack.enter_context(socket.socket())
            first.bind(("127.0.0.1", 0))
            port = int(first.getsockname()[1])
            try:
                for number in range(1, beside):
                    stack.enter_context(socket.socket()).bind(("127.0.0.1", port + number))
            except OSError:
                continue
            return port


def _do(what: str, *words: str) -> Any:
    import ray

    actors = [one["name"] for one in ray.util.list_named_actors(all_namespaces=True)]
    replicas = {name: ray.get_actor(name, "serve") for name in actors if name.startswith("SERVE_REPLICA::")}
    if what == "kill":
        return ray.kill(replicas[words[0]])
    asked: dict[str, Any] = {name: actor.get_num_ongoing_requests.remote() for name, actor in replicas.items()}
    found: dict[str, int] = {}
    for name, answer in asked.items():
        try:
            found[name] = ray.get(answer, timeout=10)
        except ray.exceptions.RayError:  # it has been killed, or is not made yet
            continue
    return found


def _obey(connection: Connection, port: int, folder: str) -> None:
    while True:
        try:
            what, *words = connection.recv()
        except EOFError:
            return
        if what == "start":
            _start(port, folder)
        connection.send(_do(what, *words))


def main(address: str, port: str, folder: str) -> None:
    with Listener(address) as listener, listener.accept() as connection:
        try:
            _obey(connection, int(port), folder)
        finally:
            import ray
            from ray import serve

            if ray.is_initialized():
                stops: list[Any] = [serve.shutdown, ray.shutdown]
                for stop in stops:
                    stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
