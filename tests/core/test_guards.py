"""How much may be done by itself: one row a case, and who is refused learns why and what to do."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.builders import T0
from watchdog.core.guards import (
    DAY,
    HOUR,
    Done,
    Guard,
    Limits,
    cooled_down_at,
    outage,
    refusal,
    too_old,
    what_to_do,
)

LIMITS = Limits()


@pytest.mark.parametrize(
    ("done", "guard", "said"),
    [
        (Done(last_hour=0, last_day=0, of_prompt=()), None, ""),
        (Done(last_hour=2, last_day=9, of_prompt=()), None, ""),
        (Done(last_hour=3, last_day=3, of_prompt=()), Guard.PER_HOUR, "3 automatic reverts in the last hour"),
        (Done(last_hour=0, last_day=10, of_prompt=()), Guard.PER_DAY, "10 automatic reverts in the last 24 h"),
        (Done(last_hour=1, last_day=1, of_prompt=(T0 - HOUR,)), Guard.COOLDOWN, "until 2026-11-20 17:00:00 UTC"),
        (Done(last_hour=0, last_day=1, of_prompt=(T0 - 6 * HOUR,)), None, ""),
        (Done(last_hour=0, last_day=2, of_prompt=(T0 - 7 * HOUR, T0 - 6 * HOUR)), Guard.COOLDOWN, "2 reverts"),
    ],
)
def test_guards_refuse_at_their_limit_and_say_why(done: Done, guard: Guard | None, said: str) -> None:
    """The n-th is allowed, the next one is not."""
    found = refusal(done, LIMITS, T0)

    assert guard is (found.guard if found else None)
    assert said in (found.why if found else "")


@pytest.mark.parametrize(
    ("days_before", "hours"),
    [
        ((0,), 6),
        ((1, 0), 12),
        ((2, 1, 0), 24),
        ((3, 2, 1, 0), 48),
        ((9, 8, 7, 6, 5, 0), 7 * 24),  # 6 h x 2^5 is 8 d; 7 d is the most
        ((31, 30, 0), 6),  # 30 quiet days: it begins anew
        ((31, 29, 0), 24),  # 29 are not enough
        ((400, 370, 31, 1, 0), 12),
    ],
)
def test_the_cool_down_doubles_and_is_forgotten_after_a_quiet_month(days_before: tuple[int, ...], hours: int) -> None:
    """6 h, 12 h, 24 h, ... from the last revert, at most 7 d."""
    reverted = [T0 - n * DAY for n in days_before]

    assert T0 + hours * HOUR == cooled_down_at(reverted, LIMITS.cooldown)


def test_a_prompt_that_was_never_reverted_has_nothing_to_wait_for() -> None:
    """And a row of reverts as long as one likes does not overflow."""
    assert cooled_down_at((), HOUR) is None
    assert T0 + 7 * DAY == cooled_down_at([T0] * 5000, HOUR)


@pytest.mark.parametrize(("age", "refused"), [(30 * DAY, False), (30 * DAY + timedelta(seconds=1), True)])
def test_a_target_that_left_production_long_ago_is_only_suggested(age: timedelta, refused: bool) -> None:
    """Who knows what it would meet today."""
    assert refused is (too_old(T0 - age, LIMITS, T0) is not None)


@pytest.mark.parametrize("guard", [*(g.value for g in Guard), ""])
def test_each_refusal_says_what_to_do(guard: str) -> None:
    """A command that can be copied, with the incident's short id; the empty name is of an earlier version."""
    said = what_to_do(guard, "0123456789", "v1.0.0")

    assert "`promptwatch cancel 01234567`" in said
    assert ("`promptwatch approve 01234567`" in said) is (guard != Guard.QUARANTINE.value)
    assert ("--fleet" in said) is (guard == Guard.FLEET.value)
    assert ("`promptwatch resume`" in said) is (guard == Guard.HOLD.value)


@pytest.mark.parametrize(
    ("tripped", "upstream", "guarded", "held"),
    [
        (["a"], [], 1, False),
        (["a", "b"], [], 10, False),
        (["a", "b"], [], 9, True),
        (["a", "b", "c"], [], 100, True),
        (["a"], ["b", "c"], 100, True),
        (["a", "b"], ["a"], 10, False),
    ],
    ids=["one alone", "two of ten", "two of nine", "three of many", "two whose peers suffer", "the same one twice"],
)
def test_many_prompts_in_trouble_at_once_are_an_outage(
    tripped: list[str], upstream: list[str], guarded: int, held: bool
) -> None:
    """Three, or two that are more than a fifth of all."""
    why = outage(tripped, upstream, guarded)

    assert held is bool(why)
    assert all(slug in why for slug in {*tripped, *upstream}) or not held
