"""What every job is handed."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from typing import TYPE_CHECKING, Any

from watchdog.jobs.beats import Beats
from watchdog.jobs.claims import Unshared
from watchdog.jobs.panels import Panels
from watchdog.jobs.platform_clock import PlatformClock
from watchdog.jobs.waits import Waits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from watchdog.clock import Clock
    from watchdog.core.holds import Thrown
    from watchdog.core.peers import Sample
    from watchdog.core.rules import Action, RuleSet
    from watchdog.core.silence import Rhythm
    from watchdog.core.terms import Terms
    from watchdog.core.week import Week
    from watchdog.jobs.claims import Claims
    from watchdog.jobs.draft import Draft, HourDraft
    from watchdog.notify.protocol import Notifier
    from watchdog.platforms.protocol import DeadMansSwitch, PromptPlatform, StatusPages
    from watchdog.store.database import Store


def nothing_thrown() -> tuple[Thrown, ...]:
    """No kill switch but the command."""
    return ()


@dataclass(frozen=True, kw_only=True)
class Bell:
    """Rung when there is work, so that nobody polls for what another thread knows."""

    actor: threading.Event = field(default_factory=threading.Event)
    sender: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True, kw_only=True)
class Policy:
    """
    What is judged, and how; all that a reload may change.

    Attributes:
        overrides: globs on a prompt's slug and the rules for it; the first that matches counts.
        acts: the same globs, and the most that may be done about these prompts; None for what `terms` say.
    """

    rules: RuleSet
    terms: Terms
    overrides: tuple[tuple[str, RuleSet], ...] = ()
    acts: tuple[tuple[str, Action | None], ...] = ()

    def most_for(self, slug: str) -> Action:
        """The most that may be done about promotions of this prompt."""
        return next((act for glob, act in self.acts if fnmatchcase(slug, glob)), None) or self.terms.most

    def rules_for(self, slug: str) -> RuleSet:
        """The rules that judge promotions of this prompt."""
        return next((rules for glob, rules in self.overrides if fnmatchcase(slug, glob)), self.rules)


@dataclass(kw_only=True)
class Standing:
    """
    The policy in force. It is swapped as a whole, by one assignment: who needs more than one thing of it that must
    belong together takes `policy` once.
    """

    policy: Policy


@dataclass(frozen=True, kw_only=True)
class Deps:
    """
    Attributes:
        standing: shared by all threads; only a reload assigns to it.
        status_pages: of the providers; None where none is configured, and then none is asked.
        look_budget_s: > 0; of all questions of a diagnosis together, in seconds of the wall: a little more than one
            page or the gateway may take.
        thrown: the kill switches that are thrown just now, asked anew at each decision.
        reads: how many HTTP reads may run at once.
        drafts: baselines that are half read, by watch id; a restart reads them anew.
        panels: the tests of open watches; a restart puts them together anew, alike to the bit.
        census: what prompts' last calls looked like, by prompt and version, and until when; see `jobs.peers`.
        weeks: what was read of the same hours a week ago, by watch id; a restart reads it from the store.
        hour_drafts: hours that are half read, by watch id; a restart reads them anew.
        dead_mans_switch: told now and then that this lives; None where nobody waits for that.
        beats: when each thread last came round.
        claims: what of the work is this daemon's; on SQLite all of it.
        rhythms: how often the control was called at which time, by watch id; see `jobs.silence`.
        elsewhere: of a watch, how many calls of other versions had come when, by watch id; see `jobs.silence`.
    """

    store: Store
    platform: PromptPlatform
    notifier: Notifier
    clock: Clock
    standing: Standing
    status_pages: StatusPages | None = None
    look_budget_s: float = 4.0
    dead_mans_switch: DeadMansSwitch | None = None
    bell: Bell = field(default_factory=Bell)
    thrown: Callable[[], tuple[Thrown, ...]] = nothing_thrown
    reads: int = 4
    drafts: dict[str, Draft] = field(default_factory=dict)
    panels: Panels = field(default_factory=Panels)
    census: dict[tuple[str, str], tuple[datetime, Sample | None]] = field(default_factory=dict)
    weeks: dict[str, Week] = field(default_factory=dict)
    hour_drafts: dict[str, HourDraft] = field(default_factory=dict)
    beats: Beats = field(default_factory=Beats)
    claims: Claims = field(default_factory=Unshared)
    rhythms: dict[str, Rhythm] = field(default_factory=dict)
    elsewhere: dict[str, tuple[int, datetime]] = field(default_factory=dict)

    @property
    def policy(self) -> Policy:
        """What is in force at this moment."""
        return self.standing.policy

    @property
    def terms(self) -> Terms:
        return self.policy.terms

    def rules_for(self, slug: str) -> RuleSet:
        """The rules that judge promotions of this prompt."""
        return self.policy.rules_for(slug)

    def forget(self, watch_ids: Iterable[str]) -> None:
        """Drop what is kept of these watches in memory: whoever had them meanwhile went on without it."""
        kept: tuple[dict[str, Any], ...] = (
            self.drafts,
            self.panels.kept,
            self.weeks,
            self.hour_drafts,
            self.rhythms,
            self.elsewhere,
        )
        for watch_id in watch_ids:
            for known in kept:
                known.pop(watch_id, None)

    def platform_time(self, now: datetime) -> datetime:
        """`now` by the platform's clock, which stamps promotions and calls."""
        return self.platform_clock.at(now, self.platform.clock_skew())

    @cached_property
    def platform_clock(self) -> PlatformClock:
        return PlatformClock(self.clock)

    @cached_property
    def waits(self) -> Waits:
        """How long rollbacks and notices have waited, whatever is done to our wall clock."""
        return Waits(self.clock)
