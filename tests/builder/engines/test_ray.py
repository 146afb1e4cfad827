"""The same build on a real Ray cluster of two workers."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from glimpse.backbone import Bundle
from glimpse.index import verify
from support.building import failed, painted, rows, shards, texts
from support.bundles import tiny_dual_bundle
from support.server import GLIMPSE

pytest.importorskip("ray", reason="ray is not installed: pip install 'glimpse-fewshot[server,ray]'")
pytestmark = [pytest.mark.rest, pytest.mark.timeout(300)]
_IN_PART = 3
# Starts a head without work and two workers of one CPU each, until it is stopped.
_CLUSTER = """
import pathlib, sys
from ray.cluster_utils import Cluster
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
for _ in range(2):
    cluster.add_node(num_cpus=1)
cluster.wait_for_nodes()
pathlib.Path(sys.argv[1]).write_text(cluster.address)
sys.stdin.read()
cluster.shutdown()
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yields the address of the cluster."""
    folder = tmp_path_factory.mktemp("cluster")
    with (folder / "log").open("w") as log:  # no pipe: what Ray starts writes to it too, and nobody would read
        process = subprocess.Popen(
            [sys.executable, "-c", _CLUSTER, folder / "address"],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            env={**os.environ, "RAY_USAGE_STATS_ENABLED": "0"},
            cwd=folder,
        )
    assert process.stdin is not None
    try:
        while not (folder / "address").is_file():
            assert process.poll() is None, (folder / "log").read_text()
            time.sleep(0.1)
        yield (folder / "address").read_text()
    finally:
        process.stdin.close()
        process.wait(60)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return tiny_dual_bundle(tmp_path_factory.mktemp("ray") / "bundle", dimension=16)


def command(arguments: Sequence[object], address: str | None, cwd: Path | None = None) -> "subprocess.Popen[str]":
    """Returns the command line of `glimpse index build`, on the cluster if an address is passed."""
    environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0", "OMP_NUM_THREADS": "1"}
    engine = [] if address is None else ["--engine", "ray"]
    if address:
        environment["RAY_ADDRESS"] = address
    words = [*GLIMPSE, "index", "build", *map(str, arguments), *engine]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=cwd)


def run(arguments: Sequence[object], address: str | None = None, cwd: Path | None = None) -> tuple[int, dict[str, Any]]:
    """Runs the command; returns its exit code and output."""
    process = command([*arguments, "--format", "json"], address, cwd)
    out, err = process.communicate()
    assert process.returncode in (0, _IN_PART), err
    return process.returncode, json.loads(out.splitlines()[-1])


def test_it_makes_the_bytes_that_one_machine_makes(cluster: str, bundle: Bundle, tmp_path: Path) -> None:
    photos = painted(tmp_path / "photos", [f"{label}/{i}" for label in ("cat", "dog", "owl") for i in range(400)])
    (photos / "dog" / "broken.png").write_bytes(b"no picture")
    table = texts(tmp_path / "texts.jsonl", 900)
    table.write_text(table.read_text() + 'no JSON\n{"id": "t000003", "text": "again"}\n')
    arguments = [photos, table, "--backbone", bundle.path, "--labels", "label", "--shard-size", 768]
    arguments += ["--type", "IVF8,SQ8,Refine(SQfp16)", "--threads", 1]
    for out, address in ((tmp_path / "one", None), (tmp_path / "many", cluster)):
        code, found = run([*arguments, "--out", out], address)
        assert (code, found["inputs"], found["encoded"], found["failed"]) == (_IN_PART, 2_103, 2_100, 3)
    assert len(shards(tmp_path / "one")) == 3
    assert shards(tmp_path / "many") == shards(tmp_path / "one")
    # The index is trained once; each shard is added separately, and the parts are merged.
    assert (tmp_path / "many" / "index.faiss").read_bytes() == (tmp_path / "one" / "index.faiss").read_bytes()
    assert failed(tmp_path / "many") == failed(tmp_path / "one")
    assert set(failed(tmp_path / "many").values()) == {"IMAGE_FORMAT_UNKNOWN", "ROW_MALFORMED", "DUPLICATE_ID"}
    assert not verify(tmp_path / "many")
    assert not (tmp_path / "many" / ".building").exists()


def test_killed_there_it_goes_on_anywhere(cluster: str, bundle: Bundle, tmp_path: Path) -> None:
    table = texts(tmp_path / "texts.jsonl", 20_000)
    arguments = [table, "--backbone", bundle.path, "--out", tmp_path / "out", "--shard-size", 1_024]
    process = command(arguments, cluster)
    written = tmp_path / "out" / "vectors"
    while process.poll() is None and not (written.is_dir() and len(list(written.glob("part-*.parquet"))) > 1):
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    kept = len(shards(tmp_path / "out"))
    code, found = run([*arguments, "--resume"], None)
    assert (code, found["failed"]) == (0, 0)
    assert found["known"] >= kept * 1_024
    assert found["known"] + found["encoded"] == 20_000
    assert len(rows(tmp_path / "out")) == 20_000
    assert not verify(tmp_path / "out")


def test_a_cluster_grows_an_index_of_one_machine(cluster: str, bundle: Bundle, tmp_path: Path) -> None:
    photos = painted(tmp_path / "photos", [f"cat/{i}" for i in range(300)])
    arguments = [photos, "--backbone", bundle.path, "--labels", "label", "--out", tmp_path / "out"]
    run(arguments)
    painted(photos, [f"dog/{i}" for i in range(20)])
    painted(photos, ["cat/7"], shade=1)
    _, found = run([*arguments, "--resume"], cluster)
    assert (found["known"], found["encoded"], found["changed"]) == (299, 21, 1)
    assert len(rows(tmp_path / "out")) == 320
    assert not verify(tmp_path / "out")


def test_relative_inputs_belong_to_the_folder_of_the_command(cluster: str, bundle: Bundle, tmp_path: Path) -> None:
    painted(tmp_path / "photos", [f"cat/{i}" for i in range(20)])
    arguments = ["photos", "--backbone", bundle.path, "--labels", "label", "--out", "out"]
    code, found = run(arguments, cluster, tmp_path)
    assert (code, found["encoded"]) == (0, 20)
    assert rows(tmp_path / "out")["photos/cat/7.png"]["source"] == "photos/cat/7.png"


def test_an_error_in_a_worker_is_one_line(cluster: str, bundle: Bundle, tmp_path: Path) -> None:
    photos = painted(tmp_path / "photos", [f"cat/{i}" for i in range(20)])
    (tmp_path / "out" / ".building").mkdir(parents=True)
    (tmp_path / "out" / ".building" / "windows").touch()
    process = command([photos, "--backbone", bundle.path, "--out", tmp_path / "out", "--resume"], cluster)
    _, err = process.communicate()
    assert process.returncode == 1
    assert "Traceback" not in err
    assert err.splitlines()[-1].startswith("glimpse: the cluster stopped: NotADirectoryError: [Errno 20]")
    assert "--resume" in err.splitlines()[-1]


def test_the_workers_own_error_is_reported() -> None:
    from glimpse.builder.engines.ray_cluster import cause

    message = """ray::Map() (pid=1)
KeyError: 'x'

The above exception was the direct cause of the following exception:

  File "a.py", line 13, in write
    raise OSError(28, "No space left on device")
OSError: [Errno 28] No space left on device: '/a/b'

ray.exceptions.UserCodeException: UDF failed to process a data block.
Failed to apply UDF transform after 1/1 attempts (total backoff 0.0s).
"""
    assert cause(message) == "OSError: [Errno 28] No space left on device: '/a/b'"
    assert cause("The node is gone.\nIts address was 1.2.3.4.") == "The node is gone."
