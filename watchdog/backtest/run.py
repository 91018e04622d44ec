"""
The past of every guarded prompt, one after the other: its promotions judged, its quiet days played, its rules weighed.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Protocol

from watchdog.backtest.calls import Version, blocks_before
from watchdog.backtest.quiet import PlayedDay, RuleOnQuietDays, by_rule, known_before, played_days
from watchdog.backtest.trial import Candidate, Judged, judged
from watchdog.config.strength import Forecast, Traffic, forecasts
from watchdog.core import words
from watchdog.core.judge import ENOUGH_CALLS
from watchdog.core.model import ActorType, Promotion
from watchdog.core.promotion import JournalEntry, Standing, deterministic_id, is_ours, plan_watch
from watchdog.core.quiet_days import merged, quiet_dates
from watchdog.core.rules import Action
from watchdog.core.watch import Verdict
from watchdog.errors import PlatformError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime, timedelta

    from watchdog.core.model import Prompt
    from watchdog.core.promotion import WatchPlan
    from watchdog.core.rules import RuleSet
    from watchdog.core.terms import Terms
    from watchdog.platforms.protocol import PromptPlatform

# Reading a busy prompt's day takes a while, and a month of days says what there is to say.
MOST_QUIET_DAYS = 30
# A version that was fine over so many calls before the next promotion came is good, as the daemon has it.
CALLS_TO_BE_GOOD = 200


class Progress(Protocol):
    """Told what is going on; the steps may turn out to be fewer."""

    def expect(self, steps: int) -> None: ...

    def step(self, what: str) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Question:
    """
    Attributes:
        since: promotions from then on.
        now: by the platform's clock.
        glob: on a prompt's slug; of the guarded prompts only those.
    """

    rules_for: Callable[[str], RuleSet]
    terms: Terms
    since: datetime
    now: datetime
    glob: str = "*"


@dataclass(frozen=True, kw_only=True)
class Past:
    """
    One promotion, what the watchdog would have done, and what people did.

    Attributes:
        control, candidate: the versions as people name them; None where there is no control.
        before: what the candidate took the place of; None for a prompt's first promotion.
        judged: None for a promotion that is not judged; `note` says why.
        human: what happened in truth, in words.
        stayed: how long the candidate was on production, to the present at most.
    """

    prompt: str
    promotion: Promotion
    control: str | None
    candidate: str
    before: str | None
    judged: Judged | None
    human: str
    stayed: timedelta
    note: str = ""

    @property
    def acted_after(self) -> timedelta | None:
        """From the promotion to what the watchdog would have done."""
        if self.judged is None or self.judged.acted_at is None:
            return None
        return self.judged.acted_at - self.promotion.at


@dataclass(frozen=True, kw_only=True)
class PromptPast:
    """
    Attributes:
        trouble: why the rest could not be read; empty when all could.
        quiet: one for each rule.
        rate_per_s, baseline_calls: of the version on production, over the length of a baseline; None where nothing is.
        strength: one for each rule; empty without calls.
    """

    prompt: str
    promotions: tuple[Past, ...]
    quiet: tuple[RuleOnQuietDays, ...]
    rate_per_s: float | None
    baseline_calls: int | None
    strength: tuple[Forecast, ...]
    trouble: str = ""


@dataclass
class _Found:
    promotions: list[Past] = field(default_factory=list)
    played: list[PlayedDay] = field(default_factory=list)
    traffic: Traffic | None = None


def backtest(platform: PromptPlatform, question: Question, progress: Progress) -> tuple[PromptPast, ...]:
    """
    Every guarded prompt's past, in the order of their slugs. A prompt whose past cannot be read does not stop the rest.

    Raises: PlatformError: the prompts, or the audit log, cannot be read; Refused with 403 without the right to.
    """
    prompts = [p for p in platform.prompts() if question.terms.guards(p.slug) and fnmatchcase(p.slug, question.glob)]
    moves: dict[str, list[Promotion]] = {}
    for promotion in platform.promotions(since=question.since):
        moves.setdefault(promotion.prompt_id, []).append(promotion)
    pasts = []
    for prompt in sorted(prompts, key=lambda p: p.slug):
        found = _Found()
        trouble = ""
        try:
            _look(platform, question, prompt, moves.get(prompt.id, []), found, progress)
        except PlatformError as exc:
            trouble = str(exc)
        pasts.append(_past(prompt, question, found, trouble))
    return tuple(pasts)


def _past(prompt: Prompt, question: Question, found: _Found, trouble: str) -> PromptPast:
    rules, terms, traffic = question.rules_for(prompt.slug), question.terms, found.traffic
    strength: tuple[Forecast, ...] = ()
    if traffic is not None:
        strength = forecasts(rules, traffic, length=terms.length, min_baseline_calls=terms.min_baseline_calls)
    return PromptPast(
        prompt=prompt.slug,
        promotions=tuple(found.promotions),
        quiet=by_rule(found.played, rules, prompt.production_version_id),
        rate_per_s=None if traffic is None else traffic.rate_per_s,
        baseline_calls=None if traffic is None else traffic.baseline.calls,
        strength=strength,
        trouble=trouble,
    )


def _look(
    platform: PromptPlatform,
    question: Question,
    prompt: Prompt,
    moves: list[Promotion],
    found: _Found,
    progress: Progress,
) -> None:
    """Raises: PlatformError; what was found before it stays."""
    rules = question.rules_for(prompt.slug)
    labels = {v.id: f"v{v.label}" for v in platform.versions(prompt.id)}
    everything = _journal(prompt, moves, question.since)
    days = {
        version: quiet_dates(everything, version, question.now - question.terms.lag_ceiling, most=MOST_QUIET_DAYS)
        for version in dict.fromkeys(entry.promotion.to_version_id for entry in everything)
    }
    wanted = sorted(day for dates in days.values() for day in dates)[-MOST_QUIET_DAYS:]
    progress.expect(len(wanted) + len(moves) + 1)
    for version, dates in days.items():
        chosen = [day for day in dates if day in wanted]
        of = Version(prompt_id=prompt.id, id=version)
        found.played += played_days(
            platform, of, chosen, rules, question.terms, lambda what: progress.step(f"{prompt.slug}: {what}")
        )
    found.played.sort(key=lambda p: p.day)
    found.traffic = _traffic(platform, question, prompt, progress)
    entries = everything[:1] if len(everything) > len(moves) else []
    for i, promotion in enumerate(moves):
        progress.step(f"{prompt.slug}: {labels.get(promotion.to_version_id, promotion.to_version_id)}")
        after = moves[i + 1] if i + 1 < len(moves) else None
        past, standing = _judge(platform, question, prompt, promotion, after, entries, found.played, labels)
        found.promotions.append(past)
        entries.append(JournalEntry(promotion=promotion, standing=standing))


def _judge(
    platform: PromptPlatform,
    question: Question,
    prompt: Prompt,
    promotion: Promotion,
    after: Promotion | None,
    entries: list[JournalEntry],
    played: list[PlayedDay],
    labels: dict[str, str],
) -> tuple[Past, Standing]:
    plan = _plan(promotion, entries)
    left_at = after.at if after is not None else question.now
    control, before = plan.control_version_id, promotion.from_version_id

    def past(found: Judged | None, note: str) -> Past:
        return Past(
            prompt=prompt.slug,
            promotion=promotion,
            control=None if control is None else labels.get(control, control),
            candidate=labels.get(promotion.to_version_id, promotion.to_version_id),
            before=None if before is None else labels.get(before, before),
            judged=found,
            human=_human(promotion, after, control, left_at),
            stayed=left_at - promotion.at,
            note=note,
        )

    if is_ours(promotion):
        return past(None, "put back by the watchdog"), Standing.RESTORED
    if promotion.from_version_id == promotion.to_version_id:
        return past(None, "the same version again"), Standing.UNWATCHED
    given = Candidate(
        slug=prompt.slug,
        promotion=promotion,
        plan=plan,
        left_at=left_at,
        rules=question.rules_for(prompt.slug),
        calibration={} if control is None else known_before(played, control, promotion.at),
    )
    found = judged(platform, given, question.terms)
    note = plan.why
    if found.forgotten:
        note = "; ".join(filter(None, (note, "the log no longer holds all of its calls")))
    if found.action in (Action.REVERT, Action.COUNTDOWN):
        return past(found, note), Standing.REVERTED
    if left_at - promotion.at < question.terms.length:
        good = found.verdict is Verdict.OK and found.candidate.calls >= CALLS_TO_BE_GOOD
    else:
        # Without a baseline the verdict stays inconclusive, and the version may still have stood the day.
        good = found.action is None and found.candidate.calls >= ENOUGH_CALLS
    return past(found, note), Standing.PASSED if good else Standing.SUPERSEDED


def _plan(promotion: Promotion, entries: list[JournalEntry]) -> WatchPlan:
    """As the daemon would; where it knew of no good version, as if it had been installed just before."""
    plan = plan_watch(promotion, entries)
    if plan.control_version_id is not None or not entries or entries[-1].standing is Standing.REVERTED:
        return plan
    return plan_watch(promotion, [*entries[:-1], replace(entries[-1], standing=Standing.ADOPTED)])


def _human(promotion: Promotion, after: Promotion | None, control: str | None, left_at: datetime) -> str:
    if after is None:
        return "kept, it is on production still"
    took = words.duration(left_at - promotion.at)
    if is_ours(after):
        return f"the watchdog reverted it after {took}"
    if after.revert or after.to_version_id in (control, promotion.from_version_id):
        return f"reverted after {took}"
    return f"replaced by another version after {took}"


def _journal(prompt: Prompt, moves: list[Promotion], since: datetime) -> list[JournalEntry]:
    """All moves, after the version that stood on production when the past began."""
    first = moves[0].from_version_id if moves else prompt.production_version_id
    entries = [JournalEntry(promotion=move, standing=Standing.UNWATCHED) for move in moves]
    if first is None:
        return entries
    stood = Promotion(
        id=deterministic_id("stood", prompt.id, first),
        prompt_id=prompt.id,
        from_version_id=None,
        to_version_id=first,
        at=since,
        not_before=since,
        actor_type=ActorType.UNKNOWN,
        actor_id="",
        revert=False,
    )
    return [JournalEntry(promotion=stood, standing=Standing.ADOPTED), *entries]


def _traffic(platform: PromptPlatform, question: Question, prompt: Prompt, progress: Progress) -> Traffic | None:
    """What a promotion right now would be compared with."""
    progress.step(f"{prompt.slug}: traffic of today")
    if prompt.production_version_id is None:
        return None
    version = Version(prompt_id=prompt.id, id=prompt.production_version_id)
    since = question.now - question.terms.baseline
    stretch = blocks_before(platform, version, since=since, until=question.now)
    if not stretch.calls:
        return None
    length_s = (question.now - stretch.since).total_seconds()
    return Traffic(
        prompt=prompt.slug,
        rate_per_s=stretch.calls / max(1.0, length_s),
        baseline=merged(block for _, block in stretch.in_order()),
    )
