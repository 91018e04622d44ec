"""What every job is handed."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from watchdog.clock import Clock
    from watchdog.core.rules import RuleSet
    from watchdog.core.terms import Terms
    from watchdog.notify.protocol import Notifier
    from watchdog.platforms.protocol import PromptPlatform
    from watchdog.store.database import Store


# The platform tells the time in whole seconds, and the answer takes a while: less than this is no skew.
_SKEW_WORTH_MINDING = timedelta(seconds=2)


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
    """

    store: Store
    platform: PromptPlatform
    notifier: Notifier
    clock: Clock
    rules: RuleSet
    terms: Terms
    bell: Bell = field(default_factory=Bell)
    reads: int = 4

    def platform_time(self, now: datetime) -> datetime:
        """`now` by the platform's clock, which stamps promotions and calls."""
        skew = self.platform.clock_skew()
        return now if skew is None or abs(skew) < _SKEW_WORTH_MINDING else now + skew
