"""Durations are written with a unit."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchdog.config.kinds import duration_text, parse_duration


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("500ms", timedelta(milliseconds=500)),
        ("30s", timedelta(seconds=30)),
        ("5m", timedelta(minutes=5)),
        ("24h", timedelta(hours=24)),
        ("7d", timedelta(days=7)),
        ("1.5h", timedelta(minutes=90)),
        ("10 s", timedelta(seconds=10)),
        ("0s", timedelta(0)),
    ],
)
def test_a_number_and_a_unit_are_a_duration(text: str, expected: timedelta) -> None:
    """One number, one unit, at most one blank between them."""
    assert expected == parse_duration(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "an empty text is not a duration"),
        ("30", '"30" has no unit'),
        ("30S", '"30S": the unit `S` is not known'),
        ("30 min", '"30 min": the unit `min` is not known'),
        ("-5m", '"-5m" is not a duration'),
        ("1h30m", '"1h30m" is not a duration'),
        ("1.2.3s", '"1.2.3s" is not a duration'),
        ("999999999999999d", '"999999999999999d" is too long'),
        ("soon", '"soon" is not a duration'),
        (" 5m", '" 5m" is not a duration'),
        ("٣s", '"٣s" is not a duration'),
    ],
)
def test_anything_else_is_refused_with_its_reason(text: str, reason: str) -> None:
    """The reason names what is missing."""
    with pytest.raises(ValueError, match=r".") as caught:
        parse_duration(text)

    assert reason == str(caught.value)


@given(st.integers(1, 10**10))
def test_what_is_written_is_read_back(ms: int) -> None:
    """The shortest way to write a duration loses nothing."""
    length = timedelta(milliseconds=ms)

    assert length == parse_duration(duration_text(length))


@pytest.mark.parametrize(("hours", "expected"), [(24, "24h"), (48, "2d"), (36, "36h"), (0.5, "30m")])
def test_a_day_is_written_as_people_say_it(hours: float, expected: str) -> None:
    """One day is 24 hours, several are days."""
    assert expected == duration_text(timedelta(hours=hours))
