"""The environment has what the settings need."""

import pytest

from glimpse.server.installation import check_index_device
from glimpse.server.settings import Settings, SettingsError


@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_no_gpu_is_needed_unless_it_is_asked_for(device: str) -> None:
    check_index_device(Settings.model_validate({"index_device": device}))


def test_a_gpu_that_is_asked_for_must_exist() -> None:
    with pytest.raises(SettingsError, match=r"index_device is gpu, and there is none: this FAISS is the build for"):
        check_index_device(Settings.model_validate({"index_device": "gpu"}))
