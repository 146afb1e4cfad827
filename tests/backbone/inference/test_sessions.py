"""Providers are chosen by availability, and memory of an unusually large run is freed after it."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from glimpse.backbone import Bundle, BundleError, Encoder, TextRule, Tokenizer
from glimpse.backbone.inference.sessions import CPU, CUDA, TENSORRT, choose_providers
from support.bundles import tiny_dual_bundle, tiny_image_bundle


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return tiny_image_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.mark.parametrize(
    ("there", "asked", "chosen"),
    [
        ([CPU], (), [CPU]),
        ([CUDA, CPU], (), [CUDA, CPU]),
        ([TENSORRT, CUDA, CPU], (), [CUDA, CPU]),  # TensorRT builds engines for minutes, so it is used only on request
        ([TENSORRT, CUDA, CPU], ("tensorrt", "cuda", "cpu"), [TENSORRT, CUDA, CPU]),
        ([TENSORRT, CUDA, CPU], ("cuda",), [CUDA, CPU]),
        ([TENSORRT, CUDA, CPU], ("cpu",), [CPU]),
    ],
)
def test_providers_are_chosen_by_availability_and_request(
    tiny: Bundle, monkeypatch: pytest.MonkeyPatch, there: list[str], asked: tuple[str, ...], chosen: list[str]
) -> None:
    monkeypatch.setattr(ort, "get_available_providers", lambda: there)
    assert choose_providers(tiny, asked) == chosen


@pytest.mark.parametrize(("asked", "words"), [("cuda", "glimpse-fewshot[gpu]"), ("tensorrt", "TensorRT libraries")])
def test_a_missing_provider_is_refused_with_advice(
    tiny: Bundle, monkeypatch: pytest.MonkeyPatch, asked: str, words: str
) -> None:
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["AzureExecutionProvider", CPU])
    with pytest.raises(BundleError, match=f"cannot run on {asked} here. This ONNX Runtime has cpu; ") as caught:
        Encoder(tiny, threads=1, providers=[asked, "cpu"])
    assert words in str(caught.value)


class NoCuda(ort.InferenceSession):  # type: ignore[misc]
    """Acts like a build for CUDA on a machine without a GPU: the session runs on the CPU, and nothing is reported."""

    def __init__(self, file: str, options: ort.SessionOptions, providers: list[tuple[str, object]], **_: int) -> None:
        super().__init__(file, options, providers=[CPU])


@pytest.fixture
def built_for_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ort, "get_available_providers", lambda: [CUDA, CPU])
    monkeypatch.setattr(ort, "InferenceSession", NoCuda)


@pytest.mark.usefixtures("built_for_cuda")
def test_a_build_for_cuda_without_a_gpu_runs_on_the_cpu(tiny: Bundle, caplog: pytest.LogCaptureFixture) -> None:
    encoder = Encoder(tiny, threads=1)
    assert encoder.providers == [CPU]
    assert encoder.encode_images(np.zeros((3, 16, 16, 3), np.uint8)).shape == (3, 8)
    assert "runs on the CPU" in caplog.text


@pytest.mark.usefixtures("built_for_cuda")
def test_a_build_for_cuda_without_a_gpu_does_not_pretend(tiny: Bundle) -> None:
    with pytest.raises(BundleError, match="cannot run on cuda here"):
        Encoder(tiny, threads=1, providers=["cuda"])


@pytest.mark.parametrize(("shared", "spins"), [(False, True), (True, False)])
def test_threads_spin_only_where_no_other_encoder_wants_the_cores(tiny: Bundle, shared: bool, spins: bool) -> None:
    """Two encoders that spin on all cores each lose a quarter of their throughput."""
    encoder = Encoder(tiny, threads=2, shared=shared)
    assert encoder._image
    options = encoder._image._session.get_session_options()
    try:
        spinning = options.get_session_config_entry("session.intra_op.allow_spinning") != "0"
    except RuntimeError:  # the option is not set: the library's default
        spinning = True
    assert spinning is spins


_PEAK = """
import sys
from pathlib import Path
import numpy as np
from glimpse.backbone import Encoder, load_bundle

def resident():
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1024

encoder = Encoder(load_bundle(Path(sys.argv[1])), threads=1)
for count in (1, 1, 256, 1):
    encoder.encode_images(np.ones((count, 224, 224, 3), np.uint8))
    print(resident())
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
def test_the_memory_of_a_peak_is_given_back(tmp_path: Path) -> None:
    """256 pictures as floats take 147 MiB, which ONNX Runtime would keep without shrinking."""
    bundle = tiny_image_bundle(tmp_path / "large", size=224)
    done = subprocess.run([sys.executable, "-c", _PEAK, bundle.path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    _, before, peak, after = map(float, done.stdout.split())
    assert max(peak, after) - before < 60, "MiB more than before a batch of 256"


def test_a_tower_that_reads_its_whole_context_is_warmed_up(tmp_path: Path) -> None:
    bundle = tiny_dual_bundle(tmp_path / "fixed", fixed=True)
    encoder, tokenizer = Encoder(bundle, threads=1), Tokenizer.of(bundle)
    encoder.warm_up()
    assert encoder.encode_texts(*tokenizer.pad([tokenizer.encode("a red circle").ids])).shape == (1, 8)


def test_a_graph_that_does_not_run_is_reported(tmp_path: Path) -> None:
    bundle = tiny_dual_bundle(tmp_path / "fixed", fixed=True)
    lying = Bundle(bundle.path, bundle.manifest.model_copy(update={"text": TextRule(context_length=6)}))
    with pytest.raises(BundleError, match=r"text\.onnx.*does not run"):
        Encoder(lying, threads=1).warm_up()
