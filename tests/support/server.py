"""A real server process that a test can stop, kill and start again on the same data."""

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import grpc

from glimpse.v1 import collection_service_pb2, types_pb2
from glimpse.v1.classification_service_pb2_grpc import ClassificationServiceStub
from glimpse.v1.collection_service_pb2_grpc import CollectionServiceStub
from glimpse.v1.embedding_service_pb2_grpc import EmbeddingServiceStub
from glimpse.v1.review_service_pb2_grpc import ReviewServiceStub
from support.forked import ForkedProcess, can_fork

#: The program without a fork.
GLIMPSE = [sys.executable, "-m", "glimpse.cli.main"]


class ServerProcess:
    """Runs `glimpse serve` on a free port. As a context manager it stops the server in every outcome."""

    def __init__(self, folder: Path, *backbones: Path, **settings: object) -> None:
        self.folder = folder
        self.listen = "127.0.0.1:0"
        self._arguments = ["--data", str(settings.pop("data", folder / "data"))]
        for backbone in backbones:
            self._arguments += ["--backbone", str(backbone)]
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("GLIMPSE_")},
            **{f"GLIMPSE_{name.upper()}": str(value) for name, value in settings.items()},
        }
        #: The program to run in place of a fork that has imported `glimpse` already.
        self.program: list[str] | None = None
        #: A function of a module, called in the fork before it serves.
        self.prepare: Callable[[], None] | None = None
        self.process: ForkedProcess | subprocess.Popen[str] | None = None
        self.address = self.url = ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        arguments = ["serve", "--listen", self.listen, *self._arguments]
        with (self.folder / "server.log").open("a") as log:
            if self.prepare or (self.program is None and can_fork(self._environment)):
                self.process = ForkedProcess(arguments, self._environment, stderr=log, prepare=self.prepare)
            else:
                self.process = subprocess.Popen(
                    [*(self.program or GLIMPSE), *arguments],
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                    env=self._environment,
                )
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line.startswith("listening on "):
            self.stop()
            raise AssertionError(f"the server did not start:\n{self.log()}")
        # With HTTP: `listening on ADDRESS and URL`.
        _, _, self.address, *rest = line.split()
        self.url = rest[-1] if rest else ""

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Signals the process, waits for its end and returns its exit code."""
        assert self.process
        if self.process.poll() is None:
            self.process.send_signal(number)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()
        return self.process.returncode

    def log(self) -> str:
        return (self.folder / "server.log").read_text()


class Stubs:
    """The stubs of four services over one channel."""

    def __init__(self, address: str, channel: Any = None) -> None:
        options = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
        self.channel = channel or grpc.insecure_channel(address, options)
        self.embedding = EmbeddingServiceStub(self.channel)
        self.collections = CollectionServiceStub(self.channel)
        self.classification = ClassificationServiceStub(self.channel)
        self.review = ReviewServiceStub(self.channel)


def make_collection(
    stubs: Stubs, backbone: str = "backbones/tiny", label_mode: types_pb2.LabelMode = types_pb2.LABEL_MODE_EXCLUSIVE
) -> str:
    """Creates a collection with a unique id; returns its name."""
    request = collection_service_pb2.CreateCollectionRequest(
        collection_id=f"c-{uuid.uuid4().hex[:12]}",
        collection=collection_service_pb2.Collection(backbone=backbone, label_mode=label_mode),
    )
    name: str = stubs.collections.CreateCollection(request).collection.name
    return name
