"""One client, several servers."""

from pathlib import Path

from glimpse.client import Client
from support.bundles import tiny_dual_bundle
from support.server import ServerProcess


def test_calls_go_to_each_server_of_an_address_in_turn(tmp_path: Path) -> None:
    tiny_dual_bundle(tmp_path / "tiny")
    folders = [tmp_path / "one", tmp_path / "other"]
    for folder in folders:
        folder.mkdir()
    with ServerProcess(folders[0], tmp_path / "tiny") as one, ServerProcess(folders[1], tmp_path / "tiny") as other:
        with Client(one.address) as client:
            client.create_collection("only-here")
        with Client(f"ipv4:{one.address},{other.address}") as client:
            seen = {len(list(client.list_collections())) for _ in range(20)}
            assert seen == {0, 1}
            one.stop()
            assert {len(list(client.list_collections())) for _ in range(20)} == {0}
