"""The guards at their edges: the last prompt that is one too many, the last name that is shown."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.builders import SECOND, T0
from watchdog.core.guards import (
    DAY,
    FLEET_PERIOD,
    LONGEST_COOLDOWN,
    QUIET,
    Done,
    Limits,
    cooled_down_at,
    outage,
    refusal,
    too_old,
)

NAMES = [f"p{i:02}" for i in range(12)]


def test_the_numbers_that_are_documented() -> None:
    """`docs/configuration.md` and `docs/architecture.md` promise them."""
    assert (timedelta(minutes=10), timedelta(days=7)) == (FLEET_PERIOD, LONGEST_COOLDOWN)
    assert (timedelta(days=30), timedelta(days=1)) == (QUIET, DAY)
    limits = Limits()
    assert (3, 10, timedelta(hours=6), timedelta(days=30)) == (
        limits.per_hour,
        limits.per_day,
        limits.cooldown,
        limits.oldest_target,
    )


@pytest.mark.parametrize(("n", "more"), [(3, ""), (10, ""), (11, ", and 1 more"), (12, ", and 2 more")])
def test_of_many_prompts_ten_are_named(n: int, more: str) -> None:
    """And the others are counted."""
    expected = f"{n} of 40 prompts tripped within 10 min ({', '.join(NAMES[: min(n, 10)])}{more})"

    assert expected == outage(NAMES[:n], [], 40)


@pytest.mark.parametrize(
    ("tripped", "upstream", "with_peers"),
    [
        (NAMES[:3], [], False),
        (NAMES[:3], NAMES[:1], False),
        (NAMES[:3], NAMES[:3], False),
        (NAMES[:2], NAMES[2:3], True),
    ],
)
def test_those_who_only_suffer_are_told_from_those_who_tripped(
    tripped: list[str], upstream: list[str], with_peers: bool
) -> None:
    """Whoever did both has tripped."""
    assert with_peers is ("or have it with their peers still" in outage(tripped, upstream, 40))


def test_a_long_row_of_reverts_waits_for_no_longer_than_can_be_reckoned() -> None:
    """The wait doubles twenty times at most, however short the first one is."""
    first = timedelta(microseconds=1)
    for n, doublings in ((20, 19), (21, 20), (22, 20), (500, 20)):
        reverted_at = [T0 + i * SECOND for i in range(n)]
        assert reverted_at[-1] + first * 2**doublings == cooled_down_at(reverted_at, first)


def test_a_first_wait_of_more_than_a_week_stays_as_it_is() -> None:
    """It is what somebody asked for; it only does not double."""
    assert T0 + timedelta(days=9) == cooled_down_at([T0 - DAY, T0], timedelta(days=9))
    assert T0 + LONGEST_COOLDOWN == cooled_down_at([T0 - DAY, T0], timedelta(days=4))


@pytest.mark.parametrize(("before", "hours"), [(QUIET, 6), (QUIET - SECOND, 12)], ids=["a month", "less than that"])
def test_a_month_of_quiet_begins_anew_on_its_day(before: timedelta, hours: int) -> None:
    """Not a second earlier."""
    assert T0 + timedelta(hours=hours) == cooled_down_at([T0 - before, T0], timedelta(hours=6))


def test_the_cool_down_is_over_at_its_very_end() -> None:
    """And the last place within an hour and a day may be taken."""
    limits = Limits()
    over_at = T0 + limits.cooldown
    assert refusal(Done(last_hour=2, last_day=9, of_prompt=[T0]), limits, over_at) is None
    assert refusal(Done(last_hour=0, last_day=0, of_prompt=[T0]), limits, over_at - SECOND) is not None
    assert too_old(T0, limits, T0 + limits.oldest_target) is None
    assert too_old(T0, limits, T0 + limits.oldest_target + SECOND) is not None
