"""Makes a skipped test an error if many rounds are requested, so that none is missed silently."""

import os
from collections.abc import Generator

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and int(os.environ.get("GLIMPSE_CHAOS_ROUNDS", "1")) > 1:
        *_, why = report.longrepr if isinstance(report.longrepr, tuple) else (str(report.longrepr),)
        report.outcome = "failed"
        report.longrepr = f"{why}\nOf many rounds (GLIMPSE_CHAOS_ROUNDS) none may be left out."
    return report
