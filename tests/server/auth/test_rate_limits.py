"""Token buckets, with a clock that the test sets."""

import grpc
import pytest

from glimpse.server.auth.rate_limits import Limits, RateLimiter
from glimpse.server.errors import RequestError


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def meter(**rates: float) -> tuple[RateLimiter, Clock]:
    clock = Clock()
    return RateLimiter(Limits(**{f"{name}_per_second": rate for name, rate in rates.items()}), clock), clock


def wait(of: RateLimiter, **amounts: int) -> float:
    with pytest.raises(RequestError) as caught:
        of.spend(**amounts)
    assert caught.value.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert caught.value.reason == "RATE_LIMITED"
    assert caught.value.retry_delay is not None
    return caught.value.retry_delay


def test_one_seconds_worth_passes_at_once_and_no_more() -> None:
    of, clock = meter(requests=5)
    for _ in range(5):
        of.spend(requests=1)
    assert wait(of, requests=1) == pytest.approx(0.2)
    clock.now += 0.2
    of.spend(requests=1)
    wait(of, requests=1)


@pytest.mark.parametrize("rate", [0.3, 1, 3, 7, 1e6])
def test_a_call_passes_after_the_retry_delay_and_no_sooner(rate: float) -> None:
    of, clock = meter(inputs=rate)
    of.spend(inputs=max(1, int(rate)))
    for _ in range(50):
        seconds = wait(of, inputs=max(1, int(rate)))
        clock.now += seconds - 0.01
        wait(of, inputs=max(1, int(rate)))
        clock.now += 0.01
        of.spend(inputs=max(1, int(rate)))


@pytest.mark.parametrize(
    ("rates", "amounts", "message"),
    [
        ({"requests": 1}, {"requests": 1}, "rate limit exceeded: 1 request per second for this key; retry in 0.8 s"),
        ({"requests": 2}, {"requests": 2}, "rate limit exceeded: 2 requests per second for this key; retry in 0.3 s"),
        ({"inputs": 1}, {"inputs": 60}, "rate limit exceeded: 1 input per second for this key; retry in 59.8 s"),
        ({"inputs": 0.5}, {"inputs": 1}, "rate limit exceeded: 0.5 inputs per second for this key; retry in 1.8 s"),
        ({"bytes": 1}, {"size": 1}, "rate limit exceeded: 1 byte per second for this key; retry in 0.8 s"),
    ],
)
def test_the_message_says_when_to_retry(rates: dict[str, float], amounts: dict[str, int], message: str) -> None:
    of, clock = meter(**rates)
    of.spend(**amounts)
    clock.now += 0.21
    with pytest.raises(RequestError) as caught:
        of.spend(**amounts)
    assert caught.value.message == message


def test_more_than_a_second_brings_passes_and_is_paid_for_later() -> None:
    of, clock = meter(inputs=10)
    of.spend(inputs=100)
    assert wait(of, inputs=1) == pytest.approx(9.1)
    clock.now += 9.1
    of.spend(inputs=1)


def test_unused_rate_is_kept_for_one_second_only() -> None:
    of, clock = meter(bytes=1_000)
    clock.now += 3_600
    of.spend(size=1_000)
    assert wait(of, size=500) == pytest.approx(0.5)


def test_a_refused_call_takes_nothing_of_any_limit() -> None:
    of, _ = meter(inputs=10, bytes=100)
    of.spend(inputs=1, size=100)
    wait(of, inputs=1, size=100)
    wait(of, inputs=9, size=1)
    of.spend(inputs=9)


def test_the_retry_delay_includes_the_request_limit() -> None:
    of, clock = meter(requests=1, inputs=100)
    of.spend(requests=1)
    of.spend(inputs=100)
    clock.now += 0.1
    # Inputs are allowed again after 0.1 s, but another request only after 0.9 s.
    assert wait(of, inputs=20) == pytest.approx(0.9)


def test_without_limits_nothing_is_refused() -> None:
    of, _ = meter()
    of.spend(requests=10**9, inputs=10**9, size=10**12)


def test_a_keys_own_limits_replace_the_servers() -> None:
    defaults = Limits(10, 20, 30)
    assert Limits(inputs_per_second=5).over(defaults) == Limits(10, 5, 30)
