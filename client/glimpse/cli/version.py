"""Reads the version of the installed distribution."""

from importlib.metadata import PackageNotFoundError, version


def installed_version() -> str:
    """Returns the version of `glimpse-fewshot`, or `unknown` if it is not installed."""
    try:
        return version("glimpse-fewshot")
    except PackageNotFoundError:
        return "unknown"
