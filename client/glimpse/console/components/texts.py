"""Numbers and times as people read them."""

from datetime import UTC, datetime

from glimpse.client import Estimate, Head

_PERCENT = "\N{NO-BREAK SPACE}%"
_TO = "–\N{WORD JOINER}"  # no line ends within an interval
_HEADS = {Head.UNSPECIFIED: "no head yet", Head.NEIGHBORS: "nearest neighbours"}
_TIMES = ((86_400, "day"), (3_600, "hour"), (60, "minute"))


def percent(share: float | None) -> str:
    """Returns a share in [0, 1] as a percentage: `91 %`, `99.6 %`, `<0.1 %`. None: an em dash, for "not measured"."""
    if share is None:
        return "—"
    value = 100 * share
    if 0 < value < 0.05:
        return f"<0.1{_PERCENT}"
    if 99.95 <= value < 100:
        return f">99.9{_PERCENT}"
    # More digits where rounding would hide the difference to none or all.
    digits = 1 if 0 < min(value, 100 - value) < 1 else 0
    return f"{value:.{digits}f}{_PERCENT}"


def estimate(value: Estimate | None) -> str:
    """Returns a measured share with its 95 % interval: `91 % (87–94 %)`."""
    if value is None:
        return "—"
    return f"{percent(value.value)} ({interval(value)})"


def interval(value: Estimate) -> str:
    """Returns the 95 % interval of a measured share: `87–94 %`."""
    return f"{100 * value.low:.0f}{_TO}{100 * value.high:.0f}{_PERCENT}"


def counted(number: int, noun: str, plural: str = "") -> str:
    """Returns a number with its noun: `1 label`, `2,000 labels`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def duration(seconds: float) -> str:
    """Returns a duration in its two largest units: `3 days 4 hours`, `12 seconds`."""
    left, parts = int(seconds), list[str]()
    for length, noun in _TIMES:
        number, left = divmod(left, length)
        if number or parts:
            parts.append(counted(number, noun))
    return " ".join([*parts, counted(left, "second")][:2])


def ago(time: datetime) -> str:
    """Returns how long ago a time is: `3 days 4 hours ago`."""
    return f"{duration(max(0.0, (datetime.now(UTC) - time).total_seconds()))} ago"


def head_name(head: Head) -> str:
    """Returns the name of a head: `class mean and prompts`, `LDA`."""
    return _HEADS.get(head) or head.name.lower().replace("_", " ").replace("lda", "LDA")


def byte_size(number: float) -> str:
    """Returns a size with a binary unit: `1.5 GiB`."""
    units = ["B", "KiB", "MiB", "GiB", "TiB"]
    while number >= 1024 and len(units) > 1:
        number /= 1024
        del units[0]
    return f"{number:.0f} {units[0]}" if number >= 10 or units[0] == "B" else f"{number:.1f} {units[0]}"
