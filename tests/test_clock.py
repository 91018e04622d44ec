"""The clock by which waits are counted: nobody sets it, and a machine that sleeps does not stop it."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from watchdog import clock
from watchdog.clock import ScaledClock, SystemClock

_GOES_ON = getattr(time, "CLOCK_BOOTTIME", None)


@pytest.mark.skipif(_GOES_ON is None, reason="this system has no clock that goes on while it is suspended")
def test_elapsed_time_goes_on_while_the_machine_is_suspended(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the platform's does: a settle, a countdown and the guards would be wrong by the whole sleep."""
    seen = time.clock_gettime(_GOES_ON)
    assert seen <= SystemClock().monotonic() <= time.clock_gettime(_GOES_ON)

    asleep_s = 5 * 3600.0
    monkeypatch.setattr(clock.time, "clock_gettime", lambda _: seen + asleep_s)
    assert seen + asleep_s == SystemClock().monotonic()
    assert 4 * (seen + asleep_s) == ScaledClock(datetime.now(UTC), 4.0).monotonic()


def test_where_there_is_no_such_clock_the_monotonic_one_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """On macOS, say."""
    monkeypatch.setattr(clock, "_GOES_ON", None)
    before = time.monotonic()

    assert before <= SystemClock().monotonic() <= time.monotonic()
