"""A GPU that answers every run with an error ends the server; one failed run does not."""

import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from glimpse.server.inference.device import DeviceLost
from glimpse.v1 import embedding_service_pb2 as emb
from glimpse.v1 import types_pb2
from support.server import ServerProcess, Stubs

CODE = grpc.StatusCode
RESPONSE = health_pb2.HealthCheckResponse
# `glimpse serve` with a backbone that says it runs on a GPU. The file of the first argument has the number of runs that
# fail from now on; each of them is counted in the second.
PROGRAM = """
import sys
from pathlib import Path
from glimpse.backbone.inference import onnx_graph
from glimpse.backbone.inference.sessions import CPU, CUDA
faults, counted = Path(sys.argv.pop(1)), Path(sys.argv.pop(1))
opened, run = onnx_graph.Graph.__init__, onnx_graph.Graph.run
def open_graph(self, *arguments):
    opened(self, *arguments)
    self.providers, self.side_by_side = [CUDA, CPU], False
def run_graph(self, inputs, *, single_core=False):
    left = int(faults.read_text())
    if left:
        faults.write_text(str(left - 1))
        counted.write_text(counted.read_text() + "x")
        raise RuntimeError("text CUDA failure 700: an illegal memory access was encountered ; GPU=0 ; hostname=h")
    return run(self, inputs)
onnx_graph.Graph.__init__, onnx_graph.Graph.run = open_graph, run_graph
from glimpse.cli.main import main
main()
"""


class Faulty:
    """A server whose next runs can be made to fail."""

    def __init__(self, server: ServerProcess, faults: Path, counted: Path) -> None:
        self.server, self._faults, self._counted = server, faults, counted
        self.stubs = Stubs(server.address)
        self.health = health_pb2_grpc.HealthStub(self.stubs.channel)

    def fail_next(self, runs: int) -> None:
        self._faults.write_text(str(runs))
        self._counted.write_text("")

    @property
    def failed_runs(self) -> int:
        return len(self._counted.read_text())

    def embed(self, text: str) -> types_pb2.ItemStatus:
        """Returns the status of one input."""
        [result] = self.stubs.embedding.Embed(emb.EmbedRequest(inputs=[types_pb2.Input(text=text)]), timeout=20).results
        status: types_pb2.ItemStatus = result.status
        return status


@pytest.fixture
def device(bundles: tuple[Path, Path], tmp_path: Path) -> Iterator[Faulty]:
    faults, counted = tmp_path / "faults", tmp_path / "counted"
    faults.write_text("0")
    server = ServerProcess(tmp_path, bundles[0])
    server.program = [sys.executable, "-c", PROGRAM, str(faults), str(counted)]
    with server:
        yield Faulty(server, faults, counted)


def test_a_failed_run_fails_its_inputs_and_a_lost_device_ends_the_server_after_one_probe(device: Faulty) -> None:
    watch = device.health.Watch(health_pb2.HealthCheckRequest(), timeout=30)
    assert next(watch).status == RESPONSE.SERVING
    device.fail_next(1)
    with pytest.raises(grpc.RpcError) as failure:
        device.embed("a red circle")
    assert failure.value.code() == CODE.INTERNAL
    assert device.embed("a red circle").code == 0
    assert device.failed_runs == 1
    device.fail_next(1_000)
    status = device.embed("a blue circle")
    assert (status.code, status.reason) == (CODE.UNAVAILABLE.value[0], "DEVICE_LOST")
    assert status.retry_delay_ms > 0
    assert next(watch).status == RESPONSE.NOT_SERVING
    assert device.server.process
    assert device.server.process.wait(20) == DeviceLost.exit_code == 75
    assert device.failed_runs == 2, "the run of the call, and one probe"
    [line] = [line for line in device.server.log().splitlines() if "the server stops" in line]
    assert "backbone tiny is lost" in line
    assert line.endswith("an illegal memory access was encountered (CUDA error 700)")
