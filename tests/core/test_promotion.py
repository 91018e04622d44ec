"""Whose a promotion is, whether it is watched, and where a revert would go."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.builders import MINUTE, SECOND, T0, promotion
from watchdog.core.model import ActorType, Prompt
from watchdog.core.promotion import (
    JournalEntry,
    Standing,
    incident_id,
    is_ours,
    known_good,
    note_for,
    plan_watch,
    same_move,
    seen_move,
)
from watchdog.core.rules import Action


def journal(*entries: tuple[str, Standing]) -> tuple[JournalEntry, ...]:
    """Promotions a minute apart, oldest first."""
    return tuple(
        JournalEntry(promotion=promotion(to, at=T0 + i * MINUTE), standing=standing)
        for i, (to, standing) in enumerate(entries)
    )


@pytest.mark.parametrize(
    ("earlier", "good"),
    [
        ((), None),
        ((("v1", Standing.ADOPTED),), "v1"),
        ((("v1", Standing.ADOPTED), ("v2", Standing.PASSED)), "v2"),
        ((("v1", Standing.ADOPTED), ("v2", Standing.SUPERSEDED)), "v1"),
        ((("v1", Standing.ADOPTED), ("v2", Standing.ON_WATCH)), "v1"),
        ((("v1", Standing.ADOPTED), ("v2", Standing.REVERTED), ("v1", Standing.RESTORED)), "v1"),
        (
            (("v1", Standing.PASSED), ("v2", Standing.PASSED), ("v1", Standing.RESTORED), ("v2", Standing.REVERTED)),
            "v1",
        ),
        ((("v2", Standing.PASSED), ("v2", Standing.REVERTED)), None),
        ((("v1", Standing.UNWATCHED),), None),
        ((("v9", Standing.ADOPTED),), None),
    ],
    ids=[
        "nothing was there before",
        "what stood at the first start is good",
        "a version that passed its watch is good",
        "a version that was replaced before its watch ended is not known to be good",
        "a version still on watch is not known to be good",
        "what the watchdog restored is good",
        "a version that the watchdog reverted is not good, though it passed before",
        "a version that the watchdog reverted is no target even when there is no other",
        "a version that nobody judged is not known to be good",
        "the candidate itself is no target",
    ],
)
def test_the_target_is_the_last_known_good_version(earlier: tuple[tuple[str, Standing], ...], good: str | None) -> None:
    """Baseline and revert target are the same version."""
    found = known_good(journal(*earlier), "v9", T0 + 20 * MINUTE)

    assert good == (found[0] if found else None)


def test_the_control_counts_until_it_left_production() -> None:
    """With an unjudged version in between, the baseline ends where that one came."""
    earlier = journal(("v1", Standing.ADOPTED), ("v2", Standing.SUPERSEDED))

    plan = plan_watch(promotion("v3", at=T0 + 5 * MINUTE), earlier)

    assert ("v1", T0 + MINUTE) == (plan.control_version_id, plan.control_until)


def test_a_version_that_people_lived_with_for_a_week_is_good_though_nobody_judged_it() -> None:
    """Going back to what was good before it would undo that week."""
    entries = journal(("v1", Standing.ADOPTED), ("v2", Standing.UNWATCHED))

    assert "v1" == (known_good(entries, "v3", T0 + timedelta(days=6)) or ("",))[0]
    assert "v2" == (known_good(entries, "v3", T0 + timedelta(days=8)) or ("",))[0]


def test_a_plain_promotion_may_be_reverted() -> None:
    """The control then counts until the promotion itself."""
    plan = plan_watch(promotion("v2", at=T0 + MINUTE), journal(("v1", Standing.ADOPTED)))

    assert ("v1", T0 + MINUTE, Action.REVERT, "") == (
        plan.control_version_id,
        plan.control_until,
        plan.most,
        plan.why,
    )


@pytest.mark.parametrize(
    ("moved", "earlier", "why"),
    [
        (promotion("v1", at=T0 + MINUTE, revert=True), (("v1", Standing.ADOPTED),), "went back"),
        (promotion("v2", at=T0 + 2 * MINUTE), (("v1", Standing.ADOPTED), ("v2", Standing.REVERTED)), "human decides"),
        (promotion("v2", at=T0 + MINUTE), (), "nothing to go back to"),
    ],
    ids=["a human's revert", "a human insists on what was reverted", "no known-good version"],
)
def test_some_promotions_are_watched_but_never_reverted(
    moved: object, earlier: tuple[tuple[str, Standing], ...], why: str
) -> None:
    """Alerts go on, and the reason is said."""
    plan = plan_watch(moved, journal(*earlier))  # type: ignore[arg-type]

    assert Action.ALERT is plan.most
    assert why in plan.why


def test_our_own_promotions_are_recognised_by_their_note() -> None:
    """Ours carry the incident; a human's note is not ours."""
    bad = promotion()

    note = note_for(incident_id(bad))

    assert is_ours(promotion(note=note, actor_type=ActorType.API_TOKEN))
    assert not is_ours(promotion(note=note, actor_type=ActorType.USER))
    assert not is_ours(promotion(note="watchdog: rolled back last week", actor_type=ActorType.API_TOKEN))


def test_a_pointer_that_did_not_move_is_no_promotion() -> None:
    """Nor is a prompt that has nothing on production."""
    still = Prompt(id="support", slug="s", name="S", production_version_id="v1")
    empty = Prompt(id="support", slug="s", name="S", production_version_id=None)

    assert seen_move(still, last_version_id="v1", last_seen_at=T0, now=T0 + MINUTE) is None
    assert seen_move(empty, last_version_id="v1", last_seen_at=T0, now=T0 + MINUTE) is None


def test_a_pointer_that_moved_is_a_promotion_within_an_interval() -> None:
    """Two looks bound the time, and the same two looks give the same id."""
    prompt = Prompt(id="support", slug="s", name="S", production_version_id="v2")
    first = seen_move(prompt, last_version_id="v1", last_seen_at=T0, now=T0 + MINUTE)
    again = seen_move(prompt, last_version_id="v1", last_seen_at=T0, now=T0 + 2 * MINUTE)

    assert first is not None
    assert again is not None
    assert first.id == again.id
    assert (T0, T0 + MINUTE, ActorType.UNKNOWN) == (first.not_before, first.at, first.actor_type)


def test_a_move_that_was_seen_and_its_audit_entry_are_one_promotion() -> None:
    """When the audit log becomes readable, nothing is watched twice."""
    seen = promotion("v2", at=T0 + MINUTE, not_before=T0, actor_type=ActorType.UNKNOWN, actor_id="")

    assert same_move(seen, promotion("v2", at=T0 + 30 * SECOND))
    assert not same_move(seen, promotion("v3", at=T0 + 30 * SECOND))
    assert not same_move(seen, promotion("v2", at=T0 + 10 * MINUTE))
    assert not same_move(promotion("v2"), promotion("v2", at=T0 + SECOND))
