"""Runs the deployment on a local Ray in a process that a test controls through a socket.

python tests/support/ray_serve.py SOCKET PORT FOLDER      # until the other end of the socket is closed
"""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).parents[2]
_CONFIG = ROOT / "server/deploy/ray/serve.yaml"
_REPLICAS = 2
Metadata = tuple[tuple[str, str], ...]
# CPUs of a replica, which leave room for those of another application.
_CPUS = 0.5


class RayServe:
    """Two replicas on a ledger. As a context manager it stops all processes of Ray in every outcome."""

    def __init__(self, folder: Path, bundle: Path, ledger: str) -> None:
        self.folder, self.ledger = folder, ledger
        self._port, self.metrics = _free(), _free(beside=_REPLICAS)
        self.address = f"127.0.0.1:{self._port}"
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("GLIMPSE_", "RAY_"))},
            "GLIMPSE_LEDGER": ledger,
            "GLIMPSE_BACKBONE": str(bundle),
            "GLIMPSE_DATA": str(folder / "data"),
            "GLIMPSE_METRICS_LISTEN": f"127.0.0.1:{self.metrics}",
            # Serve's proxy listens on every address, and these tests use no keys.
            "GLIMPSE_INSECURE": "1",
            "RAY_USAGE_STATS_ENABLED": "0",
            # A busy machine needs longer than the default of half a minute.
            "RAY_raylet_start_wait_time_s": "120",
            # The proxy reports the number of calls to the autoscaler, by default every ten seconds.
            "RAY_SERVE_HANDLE_AUTOSCALING_METRIC_PUSH_INTERVAL_S": "0.5",
        }

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            # Ray makes sockets below it, whose paths must be short.
            short = stack.enter_context(tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True))
            with (self.folder / "log").open("w") as log:  # not a pipe, because Ray's processes write to it too
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

    @contextmanager
    def beside(self, name: str, autoscaling: Mapping[str, float], **settings: object) -> Iterator[Metadata]:
        """Deploys another application like serve.yaml on the same Ray and ledger, until the end of the context.

        `settings` go under its env_vars, `autoscaling` into its autoscaling_config. Gives the metadata that calls need
        to reach it.
        """
        own = {"data": self.folder / name, "metrics_listen": "127.0.0.1:0", **settings}
        variables = {f"GLIMPSE_{key.upper()}": str(value) for key, value in own.items()}
        self._ask("deploy", name, variables, dict(autoscaling))
        try:
            yield (("application", name),)
        finally:
            self._ask("delete", name)

    def ongoing(self, application: str = "glimpse") -> dict[str, int]:
        """Returns the number of running calls of each replica of an application."""
        found: dict[str, int] = self._ask("ongoing", application)
        return found

    def kill(self, replica: str) -> None:
        """Kills a replica at once; Ray's own restart is off."""
        self._ask("kill", replica)

    def _ask(self, *words: Any) -> Any:
        try:
            self._connection.send(words)
            return self._connection.recv()
        except (EOFError, OSError):
            raise AssertionError((self.folder / "log").read_text()) from None


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Closes the socket, so that the process stops Ray."""
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()  # Ray's own processes end with it
        process.wait()


def _config() -> Any:
    import yaml
    from ray.serve.schema import ServeDeploySchema

    return ServeDeploySchema.model_validate(yaml.safe_load(_CONFIG.read_text("utf-8")))


def _start(port: int, folder: str) -> None:
    import ray
    from ray import serve

    ray.init(num_cpus=2, include_dashboard=False, object_store_memory=100 << 20, log_to_driver=False, _temp_dir=folder)
    config = _config()
    [application] = config.applications
    module, name = application.import_path.split(":")
    build: Callable[[Any], Any] = getattr(__import__(module, fromlist=[name]), name)
    serve.start(
        http_options={"port": _free(), "host": "127.0.0.1"},
        grpc_options={**config.grpc_options.model_dump(), "port": port},
    )
    from glimpse.server.ray.options import Options

    own = {"min_replicas": _REPLICAS, "max_replicas": _REPLICAS, "cpus": _CPUS}
    serve.run(
        build(Options(**{**application.args, **own})), name=application.name, route_prefix=application.route_prefix
    )


def _deploy(name: str, variables: dict[str, str], autoscaling: dict[str, float]) -> None:
    """Deploys the file's application under another name, as `serve deploy` does."""
    from ray import serve
    from ray.serve.context import _get_global_client
    from ray.serve.schema import ServeDeploySchema

    [application] = _config().model_dump(exclude_unset=True)["applications"]
    own = {key: autoscaling[key] for key in ("min_replicas", "max_replicas")}
    application |= {
        "name": name,
        "route_prefix": f"/{name}",
        "args": {**application["args"], **own, "cpus": _CPUS},
        "runtime_env": {"env_vars": variables},
        "deployments": [{"name": "Glimpse", "autoscaling_config": autoscaling}],
    }
    client: Any = _get_global_client()
    client.deploy_apps(ServeDeploySchema.model_validate({"applications": [application]}))
    while (state := serve.status().applications[name]).status != "RUNNING":
        assert state.status == "DEPLOYING", state
        time.sleep(0.2)


def _free(beside: int = 1) -> int:
    """Returns the first of `count` free ports in a row."""
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


def _ongoing(application: str) -> dict[str, int]:
    import ray

    actors = [one["name"] for one in ray.util.list_named_actors(all_namespaces=True)]
    found: dict[str, int] = {}
    for name in actors:
        if name.startswith(f"SERVE_REPLICA::{application}#"):
            try:
                replica: Any = ray.get_actor(name, "serve")
                found[name] = ray.get(replica.get_num_ongoing_requests.remote(), timeout=10)
            except (ValueError, ray.exceptions.RayError):  # it has ended or does not exist yet
                continue
    return found


def _kill(replica: str) -> None:
    import ray

    ray.kill(ray.get_actor(replica, "serve"))


def _delete(application: str) -> None:
    from ray import serve

    serve.delete(application)


def _obey(connection: Connection, port: int, folder: str) -> None:
    does: dict[str, Callable[..., Any]] = {
        "start": partial(_start, port, folder),
        "deploy": _deploy,
        "delete": _delete,
        "ongoing": _ongoing,
        "kill": _kill,
    }
    while True:
        try:
            what, *words = connection.recv()
        except EOFError:
            return
        connection.send(does[what](*words))


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
