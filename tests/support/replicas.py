"""Servers on one ledger."""

from pathlib import Path

from support.server import ServerProcess, Stubs


class Replicas:
    """Runs servers on one ledger, each with its own data folder."""

    def __init__(self, folder: Path, bundle: Path, ledger: str, count: int) -> None:
        self.servers = []
        for number in range(count):
            place = folder / f"replica-{number}"
            place.mkdir()
            shared = {"ledger": ledger, "indexes": folder / "indexes"}
            self.servers.append(ServerProcess(place, bundle, **shared, drain_seconds=10))
        self.stubs: list[Stubs] = []

    def start(self) -> None:
        for server in self.servers:
            server.start()
            server.listen = server.address  # clients expect a restarted server at the same address
        self.stubs = [Stubs(server.address) for server in self.servers]

    def stop(self) -> None:
        """Stops the servers that were started."""
        for stubs in self.stubs:
            stubs.channel.close()
        for server in self.servers:
            if server.process:
                server.stop()
