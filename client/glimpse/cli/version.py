"""The version of the installed distribution."""

from importlib.metadata import PackageNotFoundError, version


def installed_version() -> str:
    """Returns the distribution's version, or `unknown` where Glimpse runs from its sources."""
    try:
        return version("glimpse-fewshot")
    except PackageNotFoundError:
        return "unknown"
