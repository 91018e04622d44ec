"""
What every platform must do, as one set of tests for every client and its server.

A module that joins imports these tests and offers a fixture `world` that returns a `World`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

import httpx
import pytest

from watchdog.core.model import ActorType, Call, ErrorKind, FeedbackKind
from watchdog.errors import OutcomeUnknown, Refused

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from watchdog.platforms.protocol import PromptPlatform

MS = timedelta(milliseconds=1)
NOTE = "watchdog:7f1c p95 812 ms -> 2,310 ms"


@dataclass(frozen=True, kw_only=True)
class PastCall:
    """
    A call to be put into the platform's log, recorded when it ended.

    Attributes:
        labels: what its caller said of it.
        output: what it answered; None for no bodies at all. `max_tokens` is what it was allowed.
    """

    started_at: datetime
    latency_ms: float = 400.0
    error_code: str = ""
    cost_usd: float | None = None
    labels: Mapping[str, object] = field(default_factory=dict)
    output: str | None = None
    max_tokens: int | None = None


class World(Protocol):
    """A server, a client with every right, and the means to make something happen without the client."""

    @property
    def platform(self) -> PromptPlatform:
        """The client under test."""

    @property
    def now(self) -> datetime:
        """The server's time; all that happens is stamped with it."""

    def without(self, scope: str) -> PromptPlatform:
        """A client whose token has every scope but this."""

    def segmented_by(self, name: str) -> PromptPlatform:
        """A client with every right that is told which label to read."""

    def with_revoked_token(self) -> PromptPlatform:
        """A client whose token was valid once."""

    def prompt(self, slug: str) -> str:
        """A new prompt without versions; returns its id."""

    def version(self, prompt_id: str, *, system: str = "", temperature: float | None = None) -> str:
        """A new version that is not on production; returns its id."""

    def promote(self, prompt_id: str, version_id: str) -> None:
        """As a user of the dashboard."""

    def calls(
        self, prompt_id: str, version_id: str | None, calls: Sequence[PastCall], *, environment: str = "production"
    ) -> tuple[str, ...]:
        """Put calls into the log; returns their ids in the same order."""

    def feedback(self, prompt_id: str, version_id: str, kind: str) -> str:
        """What a user said just now; returns its id."""

    def lose_the_next_answer_to_promote(self) -> None:
        """The platform does what it is asked, and the connection ends without an answer."""


def read_ids(world: World, prompt_id: str, since: datetime, until: datetime) -> list[str]:
    return [call.id for call in read_calls(world, prompt_id, since, until)]


def read_calls(world: World, prompt_id: str, since: datetime, until: datetime) -> list[Call]:
    pages = list(world.platform.calls(prompt_id, since=since, until=until))
    assert [()] * len(pages) == [page.rejected for page in pages]
    return [call for page in pages for call in page.calls]


def test_a_prompt_that_was_never_promoted_is_listed_without_a_pointer(world: World) -> None:
    """Nothing is live, which is not an error."""
    prompt_id = world.prompt("support")
    world.version(prompt_id)

    listed = {prompt.id: prompt for prompt in world.platform.prompts()}

    assert ("support", None) == (listed[prompt_id].slug, listed[prompt_id].production_version_id)
    assert listed[prompt_id] == world.platform.prompt(prompt_id)
    assert () == world.platform.promotions(since=world.now - timedelta(hours=1), prompt_id=prompt_id)


def test_many_prompts_are_all_listed(world: World) -> None:
    """Over more than one page where the platform pages."""
    ids = {world.prompt(f"prompt-{i}") for i in range(12)}

    assert ids <= {prompt.id for prompt in world.platform.prompts()}


def test_versions_come_newest_first_with_what_they_hold(world: World) -> None:
    """The diff needs parameters and content."""
    prompt_id = world.prompt("support")
    first = world.version(prompt_id, system="Be kind.", temperature=0.2)
    second = world.version(prompt_id, system="Be brief.")

    newest, oldest = world.platform.versions(prompt_id)

    assert (second, first) == (newest.id, oldest.id)
    assert ("Be kind.", 0.2) == (oldest.content["system"], oldest.parameters["temperature"])
    assert "temperature" not in newest.parameters
    assert newest.label != oldest.label


def test_promote_moves_the_pointer_and_is_recorded_with_its_note(world: World) -> None:
    """The note is how we recognise our own work after a crash."""
    prompt_id = world.prompt("support")
    version_id = world.version(prompt_id)

    world.platform.promote(prompt_id, version_id, note=NOTE, revert_of="")

    (promotion,) = world.platform.promotions(since=world.now - timedelta(seconds=1), prompt_id=prompt_id)
    assert version_id == world.platform.prompt(prompt_id).production_version_id
    assert (prompt_id, None, version_id, NOTE, False) == (
        promotion.prompt_id,
        promotion.from_version_id,
        promotion.to_version_id,
        promotion.note,
        promotion.revert,
    )
    assert ActorType.API_TOKEN is promotion.actor_type
    assert abs(promotion.at - world.now) < timedelta(seconds=5)


def test_promoting_an_earlier_version_is_tagged_as_a_revert(world: World) -> None:
    """After two promotions by a user, who left no note."""
    prompt_id = world.prompt("support")
    good, bad = world.version(prompt_id), world.version(prompt_id)
    world.promote(prompt_id, good)
    world.promote(prompt_id, bad)
    since = world.now - timedelta(minutes=1)
    undone = world.platform.promotions(since=since, prompt_id=prompt_id)[-1]

    world.platform.promote(prompt_id, good, note=NOTE, revert_of=undone.id)

    promotions = world.platform.promotions(since=since, prompt_id=prompt_id)
    assert [(None, good), (good, bad), (bad, good)] == [(p.from_version_id, p.to_version_id) for p in promotions]
    assert [False, False, True] == [p.revert for p in promotions]
    assert ["", "", NOTE] == [p.note for p in promotions]
    assert [ActorType.USER, ActorType.USER, ActorType.API_TOKEN] == [p.actor_type for p in promotions]
    assert 3 == len({p.id for p in promotions})


def test_promotions_of_all_prompts_come_together(world: World) -> None:
    """One request a tick, however many prompts there are."""
    ids = [world.prompt("support"), world.prompt("billing")]
    for prompt_id in ids:
        world.promote(prompt_id, world.version(prompt_id))

    promotions = world.platform.promotions(since=world.now - timedelta(minutes=1))

    assert ids == [promotion.prompt_id for promotion in promotions if promotion.prompt_id in ids]


def test_an_unknown_version_is_refused_and_nothing_moves(world: World) -> None:
    """404, and no entry in the log."""
    prompt_id = world.prompt("support")
    version_id = world.version(prompt_id)
    world.promote(prompt_id, version_id)

    with pytest.raises(Refused) as caught:
        world.platform.promote(prompt_id, "nobody", note=NOTE, revert_of="")

    assert 404 == caught.value.status
    assert version_id == world.platform.prompt(prompt_id).production_version_id
    assert 1 == len(world.platform.promotions(since=world.now - timedelta(minutes=1), prompt_id=prompt_id))


def test_a_version_of_another_prompt_is_refused(world: World) -> None:
    """A revert must not bring in a stranger."""
    prompt_id, other_id = world.prompt("support"), world.prompt("billing")
    strangers_version = world.version(other_id)

    with pytest.raises(Refused):
        world.platform.promote(prompt_id, strangers_version, note=NOTE, revert_of="")

    assert None is world.platform.prompt(prompt_id).production_version_id


def test_an_answer_that_is_lost_leaves_the_outcome_unknown(world: World) -> None:
    """It was applied once, and the read-back finds our note."""
    prompt_id = world.prompt("support")
    version_id = world.version(prompt_id)
    world.lose_the_next_answer_to_promote()

    with pytest.raises(OutcomeUnknown):
        world.platform.promote(prompt_id, version_id, note=NOTE, revert_of="")

    promotions = world.platform.promotions(since=world.now - timedelta(minutes=1), prompt_id=prompt_id)
    assert [NOTE] == [promotion.note for promotion in promotions]
    assert version_id == world.platform.prompt(prompt_id).production_version_id


def test_calls_over_three_pages_come_once_each_and_oldest_first(world: World) -> None:
    """More than two pages of 500, and all of the middle ones recorded in the same millisecond, over a page's edge."""
    prompt_id = world.prompt("support")
    version_id = world.version(prompt_id)
    start = world.now - timedelta(minutes=30)
    offsets = [min(i, 400) if i < 700 else i for i in range(1_100)]
    ids = world.calls(prompt_id, version_id, [PastCall(started_at=start + MS * offset) for offset in offsets])

    calls = read_calls(world, prompt_id, start, world.now)

    assert sorted(ids) == sorted(call.id for call in calls)
    assert sorted(call.recorded_at for call in calls) == [call.recorded_at for call in calls]


def test_a_range_of_calls_holds_its_start_and_not_its_end(world: World) -> None:
    """By the time of the record, so that ranges put end to end see every call once."""
    prompt_id = world.prompt("support")
    version_id = world.version(prompt_id)
    edge = world.now - timedelta(minutes=30)
    before, on, after = world.calls(
        prompt_id, version_id, [PastCall(started_at=edge + MS * (i - 400)) for i in (-1, 0, 1)]
    )

    assert [before] == read_ids(world, prompt_id, edge - timedelta(minutes=1), edge)
    assert [on, after] == read_ids(world, prompt_id, edge, edge + timedelta(minutes=1))
    assert [on] == read_ids(world, prompt_id, edge, edge + MS)


def test_a_call_carries_what_is_judged(world: World) -> None:
    """Version, times, latency, cost and the reason of a failure."""
    prompt_id = world.prompt("support")
    version_id = world.version(prompt_id)
    start = world.now - timedelta(minutes=30)
    world.calls(
        prompt_id,
        version_id,
        [
            PastCall(started_at=start, latency_ms=800.0, cost_usd=0.004),
            PastCall(started_at=start + timedelta(seconds=2), error_code="PROVIDER_TIMEOUT"),
        ],
    )

    good, failed = read_calls(world, prompt_id, start, world.now)

    assert (True, None, "", 800.0, 0.004) == (
        good.ok,
        good.error_kind,
        good.error_code,
        good.latency_ms,
        good.cost_usd,
    )
    assert (prompt_id, version_id, "production") == (good.prompt_id, good.version_id, good.environment)
    assert (start, start + MS * 800) == (good.started_at, good.recorded_at)
    assert (False, ErrorKind.TIMEOUT, "PROVIDER_TIMEOUT", None) == (
        failed.ok,
        failed.error_kind,
        failed.error_code,
        failed.cost_usd,
    )


def test_the_label_that_was_asked_for_is_the_segment(world: World) -> None:
    """Calls without it have none, and nobody who did not ask is told."""
    prompt_id = world.prompt("support")
    version_id = world.version(prompt_id)
    start = world.now - timedelta(minutes=30)
    labels = [{"task": "refund", "tenant": 7}, {"tenant": 8}, {}, {"task": "invoice"}]
    calls = [PastCall(started_at=start + MS * i, labels=given) for i, given in enumerate(labels)]
    world.calls(prompt_id, version_id, calls)

    def segments(platform: PromptPlatform) -> list[str]:
        pages = platform.calls(prompt_id, since=start, until=world.now)
        return [call.segment for page in pages for call in page.calls]

    assert ["refund", "", "", "invoice"] == segments(world.segmented_by("task"))
    assert ["7", "8", "", ""] == segments(world.segmented_by("tenant"))
    assert [""] * 4 == segments(world.platform)


def test_a_dot_in_the_name_of_a_label_reaches_inside(world: World) -> None:
    """Labels may be grouped."""
    prompt_id = world.prompt("support")
    start = world.now - timedelta(minutes=30)
    grouped = PastCall(started_at=start, labels={"customer": {"tier": "gold"}})
    world.calls(prompt_id, world.version(prompt_id), [grouped])

    (page,) = world.segmented_by("customer.tier").calls(prompt_id, since=start, until=world.now)

    assert ["gold"] == [call.segment for call in page.calls]


def test_the_bodies_of_one_call_are_read_by_its_id(world: World) -> None:
    """What it answered, and with which parameters; its text is not in how it is represented."""
    prompt_id = world.prompt("support")
    call = PastCall(
        started_at=world.now - MS * 900, error_code="OUTPUT_UNPARSABLE", output='{"a": "CANARY', max_tokens=9
    )
    wanted, _ = world.calls(prompt_id, world.version(prompt_id), [call, PastCall(started_at=world.now - MS * 800)])

    payload = world.platform.payload(wanted)

    assert (wanted, '{"a": "CANARY', 9) == (payload.call_id, payload.output, payload.max_tokens)
    assert "CANARY" not in repr(payload)


def test_a_call_without_bodies_has_none(world: World) -> None:
    """Which is no error: a platform may not keep them."""
    prompt_id = world.prompt("support")
    (wanted,) = world.calls(prompt_id, world.version(prompt_id), [PastCall(started_at=world.now - MS * 900)])

    assert world.platform.payload(wanted).output is None


def test_an_unknown_call_is_refused(world: World) -> None:
    """With 404, by the call's path."""
    with pytest.raises(Refused) as caught:
        world.platform.payload("nobody")

    assert 404 == caught.value.status


def test_only_production_calls_of_the_prompt_are_returned(world: World) -> None:
    """Experiments on development and other prompts are judged by nobody."""
    prompt_id, other_id = world.prompt("support"), world.prompt("billing")
    version_id = world.version(prompt_id)
    start = world.now - timedelta(minutes=30)
    one = [PastCall(started_at=start)]
    (wanted,) = world.calls(prompt_id, version_id, one)
    world.calls(prompt_id, version_id, one, environment="development")
    world.calls(other_id, world.version(other_id), one)

    assert [wanted] == read_ids(world, prompt_id, start, world.now)


def test_a_prompt_without_calls_has_none(world: World) -> None:
    """No data is not an error."""
    assert [] == read_ids(world, world.prompt("support"), world.now - timedelta(hours=1), world.now)


def test_feedback_tells_the_version_and_the_kind(world: World) -> None:
    """Oldest first, of this prompt only."""
    prompt_id, other_id = world.prompt("support"), world.prompt("billing")
    version_id = world.version(prompt_id)
    kinds = ["thumbs_up", "thumbs_down", "support_ticket"]
    ids = [world.feedback(prompt_id, version_id, kind) for kind in kinds]
    world.feedback(other_id, world.version(other_id), "thumbs_down")

    feedback = world.platform.feedback(prompt_id, since=world.now - timedelta(minutes=1))

    assert ids == [item.id for item in feedback]
    assert [FeedbackKind(kind) for kind in kinds] == [item.kind for item in feedback]
    assert {(prompt_id, version_id)} == {(item.prompt_id, item.version_id) for item in feedback}
    assert () == world.platform.feedback(prompt_id, since=world.now + timedelta(minutes=1))


def test_a_revoked_token_is_refused(world: World) -> None:
    """With 401, for reads and for changes."""
    platform = world.with_revoked_token()

    with pytest.raises(Refused) as read:
        platform.prompts()
    with pytest.raises(Refused) as change:
        platform.promote("nobody", "nobody", note=NOTE, revert_of="")

    assert (401, 401) == (read.value.status, change.value.status)


@pytest.mark.parametrize("scope", ["prompts:write", "audit:read", "analytics:read"])
def test_a_missing_scope_is_refused_by_name_and_reported_by_access(world: World, scope: str) -> None:
    """Exactly the calls that need it."""
    world.prompt("support")
    platform = world.without(scope)
    operations = {
        "prompts:write": platform.prompts,
        "audit:read": lambda: platform.promotions(since=world.now),
        "analytics:read": lambda: list(platform.calls("nobody", since=world.now, until=world.now)),
    }

    with pytest.raises(Refused) as caught:
        operations[scope]()

    assert (403, scope) == (caught.value.status, caught.value.scope)
    assert {scope} == {entry.scope for entry in platform.access() if entry.problem is not None}


def test_access_with_every_scope_has_no_problem_and_changes_nothing(world: World) -> None:
    """The pointer is where it was, and the log has no new entry."""
    prompt_id = world.prompt("support")
    world.promote(prompt_id, world.version(prompt_id))
    before = (world.platform.prompts(), world.platform.promotions(since=world.now - timedelta(hours=1)))

    entries = world.platform.access()

    assert [None] * len(entries) == [entry.problem for entry in entries]
    assert before == (world.platform.prompts(), world.platform.promotions(since=world.now - timedelta(hours=1)))


def test_the_clock_skew_is_known_after_an_answer(world: World) -> None:
    """Both ends read the same clock here."""
    world.platform.prompts()

    skew = world.platform.clock_skew()

    assert skew is None or abs(skew) < timedelta(seconds=2)


def test_a_gateway_that_is_well_says_so(world: World) -> None:
    """Where the platform has such an endpoint at all."""
    health = world.platform.health()

    assert health is None or health.well is True


def test_the_compare_page_can_be_opened(world: World) -> None:
    """Where the platform has one."""
    prompt_id = world.prompt("support")
    bad, good = world.version(prompt_id, system="Be brief."), world.version(prompt_id, system="Be kind.")

    url = world.platform.compare_url(prompt_id, bad, good)

    if url:
        assert 200 == httpx.get(url, trust_env=False).status_code
