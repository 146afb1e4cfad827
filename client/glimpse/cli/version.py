"""The version of what is installed."""

from importlib.metadata import PackageNotFoundError, version

# The second is what the distribution was called before; an editable install may still have it.
_DISTRIBUTIONS = ("glimpse-fewshot", "glimpse")


def installed_version() -> str:
    """Returns the distribution's version, or `unknown` where Glimpse runs from its sources."""
    for name in _DISTRIBUTIONS:
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return "unknown"
