"""The past through the judge: from a platform whose calls are held in a list."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date, timedelta

import pytest

from tests.builders import T0, call, promotion, rule_set, success_rule
from watchdog.backtest.calls import Version, Windows, blocks_before
from watchdog.backtest.quiet import PlayedDay, by_rule, known_before
from watchdog.backtest.run import Question, backtest
from watchdog.core.calibration import Calibration
from watchdog.core.model import Call, Promotion, Prompt, PromptVersion
from watchdog.core.promotion import OWN_MARK, deterministic_id
from watchdog.core.quiet_days import DAY, midnight
from watchdog.core.rules import Action
from watchdog.core.terms import Terms
from watchdog.core.windows import WINDOW
from watchdog.errors import NotSent, Refused
from watchdog.platforms.protocol import CallPage, RejectedRow

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
VERSION = Version(prompt_id="support", id="v2")
RULES = rule_set(success_rule())


@dataclass
class Held:
    """A platform that holds one prompt's past.

    Attributes:
        forgets: before this it knows no calls any more.
    """

    held: list[Call] = field(default_factory=list)
    moves: tuple[Promotion, ...] = ()
    forgets: object = None
    refuses: Exception | None = None
    asked: int = 0

    def prompts(self):
        now = self.moves[-1].to_version_id if self.moves else "v1"
        return (Prompt(id="support", slug="support-reply", name="", production_version_id=now),)

    def versions(self, prompt_id):
        return tuple(PromptVersion(id=v, prompt_id=prompt_id, label=f"1.{v[1:]}.0") for v in ("v1", "v2", "v3"))

    def promotions(self, *, since, prompt_id=None):  # noqa: ARG002 - it holds one prompt
        if self.refuses is not None:
            raise self.refuses
        return tuple(m for m in self.moves if m.at >= since)

    def calls(self, prompt_id, *, since, until):  # noqa: ARG002
        self.asked += 1
        if self.forgets is not None and since < self.forgets:
            raise Refused("too old", call="GET", status=410)
        found = sorted((c for c in self.held if since <= c.recorded_at < until), key=lambda c: c.recorded_at)
        for i in range(0, len(found), 100):
            # Pages overlap, as they do when rows arrive in between.
            yield CallPage(calls=tuple(found[max(0, i - 5) : i + 100]), rejected=(RejectedRow(key="x", reason="odd"),))


def made(n: int, *, since, every=MINUTE, failing=0, version="v2", latency_ms=800.0, first=0) -> list[Call]:
    return [
        replace(
            call(first + i, ok=i >= failing, at=since + i * every, version=version, latency_ms=latency_ms),
            id=f"{version}-{since:%d%H%M}-{i}",
        )
        for i in range(n)
    ]


@dataclass
class Silent:
    """Counts the steps."""

    steps: list[str] = field(default_factory=list)

    def expect(self, steps: int) -> None: ...

    def step(self, what: str) -> None:
        self.steps.append(what)


def question(**given: object) -> Question:
    values: dict[str, object] = {
        "rules_for": lambda _slug: RULES,
        "terms": Terms(baseline=3 * HOUR, length=3 * HOUR),
        "since": T0 - 10 * DAY,
        "now": T0 + DAY,
    }
    return Question(**{**values, **given})  # type: ignore[arg-type]


def past(platform: Held, **given: object):
    (found,) = backtest(platform, question(**given), Silent())  # type: ignore[arg-type]
    return found


# --- reading


def test_windows_come_in_order_of_start_with_every_call_once() -> None:
    """Slow calls are recorded after later ones that were fast."""
    slow = made(50, since=T0, latency_ms=300_000.0)
    fast = made(50, since=T0 + MINUTE / 2, latency_ms=100.0, first=50)
    for i, c in enumerate(fast):
        fast[i] = replace(c, id=f"fast-{i}")

    windows = list(
        Windows(Held(held=slow + fast), VERSION, since=T0, until=T0 + 2 * HOUR, patience=10 * MINUTE)  # type: ignore[arg-type]
    )

    starts = [start for start, _ in windows]
    assert sorted(starts) == starts
    assert 100 == sum(window.calls for _, window in windows)
    assert 0 == sum(window.late for _, window in windows)
    assert {1} == {window.calls for _, window in windows}


def test_a_call_that_is_recorded_later_than_we_are_patient_counts_as_late() -> None:
    """It is counted where the daemon would have counted it."""
    calls = [*made(150, since=T0, every=WINDOW), *made(1, since=T0 - WINDOW, latency_ms=1_500_000.0, first=999)]
    calls = [replace(c, id=f"late-{c.id}") if c.latency_ms > 1e6 else c for c in calls]

    windows = list(Windows(Held(held=calls), VERSION, since=T0 - MINUTE, until=T0 + HOUR, patience=MINUTE))

    assert 151 == sum(window.calls for _, window in windows)
    assert 1 == sum(window.late for _, window in windows)


def test_a_baseline_is_read_from_the_newest_back() -> None:
    """As far as the log reaches."""
    platform = Held(held=made(300, since=T0 - 5 * HOUR), forgets=T0 - 2 * HOUR)

    found = blocks_before(platform, VERSION, since=T0 - 5 * HOUR, until=T0)  # type: ignore[arg-type]

    assert found.forgotten
    assert T0 - 2 * HOUR == found.since
    assert 120 == pytest.approx(found.calls, abs=1)


# --- past promotions


MOVE = promotion("v2", at=T0)
GOOD_BEFORE = made(300, since=T0 - 3 * HOUR, every=MINUTE / 2, version="v1", failing=3)


def test_a_harmful_promotion_would_have_been_reverted_and_failures_saved() -> None:
    """All of its calls failed; those that were made while the watchdog waited for late ones are lost."""
    back = promotion("v1", frm="v2", at=T0 + 2 * HOUR, revert=True)
    platform = Held(held=[*GOOD_BEFORE, *made(600, since=T0, every=2 * SECOND, failing=600)], moves=(MOVE, back))

    harmful, _ = past(platform).promotions

    assert Action.REVERT is harmful.judged.action
    assert ("success",) == harmful.judged.rules
    assert ("v1.1.0", "v1.2.0") == (harmful.control, harmful.candidate)
    assert timedelta(0) < harmful.acted_after < 10 * MINUTE
    assert "reverted after 2 h" == harmful.human
    assert 600 - harmful.judged.candidate.calls - 5 == harmful.judged.failures_after
    assert 0.98 < harmful.judged.saved / harmful.judged.failures_after < 1.0


def test_a_harmless_one_would_have_been_left_alone() -> None:
    """And saves nothing."""
    platform = Held(held=[*GOOD_BEFORE, *made(118, since=T0 + MINUTE)], moves=(MOVE,))

    (harmless,) = past(platform).promotions

    assert (None, None) == (harmless.judged.action, harmless.judged.saved)
    assert "kept, it is on production still" == harmless.human


def test_what_comes_after_a_bad_version_is_compared_with_the_good_one_before_it() -> None:
    """The daemon's known-good logic: v3 mends what v2 broke, and its baseline is v1."""
    mend = promotion("v3", frm="v2", at=T0 + HOUR)
    calls = [*GOOD_BEFORE, *made(59, since=T0 + MINUTE, failing=59), *made(100, since=T0 + HOUR + MINUTE, version="v3")]

    bad, mended = past(Held(held=calls, moves=(MOVE, mend))).promotions

    assert Action.REVERT is bad.judged.action
    assert "v1.1.0" == mended.control
    assert mended.judged.action is None
    assert "replaced by another version after 1 h" == bad.human


def test_what_the_watchdog_did_itself_is_not_judged() -> None:
    """By its note."""
    note = f"{OWN_MARK}{deterministic_id('x')}"
    own = promotion("v1", frm="v2", at=T0 + HOUR, note=note, actor_type=MOVE.actor_type.__class__.API_TOKEN)

    bad, restored = past(Held(held=GOOD_BEFORE, moves=(MOVE, own))).promotions

    assert restored.judged is None
    assert ("v1.2.0", "v1.1.0") == (restored.before, restored.candidate)
    assert "the watchdog reverted it after 1 h" == bad.human


def test_calls_that_the_log_has_forgotten_are_said_to_be_missing() -> None:
    """A verdict on half of the calls says so."""
    platform = Held(held=[*GOOD_BEFORE, *made(100, since=T0)], moves=(MOVE,), forgets=T0 - HOUR)

    (found,) = past(platform).promotions

    assert found.judged.forgotten
    assert "the log no longer holds all of its calls" in found.note


def test_a_prompt_that_cannot_be_read_does_not_stop_the_rest() -> None:
    """What was found before is shown."""

    class Failing(Held):
        def calls(self, *_: object, **__: object):
            raise NotSent("away", call="GET", retryable=True)

    found = past(Failing(moves=(MOVE,)))

    assert "away" == found.trouble
    assert () == found.promotions


def test_without_the_right_to_the_audit_log_nothing_is_judged() -> None:
    """It is no past without promotions."""
    with pytest.raises(Refused):
        past(Held(refuses=Refused("no", call="GET", status=403)))


# --- quiet days


def played(day: int, nats: float, version: str = "v1") -> PlayedDay:
    found = Calibration(days=1, worst_nats=nats, alpha_nats=5.0)
    return PlayedDay(day=date(2026, 11, day), version_id=version, found={"success": found})


def test_a_second_bad_day_is_no_alarm_once_the_first_has_taught() -> None:
    """The first could not be known."""
    (found,) = by_rule([played(1, 1.0), played(2, 9.0), played(3, 0.5), played(4, 9.2)], RULES, "v1")

    assert (4, 2, 1) == (found.days, found.alarms, found.alarms_calibrated)
    assert 9.7 == found.now.needed_nats


def test_a_rule_that_only_alerts_raises_no_false_revert() -> None:
    """It was demoted by the day before."""
    (found,) = by_rule([played(1, 30.0), played(2, 90.0)], RULES, "v1")

    assert (2, 1) == (found.alarms, found.alarms_calibrated)
    assert found.now.demoted


def test_days_of_another_version_teach_nothing() -> None:
    """Nor do days that are yet to come."""
    days = [played(1, 9.0, "v0"), played(2, 7.0), played(3, 8.0)]

    assert {} == known_before(days, "v1", midnight(date(2026, 11, 2)))
    assert 7.0 == known_before(days, "v1", midnight(date(2026, 11, 3)))["success"].worst_nats


def test_what_quiet_days_taught_is_asked_of_a_past_promotion() -> None:
    """A provider's outage on a quiet day makes a later, smaller one on the candidate no reason to revert."""
    start = midnight((T0 - 4 * DAY).date())
    usual = [
        c
        for d in range(4)
        for c in made(144, since=start + d * DAY, every=10 * MINUTE, version="v1", failing=0 if d != 2 else 12)
    ]
    promoted = replace(MOVE, at=start + 4 * DAY, not_before=start + 4 * DAY)
    bad = made(100, since=promoted.at + MINUTE, failing=8)
    platform = Held(held=[*usual, *bad], moves=(promoted,))

    found = past(platform, terms=Terms(), now=start + 5 * DAY)
    platform.held = [*usual[-144:], *bad]
    untaught = past(platform, terms=Terms(), now=start + 5 * DAY)

    assert 1 == found.quiet[0].alarms
    assert found.promotions[0].judged.action is not Action.REVERT
    assert untaught.promotions[0].judged.action is Action.REVERT
