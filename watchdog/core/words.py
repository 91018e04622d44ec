"""Numbers as people read them: each with its unit, none with more digits than it deserves."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

NOTHING = "-"


def short(identifier: str) -> str:
    """The letters of an id that are shown; every command takes them for the whole, and asks where two begin so."""
    return identifier[:8]


def percent(share: float | None) -> str:
    """0.164 -> `16.4 %`."""
    if share is None:
        return NOTHING
    value = 100 * share
    return f"{value:.2f} %" if 0 < abs(value) < 0.1 else f"{value:.1f} %"


def points(rise: float) -> str:
    """0.123 -> `+12.3 pp` (percentage points)."""
    return f"{100 * rise:+.1f} pp"


def milliseconds(value: float | None) -> str:
    """812.4 -> `812 ms`; 58017 -> `58.0 s`."""
    if value is None:
        return NOTHING
    if value < 10:
        return f"{value:.1f} ms"
    return f"{value:,.0f} ms" if value < 10_000 else f"{value / 1000:,.1f} s"


def dollars(value: float | None) -> str:
    """0.0138 -> `$0.0138`; three significant digits."""
    if value is None:
        return NOTHING
    if value == 0:
        return "$0"
    if value >= 100:
        return f"${value:,.0f}"
    digits = max(2, 2 - math.floor(math.log10(value)))
    return f"${value:.{digits}f}"


def ratio(factor: float) -> str:
    """2.841 -> `x2.84`."""
    return f"x{factor:.2f}" if factor < 10 else f"x{factor:,.0f}"


_ROUNDING_NATS = 1e-9


def count(n: int, noun: str) -> str:
    """1 -> `1 call`; 1200 -> `1,200 calls`."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def names(of: Sequence[str]) -> str:
    """A few of them: `a`, `a and b`, `a, b and 5 more`."""
    if len(of) < 2:
        return "".join(of)
    if len(of) == 2:
        return f"{of[0]} and {of[1]}"
    return f"{of[0]}, {of[1]} and {len(of) - 2} more"


def odds(nats: float) -> str:
    """Evidence as odds: 7.74 nats -> `1 in 2,300`."""
    if nats <= 0:
        return "1 in 1"
    # exp(log(500)) is a little less than 500: a level that somebody wrote is to be read as it was written.
    nats += _ROUNDING_NATS
    if nats > math.log(1e6):
        return f"1 in 10^{math.floor(nats / math.log(10))}"
    chance = math.exp(nats)
    if chance < 100:
        return f"1 in {chance:.0f}"
    step = 10 ** (math.floor(math.log10(chance)) - 1)
    return f"1 in {math.floor(chance / step) * step:,.0f}"


def duration(span: timedelta) -> str:
    """Two largest units at most: `2 min 5 s`, `3 h 10 min`, `850 ms`."""
    seconds = span.total_seconds()
    if seconds < 0:
        return f"-{duration(-span)}"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 and seconds != int(seconds) else f"{seconds:.0f} s"
    whole = round(seconds)
    for size, unit, below, small in ((86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // below
            return f"{whole // size} {unit} {rest} {small}" if rest else f"{whole // size} {unit}"
    raise AssertionError("unreachable: a minute or more")  # pragma: no cover


def clock_time(at: datetime | None) -> str:
    """`2026-11-20 14:03:07 UTC`."""
    return NOTHING if at is None else f"{at:%Y-%m-%d %H:%M:%S} UTC"
