"""A real server that gets arbitrary requests, and the number of them.

`make test` sends some hundreds of each kind, always the same; `make chaos` as many as GLIMPSE_FUZZ says, others each
time.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings

from glimpse.backbone import load_bundle
from support.bundles import tiny_dual_bundle, tiny_image_bundle
from support.fuzz_server import Fuzzed
from support.server import ServerProcess

FEW = 250


@pytest.fixture(scope="session")
def inputs() -> int:
    """Returns the number of inputs that each test sends."""
    return int(os.environ.get("GLIMPSE_FUZZ", FEW))


@pytest.fixture(scope="session")
def real() -> Path | None:
    """The evaluation data, where it is."""
    folder = Path(os.environ.get("GLIMPSE_EVAL_DATA") or Path(__file__).parents[3] / "shared" / "data")
    return folder if folder.is_dir() else None


@pytest.fixture(scope="session")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzzed]:
    folder = tmp_path_factory.mktemp("fuzzed")
    bundle = tiny_dual_bundle(folder / "tiny")
    tiny_image_bundle(folder / "tiny-image", seed=5)
    assert load_bundle(bundle.path).manifest.dimension == 8
    with ServerProcess(folder, folder / "tiny", folder / "tiny-image") as server, Fuzzed(server, bundle) as found:
        yield found


def given_settings(inputs: int) -> settings:
    """Returns hypothesis settings: nothing is kept between runs, and few inputs are the same in each run."""
    return settings(
        max_examples=inputs,
        database=None,
        deadline=None,
        derandomize="GLIMPSE_FUZZ" not in os.environ,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
