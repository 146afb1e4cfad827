"""A server and the command without the extra `index`: everything works but indexes and Parquet."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from glimpse.client import Client, FailedPrecondition, NewExample, Vector
from support import without_pyarrow
from support.indexes import make_index
from support.server import ServerProcess
from support.toy_bundle import make_toy_bundle

PROGRAM = [sys.executable, without_pyarrow.__file__]
#: How a refusal names the extra.
EXTRA = "glimpse-fewshot[server,index]"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_toy_bundle(tmp_path_factory.mktemp("bundle") / "toy")


def index_of(folder: Path, space: str) -> Path:
    vectors = np.eye(4, dtype=np.float32)
    return make_index(folder, space, vectors, ["red", "green", "blue", "other"])


def test_a_server_without_pyarrow_does_everything_but_indexes(bundle: Path, tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, bundle, indexes=tmp_path / "indexes")
    with server, Client(server.address) as client:
        made = client.create_collection("indexed")
        index_of(tmp_path / "indexes" / "axes", made.embedding_space)
        client.attach_index("indexed", "axes")
        client.create_collection("colours")
    server.program = PROGRAM
    query = Vector(np.eye(4)[0], made.embedding_space)
    with server, Client(server.address) as client:
        examples = [NewExample("red", "red"), NewExample("blue", "blue")]
        client.enroll("colours", examples, create_labels=True)
        assert [result.unwrap().label for result in client.classify("colours", ["red", "blue"])] == ["red", "blue"]
        assert len(client.collection_report("colours").labels) == 2
        with pytest.raises(FailedPrecondition, match=r"pip install 'glimpse-fewshot\[index\]'") as refused:
            client.attach_index("colours", "axes")
        assert (refused.value.reason, refused.value.field) == ("INDEX_EXTRA_MISSING", "index")
        assert refused.value.message.count(". ") == 0
        with pytest.raises(FailedPrecondition, match=r"pip install 'glimpse-fewshot\[index\]'"):
            client.classify("indexed", query)
    server.program = None
    with server, Client(server.address) as client:
        assert client.classify("indexed", query)[0].unwrap().label == "red"


def test_commands_that_need_pyarrow_name_the_extra_in_one_line(tmp_path: Path) -> None:
    index = index_of(tmp_path / "index", "a space")
    (tmp_path / "texts.txt").write_text("red\n")
    (tmp_path / "table.parquet").write_bytes(b"PAR1")
    with ServerProcess(tmp_path):
        pass  # makes a ledger
    commands = [
        ["index", "build", str(tmp_path / "texts.txt"), "--out", str(tmp_path / "built")],
        ["index", "search", str(index), "--text", "red"],
        ["index", "verify", str(index)],
        ["index", "merge", str(index), "--out", str(tmp_path / "merged")],
        ["index", "compact", str(index), "--out", str(tmp_path / "compacted")],
        ["ledger", "export", str(tmp_path / "export"), "--data", str(tmp_path / "data")],
        ["ledger", "import", str(tmp_path / "export"), "--data", str(tmp_path / "data-2")],
        ["discover", str(index)],
    ]
    parquet = ["evaluate", str(tmp_path / "table.parquet"), "--out", str(tmp_path / "report")]
    info = ["index", "info", str(index)]
    done = subprocess.run(PROGRAM, input=json.dumps([*commands, parquet, info]), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    *refused, table, shown = json.loads(done.stdout)
    for command, (code, message) in zip(commands, refused, strict=True):
        assert code == 1, command
        assert message.count("\n") == 1, message
        assert EXTRA in message, command
    assert table[0] == 1
    assert "is Parquet, which needs pyarrow" in table[1]
    assert "glimpse-fewshot[index]" in table[1]
    assert shown[0] == 0
    assert not [path for path in tmp_path.iterdir() if path.name in ("built", "merged", "compacted", "export")]
