"""What every job is handed."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from watchdog.jobs.platform_clock import PlatformClock

if TYPE_CHECKING:
    from datetime import datetime

    from watchdog.clock import Clock
    from watchdog.core.rules import RuleSet
    from watchdog.core.terms import Terms
    from watchdog.jobs.draft import Draft
    from watchdog.notify.protocol import Notifier
    from watchdog.platforms.protocol import PromptPlatform
    from watchdog.store.database import Store


@dataclass(frozen=True, kw_only=True)
class Bell:
    """Rung when there is work, so that nobody polls for what another thread knows."""

    actor: threading.Event = field(default_factory=threading.Event)
    sender: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True, kw_only=True)
class Deps:
    """
    Attributes:
        reads: how many HTTP reads may run at once.
        drafts: baselines that are half read, by watch id; a restart reads them anew.
    """

    store: Store
    platform: PromptPlatform
    notifier: Notifier
    clock: Clock
    rules: RuleSet
    terms: Terms
    bell: Bell = field(default_factory=Bell)
    reads: int = 4
    drafts: dict[str, Draft] = field(default_factory=dict)

    def platform_time(self, now: datetime) -> datetime:
        """`now` by the platform's clock, which stamps promotions and calls."""
        return self.platform_clock.at(now, self.platform.clock_skew())

    @cached_property
    def platform_clock(self) -> PlatformClock:
        return PlatformClock(self.clock)
