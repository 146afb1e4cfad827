"""Validation of FAISS files: it holds for the FAISS versions it was checked against."""

import faiss

from glimpse.index.faiss_validation.validator import CHECKED_VERSIONS


def test_the_installed_faiss_is_a_version_whose_file_layouts_were_checked() -> None:
    message = (
        f"FAISS {faiss.__version__} is not in CHECKED_VERSIONS. Compare impl/index_read.cpp of both versions and the "
        "types in index_types.py, run the tests of corrupted and fuzzed index files, then add the version"
    )
    assert faiss.__version__ in CHECKED_VERSIONS, message
