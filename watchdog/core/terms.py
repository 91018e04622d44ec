"""What the jobs need to know of the configuration, and nothing more."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from fnmatch import fnmatchcase

from watchdog.core.guards import Limits
from watchdog.core.rules import Action


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """
    Whether and how the bodies of failing calls are looked at.

    Attributes:
        payloads: look at them at all.
        calls: of one incident at most so many.
        slack: redacted examples may go out with the notice; else only counts and shapes.
        redact: patterns of the user's own, each without a problem (see `core.patterns`).
    """

    payloads: bool = False
    calls: int = 20
    slack: bool = False
    redact: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Terms:
    """
    Attributes:
        prompts, exclude: globs on the slug; a prompt is guarded when one of the first and none of the second matches.
        baseline: how far back from the promotion the control's calls are taken.
        length: how long a promotion is watched.
        min_baseline_calls: fewer, and only absolute rules judge.
        most: the most that may be done at all, where nothing else is said for a prompt.
        countdown: so long a countdown counts.
        tick: between two looks at a watch, and at the platform for promotions.
        fast_tick: between two looks at a watch in its first minutes.
        recovery_deadline: the verification ends at the latest this long after the revert.
        settle: longer than the platform can hold a request.
        lag_floor, lag_ceiling: bounds of the time that windows stay open for late calls.
        evidence: what is looked at of failing calls.
        config_digest: identifies the configuration and the rules in every incident.
    """

    prompts: tuple[str, ...] = ("*",)
    exclude: tuple[str, ...] = ()
    baseline: timedelta = timedelta(hours=24)
    length: timedelta = timedelta(hours=24)
    min_baseline_calls: int = 50
    most: Action = Action.REVERT
    countdown: timedelta = timedelta(minutes=5)
    tick: timedelta = timedelta(seconds=30)
    fast_tick: timedelta = timedelta(seconds=5)
    recovery_deadline: timedelta = timedelta(minutes=30)
    settle: timedelta = timedelta(seconds=30)
    lag_floor: timedelta = timedelta(seconds=5)
    lag_ceiling: timedelta = timedelta(minutes=10)
    limits: Limits = field(default_factory=Limits)
    evidence: Evidence = field(default_factory=Evidence)
    config_digest: str = ""

    def guards(self, slug: str) -> bool:
        """Whether promotions of this prompt are watched."""
        wanted = any(fnmatchcase(slug, glob) for glob in self.prompts)
        return wanted and not any(fnmatchcase(slug, glob) for glob in self.exclude)
