"""A real server that the tests of this folder share, with a dual and an image-only backbone."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.bundles import tiny_dual_bundle, tiny_image_bundle
from support.http_calls import HttpChannel
from support.postgres import Postgres, postgres
from support.server import ServerProcess, Stubs, make_collection
from support.vector_collection import ROWS, Vectors, blobs, named


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("bundles")
    tiny_dual_bundle(folder / "tiny")
    tiny_image_bundle(folder / "tiny-image", seed=5)
    return folder / "tiny", folder / "tiny-image"


@pytest.fixture(scope="session")
def server(bundles: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("server"), *bundles, http="127.0.0.1:0") as process:
        yield process


@pytest.fixture(scope="session")
def grpc_stubs(server: ServerProcess) -> Iterator[Stubs]:
    stubs = Stubs(server.address)
    yield stubs
    stubs.channel.close()


@pytest.fixture(scope="session")
def stubs(grpc_stubs: Stubs) -> Stubs:
    return grpc_stubs


@pytest.fixture(scope="session")
def http_stubs(server: ServerProcess) -> Stubs:
    """Returns stubs whose calls go over HTTP/JSON."""
    return Stubs("", HttpChannel(server.url))


@pytest.fixture(params=["grpc_stubs", "http_stubs"])
def both_stubs(request: pytest.FixtureRequest) -> Stubs:
    """Returns stubs over gRPC, and then over HTTP/JSON: a refusal has to be the same over both.

    A module in which every test runs over both makes it its `stubs`.
    """
    stubs: Stubs = request.getfixturevalue(request.param)
    return stubs


@pytest.fixture
def collection(stubs: Stubs) -> str:
    """Returns the name of a new collection of the dual backbone."""
    return make_collection(stubs)


@pytest.fixture(scope="module")
def database() -> Iterator[Postgres]:
    with postgres() as started:
        yield started


@pytest.fixture
def vectors(stubs: Stubs) -> Vectors:
    return Vectors(stubs)


@pytest.fixture
def fitted(vectors: Vectors) -> Vectors:
    """Returns a fitted collection of 4 labels with 12 examples each."""
    vectors.enroll(blobs(ROWS), named(ROWS), measure=True)
    return vectors
