from datetime import UTC, datetime, timedelta

import pytest

from glimpse.client import Estimate
from glimpse.console.components.labels import hue_of
from glimpse.console.components.texts import ago, byte_size, counted, duration, estimate, percent
from glimpse.console.pages.create_collection import _is_id


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (None, "—"),
        (0, "0 %"),
        (1, "100 %"),
        (0.914, "91 %"),
        (0.996, "99.6 %"),
        (0.004, "0.4 %"),
        (0.5, "50 %"),
        (0.0001, "<0.1 %"),
        (0.9999, ">99.9 %"),
        (0.9995, ">99.9 %"),
        (0.9994, "99.9 %"),
    ],
)
def test_a_share_is_a_percentage(share: float | None, text: str) -> None:
    assert percent(share) == text.replace(" ", "\N{NO-BREAK SPACE}")


def test_an_estimate_has_its_interval() -> None:
    text = estimate(Estimate(0.91, 0.87, 0.942, 100))
    assert text == "91\N{NO-BREAK SPACE}% (87–\N{WORD JOINER}94\N{NO-BREAK SPACE}%)"  # one line end is possible
    assert estimate(None) == "—"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0 seconds"),
        (1, "1 second"),
        (61, "1 minute 1 second"),
        (3 * 86_400 + 4 * 3_600 + 59, "3 days 4 hours"),
        (86_400, "1 day 0 hours"),
    ],
)
def test_a_duration_has_two_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_time_has_an_age() -> None:
    assert ago(datetime.now(UTC) - timedelta(minutes=5, seconds=0.5)) == "5 minutes 0 seconds ago"
    assert ago(datetime.now(UTC) + timedelta(hours=1)) == "0 seconds ago"


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (3 << 40, "3.0 TiB"), (900 << 20, "900 MiB")]
)
def test_a_size_has_a_binary_unit(number: int, text: str) -> None:
    assert byte_size(number) == text


def test_counts_have_a_plural() -> None:
    assert [counted(1, "label"), counted(2000, "label"), counted(2, "query", "queries")] == [
        "1 label",
        "2,000 labels",
        "2 queries",
    ]


def test_a_label_has_the_same_colour_everywhere() -> None:
    assert hue_of("cat") == hue_of("cat")
    assert len({hue_of(f"label {number}") for number in range(100)}) > 15
    assert all(0 <= hue_of(f"label {number}") < 360 for number in range(100))


@pytest.mark.parametrize(
    ("value", "valid"),
    [
        *((one, True) for one in ("a", "shapes", "a-b-3", "a" * 63)),
        *((one, False) for one in ("", "A", "3a", "-a", "a_b", "ä", "a b", "a" * 64, "a/b")),
    ],
)
def test_the_id_of_a_collection_follows_the_rule_of_the_server(value: str, valid: bool) -> None:
    assert _is_id(value) is valid
