"""What people are told at each step."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.builders import MINUTE, SECOND, T0, incident, promotion, reading, watch
from watchdog.core import messages, phrasing, watch_messages
from watchdog.core.beside import Trouble
from watchdog.core.incident import Recovery
from watchdog.core.judgement import Cause, ReadingState
from watchdog.core.ledger import Entry, Kind, Treatment
from watchdog.core.model import ActorType
from watchdog.core.notice import Notice, Tone
from watchdog.core.rollback import Event, SagaState
from watchdog.core.rules import Metric
from watchdog.core.upstream import Finding
from watchdog.core.watch import Verdict

if TYPE_CHECKING:
    from watchdog.core.watch import Watch

WATCH = watch(first_call_at=T0, judged_until=T0 + 2 * MINUTE)


def test_the_first_message_has_the_arithmetic_the_diff_and_the_link() -> None:
    """Everything that is needed to agree or disagree with the revert."""
    notice = messages.tripped(incident(SagaState.INTENT), WATCH, T0)

    assert "support-reply: v1.1.0 made production worse; reverting to v1.0.0" == notice.headline
    assert (
        "Failures 1.0 % -> 50.0 % so far (9 of 18). Verdict after 18 calls of v1.1.0 (2 min). "
        "Reverting v1.1.0 -> v1.0.0 now." == notice.step
    )
    assert ("temperature: 0.2 -> 1.0",) == notice.changes
    assert "http://127.0.0.1/compare" == notice.links[0].url
    assert {"Promoted by": "ana, 2026-11-20 12:00:00 UTC", "Rule": "success"}.items() <= {
        f.label: f.value for f in notice.facts
    }.items()


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (SagaState.HELD, "NOT reverted, a guard holds"),
        (SagaState.AWAIT_APPROVAL, "reverting to v1.0.0 is suggested"),
    ],
)
def test_the_first_message_says_when_nothing_is_reverted(state: SagaState, said: str) -> None:
    """And what to do by hand."""
    notice = messages.tripped(replace(incident(state), recovery_reason="too many today"), WATCH, T0)

    assert said in notice.headline
    assert f"`promptwatch approve {notice.thread[:8]}` puts v1.0.0 back" in notice.step


@pytest.mark.parametrize(
    ("state", "event", "tone", "said"),
    [
        (SagaState.CONFIRMED, Event.READ_BACK, Tone.WAITING, "reverted to v1.0.0"),
        (SagaState.DONE, Event.AUDITED, Tone.WAITING, "verifying the recovery"),
        (SagaState.SUPERSEDED, Event.HUMAN_MOVED, Tone.QUIET, "a human acted on v1.1.0 first"),
        (SagaState.NEEDS_HUMAN, Event.GAVE_UP, Tone.ALARM, "needs a human NOW"),
    ],
)
def test_each_step_that_matters_is_told(state: SagaState, event: Event, tone: Tone, said: str) -> None:
    """With its reason."""
    notice = messages.progressed(incident(state), WATCH, event, "because of this", T0 + 3 * SECOND)

    assert notice is not None
    assert tone is notice.tone
    assert said in notice.headline
    assert "ecause of this" in notice.step


@pytest.mark.parametrize("state", [SagaState.INTENT, SagaState.SENDING, SagaState.PROMOTED])
def test_steps_in_between_are_not_told(state: SagaState) -> None:
    """They take milliseconds."""
    assert messages.progressed(incident(state), WATCH, Event.SENT, "", T0) is None


def test_where_the_fault_is_upstream_the_newer_version_is_offered_back() -> None:
    """How, what the watchdog will do about it then, and where to compare the two."""
    ended = replace(incident(SagaState.DONE), recovery=Recovery.UPSTREAM_SUSPECTED, recovery_reason="still worse")
    notice = messages.recovery(ended, WATCH, T0)

    assert "To put v1.1.0 back, promote it again on the platform" in notice.step
    assert "watches it and tells you, but does not revert it: a human decided" in notice.step
    assert ["http://127.0.0.1/compare"] == [link.url for link in notice.links]


def test_a_human_who_was_overridden_is_told_how_to_get_their_version_back() -> None:
    """That is another advice than for a revert that never arrived."""
    overridden = messages.progressed(
        incident(SagaState.NEEDS_HUMAN), WATCH, Event.HUMAN_OVERRIDDEN, "ana promoted v3", T0
    )

    assert overridden is not None
    assert "promote the human's version again" in overridden.step


@pytest.mark.parametrize(
    ("ending", "tone", "said"),
    [
        (Recovery.RECOVERED, Tone.GOOD, "recovered on v1.0.0"),
        (Recovery.UPSTREAM_SUSPECTED, Tone.ALARM, "upstream of the prompt"),
        (Recovery.UNVERIFIED, Tone.WAITING, "could not be verified"),
        (Recovery.VOID, Tone.QUIET, "ended"),
    ],
)
def test_each_ending_of_the_verification_is_told(ending: Recovery, tone: Tone, said: str) -> None:
    """With the numbers."""
    ended = replace(incident(SagaState.DONE), recovery=ending, recovery_reason="40 calls on the restored version")
    notice = messages.recovery(ended, WATCH, T0)

    assert (tone, True) == (notice.tone, said in notice.headline)
    assert notice.step.startswith("40 calls on the restored version.")


def test_keys_are_deterministic_and_different() -> None:
    """The same step is never announced twice, two steps are never taken for one."""
    first = messages.tripped(incident(SagaState.INTENT), WATCH, T0)
    again = messages.tripped(incident(SagaState.INTENT), WATCH, T0 + MINUTE)
    done = messages.progressed(incident(SagaState.DONE), WATCH, Event.AUDITED, "", T0)

    assert done is not None
    assert first.key == again.key
    assert len({first.key, done.key, messages.recovery(incident(SagaState.DONE), WATCH, T0).key}) == 3
    assert {first.thread, done.thread} == {incident().id}


def test_an_alert_says_why_it_is_no_more_than_that() -> None:
    """And names every rule that tripped."""
    notice = watch_messages.alert(WATCH, (reading(), reading(rule="p95")), "the rule only alerts", "", T0)

    assert notice.step.endswith("Nothing was reverted: the rule only alerts.")
    assert 2 == len(notice.evidence)


def test_a_seen_move_is_told_with_its_interval() -> None:
    """Nobody recorded who moved the pointer, nor when exactly."""
    seen = promotion(at=T0 + MINUTE, not_before=T0, actor_type=ActorType.UNKNOWN, actor_id="")

    assert "somebody, between 2026-11-20 12:00:00 UTC and 2026-11-20 12:01:00 UTC" == phrasing.who(seen)


def test_a_notice_survives_being_stored() -> None:
    """Through JSON and back."""
    notice = messages.tripped(incident(SagaState.INTENT), WATCH, T0)

    assert notice == Notice.from_json(notice.to_json())


def test_a_diagnosis_says_what_was_found_and_leaves_the_incident_where_it_stands() -> None:
    """What points upstream comes first; the headline and the facts are those of the message before."""
    standing = messages.tripped(incident(SagaState.INTENT), WATCH, T0)
    found = [
        Finding(source="gateway", trouble=False, line="gateway: well", at=T0),
        Finding(source="application", trouble=None, line="application: few", at=T0),
        Finding(source="status:openai", trouble=True, line="openai: outage", at=T0),
    ]

    notice = messages.diagnosis(standing, found, 2, T0 + MINUTE)

    assert (
        "Points upstream of the prompt: openai status page.\nopenai: outage\napplication: few\ngateway: well"
        == notice.step
    )
    assert (f"{standing.thread}:diagnosis:2", T0 + MINUTE) == (notice.key, notice.at)
    assert standing == replace(notice, key=standing.key, step=standing.step, at=standing.at)


def test_a_long_diagnosis_is_cut() -> None:
    """What is left out is counted, and where to see it is said."""
    standing = messages.tripped(incident(SagaState.INTENT), WATCH, T0)
    found = [Finding(source=f"status:{i}", trouble=False, line=f"{i}: well", at=T0) for i in range(9)]

    lines = messages.diagnosis(standing, found, 1, T0).step.split("\n")

    assert 8 == len(lines)
    assert f"3 more findings: see `promptwatch show {standing.thread[:8]}`" == lines[-1]


MOVED = (
    Entry(kind=Kind.OTHER_VERSIONS, treatment=Treatment.NAMED, sentence="40 calls of other versions"),
    Entry(kind=Kind.MODEL, treatment=Treatment.LOWERS, sentence="other models answer", metrics=(Metric.COST,)),
)


def test_what_else_moved_is_part_of_the_evidence() -> None:
    """Of an incident and of an alert, after the rules, the gravest first."""
    moved = replace(WATCH, ledger=MOVED)
    beside = (
        "beside it: other models answer (nothing is concluded from cost)",
        "beside it: 40 calls of other versions",
    )
    opened = messages.tripped(incident(SagaState.INTENT), moved, T0)
    alerted = watch_messages.alert(moved, (reading(),), "", "", T0)

    assert ("success: failures 1.0 % -> 50.0 % so far (9 of 18)", *beside) == opened.evidence
    assert ("success: failures 1.0 % -> 50.0 % so far (9 of 18)", *beside) == alerted.evidence


def test_an_alert_on_what_something_else_explains_does_not_blame_the_version() -> None:
    """Nor the requests, when it is not them."""
    held = reading(ReadingState.EXPLAINED, cause=Cause.WEEK, because="in the same hours a week ago it was as bad")
    notice = watch_messages.alert(WATCH, (held,), "something else than the prompt can explain it", "", T0)

    assert "support-reply: v1.1.0 looks worse, and something else can explain it" == notice.headline
    assert notice.step.endswith("Nothing was reverted: something else than the prompt can explain it.")


@pytest.mark.parametrize(
    ("state", "recovered", "headline"),
    [
        (SagaState.PROMOTED, Recovery.PENDING, "made production worse; reverting to"),
        (SagaState.DONE, Recovery.VERIFYING, "verifying the recovery"),
        (SagaState.DONE, Recovery.RECOVERED, "recovered on"),
        (SagaState.DONE, Recovery.UPSTREAM_SUSPECTED, "NOT recovered"),
        (SagaState.AWAIT_APPROVAL, Recovery.PENDING, "is suggested"),
        (SagaState.SUPERSEDED, Recovery.VOID, "a human acted"),
        (SagaState.NEEDS_HUMAN, Recovery.VOID, "needs a human NOW"),
    ],
)
def test_what_failing_calls_look_like_leaves_the_message_where_the_incident_stands(
    state: SagaState, recovered: Recovery, headline: str
) -> None:
    """The root is rewritten with every notice: this one must not take its headline from it."""
    notice = messages.failing(incident(state, recovery=recovered), watch(), ("Sentence.", "Example"), T0)

    assert headline in notice.headline
    assert "Sentence.\nExample" == notice.step
    assert f"{incident().id}:failing" == notice.key


def test_trouble_upstream_says_who_has_it_since_when_and_where_to_look() -> None:
    """The version is not blamed; whoever has it as well stands first in the headline, as they did before."""
    others = [watch(prompt_slug="billing"), watch(prompt_slug="search")]
    trouble = Trouble(since=T0, worse=2, heard=3)

    notice = watch_messages.upstream(
        replace(WATCH, provider="openai"), (reading(),), trouble, others, "thread", T0 + MINUTE
    )

    assert "billing, search and 1 more: trouble upstream (openai), not reverted" == notice.headline
    assert notice.step.startswith(
        "support-reply v1.1.0 got worse, and so did 2 of 3 other prompts on openai, since 2026-11-20 12:00:00 UTC. "
        "Nobody promoted those, so the cause is not v1.1.0 but something that all share: the provider, the gateway, "
        "the network. Look there; v1.1.0 stays."
    )
    assert ("thread", Tone.WAITING) == (notice.thread, notice.tone)


@pytest.mark.parametrize(
    ("verdict", "others", "tone", "said"),
    [
        (Verdict.OK, (), Tone.GOOD, "support-reply: the trouble upstream is over, v1.1.0 stays"),
        (Verdict.OK, (WATCH,), Tone.WAITING, "support-reply: the trouble upstream is over, v1.1.0 stays"),
        (
            Verdict.REGRESSED,
            (),
            Tone.WAITING,
            "support-reply: beside the trouble upstream, v1.1.0 is worse by itself",
        ),
        (
            Verdict.INCONCLUSIVE,
            (),
            Tone.WAITING,
            "support-reply: the trouble upstream is over, v1.1.0 is judged again",
        ),
    ],
)
def test_how_trouble_upstream_ended_depends_on_the_verdict(
    verdict: Verdict, others: tuple[Watch, ...], tone: Tone, said: str
) -> None:
    """A version that is about to be reverted is not said to stay."""
    notice = watch_messages.upstream_over(replace(WATCH, verdict=verdict), "because", others, "thread", T0)

    assert (said, tone) == (notice.headline, notice.tone)
    assert bool(others) == ("Not over yet for support-reply." in notice.step)
    assert notice.step.endswith("Because.")
