"""Which silences are told: those that no day of the baseline makes likely, and no night."""

from __future__ import annotations

import random
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from tests.builders import MINUTE, T0
from watchdog.core.silence import Rhythm, is_long, length_before, telling

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def rhythm(per_minute: Callable[[datetime], float], *, length: timedelta = DAY, until: datetime = T0) -> Rhythm:
    """As many calls in each minute as it says, to the whole."""
    since = until - length
    minutes = [since + i * MINUTE for i in range(length // MINUTE)]
    counted = {at: round(per_minute(at)) for at in minutes}
    return Rhythm(since=since, until=until, per_minute={at: n for at, n in counted.items() if n})


def steady(per_minute: float) -> Callable[[datetime], float]:
    return lambda _at: per_minute


def office(at: datetime) -> float:
    """Ten a minute from 8 to 18 h, none at night."""
    return 10.0 if 8 <= at.hour < 18 else 0.0


def bursts(at: datetime) -> float:
    """A hundred at the full hour, and nothing in between."""
    return 100.0 if at.minute == 0 else 0.0


@pytest.mark.parametrize(
    ("of", "since", "length", "before", "expected", "why"),
    [
        (steady(10), HOUR, 9 * MINUTE, 90, False, "no shorter than ten minutes"),
        (steady(10), HOUR, 11 * MINUTE, 110, True, "a hundred calls are missing"),
        (steady(10), 49 * HOUR, 11 * MINUTE, 110, True, "two days later the same times of day count"),
        (steady(10), HOUR, 11 * MINUTE, 5, False, "it had faded out before"),
        (steady(1), HOUR, 11 * MINUTE, 11, False, "eleven calls may be missing by luck"),
        (steady(1), HOUR, 40 * MINUTE, 40, True, "forty may not"),
        (steady(10), HOUR, 11 * MINUTE, None, True, "the new version has had no call at all"),
        (bursts, HOUR, 100 * MINUTE, 100, False, "an hour without calls is usual here"),
        (bursts, HOUR, 305 * MINUTE, 100, True, "five of them are not"),
    ],
)
def test_a_silence_is_told_where_many_calls_are_missing(
    of: Callable[[datetime], float], since: timedelta, length: timedelta, before: int | None, expected: bool, why: str
) -> None:
    """From `since` after the promotion on, for `length`."""
    begun = T0 + since
    found = telling(rhythm(of), begun, begun + length, before=before)

    assert expected == (found is not None), why


def test_a_night_is_no_silence() -> None:
    """Nor is a weekend of a prompt that is used in the office."""
    usual = rhythm(office, until=T0.replace(hour=18))
    for length in (MINUTE * 15, HOUR, 5 * HOUR, 14 * HOUR, 38 * HOUR, 62 * HOUR):
        assert telling(usual, usual.until, usual.until + length, before=600) is None


def test_the_same_prompt_at_noon_is_not_told_before_its_nights_allow() -> None:
    """The price of that: who is silent for fourteen hours each night is missed at noon for long."""
    usual = rhythm(office, until=T0.replace(hour=12))

    assert telling(usual, usual.until, usual.until + HOUR, before=600) is None


def test_what_the_baseline_does_not_cover_needs_half_an_hour_and_a_lively_time_before() -> None:
    """A busy prompt's baseline is an hour or two long; the minutes before the silence stand in for the day before."""
    short = rhythm(steady(100), length=2 * HOUR)
    begun = T0 + 5 * HOUR

    assert telling(short, begun, begun + 20 * MINUTE, before=2_000) is None
    assert telling(short, begun, begun + 31 * MINUTE, before=3_100) is not None
    assert telling(short, begun, begun + 31 * MINUTE, before=6) is None
    assert telling(short, begun, begun + 31 * MINUTE, before=None) is None


def test_only_as_much_before_counts_as_the_silence_is_long_and_an_hour_at_most() -> None:
    """An hour tells enough of what was to be expected."""
    assert 20 * MINUTE == length_before(T0, T0 + 20 * MINUTE)
    assert HOUR == length_before(T0, T0 + 9 * HOUR)


def test_clusters_ask_for_more_patience_than_even_calls() -> None:
    """Ten a minute at the mean on both sides; one of them comes in bursts of five minutes."""
    even = rhythm(steady(10))
    clustered = rhythm(lambda at: 30.0 if (at.minute // 5 + at.hour) % 3 == 0 else 0.0)

    assert even.evenness > 5 * clustered.evenness
    assert even.longest_silence < clustered.longest_silence
    assert not is_long(clustered, T0, T0 + 20 * MINUTE)
    assert is_long(even, T0, T0 + 20 * MINUTE)


def test_the_longest_silence_reaches_to_both_ends() -> None:
    """A baseline that begins or ends without calls was silent there."""
    one_call = Rhythm(since=T0, until=T0 + 10 * MINUTE, per_minute={T0 + 2 * MINUTE: 1})

    assert 7 * MINUTE == one_call.longest_silence
    assert 10 * MINUTE == Rhythm(since=T0, until=T0 + 10 * MINUTE, per_minute={}).longest_silence


@pytest.mark.simulation
@pytest.mark.parametrize("per_minute", [0.05, 0.3, 1.0, 5.0])
def test_clustered_traffic_that_goes_on_is_hardly_ever_told(per_minute: float) -> None:
    """
    Two hundred days of calls whose rate wanders by a factor of three either way, with nights of a tenth of the day's
    traffic: each silence between two calls is asked about at its end.
    """
    dice = random.Random(20261120 + round(100 * per_minute))  # noqa: S311 - a seed replays it
    told = 0
    for _ in range(5):
        days = _wandering(dice, per_minute, days=40)
        usual = Rhythm(since=T0, until=T0 + DAY, per_minute={at: n for at, n in days.items() if at < T0 + DAY})
        if not usual.per_minute:
            continue
        called = sorted(at for at in days if at >= T0 + DAY)
        for before, after in pairwise(called):
            if is_long(usual, before, after):
                begin = before - length_before(before, after)
                recent = sum(days.get(begin + i * MINUTE, 0) for i in range(1 + (before - begin) // MINUTE))
                told += telling(usual, before, after, before=recent) is not None

    assert 0 == told


def _wandering(dice: random.Random, per_minute: float, *, days: int) -> dict[datetime, int]:
    """Start of a minute -> calls, those without any left out."""
    found: dict[datetime, int] = {}
    level = 0.0
    for i in range(days * 1440):
        if i % 10 == 0:
            level = 0.8 * level + dice.gauss(0.0, 0.6)
        at = T0 + i * MINUTE
        rate = per_minute * 2.718 ** max(-1.1, min(1.1, level)) * (0.1 if at.hour < 6 else 1.0)
        n, left = 0, dice.expovariate(rate)
        while left < 1.0:
            n, left = n + 1, left + dice.expovariate(rate)
        if n:
            found[at] = n
    return found
